"""results/: writing a run as it happens, and reading it back anywhere."""
