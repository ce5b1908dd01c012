"""The contract of a scenario, and its tools: clock, temperature, C reference."""
