"""Content of layers: deterministic content from a seed, changes of containers, and layer archives."""
