"""What the rooms promise each other. Every room imports this one; it imports none."""
