"""Evaluation: truth and scores in, metrics with intervals out."""
