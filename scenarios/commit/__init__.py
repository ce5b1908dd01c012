"""Turning what a container changed into a layer: what `docker build` and `docker commit` pay for each step."""
