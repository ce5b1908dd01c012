"""How many layers overlayfs takes, and how many fit one page of mount options."""
