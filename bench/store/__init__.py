"""The files in results/: written while a run measures, and read on any machine."""
