"""The theory as objects: every equation derived from the definitions, and checked (SymPy).

paper holds the paper's chapters in the order of the derivation (registry.CHAPTERS): definitions,
glu, logits, loss, overlaps, logic, attention, attention_closures, attention_course, dynamics,
thermodynamic_limit, regimes and rollout. beyond goes on: solution, matrices, attention_flow,
variances, finite_steps, fluctuations, scaling.

Each chapter holds its equations as functions under ``@equation``, with ``@check`` beside them, and
``@shown`` above one that is read in another form than SymPy's. equation says what those are, form
how a form is read and proof how it is proven; symbols holds the letters that chapters share, models
the independent models and tools that checks use. functions lists what is to be generated, code
writes it in NumPy and JavaScript, and formulas in LaTeX or for a terminal. generate writes the
files, report a page to read.
"""
