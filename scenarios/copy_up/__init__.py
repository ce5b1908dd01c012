"""The first write to a file of the image: what copy_up costs, and whether it copies."""
