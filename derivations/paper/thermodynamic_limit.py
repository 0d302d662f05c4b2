"""The thermodynamic limit of (15): N, K and T to infinity, K/N and T/N kept finite.

Time runs in units of NK, in which the rates of Q, of K S and, at the start, of R stay finite.
"""

from __future__ import annotations

import cmath
from collections.abc import Iterator

import sympy as sp

from derivations.paper.attention import (
    retrieval_growth,
    weight,
    weight_change,
    weight_dot,
    weight_flow,
    weight_step,
)
from derivations.paper.attention_closures import form_factor_closed, initial_gradient, phi
from derivations.paper.dynamics import (
    R_dot,
    alignment_dynamics,
    linear_growth,
    off_target_dynamics,
)
from derivations.paper.logic import VOCABULARIES, changes_over_vocabularies
from derivations.paper.logits import margin, mean_correct_logit
from derivations.paper.loss import error_signal
from derivations.statement import Kind, Step, check, equation, require, shown
from derivations.symbols import (
    C,
    Delta,
    F,
    G,
    K,
    L,
    N,
    Q,
    R,
    S,
    T,
    g,
    gamma,
    omega,
    r,
    sigma2,
    y_c,
)

K_ratio, T_ratio = sp.symbols(r"\hat{K} \hat{T}", positive=True)  # K/N and T/N
RATIOS = {K: K_ratio * N, T: T_ratio * N}
mean_of_logits = sp.Symbol(r"\bar{y}", real=True)  # C/N
lead = sp.Symbol("delta", real=True)  # margin beyond log N
R_prime, Q_prime, S_prime = sp.symbols("R' Q' S'", real=True)  # rates in time of units NK
one_epoch = sp.Symbol(r"\Delta t'", positive=True)  # in these units


def for_many_states(expr: sp.Expr) -> sp.Expr:
    """Limit of ``expr`` for N to infinity, K and T growing along."""
    return sp.limit(sp.simplify(expr.subs(RATIOS)), N, sp.oo)


@shown("g*(Q - S)*gamma*R*(1 - R)")
@equation(
    "15e",
    "Growth of R in the thermodynamic limit",
    follows_from=(linear_growth,),
    note="The finite-size factors alone; gamma, which falls like 1/T, and g are kept.",
)
def thermodynamic_growth(linear_growth: sp.Eq) -> Iterator[Step]:
    rest, prefactor = linear_growth.rhs.as_independent(N, K, as_Add=False)
    limit = for_many_states(prefactor)
    yield "Finite-size prefactor", sp.Eq(sp.Limit(prefactor.subs(RATIOS), N, sp.oo), limit)
    yield "It drops out", sp.Eq(R_dot, rest * limit)


@shown("R*Q + (1 - R)*S - bary")
@equation(
    "15k",
    "Margin in the thermodynamic limit",
    follows_from=(margin, mean_correct_logit),
    note="The mean of all logits, C/N, is of order 1/(N sqrt(K)) when W(0) is random.",
)
def thermodynamic_margin(margin: sp.Eq, mean_correct_logit: sp.Eq) -> Iterator[Step]:
    by_mean = margin.rhs.subs(C, N * mean_of_logits)
    yield "By the mean of all logits", sp.Eq(Delta, by_mean)
    in_overlaps = by_mean.subs(y_c, mean_correct_logit.rhs)
    yield "Insert (11)", in_overlaps
    limit = sp.collect(sp.expand(for_many_states(in_overlaps)), S)
    yield "The right action, or any of very many others", sp.Eq(Delta, limit)


@shown("1/(1 + exp(delta))")
@equation(
    "15l",
    "Error signal in the thermodynamic limit",
    follows_from=(error_signal,),
    note="As long as the margin is finite g is 1: it must reach log N for the loss to fall.",
)
def thermodynamic_error(error_signal: sp.Eq) -> Iterator[Step]:
    blind = sp.limit(error_signal.rhs, N, sp.oo)
    yield "At a finite margin the model is always wrong", sp.Eq(g, blind)
    beyond = error_signal.rhs.subs(Delta, lead + sp.log(N))
    yield "At the margin delta + log N", beyond
    yield "it is a logistic function of delta", sp.Eq(g, sp.limit(sp.simplify(beyond), N, sp.oo))


