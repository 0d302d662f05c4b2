"""(16)-(18), (82)-(91): the accuracy of a rollout, and of the next token from Gaussian logits."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from derivations.models.enumeration import SmallModel, small_models
from derivations.models.sampling import agreement
from derivations.models.sums import contract, over
from derivations.paper.definitions import expectation, state
from derivations.paper.logits import margin, mean_other_logit
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import Delta, N, Phi, T, m, n, step, y_c, y_o

delta = sp.KroneckerDelta
BEYOND, DEFINITION = Status.BEYOND, Status.DEFINITION


class Conditional(sp.Function):
    """P(event | condition)."""

    nargs = 2

    def _latex(self, printer: sp.printing.latex.LatexPrinter) -> str:
        event, condition = map(printer._print, self.args)
        return rf"P\left({event} \mid {condition}\right)"


def density(value: sp.Expr, mean: sp.Expr, deviation: sp.Expr) -> sp.Expr:
    """Gaussian density."""
    return sp.exp(-((value - mean) ** 2) / (2 * deviation**2)) / (sp.sqrt(2 * sp.pi) * deviation)


def right(time: sp.Expr) -> sp.Eq:
    """The event that the predicted state after ``time`` steps is the true one."""
    return sp.Eq(predicted(time), state(time))


def wrong(time: sp.Expr) -> sp.Ne:
    """The event that it is not."""
    return sp.Ne(predicted(time), state(time))


predicted = sp.Function(r"\hat{s}")  # predicted(t): the model's own state after t steps
probability = sp.Function("P")
joint = sp.Function(r"P_{\wedge}")  # of two events together

event, condition = sp.symbols("E H")  # any two events

p_at = sp.IndexedBase("p", nonnegative=True)  # p_at[t]: probability that the state is right
a_at = sp.IndexedBase("a", nonnegative=True)  # a_at[t]: that it is right after a right one
b_at = sp.IndexedBase("b", nonnegative=True)  # b_at[t]: that it is right after a wrong one
later = sp.Symbol("s", integer=True, positive=True)  # a step, the index of a product
accuracy = sp.Symbol("a", nonnegative=True)  # next-token accuracy, the same at every step
recovery = sp.Symbol("b", nonnegative=True)  # chance that a wrong state is followed by a right one
retained = sp.Symbol("lambda", real=True)  # a - b
error = sp.Symbol("e", nonnegative=True)  # next-token error 1 - a
rollout_right = sp.Symbol("P_T", nonnegative=True)  # rollout accuracy: the last state is right
rollout_wrong = sp.Symbol("E_T", nonnegative=True)  # rollout error 1 - P_T

right_draw = sp.Symbol("Y_c", real=True)  # the right logit, random
other_draw = sp.IndexedBase("Y", real=True)  # other_draw[n]: the N - 1 others
sigma_c, sigma_o = sp.symbols("sigma_c sigma_o", positive=True)  # their standard deviations
right_density = sp.Function("f_c")  # probability density of the right logit
other_cdf = sp.Function("F_o")  # distribution function of another logit
value, z, w = sp.symbols("y z w", real=True)  # a logit; standard normal values
node = sp.Symbol("x", real=True)  # integration variable


# --- the recursion -------------------------------------------------------------------------------


@equation("16a", "Joint probability", status=DEFINITION)
def joint_probability() -> Iterator[Step]:
    yield (
        "Two events together: the condition, and the event under it",
        sp.Eq(joint(event, condition), Conditional(event, condition) * probability(condition)),
    )


@equation("16", "Recursion of the rollout", follows_from=(joint_probability,))
def recursion(joint_probability: sp.Eq) -> Iterator[Step]:
    now, before, astray = right(step), right(step - 1), wrong(step - 1)
    require(sp.Not(before) == astray, "the state before is neither right nor wrong")
    split = joint(now, before) + joint(now, astray)
    yield "The state before was right or wrong", sp.Eq(probability(now), split)
    conditioned = split.replace(
        joint, lambda one, other: joint_probability.rhs.xreplace({event: one, condition: other})
    )
    yield "Each case by its conditional probability", sp.Eq(probability(now), conditioned)
    complement = {probability(astray): 1 - probability(before)}
    yield "Wrong is not right", sp.Eq(probability(now), conditioned.xreplace(complement))


@equation(
    "82",
    "Start of the recursion",
    status=DEFINITION,
    note="The paper's (82) is the recursion (16) with this start.",
)
def recursion_start() -> Iterator[Step]:
    yield "The initial state is given", sp.Eq(probability(right(sp.Integer(0))), 1)


@equation("83a", "Probability of a right state", status=DEFINITION)
def right_probability() -> Iterator[Step]:
    yield "In short", sp.Eq(p_at[step], probability(right(step)))


@equation("83b", "Probability of a right step", status=DEFINITION)
def step_accuracy() -> Iterator[Step]:
    yield "In short", sp.Eq(a_at[step], Conditional(right(step), right(step - 1)))


@equation("83c", "Probability of a recovery", status=DEFINITION)
def step_recovery() -> Iterator[Step]:
    yield "In short", sp.Eq(b_at[step], Conditional(right(step), wrong(step - 1)))


@shown("a[t]*p[t - 1] + b[t]*(1 - p[t - 1])")
@equation(
    "84",
    "Recursion in short",
    follows_from=(recursion, right_probability, step_accuracy, step_recovery),
)
def short_recursion(recursion: sp.Eq, *names: sp.Eq) -> Iterator[Step]:
    short = {name.rhs: name.lhs for name in names}
    right_name = names[0]
    before = {side: side.subs(step, step - 1) for side in right_name.args}
    short[before[right_name.rhs]] = before[right_name.lhs]
    yield (
        "The names (83) inserted into (16)",
        sp.Eq(*(side.xreplace(short) for side in recursion.args)),
    )


@equation(
    "85",
    "Recursion solved",
    follows_from=(short_recursion, recursion_start),
    note="A polynomial identity: it holds although the way here divides by a_t - b_t.",
)
def solved_recursion(short_recursion: sp.Eq, recursion_start: sp.Eq) -> Iterator[Step]:
    before = p_at[step - 1]
    linear = sp.collect(sp.expand(short_recursion.rhs), before)
    factor, gained = linear.coeff(before), linear.subs(before, 0)
    yield "Linear in the probability one step before", sp.Eq(p_at[step], linear)
    so_far = sp.Symbol(r"\Pi_t", positive=True)
    gain = sp.simplify(linear / so_far - before * factor / so_far)
    factors = sp.Product(factor.subs(step, later), (later, 1, step))
    yield "Divide by the product of all factors so far: what is left grows in each step by", gain
    all_factors = factors.subs(step, T)
    grown = recursion_start.rhs + sp.Sum(gain.subs(so_far, factors), (step, 1, T))
    yield "Add up the steps from the start", sp.Eq(p_at[T] / all_factors, grown)
    remaining = sp.Sum(gained * quotient(all_factors, factors), (step, 1, T))
    yield (
        "Multiply out: only the later factors are left",
        sp.Eq(p_at[T], recursion_start.rhs * all_factors + remaining),
    )


def quotient(longer: sp.Product, shorter: sp.Product) -> sp.Product:
    """Divide products of the same factors, the shorter one a beginning of the longer."""
    (index, start, last), (other_index, other_start, passed) = longer.limits[0], shorter.limits[0]
    require(
        (longer.function, index, start) == (shorter.function, other_index, other_start),
        "the products do not begin alike",
    )
    return sp.Product(longer.function, (index, passed + 1, last))


@equation(
    "86",
    "Recovery by chance",
    status=Status.CLOSURE,
    note="The symmetry assumed: a wrong state is followed by any state but the image alike.",
)
def chance_recovery() -> Iterator[Step]:
    image = m
    outcome = accuracy * delta(n, image) + recovery * (1 - delta(n, image))
    yield (
        "On a wrong state s' the model finds the image m of s' as often as on a right one",
        outcome,
    )
    total = contract(over(outcome, n))
    yield "It picks one state, and all others equally often", sp.Eq(total, 1)
    yield (
        "The right state is one of the others, as a permutation sends s' elsewhere",
        sp.Eq(recovery, sp.simplify(sp.solve(sp.Eq(total, 1), recovery)[0])),
    )


@shown("(a - b)**T + b*((1 - (a - b)**T)/(1 - (a - b)))")
@equation(
    "87",
    "Rollout accuracy, the same at every step",
    status=Status.CLOSURE,
    follows_from=(solved_recursion,),
    note="Every step is taken to be as accurate as any other. a - b = 1 only at a = 1, where the "
    "sum is T b = 0; (18) has no singularity.",
)
def geometric_sum(solved_recursion: sp.Eq) -> Iterator[Step]:
    alike = {a_at: accuracy, b_at: recovery}
    steady = solved_recursion.rhs.replace(
        lambda part: isinstance(part, sp.Indexed), lambda part: alike[part.base]
    ).doit(deep=False)
    products = {
        part: part.subs(accuracy, retained + recovery).doit() for part in steady.atoms(sp.Product)
    }
    powers = steady.xreplace(products)
    yield "Every step alike, with lambda = a - b", sp.Eq(rollout_right, powers)
    (total,) = powers.atoms(sp.Sum)
    weight, cases = total.doit().as_independent(sp.Piecewise)
    (_, singular), (closed, _) = cases.args
    require(sp.solve(singular, retained) == [1], "the geometric sum is singular elsewhere")
    summed = powers.xreplace({total: weight * sp.simplify(closed)})
    yield "A geometric sum", sp.Eq(rollout_right, summed)
    yield "With a and b", sp.Eq(rollout_right, summed.subs(retained, accuracy - recovery))


@shown("1/N + (1 - 1/N)*((N*a - 1)/(N - 1))**T")
@equation("18", "Rollout accuracy", follows_from=(geometric_sum, chance_recovery))
def rollout_accuracy(geometric_sum: sp.Eq, chance_recovery: sp.Eq) -> Iterator[Step]:
    power = (accuracy - recovery) ** T
    kept = sp.Symbol("kept")
    linear = sp.expand(geometric_sum.rhs.subs(power, kept))
    by_chance = {recovery: chance_recovery.rhs}
    fixed = sp.simplify(linear.coeff(kept, 0).subs(by_chance))
    weight = sp.simplify(linear.coeff(kept, 1).subs(by_chance))
    yield "By (86) the constant is the chance of a random state", fixed
    yield "and the power comes with the rest", sp.apart(weight, N)
    retention = sp.factor((accuracy - recovery).subs(by_chance))
    yield "Each step keeps", sp.Eq(retained, retention)
    by_error = 1 - sp.factor(1 - retention)
    yield (
        "In a form whose power keeps its digits",
        sp.Eq(rollout_right, fixed + sp.apart(weight, N) * by_error**T),
    )


@shown("(1 - 1/N)*(1 - (1 - N*e/(N - 1))**T)")
@equation(
    "18b",
    "Rollout error",
    status=BEYOND,
    follows_from=(rollout_accuracy,),
    note="Exact however small the error e is. The second case: worse than a random state.",
)
def rollout_error(rollout_accuracy: sp.Eq) -> Iterator[Step]:
    in_error = rollout_accuracy.rhs.subs(accuracy, 1 - error)
    (power,) = (part for part in in_error.atoms(sp.Pow) if part.exp == T)
    kept = sp.Symbol("kept")
    scale = sp.simplify(1 - in_error.subs(power, 0))
    require(sp.simplify(1 - in_error.subs(power, kept) - scale * (1 - kept)) == 0, "not 1 - power")
    scale = sp.apart(scale, N)
    yield "One less the accuracy, with a = 1 - e", sp.Eq(rollout_wrong, scale * (1 - power))
    lost = sp.simplify(1 - power.base)
    stable = -expm1(T * log1p(-lost))
    yield (
        "A step loses little when e is small: the power by its logarithm",
        sp.Eq(1 - power, stable),
    )
    (threshold,) = sp.solve(sp.Eq(lost, 1), error)
    cases = sp.Piecewise((scale * stable, error < threshold), (scale * (1 - power), True))
    yield "which needs a positive base", sp.Eq(rollout_wrong, cases)


# --- the next token ------------------------------------------------------------------------------


@equation(
    "88",
    "The right logit is the largest",
    status=DEFINITION,
    note="Ties have no weight: the value of the step function at 0 does not matter.",
)
def right_is_largest() -> Iterator[Step]:
    ahead = sp.Heaviside(right_draw - other_draw[n])
    yield "It beats each of the N - 1 others", ahead
    yield (
        "and all of them at once",
        sp.Eq(accuracy, expectation(sp.Product(ahead, (n, 1, N - 1)))),
    )


@shown("Integral(exp(-(x - y_o)**2/(2*sigma_o**2))/(sqrt(2*pi)*sigma_o), (x, -oo, y))")
@equation(
    "88b",
    "Distribution of another logit",
    status=Status.CLOSURE,
    note="Gaussian about the mean other logit, alike and independent for all others.",
)
def other_distribution() -> Iterator[Step]:
    yield (
        "The chance of being at most y",
        sp.Eq(other_cdf(value), sp.Integral(density(node, y_o, sigma_o), (node, -sp.oo, value))),
    )


@shown("exp(-(y - y_c)**2/(2*sigma_c**2))/(sqrt(2*pi)*sigma_c)")
@equation(
    "88c",
    "Distribution of the right logit",
    status=Status.CLOSURE,
    note="Gaussian about the mean right logit, independent of the others.",
)
def right_distribution() -> Iterator[Step]:
    yield "Its density", sp.Eq(right_density(value), density(value, y_c, sigma_c))


@shown(
    "Integral(exp(-(y - y_c)**2/(2*sigma_c**2))/(sqrt(2*pi)*sigma_c)*F_o(y)**(N - 1), (y, -oo, oo))"
)
@equation(
    "89",
    "Condition on the right logit",
    follows_from=(right_is_largest, other_distribution, right_distribution),
)
def conditioned(
    right_is_largest: sp.Eq, other_distribution: sp.Eq, right_distribution: sp.Eq
) -> Iterator[Step]:
    (all_beaten,) = right_is_largest.rhs.args
    one_beaten = all_beaten.function.subs({right_draw: value, other_draw[n]: node})
    yield "Given the right logit y, it beats one other if that is below y", one_beaten
    other_density = sp.diff(other_distribution.rhs, value).subs(value, node)
    yield "By (88b) that other has the density", other_density
    factor, ahead = one_beaten.as_independent(sp.Heaviside, as_Add=False)
    (bound,) = sp.solve(ahead.args[0], node)
    chance = factor * sp.Integral(other_density, (node, -sp.oo, bound))
    named = chance.xreplace(dict([other_distribution.args[::-1]]))
    yield "On average over it", sp.Eq(chance, named)
    every_chance = sp.Product(named, *all_beaten.limits).doit(deep=False)
    yield "They are independent and alike: the chances multiply", every_chance
    weighted = right_distribution.rhs * every_chance
    yield (
        "Average over the right logit",
        sp.Eq(accuracy, sp.Integral(weighted, (value, -sp.oo, sp.oo))),
    )


@shown("(1 + erf((y - y_o)/(sqrt(2)*sigma_o)))/2")
@equation("90", "Distribution of another logit, closed", follows_from=(other_distribution,))
def closed_distribution(other_distribution: sp.Eq) -> Iterator[Step]:
    standard = other_distribution.rhs.transform((node - y_o) / sigma_o, z)
    yield "In standard units", sp.Eq(other_cdf(value), standard)
    (_, low, high) = standard.limits[0]
    closed = sp.integrate(sp.simplify(standard.function), (z, low, w)).rewrite(sp.erf)
    yield "Integrate", sp.Eq(other_cdf(value), sp.expand(closed).subs(w, high))


@shown("(1 + erf(w/sqrt(2)))/2")
@equation("90b", "Standard normal distribution function", status=DEFINITION)
def standard_distribution() -> Iterator[Step]:
    standard = sp.Integral(density(node, sp.Integer(0), sp.Integer(1)), (node, -sp.oo, w))
    yield "(90) with mean 0 and deviation 1", standard
    yield "In short", sp.Eq(Phi(w), sp.expand(standard.doit().rewrite(sp.erf)))


@shown(
    "Integral(exp(-x**2)/sqrt(pi)*((1 + erf((y_c - y_o + sqrt(2)*sigma_c*x)/(sqrt(2)"
    "*sigma_o)))/2)**(N - 1), (x, -oo, oo))"
)
@equation(
    "91",
    "Next-token accuracy by error functions",
    follows_from=(conditioned, closed_distribution),
    note="The substitution is not recoverable from the paper; this one gives a Gauss-Hermite sum.",
)
def by_error_functions(conditioned: sp.Eq, closed_distribution: sp.Eq) -> Iterator[Step]:
    inserted = conditioned.rhs.xreplace(dict([closed_distribution.args]))
    yield "Insert (90) into (89)", sp.Eq(accuracy, inserted)
    standard = inserted.transform((value - y_c) / (sp.sqrt(2) * sigma_c), node)
    yield (
        "Substitute y = y_c + sqrt(2) sigma_c x",
        sp.Eq(accuracy, tidy(standard)),
    )


def tidy(integral: sp.Integral) -> sp.Integral:
    """Simplify the Gaussian weight and the arguments of erf and Phi, keep the rest as it is."""
    shaped = integral.function.replace(
        lambda part: isinstance(part, sp.erf | Phi),
        lambda part: part.func(sp.together(sp.expand(part.args[0]))),
    )
    weight, rest = shaped.as_independent(sp.erf, Phi, as_Add=False)
    return sp.Integral(sp.simplify(weight) * rest, *integral.limits)


@shown("Integral(exp(-z**2/2)/sqrt(2*pi)*Phi((Delta + sigma_c*z)/sigma_o)**(N - 1), (z, -oo, oo))")
@equation(
    "17",
    "Next-token accuracy",
    follows_from=(by_error_functions, standard_distribution, margin, mean_other_logit),
    note="For Gaussian, independent logits, (88b) and (88c). Their deviations are left open here; "
    "(X6a), (X6b) give them.",
)
def next_token_accuracy(
    by_error_functions: sp.Eq, standard_distribution: sp.Eq, margin: sp.Eq, mean_other_logit: sp.Eq
) -> Iterator[Step]:
    standard = by_error_functions.rhs.transform(sp.sqrt(2) * node, z)
    (as_Phi,) = sp.solve(standard_distribution, sp.erf(w / sp.sqrt(2)))
    named = standard.replace(sp.erf, lambda argument: as_Phi.subs(w, sp.sqrt(2) * argument))
    named = tidy(named)
    yield "In a standard normal variable, with (90b)", sp.Eq(accuracy, named)
    (mean,) = sp.solve(margin, y_c)
    lead = sp.simplify((y_c - mean_other_logit.rhs).subs(y_c, mean))
    require(lead == Delta, f"the mean logits differ by {lead}")
    yield "Only the margin y_c - y_o matters", sp.Eq(accuracy, tidy(named.subs(y_c, y_o + Delta)))


@shown(
    "Integral(exp(-z**2/2)/sqrt(2*pi)*(1 - Phi((Delta + sigma_c*z)/sigma_o)**(N "
    "- 1)), (z, -oo, oo))"
)
@equation(
    "17b",
    "Next-token error",
    status=BEYOND,
    follows_from=(next_token_accuracy,),
    note="Exact however small the error is: no difference of nearly equal numbers.",
)
def next_token_error(next_token_accuracy: sp.Eq) -> Iterator[Step]:
    weight, power = next_token_accuracy.rhs.function.as_independent(Phi, as_Add=False)
    variable = next_token_accuracy.rhs.limits[0]
    require(sp.integrate(weight, variable) == 1, "the weight is not normalised")
    missing = sp.Integral(weight * (1 - power), variable)
    yield "The weight integrates to 1: what is missing in (17)", sp.Eq(error, missing)
    exponent = sp.expand_log(sp.log(power), force=True)
    yield (
        "The power by its logarithm",
        sp.Eq(error, sp.Integral(-weight * expm1(exponent), variable)),
    )


@shown(
    "Integral(exp(-w**2/2)/sqrt(2*pi)*(N - 1)*Phi(w)**(N - 2)*Phi((sigma_o*w "
    "- Delta)/sigma_c), (w, -oo, oo))"
)
@equation(
    "17c",
    "Next-token error by the largest other logit",
    status=BEYOND,
    follows_from=(next_token_accuracy,),
    note="Smooth for sharp others, sigma_o -> 0, where (17) has a step.",
)
def error_by_largest_other(next_token_accuracy: sp.Eq) -> Iterator[Step]:
    weight, power = next_token_accuracy.rhs.function.as_independent(Phi, as_Add=False)
    require(sp.simplify(sp.diff(Phi(z), z) - weight) == 0, "the weight is not the slope of Phi")
    variable = next_token_accuracy.rhs.limits[0]
    by_parts = sp.Integral(Phi(z) * sp.diff(power, z), variable)
    yield "By parts: Phi(z) times 1 less the power vanishes at both ends", sp.Eq(error, by_parts)
    largest = tidy(by_parts.transform(power.base.args[0], w)).replace(
        sp.Mul, lambda *f: sp.powsimp(sp.Mul(*f))
    )
    yield "In the largest other logit, in units of sigma_o", sp.Eq(error, largest)


# --- checks of the recursion: rollouts counted, and an exact chain -------------------------------


def rollout(model: SmallModel, actions: tuple[int, ...], start: int) -> list[int]:
    """The model's own states: at each step the largest logit, fed back."""
    own = [start]
    for t in range(model.T):
        logits = [model.logit(actions, t, own[-1], n) for n in range(model.N)]
        own.append(max(range(model.N), key=logits.__getitem__))
    return own


