"""(X0)-(X9): what goes beyond the paper, chapter by chapter."""
