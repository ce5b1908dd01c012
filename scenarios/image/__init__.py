"""What the layers of a user's image cost."""
