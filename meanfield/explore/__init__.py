"""The theory as one page with sliders: ``python -m meanfield.explore``."""
