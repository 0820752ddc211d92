"""Tuning: choose the values that a recipe leaves open, from the train and the valid part alone."""
