"""One module per command: parse, call, print. Slow imports are inside functions, so that --help is fast."""
