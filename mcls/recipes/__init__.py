"""Recipes as a whole: a dry run that sizes every table before any audio is read."""

from mcls.recipes.dry_run import SizedTable, dry_run, gpu_hours
from mcls.recipes.sizes import RowSize

__all__ = ["RowSize", "SizedTable", "dry_run", "gpu_hours"]
