"""Deleting what the image holds: whiteouts, opaque directories, and what they cost afterwards."""
