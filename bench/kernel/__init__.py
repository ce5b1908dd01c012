"""System calls that Python 3.11 lacks: mounts, loop devices, namespaces, and counters."""