@shown("g*R")
@equation(
    "15m",
    "Growth of Q in the thermodynamic limit",
    follows_from=(alignment_dynamics,),
    note="Per NK of training time, at a finite R. On the plateau R and 1/K are both of order 1/N.",
)
def thermodynamic_alignment(alignment_dynamics: sp.Eq) -> Iterator[Step]:
    rate = N * K * alignment_dynamics.rhs
    yield "In units of NK", sp.Eq(Q_prime, rate)
    yield "What is not retrieved is spread over very many", sp.Eq(Q_prime, for_many_states(rate))


@equation(
    "15n",
    "Growth of S in the thermodynamic limit",
    follows_from=(off_target_dynamics,),
    note="Per NK of training time. S itself stays of order 1/K, the K overlaps of a matrix do not.",
)
def thermodynamic_off_target(off_target_dynamics: sp.Eq) -> Iterator[Step]:
    rate = N * K * off_target_dynamics.rhs
    yield "In units of NK", sp.Eq(S_prime, rate)
    yield "All K overlaps", sp.Eq(K * S_prime, for_many_states(K * rate))


@shown("2*sigma2*hatK/hatT**2*g*(Q - S)")
@equation(
    "15o",
    "The first growth of R stays finite",
    follows_from=(retrieval_growth, initial_gradient, form_factor_closed),
    note="What the paper assumes at (61): per NK of training time, at the initial G. R and Q - S "
    "are of order 1/T then, so R grows by as much as it is.",
)
def thermodynamic_start(
    retrieval_growth: sp.Eq, initial_gradient: sp.Eq, form_factor_closed: sp.Eq
) -> Iterator[Step]:
    wave = sp.Symbol("sin", real=True)  # bounded, whatever T
    bounded = form_factor_closed.rhs.subs(sp.sin(T * omega[r] / 2), wave)
    resolved = sp.limit(bounded, T, sp.oo)
    yield "Every plane that turns at all resolves very many positions", sp.Eq(phi[r], resolved)
    gradient = initial_gradient.rhs.replace(phi[r], resolved).doit()
    yield "So (73) becomes", sp.Eq(initial_gradient.lhs, gradient)
    rate = N * K * retrieval_growth.rhs.subs(G, gradient)
    yield "(64) in units of NK", sp.Eq(R_prime, rate)
    yield "K/N and T/N are finite", sp.Eq(R_prime, sp.factor(for_many_states(rate)))


@equation(
    "15p",
    "One epoch in the thermodynamic limit",
    follows_from=(weight_step, weight_flow),
    note="It falls to 0 at any learning rate: difference quotients become derivatives.",
)
def thermodynamic_epoch(weight_step: sp.Eq, weight_flow: sp.Eq) -> Iterator[Step]:
    through_R = {sp.Derivative(L, weight): -F * sp.Derivative(R, weight)}
    taken = weight_step.rhs.xreplace(through_R) / weight_flow.rhs
    yield "Time of one step: how far it goes, over the velocity", weight_change / weight_dot
    yield "That is the learning rate", taken
    in_units = (taken / (N * K)).subs(RATIOS)
    vanishing = sp.limit(in_units, N, sp.oo)
    require(vanishing == 0, f"an epoch keeps taking {vanishing}")
    yield "In units of NK it vanishes", sp.Eq(sp.Limit(in_units, N, sp.oo), vanishing)
    yield "like", sp.Eq(one_epoch, in_units)


# --- checks --------------------------------------------------------------------------------------

HUGE = 10**8
AT = {
    R: sp.Rational(1, 3),
    Q: sp.Rational(7, 2),
    S: sp.Rational(6, 5),
    g: sp.Rational(1, 5),
    gamma: sp.Rational(1, 7),
    mean_of_logits: sp.Rational(2, 5),
}


