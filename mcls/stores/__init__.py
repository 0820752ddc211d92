"""Stores: the rows of many tracks in one file, their pieces, and rows of other programs."""
