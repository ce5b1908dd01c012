"""Regression gates: verdicts on runs against a baseline or between two arms, and their output for CI jobs."""