@check(
    thermodynamic_growth,
    thermodynamic_margin,
    thermodynamic_error,
    thermodynamic_alignment,
    thermodynamic_off_target,
    kind=Kind.NUMERIC,
    says="N = 10^8, K = 3 N: rates and margin in exact rationals, the error by softmax",
)
def huge_sizes(
    growth_of_R: sp.Eq, margin: sp.Eq, error: sp.Eq, growth_of_Q: sp.Eq, growth_of_S: sp.Eq
) -> str:
    N0, K0 = sp.Integer(HUGE), sp.Integer(3 * HUGE)
    here = AT[R] + (1 - AT[R]) / K0
    right = here * AT[Q] + (1 - here) * AT[S]
    others = (N0 * AT[mean_of_logits] - right) / (N0 - 1)
    beyond = sp.Rational(3, 4)
    odds = sp.exp(beyond) * N0 / (N0 - 1)  # of the right state, at the margin 3/4 + log N
    factors = AT[g] * N0 / (N0 - 1) * (K0 - 1) / K0 * AT[gamma]
    pairs = (
        (growth_of_R.rhs.subs(AT), factors * (AT[Q] - AT[S]) * AT[R] * (1 - AT[R])),
        (margin.rhs.subs(AT), right - others),
        (error.rhs.subs(lead, beyond), 1 / (1 + odds)),
        (growth_of_Q.rhs.subs(AT), AT[g] * here),
        (growth_of_S.rhs.subs(AT), AT[g] * (1 - here) * K0 / (K0 - 1)),
    )
    worst = sp.Float(0)
    for claimed, finite in pairs:
        require(not claimed.free_symbols, f"{claimed} still depends on a size")
        gap = abs(sp.N(claimed - finite, 30))
        require(gap < sp.Float(20) / HUGE, f"{claimed} but {sp.N(finite)} at N = {HUGE}")
        worst = max(worst, gap)
    return f"largest deviation {sp.N(worst, 1)}"


@check(
    thermodynamic_start,
    kind=Kind.NUMERIC,
    says="T = 10^6 unit vectors to a plane, N = 2 T, K = 3 T, four planes of RoPE base 10",
)
def many_positions(thermodynamic_start: sp.Eq) -> str:
    T0, planes, variance = 10**6, 4, 0.3
    N0, K0 = 2 * T0, 3 * T0
    turns = [cmath.exp(1j * 10 ** (-plane / planes)) for plane in range(planes)]
    means = [turn * (1 - turn**T0) / (1 - turn) / T0 for turn in turns]
    gradient = 4 * variance / (2 * planes * T0**2) * sum((1 - abs(z) ** 2) ** 2 for z in means)
    gap = float(AT[Q] - AT[S])
    rate = N0 * K0 * float(AT[g]) * N0 / (N0 - 1) * (K0 - 1) / K0 * gap * gradient
    at = {**AT, sigma2: variance, K_ratio: sp.Rational(3, 2), T_ratio: sp.Rational(1, 2)}
    claimed = float(thermodynamic_start.rhs.subs(at))
    require(abs(claimed / rate - 1) < 1e-5, f"{claimed} but {rate}")
    return f"{rate:.6f}, relative deviation {abs(claimed / rate - 1):.0e}"


@check(
    thermodynamic_epoch,
    kind=Kind.ENUMERATION,
    says="Q + (K - 1) S gains g times that in one epoch, averaged over every vocabulary",
)
def one_epoch_enumerated(thermodynamic_epoch: sp.Eq) -> str:
    for N0, K0, T0 in VOCABULARIES:
        changes, given = changes_over_vocabularies(N0, K0, T0)
        gained = changes[Q] + (K0 - 1) * changes[S]
        claimed = g * thermodynamic_epoch.rhs.subs(K_ratio, sp.Rational(K0, N0))
        require(claimed.subs(given) == gained, f"{claimed.subs(given)} instead of {gained}")
    return "36 + 8 vocabularies, residual 0"
