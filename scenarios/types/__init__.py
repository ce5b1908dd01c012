"""What becomes of overlayfs on a file system that does not tell the types of names in listings."""
