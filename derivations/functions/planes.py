"""The flow of the RoPE planes (X5), (X7) and what drives it as NumPy code, plane by plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from derivations.code.written import Line, Written, define, prove
from derivations.functions.closures import frequency
from derivations.paper.attention import key, query
from derivations.statement import Equation, require
from derivations.symbols import F, d, eta, omega, r, sigma2

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


def planes() -> list[Written]:
    """Variables of a plane, their start, their flow, and what a finite learning rate changes."""
    _, waves = attention_flow.retrieval_by_plane.steps[0]  # how a logit depends on p_r
    by_logit = tuple(by_plane(attention_flow.at_distance(wave)) for wave in waves)
    return [
        Written(
            "plane_waves",
            "Derivatives of the attention logit at offset m in (p_re, p_im).",
            (attention_flow.logit_by_plane,),
            (frequency, offset, d),
            proven(("cos(omega*m)/sqrt(d)", "-sin(omega*m)/sqrt(d)"), by_logit),
        ),
        *variables(),
        *start(),
        *flow(),
        *steps(),
    ]


def of_planes(
    name: str,
    says: str,
    equation: Equation,
    form: str | tuple[str, ...],
    *arguments: sp.Symbol,
    lines: Sequence[Line] = (),
) -> Written:
    """An equation's right side, plane r for all of them; a pair becomes a tuple."""
    right = by_plane(equation.statement.rhs)
    return Written(
        name, says, (equation,), arguments, proven(form, right, lines=lines), tuple(lines)
    )


def proven(form: str | tuple[str, ...], plain: Any, *, lines: Sequence[Line] = ()) -> Any:
    """A form, or one for each part of a pair."""
    if isinstance(form, str):
        return prove(form, plain, lines=lines)
    return tuple(prove(one, part, lines=lines) for one, part in zip(form, plain, strict=True))


def by_plane(right: sp.Basic) -> sp.Expr | tuple[sp.Expr, ...]:
    """``right`` in the letters of ``ENTRIES``."""
    named = right.xreplace(ENTRIES)
    require(not named.has(sp.Indexed), f"{right} holds an entry without a letter")
    return tuple(named) if isinstance(named, sp.MatrixBase) else named


def named_line(name: str, form: str) -> Line:
    """A part of a formula by its name."""
    letters = {symbol.name: symbol for symbol in ENTRIES.values()} | {"F": F, "eta": eta}
    return sp.Symbol(name, real=True), define(form, **letters)


def variables() -> list[Written]:
    """Products, imbalance and size of a plane."""
    return [
        of_planes(
            "plane_product",
            "(p_re, p_im) = q k^*.",
            attention_flow.plane_product,
            ("q_re*k_re + q_im*k_im", "q_im*k_re - q_re*k_im"),
            *WEIGHTS,
        ),
        of_planes(
            "plane_imbalance",
            "|q|^2 - |k|^2.",
            attention_flow.conserved_imbalance,
            "q_re**2 + q_im**2 - k_re**2 - k_im**2",
            *WEIGHTS,
        ),
        of_planes(
            "plane_size",
            "|q|^2 + |k|^2.",
            attention_flow.size_from_imbalance,
            "sqrt(imbalance**2 + 4*(p_re**2 + p_im**2))",
            *PRODUCT,
            IMBALANCE,
        ),
    ]


def start() -> list[Written]:
    """Moments of the start."""
    return [
        of_planes(
            "mean_size",
            "Mean size at the start.",
            attention_flow.mean_size,
            "4*sigma2",
            sigma2,
        ),
        of_planes(
            "product_spread",
            "Variance of p_re, and of p_im, at the start.",
            attention_flow.product_spread,
            "2*sigma2**2",
            sigma2,
        ),
        of_planes(
            "size_spread",
            "Variance of the size at the start.",
            attention_flow.size_spread,
            "16*sigma2**2/5",
            sigma2,
        ),
    ]


def flow() -> list[Written]:
    """What a plane adds to G, and how its products move."""
    total = attention_flow.gradient_without_closure
    return [
        Written(
            "plane_gradient",
            "What a plane adds to G = |grad_q R|^2 + |grad_k R|^2; H is the gradient of R in p.",
            (total,),
            (*SLOPE, SIZE),
            prove("size*(H_re**2 + H_im**2)", by_plane(total.statement.rhs.function)),
        ),
        of_planes(
            "product_rates",
            "Time derivatives of (p_re, p_im) under the drive F.",
            attention_flow.product_flow,
            ("F*size*H_re", "F*size*H_im"),
            *SLOPE,
            SIZE,
            F,
        ),
    ]


def steps() -> list[Written]:
    """What a finite learning rate changes."""
    half = (
        named_line("step", "eta*F/2"),
        named_line("square_re", "H_re**2 - H_im**2"),
        named_line("square_im", "2*H_re*H_im"),
    )
    ahead = (
        named_line("ahead_re", "size - eta*F*(H_re*p_re + H_im*p_im)"),
        named_line("ahead_im", "-eta*F*(H_re*p_im - H_im*p_re)"),
    )
    return [
        of_planes(
            "product_back",
            "(p_re, p_im) half a gradient step back.",
            finite_steps.products_back,
            (
                "p_re - step*size*H_re + step**2*(square_re*p_re + square_im*p_im)",
                "p_im - step*size*H_im + step**2*(square_im*p_re - square_re*p_im)",
            ),
            *PRODUCT,
            *SLOPE,
            SIZE,
            F,
            eta,
            lines=half,
        ),
        of_planes(
            "product_rates_in_steps",
            "Time derivatives of (p_re, p_im) in steps; F_back, H_back are half a step back.",
            finite_steps.products_in_steps,
            (
                "F_back*(H_back_re*ahead_re - H_back_im*ahead_im)",
                "F_back*(H_back_im*ahead_re + H_back_re*ahead_im)",
            ),
            *PRODUCT,
            *SLOPE,
            *SLOPE_BACK,
            SIZE,
            F,
            ENTRIES[F_back],
            eta,
            lines=ahead,
        ),
        of_planes(
            "imbalance_rate_in_steps",
            "Time derivative of |q|^2 - |k|^2 in steps.",
            finite_steps.imbalance_in_steps,
            "-eta*F*F_back*imbalance*(H_re*H_back_re + H_im*H_back_im)",
            IMBALANCE,
            *SLOPE,
            *SLOPE_BACK,
            F,
            ENTRIES[F_back],
            eta,
        ),
    ]
