"""(74)-(77): the mean overlap of two random permutations.

The vocabulary is drawn independently, repeats allowed, so the project uses (76b), which is exact at
every N; (76), (77) are the paper's average over distinct permutations.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import sympy as sp

from derivations.models.sampling import agreement
from derivations.models.sums import contract, over
from derivations.paper.definitions import permutation_matrices
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import K, N, m, n

delta = sp.KroneckerDelta
count = sp.factorial(N)  # permutations of N states
mean_matrix = sp.IndexedBase(r"\langle P \rangle", real=True)  # mean_matrix[n, m], over all N!
X = sp.IndexedBase("X", real=True)  # X[n, m]: mean over all permutations but the identity
distinct_overlap = sp.Symbol(r"\langle \mathrm{Tr} P_k^T P_l \rangle_{k \neq l}", real=True)
iid_overlap = sp.Symbol(r"\langle \mathrm{Tr} P_k^T P_l \rangle", real=True)
equal_chance, all_equal_chance = sp.symbols(r"p_{\mathrm{two}} p_{\mathrm{all}}", positive=True)
mean_omega = sp.Symbol(r"\langle \omega \rangle", real=True)  # overlap per state

Permutation = tuple[int, ...]


@equation("74a", "Mean permutation matrix", follows_from=(permutation_matrices,))
def mean_permutation(permutation_matrices: sp.Eq) -> Iterator[Step]:
    column = contract(over(permutation_matrices.rhs, n))
    yield "The entries of column m of any permutation matrix add up to", column
    share = column / N
    yield "Relabelling the images permutes the N! permutations: on average all are alike", share
    counted = sp.combsimp(sp.factorial(N - 1) / count)
    require(share == counted, f"(N - 1)! of the N! permutations send m to n: {counted}")
    yield "The matrix J/N", sp.Eq(mean_matrix[n, m], share)


@shown("1/factorial(N)*KroneckerDelta(n, m) + (1 - 1/factorial(N))*X[n, m]")
@equation("74", "The identity split off", follows_from=(mean_permutation,))
def identity_split_off(mean_permutation: sp.Eq) -> Iterator[Step]:
    total = delta(n, m) + (count - 1) * X[n, m]
    yield "The identity and N! - 1 others, of mean X, add up to", total
    shares = sp.collect(sp.expand(total / count), X[n, m])
    yield "One permutation in N! is the identity", sp.Eq(mean_permutation.rhs, shares)


@shown("(factorial(N)/N - KroneckerDelta(n, m))/(factorial(N) - 1)")
@equation("75", "Mean of the other permutations", follows_from=(identity_split_off,))
def mean_without_identity(identity_split_off: sp.Eq) -> Iterator[Step]:
    (solved,) = sp.solve(identity_split_off, X[n, m])
    yield "Solve for X", sp.Eq(X[n, m], sp.simplify(solved))


@shown("(factorial(N) - N)/(factorial(N) - 1)")
@equation("76", "Overlap of distinct permutations", follows_from=(mean_without_identity,))
def overlap_of_distinct(mean_without_identity: sp.Eq) -> Iterator[Step]:
    trace = over(mean_without_identity.rhs.xreplace({m: n}), n)
    yield "As P_l runs over the others, P_k^T P_l runs over all but the identity: Tr X", trace
    yield "The N diagonal entries are alike", sp.Eq(distinct_overlap, sp.simplify(contract(trace)))


@equation(
    "76b",
    "Overlap of independent permutations",
    status=Status.BEYOND,
    follows_from=(mean_permutation,),
    note="The vocabulary is drawn independently, repeats allowed: this is the average in use.",
)
def overlap_of_independent(mean_permutation: sp.Eq) -> Iterator[Step]:
    trace = over(mean_permutation.rhs, n)
    yield "As P_l runs over all permutations, so does P_k^T P_l: the trace of J/N", trace
    yield "N entries of 1/N", sp.Eq(iid_overlap, contract(trace))


@shown("1/N*(1 - (N - 1)/(factorial(N) - 1))")
@equation("77", "Mean overlap per state", follows_from=(overlap_of_distinct,))
def overlap_per_state(overlap_of_distinct: sp.Eq) -> Iterator[Step]:
    shortfall = sp.factor(sp.simplify(1 - overlap_of_distinct.rhs))
    yield "Below 1 by", shortfall
    yield (
        "which vanishes for many states, so that the overlap per state is 1/N",
        sp.Eq(sp.Limit(shortfall, N, sp.oo), sp.limit(shortfall, N, sp.oo)),
    )
    yield "At any N", sp.Eq(mean_omega, (1 - shortfall) / N)


@shown("1 - factorial(factorial(N))/(factorial(factorial(N) - K)*factorial(N)**K)")
@equation(
    "76c",
    "Chance of equal permutations",
    status=Status.BEYOND,
    follows_from=(),
    note="Of K permutations drawn independently, that two or more are the same.",
)
def chance_of_equal() -> Iterator[Step]:
    earlier = sp.Symbol("i", integer=True, nonnegative=True)
    different = sp.Product(1 - earlier / count, (earlier, 0, K - 1))
    yield "Each one is new to all that were drawn before it", different
    yield "So two are equal with the chance", sp.Eq(equal_chance, 1 - different)
    one = sp.Symbol("M", integer=True, positive=True)
    closed = sp.factorial(one) / (sp.factorial(one - K) * one**K)
    ratio = closed.subs(K, K + 1) / closed
    more = different.function.subs({earlier: K, count: one})
    require(sp.gammasimp(sp.simplify(ratio / more)) == 1, "one more draw is not this factor")
    require(sp.simplify(closed.subs(K, 0)) == 1, "no draw has another chance than 1")
    yield "The product in factorials", sp.Eq(equal_chance, 1 - closed.subs(one, count))


@shown("factorial(N)**(1 - K)")
@equation(
    "76d",
    "Chance that all permutations are equal",
    status=Status.BEYOND,
    follows_from=(),
    note="Then every action does the same and attention has nothing to find: U stays 0.",
)
def chance_of_all_equal() -> Iterator[Step]:
    yield "Each of the others is the first one", sp.Eq(all_equal_chance, (1 / count) ** (K - 1))


# --- checks --------------------------------------------------------------------------------------


def permutations(size: int) -> list[Permutation]:
    """All permutations of ``size`` states, the identity first."""
    return list(itertools.permutations(range(size)))


def agreements(first: Permutation, second: Permutation) -> int:
    """Tr P_k^T P_l: the states that both permutations send to the same image."""
    return sum(x == y for x, y in zip(first, second, strict=True))


def mean_over(listed: list[Permutation], image: int, state: int) -> sp.Rational:
    """Share of ``listed`` that sends ``state`` to ``image``."""
    return sp.Rational(sum(sigma[state] == image for sigma in listed), len(listed))


@check(
    mean_permutation,
    identity_split_off,
    mean_without_identity,
    kind=Kind.ENUMERATION,
    says="every entry of the mean over all permutations, with and without the identity",
)
def mean_by_enumeration(
    mean_permutation: sp.Eq, identity_split_off: sp.Eq, mean_without_identity: sp.Eq
) -> str:
    for size in range(2, 7):
        everything = permutations(size)
        for image, state in itertools.product(range(size), repeat=2):
            at_entry = {N: size, n: image + 1, m: state + 1}
            over_all = mean_over(everything, image, state)
            over_rest = mean_over(everything[1:], image, state)
            claimed_rest = mean_without_identity.rhs.subs(at_entry)
            by_split = identity_split_off.rhs.subs(at_entry).replace(
                lambda entry: isinstance(entry, sp.Indexed), lambda _, mean=over_rest: mean
            )
            require(mean_permutation.rhs.subs(at_entry) == over_all, f"(74a) at N = {size}")
            require(by_split == over_all, f"(74) gives {by_split}, not {over_all}, at N = {size}")
            require(claimed_rest == over_rest, f"(75) gives {claimed_rest}, not {over_rest}")
    return "N = 2..6, residual 0"


@check(
    overlap_of_distinct,
    overlap_of_independent,
    overlap_per_state,
    kind=Kind.ENUMERATION,
    says="every pair of permutations, distinct and with repeats",
)
def overlap_by_enumeration(
    overlap_of_distinct: sp.Eq, overlap_of_independent: sp.Eq, overlap_per_state: sp.Eq
) -> str:
    for size in range(2, 6):
        pairs = list(itertools.product(permutations(size), repeat=2))
        everything = sum(agreements(*pair) for pair in pairs)
        distinct = everything - size * math.factorial(size)
        mean = sp.Rational(everything, len(pairs))
        distinct_mean = sp.Rational(distinct, len(pairs) - math.factorial(size))
        claims = (
            (overlap_of_independent, mean),
            (overlap_of_distinct, distinct_mean),
            (overlap_per_state, distinct_mean / size),
        )
        for statement, exact in claims:
            claimed = statement.rhs.subs(N, size)
            require(claimed == exact, f"{claimed} instead of {exact} at N = {size}")
    return "all pairs at N = 2..5, residual 0"


@check(
    overlap_of_distinct,
    overlap_of_independent,
    overlap_per_state,
    kind=Kind.MONTE_CARLO,
    says="vocabularies of shuffled permutations, redrawn until distinct for (76), (77)",
)
def overlap_by_shuffling(
    overlap_of_distinct: sp.Eq, overlap_of_independent: sp.Eq, overlap_per_state: sp.Eq
) -> str:
    rng = random.Random(76)
    size, words, draws = 4, 3, 4000
    distinct: list[float] = []
    independent: list[float] = []
    for sample, repeats in ((independent, True), (distinct, False)):
        while len(sample) < draws:
            vocabulary = [tuple(rng.sample(range(size), size)) for _ in range(words)]
            if repeats or len(set(vocabulary)) == words:
                pairs = list(itertools.combinations(vocabulary, 2))
                sample.append(sum(agreements(*pair) for pair in pairs) / len(pairs))
    per_state = [overlap / size for overlap in distinct]
    reports = [
        agreement(sample, float(statement.rhs.subs(N, size)))
        for statement, sample in (
            (overlap_of_distinct, distinct),
            (overlap_of_independent, independent),
            (overlap_per_state, per_state),
        )
    ]
    return "; ".join(reports)


@check(
    chance_of_equal,
    chance_of_all_equal,
    kind=Kind.ENUMERATION,
    says="every vocabulary of small sizes",
)
def equal_by_enumeration(chance_of_equal: sp.Eq, chance_of_all_equal: sp.Eq) -> str:
    for size, words in ((2, 1), (2, 2), (2, 3), (3, 2), (3, 4), (4, 3)):
        everything = list(itertools.product(permutations(size), repeat=words))
        kinds = [len(set(vocabulary)) for vocabulary in everything]
        shares = sum(kind < words for kind in kinds), sum(kind == 1 for kind in kinds)
        for statement, found in zip((chance_of_equal, chance_of_all_equal), shares, strict=True):
            claimed = statement.rhs.subs({N: size, K: words})
            exact = sp.Rational(found, len(everything))
            require(claimed == exact, f"{claimed} instead of {exact} at N = {size}, K = {words}")
    return "all vocabularies of six sizes, residual 0"
