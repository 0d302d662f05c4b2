"""Theory held against training: ``python -m meanfield.compare``."""