def counted(model: SmallModel, t: int) -> dict[sp.Expr, sp.Rational]:
    """Every probability at step t that the derivation speaks of, by counting all K^T N words."""
    pairs = []
    for actions, states in model.words():
        own = rollout(model, actions, states[0])
        pairs.append((own[t - 1] == states[t - 1], own[t] == states[t]))

    def share(wanted: Callable[[tuple[bool, bool]], bool], among: list) -> sp.Rational:
        # where nothing is counted the value must not matter: any will do
        return sp.Rational(sum(map(wanted, among)), len(among)) if among else sp.Rational(1, 3)

    after_right = [pair for pair in pairs if pair[0]]
    after_wrong = [pair for pair in pairs if not pair[0]]
    now, before, astray = (
        event(sp.Integer(q)) for event, q in ((right, t), (right, t - 1), (wrong, t - 1))
    )
    return {
        joint(now, before): share(all, pairs),
        probability(now): share(lambda pair: pair[1], pairs),
        probability(before): share(lambda pair: pair[0], pairs),
        Conditional(now, before): share(lambda pair: pair[1], after_right),
        Conditional(now, astray): share(lambda pair: pair[1], after_wrong),
    }


@check(
    joint_probability,
    recursion,
    recursion_start,
    right_probability,
    step_accuracy,
    step_recovery,
    short_recursion,
    solved_recursion,
    kind=Kind.ENUMERATION,
    says="every rollout of small models with random weights, the largest logit fed back",
)
def rollouts_counted(
    joint_probability: sp.Eq,
    recursion: sp.Eq,
    recursion_start: sp.Eq,
    right_probability: sp.Eq,
    step_accuracy: sp.Eq,
    step_recovery: sp.Eq,
    short_recursion: sp.Eq,
    solved_recursion: sp.Eq,
) -> str:
    seen_wrong = 0
    for model in small_models():
        named: dict[sp.Expr, sp.Expr] = {p_at[0]: recursion_start.rhs}
        for t in range(1, model.T + 1):
            counts = counted(model, t)
            exact = counts[probability(right(sp.Integer(t)))]
            seen_wrong += bool(exact < 1)
            if t == 1:
                first = counts[recursion_start.lhs]
                require(recursion_start.rhs == first, f"(82): {recursion_start.rhs}, not {first}")
            for name in (right_probability, step_accuracy, step_recovery):
                named[name.lhs.subs(step, t)] = name.rhs.subs(step, t).xreplace(counts)
            now, before = right(sp.Integer(t)), right(sp.Integer(t - 1))
            both = joint_probability.rhs.xreplace({event: now, condition: before}).xreplace(counts)
            require(both == counts[joint(now, before)], f"(16a): {both} at step {t}")
            claims = {
                "16": recursion.rhs.subs(step, t).xreplace(counts),
                "84": short_recursion.rhs.subs(step, t).xreplace(named),
                "85": solved_recursion.rhs.subs(T, t).doit().xreplace(named),
            }
            for number, claimed in claims.items():
                require(claimed == exact, f"({number}): {claimed}, not {exact}, at step {t}")
            require(named[p_at[t]] == exact, "(83a) does not name the counted share")
    require(seen_wrong > 5, "the models hardly ever fail")
    return f"five (N, K, T), {seen_wrong} steps with failures, residual 0"


