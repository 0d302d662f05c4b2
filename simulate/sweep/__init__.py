"""Training over a grid of parameters: a plan for each point, the points, and the command."""
