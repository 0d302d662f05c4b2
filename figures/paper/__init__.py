"""The figures of the paper, redrawn: each module is one figure, alone or with its robust twin."""
