"""Regression gates: what runs say against a baseline, or of two arms, and what a CI job is told."""
