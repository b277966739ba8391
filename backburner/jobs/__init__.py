"""Jobs: what they are, how they are stored, claimed, run and settled."""
