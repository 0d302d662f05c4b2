"""(1)-(91): the paper, chapter by chapter, in the order of the derivation."""
