"""How a challenger is made: what it learns from, the fits, and how it is compared."""
