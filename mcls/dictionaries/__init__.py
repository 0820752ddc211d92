"""Dictionaries: rows in, atoms out. One file a method."""
