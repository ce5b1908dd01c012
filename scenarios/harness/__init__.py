"""What the harness itself costs: the same system calls on the same stack from Python and from C."""
