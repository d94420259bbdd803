"""The analysts' pages: what the templates show, gathered from the records; templates and style beside it."""
