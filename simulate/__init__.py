"""The empirical check: the paper's transformer, trained for many seeds at once."""
