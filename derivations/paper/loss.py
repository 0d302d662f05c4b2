"""(10), (43): the mean-field loss, the error signal, and the drive on attention."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import sympy as sp

from derivations.models.enumeration import SmallModel, small_model
from derivations.models.rotary_head import STEP, Real, exact, mp
from derivations.models.sums import contract, numbers
from derivations.paper.definitions import expectation, logsumexp, training_loss, y_right
from derivations.paper.logits import margin, mean_correct_logit
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import C, Delta, F, K, L, N, Q, R, S, T, g, i, y, y_c, y_o

p_right = sp.Symbol("p_c", positive=True)  # probability of the right state under mean logits


@shown("log(1 + (N - 1)*exp(-Delta))")
@equation(
    "10",
    "Mean-field loss",
    status=Status.CLOSURE,
    follows_from=(training_loss,),
    note="The mean-field ansatz: the loss of the mean logits for the mean of the loss. What it "
    "leaves out is of second order in the deviations of the logits from their means, see (X8d).",
)
def mean_field_loss(training_loss: sp.Eq) -> Iterator[Step]:
    (average,) = training_loss.rhs.atoms(expectation(0).func)
    yield "The loss of one prediction", average.args[0]
    at_means = average.args[0].subs(
        {logsumexp: sp.log(sp.exp(y_c) + (N - 1) * sp.exp(y_o)), y_right(i): y_c}
    )
    yield "Replace the right logit and the N - 1 others by their means", at_means
    one = sp.Symbol("one")
    replaced = contract(training_loss.rhs.xreplace({average: one})).subs(one, at_means)
    yield "All T predictions then have this loss: insert it into (7)", sp.Eq(L, replaced)
    by_margin = replaced.subs(y_c, y_o + Delta)
    yield "Only the margin matters", sp.Eq(L, by_margin)
    pulled_out = 1 + (N - 1) * sp.exp(-Delta)
    require(
        sp.simplify(sp.exp(by_margin) - pulled_out) == 0,
        "the right logit does not factor out of the partition sum",
    )
    yield "Take the right logit out of the logarithm", sp.Eq(L, sp.log(pulled_out))


@shown("(N - 1)*exp(-Delta)/(1 + (N - 1)*exp(-Delta))")
@equation("43", "Error signal", follows_from=(mean_field_loss,))
def error_signal(mean_field_loss: sp.Eq) -> Iterator[Step]:
    loss = mean_field_loss.rhs.subs(Delta, y_c - y_o)
    by_right, by_other = sp.diff(loss, y_c), sp.diff(loss, y_o)
    require(sp.simplify(by_right + by_other) == 0, "the two slopes are not opposite")
    slope = -sp.diff(mean_field_loss.rhs, Delta)
    yield "Slope in the right logit", sp.Eq(sp.Derivative(L, y_c), by_right.subs(y_c, y_o + Delta))
    yield "Slope in the others: the opposite", sp.Eq(sp.Derivative(L, y_o), slope)
    yield "Its size is the probability of a wrong state", sp.Eq(g, slope)


@equation("43b", "Slope of the error signal", follows_from=(error_signal,))
def error_slope(error_signal: sp.Eq) -> Iterator[Step]:
    slope = sp.diff(error_signal.rhs, Delta)
    yield "Differentiate (43)", slope
    exponential = sp.solve(error_signal, sp.exp(-Delta))[0]
    yield "Eliminate the exponential", sp.Eq(sp.exp(-Delta), exponential)
    in_g = sp.factor(sp.simplify(slope.subs(sp.exp(-Delta), exponential)))
    yield "Logistic, as for any softmax", sp.Eq(sp.Derivative(g, Delta), -g * sp.factor(-in_g / g))


@shown("g*(N/(N - 1))*((K - 1)/K)*(Q - S)")
@equation(
    "61b",
    "Drive on attention",
    follows_from=(mean_field_loss, error_signal, margin, mean_correct_logit),
)
def attention_drive(
    mean_field_loss: sp.Eq, error_signal: sp.Eq, margin: sp.Eq, mean_correct_logit: sp.Eq
) -> Iterator[Step]:
    gain = sp.factor(sp.diff(margin.rhs.subs(y_c, mean_correct_logit.rhs), R))
    yield "Margin gained by retrieval", sp.Eq(sp.Derivative(Delta, R), gain)
    slope = sp.diff(mean_field_loss.rhs, Delta)
    require(sp.simplify(slope + error_signal.rhs) == 0, "the loss does not fall at the rate g")
    yield "The loss falls with the margin at the rate (43)", sp.Eq(sp.Derivative(L, Delta), -g)
    yield "Chain rule", sp.Eq(F, g * gain)


loss_at = sp.IndexedBase("ell", real=True)  # loss_at[i]: the mean loss at position i
NATURAL = {"exp": mp.exp, "log": mp.log}


@cache
def logits_off_means(model: SmallModel, strength: Real) -> list[tuple[int, list[Real], Real]]:
    """Position, all logits and the right one, of every word and prediction.

    The deviations of the logits from their means over all words are scaled by ``strength``.
    """
    right, other = mean_logits(model)
    found = []
    for (actions, states), t in itertools.product(model.words(), range(model.T)):
        row = []
        for letter in range(model.N):
            mean = right if letter == states[t + 1] else other
            off = model.logit(actions, t, states[t], letter) - mean
            row.append(number(mean) + strength * number(off))
        found.append((model.T + 1 + t, row, row[states[t + 1]]))
    return found


def mean_logits(model: SmallModel) -> tuple[Fraction, Fraction]:
    """The right logit and the others, averaged over all words and positions."""
    steps, start = range(model.T), Fraction(0)
    right = sum(map(model.mean_correct_logit, steps), start) / model.T
    return right, sum(map(model.mean_other_logit, steps), start) / model.T


def number(fraction: Fraction) -> Real:
    """The fraction in 40 digits."""
    return mp.mpf(fraction.numerator) / fraction.denominator


@cache
def share_wrong(model: SmallModel, strength: Real) -> sp.Expr:
    """Mean over all words of the probability of a wrong state."""
    words = logits_off_means(model, strength)
    shares = [1 - mp.exp(right) / sum(map(mp.exp, row)) for _, row, right in words]
    return exact(sum(shares) / len(shares))


@cache
def loss_of_words(training_loss: sp.Eq, model: SmallModel, strength: Real) -> sp.Expr:
    """(7), its expectation a mean over all words."""
    (average,) = training_loss.rhs.atoms(expectation(0).func)
    letters = sp.symbols(f"y1:{model.N + 1}")
    right = sp.Symbol("right")
    spelled = {y[i, letter + 1]: name for letter, name in enumerate(letters)}
    one = average.args[0].subs(N, model.N).doit().xreplace({**spelled, y_right(i): right})
    loss = sp.lambdify((*letters, right), one, NATURAL)
    by_position: dict[int, list[Real]] = {}
    for position, row, right_one in logits_off_means(model, strength):
        by_position.setdefault(position, []).append(loss(*row, right_one))
    means = {(q,): exact(sum(values) / len(values)) for q, values in by_position.items()}
    sizes = {N: model.N, K: model.K, T: model.T}
    return numbers(training_loss.rhs.xreplace({average: loss_at[i]}), sizes, {loss_at: means})


@check(
    training_loss,
    mean_field_loss,
    error_signal,
    kind=Kind.ENUMERATION,
    says="cross-entropy over all K^T N words: first order in what the logits are off their means",
)
def loss_of_all_words(training_loss: sp.Eq, mean_field_loss: sp.Eq, error_signal: sp.Eq) -> str:
    worst = sp.Float(0)
    for sizes in ((3, 2, 2), (2, 3, 3), (4, 3, 2)):
        model = small_model(*sizes)
        right, other = mean_logits(model)
        at = {N: model.N, K: model.K, T: model.T, Delta: sp.Rational(right - other)}
        losses, wrong = [], []
        for strength in (-STEP, 0, STEP):
            losses.append(loss_of_words(training_loss, model, strength))
            wrong.append(share_wrong(model, strength))
        for measured, statement in ((losses, mean_field_loss), (wrong, error_signal)):
            slope = (measured[2] - measured[0]) / (2 * exact(STEP))
            gap = sp.N(statement.rhs.subs(at) - measured[1], 40)
            worst = max(worst, abs(gap), abs(slope))
    require(worst < sp.Float(10) ** -20, f"deviation {worst}")
    return f"three (N, K, T), largest deviation in value and slope {sp.N(worst, 1)}"


@check(
    error_slope,
    attention_drive,
    kind=Kind.NUMERIC,
    says="central differences of the loss of an explicit logit vector, 40 digits",
)
def finite_differences(error_slope: sp.Eq, attention_drive: sp.Eq) -> str:
    h, worst = sp.Float(10, 40) ** -12, sp.Float(0)
    for sizes in ((3, 2), (7, 4), (20, 5)):
        at = dict(zip((N, K), sizes, strict=True))
        at |= {
            R: sp.Rational(2, 7),
            Q: sp.Rational(5, 2),
            S: sp.Rational(1, 3),
            C: sp.Rational(3, 5),
        }

        def lead(retrieval: sp.Expr, at: dict = at) -> sp.Expr:
            right = (retrieval + (1 - retrieval) / at[K]) * at[Q]
            right += (1 - retrieval) * (1 - sp.Integer(1) / at[K]) * at[S]
            return right - (at[C] - right) / (at[N] - 1)

        def wrong(lead: sp.Expr, at: dict = at) -> sp.Expr:
            return 1 - sp.exp(lead) / (sp.exp(lead) + at[N] - 1)

        def loss(lead: sp.Expr, at: dict = at) -> sp.Expr:
            return -sp.log(1 - wrong(lead, at))

        here = lead(at[R])
        slope = (wrong(here + h) - wrong(here - h)) / (2 * h)
        drive = -(loss(lead(at[R] + h)) - loss(lead(at[R] - h))) / (2 * h)
        error = {g: wrong(here)}
        gaps = (
            error_slope.rhs.subs(error) - slope,
            attention_drive.rhs.subs(at).subs(error) - drive,
        )
        worst = max(worst, *(abs(sp.N(gap, 40)) for gap in gaps))
    require(worst < sp.Float(10) ** -20, f"deviation {worst}")
    return f"largest deviation {sp.N(worst, 1)}"
