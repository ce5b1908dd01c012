"""Scenarios, one package each, found by their presence."""
