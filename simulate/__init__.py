"""The empirical check: the paper's transformer, trained for many seeds at once.

settings (hyperparameters) and task (permutations, sequences, the start) make what model (3)-(6) is
trained on; grouped, or its fast twin fused, gives loss, gradient and rollouts; optimizer takes the
steps, observe measures, train puts them together. cli and sweep are the commands.
"""
