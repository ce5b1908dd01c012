"""All drivers at a glance, engines' own containers among them: the same image, the same operations."""