@check(
    solved_recursion,
    kind=Kind.IDENTITY,
    says="induction for general T: the solution at T less (84) applied to the solution at T - 1",
)
def by_induction(solved_recursion: sp.Eq) -> str:
    def last_factor_out(factors: sp.Product) -> sp.Expr:
        index, first, last = factors.limits[0]
        shorter = sp.Product(factors.function, (index, first, last - 1))
        return factors.function.subs(index, last) * shorter

    def last_term_out(total: sp.Sum) -> sp.Expr:
        index, first, last = total.limits[0]
        inner = {part: last_factor_out(part) for part in total.function.atoms(sp.Product)}
        constant, summand = total.function.xreplace(inner).as_independent(index)
        last_term = total.function.subs(index, last).doit()
        return last_term + constant * sp.Sum(summand, (index, first, last - 1))

    here = solved_recursion.rhs
    sums = {part: last_term_out(part) for part in here.atoms(sp.Sum)}
    alone = here.xreplace(dict.fromkeys(sums, sp.Integer(0)))
    split = sums | {part: last_factor_out(part) for part in alone.atoms(sp.Product)}
    advanced = (a_at[T] - b_at[T]) * here.subs(T, T - 1) + b_at[T]
    residual = sp.expand(here.xreplace(split) - advanced)
    require(residual == 0, f"residual {residual}")
    require(here.subs(T, 0).doit() == 1, "the rollout does not start right")
    return "residual 0"


