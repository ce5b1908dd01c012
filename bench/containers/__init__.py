"""Containers on real layers for the pytest fixtures, inside a process that cannot fork for them.

The process enters a mount namespace of its own; volumes are on nameless files on loop devices with autoclear, and
daemons end with the process. So nothing is left, however the process ends.
"""
