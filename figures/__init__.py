"""The paper's figures and ours, drawn from run files: one file a figure, one style."""