Chain = dict[tuple[int, int], Fraction]  # probability of (true state, predicted state)


def chain_step(chain: Chain, sigma: tuple[int, ...], a: Fraction) -> Chain:
    """One action: the model finds the image of its own state or, else, any other state."""
    size = len(sigma)
    moved: Chain = {}
    for (true, own), weight in chain.items():
        for guess in range(size):
            chance = a if guess == sigma[own] else (1 - a) / (size - 1)
            pair = (sigma[true], guess)
            moved[pair] = moved.get(pair, Fraction(0)) + weight * chance
    return moved


@check(
    chance_recovery,
    geometric_sum,
    rollout_accuracy,
    rollout_error,
    kind=Kind.ENUMERATION,
    says="an exact chain over (true, predicted) state under random permutations",
)
def exact_chain(
    chance_recovery: sp.Eq, geometric_sum: sp.Eq, rollout_accuracy: sp.Eq, rollout_error: sp.Eq
) -> str:
    rng = random.Random(18)
    for size, a in itertools.product(
        range(2, 6), (Fraction(1, 9), Fraction(2, 3), Fraction(19, 20))
    ):
        given = {N: size, accuracy: sp.Rational(a), error: sp.Rational(1 - a)}
        chain = {(q, q): Fraction(1, size) for q in range(size)}
        for steps in range(1, 6):
            sigma = tuple(rng.sample(range(size), size))
            astray = {pair: weight for pair, weight in chain.items() if pair[0] != pair[1]}
            chain = chain_step(chain, sigma, a)
            right_share = sum(weight for (true, own), weight in chain.items() if true == own)
            exact, failed = sp.Rational(right_share), sp.Rational(1 - right_share)
            given |= {T: steps, recovery: chance_recovery.rhs.subs(given)}
            if astray:
                recovered = chain_step(astray, sigma, a)
                share = sum(weight for (true, own), weight in recovered.items() if true == own)
                measured = sp.Rational(share / sum(astray.values()))
                require(given[recovery] == measured, f"(86): {given[recovery]}, not {measured}")
            claims = {
                "87": geometric_sum.rhs.subs(given) - exact,
                "18": rollout_accuracy.rhs.subs(given) - exact,
                "18b": sp.simplify(plain(rollout_error.rhs.subs(given))) - failed,
            }
            for number, off in claims.items():
                require(off == 0, f"({number}) is off by {off} at N = {size}, T = {steps}, a = {a}")
    return "N = 2..5, T = 1..5, a below and above chance, residual 0"


