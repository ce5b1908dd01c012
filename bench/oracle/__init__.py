"""One truth for all drivers: the same operations on a container and on a plain directory must do the same."""
