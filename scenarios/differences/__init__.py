"""How a driver differs from a plain file system: the same operations on a container and on a directory."""
