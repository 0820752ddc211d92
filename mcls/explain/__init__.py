"""Explanations of how nets learn: small computations whose every step can be looked at."""
