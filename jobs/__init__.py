"""The steps of the loop: each a function of a day and the settings; the CLI is a doorway to them."""
