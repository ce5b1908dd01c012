"""Whether what is built by hand is what Docker builds: both homes side by side, from one archive."""
