"""The empirical check: the paper's transformer, trained for many seeds at once.

settings says what is trained, and on what machine. task draws permutations, sequences and the start
of model (3)-(6); gradient gives loss, gradient and rollouts by one of two engines; optimizer takes
the steps. trainer puts these together for one epoch, measure looks at the result, record keeps it,
train goes on to the end, by way of checkpoints. Commands: python -m simulate, simulate.sweep.
"""
