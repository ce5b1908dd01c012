"""An oracle for all drivers: the same operations in a container and in a plain directory must give equal results."""
