"""Classifiers of rows, one file per family."""