@check(
    chance_recovery,
    kind=Kind.ENUMERATION,
    says="the largest logit, all orders of the others alike: every permutation and pair of states",
)
def largest_of_exchangeable(chance_recovery: sp.Eq) -> str:
    noise, lead = (0, 2, 5, 9), Fraction(3, 2)
    for size in (2, 3, 4):
        found, recovered = [], []
        for sigma, order in itertools.product(
            itertools.permutations(range(size)), itertools.permutations(noise[:size])
        ):
            for own in range(size):
                logits = [level + lead * (n == sigma[own]) for n, level in enumerate(order)]
                best = logits.index(max(logits))
                found.append(best == sigma[own])
                recovered += [best == sigma[true] for true in range(size) if true != own]
        a_value, b_value = (sp.Rational(sum(hits), len(hits)) for hits in (found, recovered))
        claimed = chance_recovery.rhs.subs({N: size, accuracy: a_value})
        require(claimed == b_value, f"{claimed} instead of {b_value} at N = {size}")
        require(a_value < 1, "the model never fails")
    return "N = 2..4, residual 0"


def plain(expr: sp.Expr) -> sp.Expr:
    """Write out expm1, log1p and Phi, for exact or many-digit evaluation."""
    return (
        expr.replace(expm1, lambda part: sp.exp(part) - 1)
        .replace(log1p, lambda part: sp.log(1 + part))
        .replace(Phi, lambda part: sp.erfc(-part / sp.sqrt(2)) / 2)
    )


