"""The theory as objects: every equation derived from the definitions, and checked (SymPy).

paper holds the paper's chapters in the order of the derivation (registry.CHAPTERS): definitions,
glu, logits, loss, overlaps, logic, attention, attention_closures, dynamics, regimes and rollout.
beyond goes on: solution, matrices, attention_flow, variances, finite_steps, fluctuations, scaling.

Each chapter holds its equations as functions under ``@equation``, with ``@check`` beside them.
equation says what those are, symbols holds every letter, models the independent models and tools
that checks use. code turns statements into NumPy, JavaScript and LaTeX, generate writes them, and
report is a page to read.
"""
