"""One self-contained page and a summary in plain text, from a run as it was read from disk."""
