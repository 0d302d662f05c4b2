"""The theory over a grid of parameters: ``python -m meanfield.sweep``."""
