"""File systems to measure on: one recipe per module; volumes are made on loop devices for the run."""
