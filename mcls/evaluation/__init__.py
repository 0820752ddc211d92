"""Evaluation: from true labels and scores to metrics with confidence intervals."""

from mcls.evaluation.compute import evaluate
from mcls.evaluation.folds import across_folds
from mcls.evaluation.results import Estimate, Evaluation, MetricResult

__all__ = ["Estimate", "Evaluation", "MetricResult", "across_folds", "evaluate"]
