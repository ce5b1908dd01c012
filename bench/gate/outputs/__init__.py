"""Files that a gate writes its verdicts to: one module a format, each with an `OUTPUT`."""
