"""Evaluation: truth and scores in, metrics with intervals out. `evaluate` does all of it."""

from mcls.evaluation.folds import across_folds
from mcls.evaluation.report import Estimate, Measured, Report, evaluate

__all__ = ["Estimate", "Measured", "Report", "across_folds", "evaluate"]
