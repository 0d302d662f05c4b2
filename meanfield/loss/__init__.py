"""The loss as a function of attention and logic, with its slopes."""
