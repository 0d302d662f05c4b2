"""What stands for the attention gradient G = |grad_q R|^2 + |grad_k R|^2 as a function of R."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from meanfield import generated
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters

Rates = Callable[..., tuple[Any, Any, Any]]


@dataclass(frozen=True)
class Closure:
    """A closure G(R) of the mean-field equations (15).

    rhs(logit_R, Q, S, C, N, K, rate): time derivatives of (logit_R, Q, S).
    jacobian: their derivatives, a 3 x 3 nested tuple, same arguments.
    bend(logit_R): what gradient steps change in the growth of logit R (X7c).
    rate(sum_phi2, qk_variance, d, T): the prefactor of G, from the sum over the RoPE planes.
    logit_R(D, D0, logit_R0, kappa): logit R as a function of D = Q - S along a solution, from the
        conserved quantity; None where it is not known in closed form.
    onset_gap(D0, logit_R0, kappa): D where R = 1/2; None likewise.
    """

    name: str
    rhs: Rates = field(repr=False)
    jacobian: Callable[..., Any] = field(repr=False)
    bend: Callable[..., Any] = field(repr=False)
    rate: Callable[..., Any] = field(repr=False)
    logit_R: Callable[..., Any] | None = field(repr=False, default=None)
    onset_gap: Callable[..., Any] | None = field(repr=False, default=None)


LINEAR = Closure(
    "linear",
    generated.rhs_linear,
    generated.jacobian_linear,
    generated.bend_linear,
    generated.linear_rate,
    generated.logit_R_linear,
    generated.onset_gap_linear,
)
QUADRATIC = Closure(
    "quadratic",
    generated.rhs_quadratic,
    generated.jacobian_quadratic,
    generated.bend_quadratic,
    generated.quadratic_rate,
    generated.logit_R_quadratic,
    generated.onset_gap_quadratic,
)
CLOSURES = {closure.name: closure for closure in (LINEAR, QUADRATIC)}
SPECTRAL, PER_SEED = ATTENTION = "spectral", "per-seed"  # no G(R): the attention itself, see flow


def sum_phi2(parameters: Parameters) -> float:
    """Return the sum over the RoPE planes of phi_r^2, phi_r = 1 - D_r^2 with the Fejer kernel."""
    phi = generated.form_factor(np.array(parameters.frequencies), parameters.T)
    return float(np.sum(phi**2))


def rate(closure: Closure, parameters: Parameters) -> float:
    """Return the prefactor of the closure: gamma (14) for "linear", g_0 (70) for "quadratic"."""
    return float(
        closure.rate(sum_phi2(parameters), parameters.qk_variance, parameters.d_head, parameters.T)
    )


def named(closure: str, *, also: Sequence[str] = ()) -> Closure:
    """Return the closure of that name; ParameterError names the allowed ones, and those of also."""
    try:
        return CLOSURES[closure]
    except KeyError:
        *most, last = (f'"{name}"' for name in (*CLOSURES, *also))
        allowed = f"{', '.join(most)} or {last}"
        raise ParameterError(f"closure must be {allowed}, not {closure!r}") from None


def from_expression(expression: Any, parameters: Parameters) -> Closure:
    """Return the closure of a SymPy expression G(R, ...).

    It may use the symbols R, N, K, T, d, gamma and g_0 of derivations.symbols, by name; the values
    of all but R are taken from the parameters. Any other symbol is the caller's to substitute.
    """
    from derivations.code.closed_system import closure_functions  # SymPy only when it is asked for

    values = {
        "N": parameters.N,
        "K": parameters.K,
        "T": parameters.T,
        "d": parameters.d_head,
        "gamma": rate(LINEAR, parameters),
        "g_0": rate(QUADRATIC, parameters),
    }
    symbols = {symbol.name: symbol for symbol in expression.free_symbols}
    unknown = sorted(set(symbols) - set(values) - {"R"})
    if unknown:
        raise ParameterError(
            f"a closure G may use the symbols R, {', '.join(values)}, not {', '.join(unknown)}"
        )
    own = expression.subs({symbols[name]: values[name] for name in symbols if name != "R"})
    rhs, jacobian, bend = closure_functions(own)
    return Closure(str(expression), rhs, jacobian, bend, lambda *_: 1.0)
