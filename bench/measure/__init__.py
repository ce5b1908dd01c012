"""From a question to samples: scenario type, plan, clock, temperature, runner."""
