"""Early overlaps, the rise of R (78)-(81), the lag of steps (X7) and the law of the onset (X9)."""

from __future__ import annotations

import sympy as sp

from derivations.beyond import lag, scaling
from derivations.beyond.lag import D, G_s, R_s, U, e, e_s, v
from derivations.code.written import Written, as_shown, define, held, prove
from derivations.functions.closures import OWN_RATE, rate
from derivations.functions.mean_field import HIT, hit
from derivations.paper import regimes
from derivations.paper.regimes import Q_0, S_0, tau
from derivations.statement import Equation
from derivations.symbols import Delta, G, K, N, R, T, g, t

R_x, log_e_x, log_G_x = sp.symbols("R_slope log_e_slope log_G_slope", real=True)
margin_ahead = sp.Symbol("margin_ahead", real=True)
V_x = sp.Symbol("V_slope", positive=True)  # of internal time, which V is


def onset() -> list[Written]:
    """All of these."""
    return [*early(), *lag_of_steps(), *small_margin(), *exponents()]


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


def lag_of_steps() -> list[Written]:
    """How far gradient steps lag the flow, as slopes along it in any variable (X7g)-(X7i)."""
    by_any = {e_s: e * log_e_x / V_x, G_s: G * log_G_x / V_x, R_s: R_x / V_x, g: 1 - hit}

    ahead = define("N/(N - 1)*((1 - 1/K)*R*(e*R/2 - D/U) + v/K)", N=N, K=K, R=R, e=e, D=D, U=U, v=v)
    lines = ((hit, HIT), (margin_ahead, ahead))

    def slope(name: str, says: str, form: str, of: Equation, *arguments: sp.Symbol) -> Written:
        plain = sp.expand(of.statement.rhs.subs(by_any) * V_x)
        own = lines if Delta in arguments else ()
        return Written(name, says, (of,), arguments, prove(form, plain, lines=own[1:]), own)

    return [
        slope(
            "excess_slope",
            "Slope of D; e is the pace of internal time, in any unit.",
            "e*U/2*(R*log_e_slope + 2*R_slope - R*log_G_slope/2)",
            lag.excess_growth,
            *(R, U, e, R_x, log_e_x, log_G_x),
        ),
        slope(
            "total_ahead_slope",
            "Slope of v, e/2 at the start.",
            "D/U**2*V_slope + e*log_G_slope/4",
            lag.total_ahead_growth,
            *(U, e, D, log_G_x, V_x),
        ),
        slope(
            "lag_slope",
            "Slope of the lag in epochs, 1/2 at the start.",
            "log_e_slope/2 + log_G_slope/4 + V_slope*(D/U**2 + hit*margin_ahead)/e",
            lag.lag_growth,
            *(R, U, Delta, e, D, v, log_e_x, log_G_x, V_x, N, K),
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
