"""What attends: closures G(R), or the softmax attention of one seed or of a typical one."""
