"""Readings: laws, answers and claims of a run, and the analysis they are made from. Needs no Linux and no root."""