@check(
    rollout_accuracy,
    rollout_error,
    kind=Kind.IDENTITY,
    says="limits: always right, always random, T small errors add up",
)
def rollout_limits(rollout_accuracy: sp.Eq, rollout_error: sp.Eq) -> str:
    require(rollout_accuracy.rhs.subs(accuracy, 1) == 1, "a = 1 does not give 1")
    at_random = sp.simplify(rollout_accuracy.rhs.subs(accuracy, 1 / N) - 1 / N)
    require(at_random == 0, f"a = 1/N is off by {at_random}")
    cases, where = zip(*sp.piecewise_fold(rollout_error.rhs).args, strict=True)
    for size, lost in itertools.product((2, 3, 7), (sp.Rational(9, 10), 1, sp.Rational(11, 10))):
        given = {N: size, error: lost * (1 - sp.Rational(1, size))}  # a step keeps 1 - lost
        require(where[0].subs(given) == (lost < 1), f"a step that loses {lost} in the wrong case")
    better_than_chance = cases[0]
    require(better_than_chance.subs(error, 0) == 0, "no error does not give 0")
    slope = sp.simplify(sp.diff(better_than_chance, error).subs(error, 0))
    require(slope == T, f"small errors add up to {slope} e")
    kept = sp.Symbol("q", positive=True)  # what a step keeps: positive in the first case
    at_kept = [plain(case).subs(error, (1 - 1 / N) * (1 - kept)) for case in cases]
    apart = sp.simplify(at_kept[0] - at_kept[1])
    require(apart == 0, f"the two cases differ by {apart}")
    return "residual 0"


