"""Drivers, as far as no kernel is needed for them."""
