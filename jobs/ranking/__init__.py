"""From what was known at the end of a day to ranked lists: candidates, their features, the model that orders them."""
