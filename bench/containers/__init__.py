"""Containers on real layers inside a process that cannot be forked: what the pytest fixtures hand out.

The process gets a mount namespace of its own; volumes are on loop devices that clear themselves, their files have
no name, and daemons end with the process. So nothing of it is left, however the process ends.
"""
