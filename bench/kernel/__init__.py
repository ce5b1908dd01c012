"""System calls missing in Python 3.11: mounts, loop devices, namespaces, and ioctls of file systems."""
