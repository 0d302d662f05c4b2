"""Statements as code and as formulas to read: NumPy, JavaScript, LaTeX."""
