"""Recipes: their graph of stages, their run in every fold, and their dry run."""
