"""Output formats of a gate: one module per format, each with an `OUTPUT`."""
