"""Planning and running measurements: request, plan, schedule, runner, session."""
