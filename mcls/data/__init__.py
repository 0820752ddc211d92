"""Data before training: known data sets, manifest checks, splits, and the sampling of rows."""
