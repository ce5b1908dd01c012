"""Finding a name: what each layer adds to a lookup."""
