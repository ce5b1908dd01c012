"""The machine: what works here, what it is, what can be installed."""
