"""The flow of the RoPE planes (X5), (X7) and what drives it as NumPy code, plane by plane."""

from __future__ import annotations

import sympy as sp

from derivations.beyond import attention_flow, finite_steps
from derivations.beyond.attention_flow import (
    H_im,
    H_re,
    imbalance,
    offset,
    p_im,
    p_re,
    size,
)
from derivations.beyond.finite_steps import F_back, H_back_im, H_back_re
from derivations.code.numpy import Written
from derivations.equation import Equation, require
from derivations.paper.attention import key, query
from derivations.symbols import F, d, eta, omega, r, sigma2

frequency = sp.Symbol("omega", real=True)
ENTRIES = {  # an entry of plane r: the array argument of all of them
    query[r]: sp.Symbol("q_re", real=True),
    query[r + d / 2]: sp.Symbol("q_im", real=True),
    key[r]: sp.Symbol("k_re", real=True),
    key[r + d / 2]: sp.Symbol("k_im", real=True),
    p_re[r]: sp.Symbol("p_re", real=True),
    p_im[r]: sp.Symbol("p_im", real=True),
    H_re[r]: sp.Symbol("H_re", real=True),
    H_im[r]: sp.Symbol("H_im", real=True),
    H_back_re[r]: sp.Symbol("H_back_re", real=True),
    H_back_im[r]: sp.Symbol("H_back_im", real=True),
    size[r]: sp.Symbol("size", positive=True),
    imbalance[r]: sp.Symbol("imbalance", real=True),
    omega[r]: frequency,
    F_back: sp.Symbol("F_back", real=True),
}
WEIGHTS = [ENTRIES[entry] for entry in (query[r], query[r + d / 2], key[r], key[r + d / 2])]
PRODUCT, SIZE, IMBALANCE = (
    [ENTRIES[p_re[r]], ENTRIES[p_im[r]]],
    ENTRIES[size[r]],
    ENTRIES[imbalance[r]],
)
SLOPE = [ENTRIES[H_re[r]], ENTRIES[H_im[r]]]
SLOPE_BACK = [ENTRIES[H_back_re[r]], ENTRIES[H_back_im[r]]]


def of_planes(name: str, says: str, equation: Equation, *arguments: sp.Symbol) -> Written:
    """An equation's right side, plane r for all of them; a pair becomes a tuple."""
    return Written(name, says, (equation,), arguments, by_plane(equation.statement.rhs))


def by_plane(right: sp.Basic) -> sp.Expr | tuple[sp.Expr, ...]:
    """``right`` in the letters of ``ENTRIES``."""
    named = right.xreplace(ENTRIES)
    require(not named.has(sp.Indexed), f"{right} holds an entry without a letter")
    return tuple(named) if isinstance(named, sp.MatrixBase) else named


def planes() -> list[Written]:
    """Variables of a plane, their start and their flow."""
    _, waves = attention_flow.retrieval_by_plane.steps[0]  # how a logit depends on p_r
    by_logit = tuple(attention_flow.at_distance(wave) for wave in waves)
    return [
        Written(
            "plane_waves",
            "Derivatives of the attention logit at offset m in (p_re, p_im).",
            (attention_flow.logit_by_plane,),
            (frequency, offset, d),
            tuple(by_plane(wave) for wave in by_logit),
        ),
        of_planes("plane_product", "(p_re, p_im) = q k^*.", attention_flow.plane_product, *WEIGHTS),
        of_planes(
            "plane_imbalance", "|q|^2 - |k|^2.", attention_flow.conserved_imbalance, *WEIGHTS
        ),
        of_planes(
            "plane_size",
            "|q|^2 + |k|^2.",
            attention_flow.size_from_imbalance,
            *PRODUCT,
            IMBALANCE,
        ),
        of_planes("mean_size", "Mean size at the start.", attention_flow.mean_size, sigma2),
        of_planes(
            "product_spread",
            "Variance of p_re, and of p_im, at the start.",
            attention_flow.product_spread,
            sigma2,
        ),
        of_planes(
            "size_spread", "Variance of the size at the start.", attention_flow.size_spread, sigma2
        ),
        Written(
            "plane_gradient",
            "What a plane adds to G = |grad_q R|^2 + |grad_k R|^2; H is the gradient of R in p.",
            (attention_flow.gradient_without_closure,),
            (*SLOPE, SIZE),
            by_plane(attention_flow.gradient_without_closure.statement.rhs.function),
        ),
        of_planes(
            "product_rates",
            "Time derivatives of (p_re, p_im) under the drive F.",
            attention_flow.product_flow,
            *SLOPE,
            SIZE,
            F,
        ),
    ]


def steps() -> list[Written]:
    """What a finite learning rate changes."""
    return [
        of_planes(
            "product_back",
            "(p_re, p_im) half a gradient step back.",
            finite_steps.products_back,
            *PRODUCT,
            *SLOPE,
            SIZE,
            F,
            eta,
        ),
        of_planes(
            "product_rates_in_steps",
            "Time derivatives of (p_re, p_im) in steps; F_back, H_back are half a step back.",
            finite_steps.products_in_steps,
            *PRODUCT,
            *SLOPE,
            *SLOPE_BACK,
            SIZE,
            F,
            ENTRIES[F_back],
            eta,
        ),
        of_planes(
            "imbalance_rate_in_steps",
            "Time derivative of |q|^2 - |k|^2 in steps.",
            finite_steps.imbalance_in_steps,
            IMBALANCE,
            *SLOPE,
            *SLOPE_BACK,
            F,
            ENTRIES[F_back],
            eta,
        ),
    ]
