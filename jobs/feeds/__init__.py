"""Importers: one file a public data set, each turning it into a feed that a shop could have delivered."""
