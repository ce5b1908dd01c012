"""Storage drivers: one file each, in the terms of Docker's graphdriver interface."""
