"""From a delivery's bytes to classified rows: read, classify, account."""
