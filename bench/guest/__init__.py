"""Guests: a plan carried out in a virtual machine with a kernel of its own, timed in instructions."""
