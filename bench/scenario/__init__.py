"""The contract of a scenario, and the tools that it measures with: clock, temperature, C reference."""
