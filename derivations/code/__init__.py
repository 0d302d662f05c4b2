"""Formulas in other languages: NumPy and JavaScript to compute, LaTeX and a terminal to read."""
