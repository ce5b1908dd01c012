"""One file a command: parse, call, print. Heavy imports are inside, so that --help answers at once."""
