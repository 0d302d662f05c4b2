"""How accuracies are read from the logits: Gaussian, or sampled."""