# --- checks of the next token: random logits, and quadrature against closed forms ----------------


def integrated(statement: sp.Eq, given: dict[sp.Symbol, sp.Expr], *, digits: int = 22) -> sp.Expr:
    """The right side as a number, its integral by quadrature."""
    return quadrature(statement.rhs, tuple(given.items()), digits)


@cache
def quadrature(
    claim: sp.Expr, given: tuple[tuple[sp.Symbol, sp.Expr], ...], digits: int
) -> sp.Expr:
    """``claim`` with its integral by the trapezoid rule, which is sharp for Gaussian weights.

    Steps and range suit deviations near 1 and means near 0.
    """
    reach, per_unit = 14, 8

    def total(integrand: sp.Expr, limits: sp.Tuple) -> sp.Float:
        require(limits[1:] == (-sp.oo, sp.oo), f"an integral from {limits[1]} to {limits[2]}")
        f = sp.lambdify(limits[0], integrand, "mpmath")
        points = range(-reach * per_unit, reach * per_unit + 1)
        with mpmath.workdps(digits):
            mean = mpmath.fsum(f(mpmath.mpf(point) / per_unit) for point in points) / per_unit
        return sp.Float(mean, digits)

    return plain(claim).subs(dict(given)).replace(sp.Integral, total)


def logit_cases() -> Iterator[tuple[dict[sp.Symbol, sp.Expr], sp.Expr]]:
    """Parameters and the next-token accuracy where it has a closed form, found by other means."""
    wide, narrow, one = sp.Rational(6, 5), sp.Rational(4, 5), sp.Rational(1)

    def case(
        N_value: int, Delta_value: sp.Rational, deviations: tuple[sp.Rational, sp.Rational]
    ) -> dict:
        y_o_value = sp.Rational(-1, 5)
        means = {y_c: y_o_value + Delta_value, y_o: y_o_value, Delta: Delta_value}
        return {N: N_value, **means, **dict(zip((sigma_c, sigma_o), deviations, strict=True))}

    for deviations in ((wide, narrow), (narrow, wide)):
        spread = sp.sqrt(sum(deviation**2 for deviation in deviations))
        for Delta_value in (sp.Rational(-2, 3), sp.Rational(7, 2)):
            # the lead over a single rival is Gaussian
            ahead = (1 + sp.erf(Delta_value / (spread * sp.sqrt(2)))) / 2
            yield case(2, Delta_value, deviations), ahead
        # two and three leads with mean 0, correlated by the common right logit: orthants
        angle = sp.asin(deviations[0] ** 2 / spread**2)
        yield case(3, sp.Integer(0), deviations), sp.Rational(1, 4) + angle / (2 * sp.pi)
        yield case(4, sp.Integer(0), deviations), sp.Rational(1, 8) + 3 * angle / (4 * sp.pi)
    for N_value in (5, 9):  # all N logits alike
        yield case(N_value, sp.Integer(0), (one, one)), sp.Rational(1, N_value)


@check(
    conditioned,
    closed_distribution,
    standard_distribution,
    by_error_functions,
    next_token_accuracy,
    next_token_error,
    error_by_largest_other,
    kind=Kind.NUMERIC,
    says="quadrature against closed forms: one rival, orthants of two and three, N alike",
)
def closed_cases(
    conditioned: sp.Eq,
    closed_distribution: sp.Eq,
    standard_distribution: sp.Eq,
    by_error_functions: sp.Eq,
    next_token_accuracy: sp.Eq,
    next_token_error: sp.Eq,
    error_by_largest_other: sp.Eq,
) -> str:
    given_y = conditioned.rhs.xreplace(dict([closed_distribution.args]))
    named = standard_distribution.rhs
    by_Phi = next_token_accuracy.rhs.replace(Phi, lambda part: named.subs(w, part))
    worst = sp.Float(0)
    cases = list(logit_cases())
    for given, exact in cases:
        claims = {
            "89": (given_y, exact),
            "91": (by_error_functions.rhs, exact),
            "17": (by_Phi, exact),
            "17b": (next_token_error.rhs, 1 - exact),
            "17c": (error_by_largest_other.rhs, 1 - exact),
        }
        for number, (claim, value_exact) in claims.items():
            off = abs(integrated(sp.Eq(accuracy, claim), given) / value_exact.n(22) - 1)
            require(off < 1e-15, f"({number}) is off by {float(off):.2g} at {given}")
            worst = max(worst, off)
    return f"{len(cases)} cases, largest relative difference {float(worst):.1g}"


@check(
    next_token_error,
    error_by_largest_other,
    kind=Kind.NUMERIC,
    says="a tiny error: one rival, margin 8 standard deviations",
)
def tiny_error(next_token_error: sp.Eq, error_by_largest_other: sp.Eq) -> str:
    deviations = {sigma_c: sp.Rational(3, 5), sigma_o: sp.Rational(4, 5)}
    for statement in (next_token_error, error_by_largest_other):
        claimed = integrated(statement, {N: 2, Delta: sp.Integer(8), **deviations}, digits=45)
        exact = sp.erfc(8 / sp.sqrt(2)).n(45) / 2
        require(abs(claimed / exact - 1) < 1e-15, f"{claimed} instead of {exact}")
    return f"{float(exact):.3g} to 15 digits"


