"""What layers hold: deterministic content from a seed, and writing and checking it on disk."""
