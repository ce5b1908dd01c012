"""Storage drivers: one file each, with the words of Docker's graphdriver interface."""