@check(
    other_distribution,
    closed_distribution,
    standard_distribution,
    kind=Kind.IDENTITY,
    says="slope is the Gaussian density, from 0 at minus to 1 at plus infinity",
)
def distribution_functions(
    other_distribution: sp.Eq, closed_distribution: sp.Eq, standard_distribution: sp.Eq
) -> str:
    gauss = sp.exp(-((value - y_o) ** 2) / (2 * sigma_o**2)) / sp.sqrt(2 * sp.pi * sigma_o**2)
    cases = (
        (other_distribution.rhs, value, gauss),
        (closed_distribution.rhs, value, gauss),
        (standard_distribution.rhs, w, gauss.subs({y_o: 0, sigma_o: 1, value: w})),
    )
    for function, variable, slope in cases:
        off = sp.simplify(sp.diff(function, variable) - slope)
        require(off == 0, f"the slope is off by {off}")
        standard = function.subs({y_o: 0, sigma_o: 1}).doit()
        ends = [sp.limit(standard, variable, end) for end in (-sp.oo, sp.oo)]
        require(ends == [0, 1], f"runs from {ends[0]} to {ends[1]}")
    require(sp.simplify(sp.diff(Phi(w), w) - cases[2][2]) == 0, "Phi has another slope")
    return "residual 0"


@check(
    right_distribution,
    kind=Kind.IDENTITY,
    says="the density integrates to 1, with the mean y_c and the variance sigma_c^2",
)
def moments_of_right_logit(right_distribution: sp.Eq) -> str:
    density_there = right_distribution.rhs.subs(value, y_c + sigma_c * z)
    for power, moment in enumerate((1, 0, sigma_c**2)):
        weighted = sp.expand((sigma_c * z) ** power * density_there * sigma_c)
        found = sp.integrate(weighted, (z, -sp.oo, sp.oo))
        require(sp.simplify(found - moment) == 0, f"moment {power} is {found}")
    return "residual 0"


def drawn_logits(rng: random.Random) -> list[float]:
    """The right logit and N - 1 others, Gaussian."""
    others = (rng.gauss(LOGITS[y_o], LOGITS[sigma_o]) for _ in range(STATES - 1))
    return [rng.gauss(LOGITS[y_c], LOGITS[sigma_c]), *others]


STATES, STEPS = 4, 3
LOGITS = {y_c: 1.2, y_o: -0.3, sigma_c: 0.9, sigma_o: 0.7}


@check(
    right_is_largest,
    kind=Kind.ENUMERATION,
    says="random logits: the product is 1 when the right is largest",
)
def largest_by_comparison(right_is_largest: sp.Eq) -> str:
    rng = random.Random(88)
    indicator = right_is_largest.rhs.replace(expectation, lambda product: product)
    explicit = indicator.subs(N, STATES).doit()
    names = [right_draw, *(other_draw[q] for q in range(1, STATES))]
    entries = sp.symbols(f"y:{STATES}")
    counted_by = sp.lambdify(
        entries,
        explicit.xreplace(dict(zip(names, entries, strict=True))),
        [{"Heaviside": lambda lead, _: float(lead > 0)}, "math"],
    )
    for _ in range(2000):
        logits = drawn_logits(rng)
        claimed, exact = counted_by(*logits), float(logits[0] == max(logits))
        require(claimed == exact, f"{claimed} at {logits}")
    return "2000 draws, every one"


@check(
    rollout_accuracy,
    rollout_error,
    next_token_accuracy,
    next_token_error,
    kind=Kind.MONTE_CARLO,
    says="rollouts of a student with Gaussian logits",
)
def gaussian_student(
    rollout_accuracy: sp.Eq,
    rollout_error: sp.Eq,
    next_token_accuracy: sp.Eq,
    next_token_error: sp.Eq,
) -> str:
    rng = random.Random(17)
    single: list[float] = []
    final: list[float] = []
    for _ in range(20000):
        true = own = rng.randrange(STATES)
        for _ in range(STEPS):
            sigma = rng.sample(range(STATES), STATES)
            logits = drawn_logits(rng)
            best = max(range(STATES), key=logits.__getitem__)
            single.append(float(best == 0))
            others = [other for other in range(STATES) if other != sigma[own]]
            true, own = sigma[true], [sigma[own], *others][best]
        final.append(float(true == own))
    given = {symbol: sp.nsimplify(number) for symbol, number in LOGITS.items()}
    given |= {N: sp.Integer(STATES), T: sp.Integer(STEPS)}
    given[Delta] = given[y_c] - given[y_o]
    claimed_a, claimed_e = (integrated(eq, given) for eq in (next_token_accuracy, next_token_error))
    claims = (
        (single, claimed_a),
        ([1 - hit for hit in single], claimed_e),
        (final, rollout_accuracy.rhs.subs({**given, accuracy: claimed_a})),
        ([1 - hit for hit in final], plain(rollout_error.rhs).subs({**given, error: claimed_e})),
    )
    return "; ".join(agreement(sample, float(claimed)) for sample, claimed in claims)
