"""Data before training: known datasets, manifest checks, splits, and the sampling of rows."""
