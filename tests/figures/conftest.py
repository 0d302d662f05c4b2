"""Its presence puts this folder on the path: the tests in its rooms find the runs beside it."""
