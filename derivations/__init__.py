"""The theory as objects: every equation derived from the definitions, and checked (SymPy).

The chapters, in the order of the derivation (registry.CHAPTERS): definitions, glu, logits, loss,
overlaps, logic, attention, attention_closures, dynamics, regimes and rollout are the paper;
solution, matrices, attention_flow, variances, finite_steps, fluctuations and scaling go beyond it.

Each holds its equations as functions under ``@equation``, with ``@check`` beside them. equation
says what those are, symbols holds every letter, sums and sampling are shared tools, enumeration and
attention_model the independent models that checks use. closed_system, plane_system, numpy_code,
javascript and generate turn statements into code; latex and report into pages to read.
"""
