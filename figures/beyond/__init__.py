"""Figures beyond the paper: where the theory holds, where it fails, and how it scales."""
