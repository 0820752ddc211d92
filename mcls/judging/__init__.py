"""How good runs are, which is better, and where they fail."""
