"""What the rows of a run mean: laws, answers, claims; how they are made from a run. Needs no Linux and no root."""
