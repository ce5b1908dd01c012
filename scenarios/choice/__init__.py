"""Which storage driver Docker takes by itself on a file system, and which ones it refuses there."""
