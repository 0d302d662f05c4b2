"""The theory as objects: every equation derived from the definitions, and checked (SymPy)."""
