"""What a run says of the claims that everybody repeats."""
