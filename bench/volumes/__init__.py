"""File systems to measure on: one recipe a file, made on a loop device for the run."""
