"""Estimates, fits and the analysis of a run: pure functions on arrays, and one module on frames."""
