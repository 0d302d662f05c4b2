"""What stands for the logic matrices: the family (u, v), and Q, S, C read from it."""
