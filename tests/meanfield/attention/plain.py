"""Attention position by position, nothing in planes: plain T x T sums, slow and plainly right."""

import math

import numpy as np


def plain_retrieval(p, T, omega):
    """R from the definition: a T x T softmax; p complex, one entry a plane."""
    i, j = np.meshgrid(np.arange(T + 1, 2 * T + 1), np.arange(1, T + 1), indexing="ij")
    phases = np.exp(1j * omega * (i - j)[..., None])
    weights = np.exp((phases @ p).real / math.sqrt(2 * len(omega)))
    rows = weights / weights.sum(axis=1, keepdims=True)
    return np.trace(rows) / T


def plain_gradient(p, T, omega, step=1e-5):
    """H_r with dR = Re sum_r H_r dp_r, by central differences."""
    result = np.empty(len(p), complex)
    for r in range(len(p)):
        nudge = np.zeros(len(p), complex)
        nudge[r] = step
        real, imaginary = (
            (plain_retrieval(p + by, T, omega) - plain_retrieval(p - by, T, omega)) / (2 * step)
            for by in (nudge, 1j * nudge)
        )
        result[r] = real - 1j * imaginary
    return result
