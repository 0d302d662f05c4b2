"""The paper's figures and ours, drawn from run files: one file a figure, one style.

catalogue lists them; drawing says what a figure is, batches what it needs trained, make_runs trains
that. A file draws alone: a pure function of run files, with its caption and numbers.
"""
