"""Classifiers: rows and labels in, scores out. One file a family."""
