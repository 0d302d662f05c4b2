"""Early overlaps, the rise of R (78)-(81), and how the onset scales at a small margin (X9)."""

from __future__ import annotations

import sympy as sp

from derivations.beyond import scaling
from derivations.code.written import Written, as_shown, held, prove
from derivations.functions.closures import OWN_RATE, rate
from derivations.paper import regimes
from derivations.paper.regimes import Q_0, S_0, tau
from derivations.symbols import K, N, T, t


def onset() -> list[Written]:
    """All of these."""
    return [*early(), *small_margin(), *exponents()]


def early() -> list[Written]:
    """Overlaps on the plateau of R, and how R leaves it (78), (81)."""
    scale, logistic = regimes.onset_time_scale, regimes.logistic_onset
    return [
        as_shown("early_Q", "Q on the plateau of R.", regimes.early_alignment, t, Q_0, N, K, T),
        as_shown("early_S", "S on the plateau of R.", regimes.early_off_target, t, S_0, N, K, T),
        Written(
            "onset_time_scale",
            "tau, the time scale of the onset (time is eta * epoch).",
            (scale,),
            (N, K, T, rate),
            held(scale, OWN_RATE),
        ),
        Written(
            "early_R",
            "R at its onset, saturation kept.",
            (logistic,),
            (t, tau, T),
            prove(
                "expit(t**2/tau**2 - log(T - 1))",
                logistic.statement.rhs,
                {t: (0, 3), tau: (1, 2), T: (2, 30)},
            ),
        ),
    ]


def small_margin() -> list[Written]:
    """The law of the onset while the margin is small (X9a), (X9b)."""
    (integral,) = scaling.onset_total.statement.rhs.atoms(sp.Integral)
    (shown,) = scaling.onset_total.form.rhs.atoms(sp.Integral)
    ((_, _, end),) = shown.limits
    total = (scaling.onset_total,)
    return [
        Written(
            "onset_total_slope",
            "1/R at x = sqrt(kappa) U.",
            total,
            (scaling.x, T),
            prove(
                "1/(exp(-x**2/2)/T - expm1(-x**2/2))",
                integral.function,
                {scaling.x: (0, 3), T: (2, 10**9)},
            ),
        ),
        Written("onset_total_end", "x at the onset.", total, (T,), end),
        Written(
            "small_margin_onset",
            "Training time of the onset; h is the integral of onset_total_slope to its end.",
            (scaling.onset_time,),
            (scaling.h, N, K, rate),
            held(scaling.onset_time, OWN_RATE),
        ),
    ]


def exponents() -> list[Written]:
    """Local exponents of that law (X9c)-(X9e)."""
    return [
        as_shown(
            "onset_exponent_N", "Its local exponent in N, at fixed K.", scaling.onset_exponent_N, N
        ),
        as_shown(
            "onset_exponent_K", "Its local exponent in K, at fixed N.", scaling.onset_exponent_K, K
        ),
        as_shown(
            "onset_exponent_both",
            "Its local exponent in N, at K = N.",
            scaling.onset_exponent_both,
            N,
        ),
    ]
