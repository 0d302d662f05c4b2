"""Wrong statements: every small change of a right side that a check must notice."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derivations.statement import Equation
from derivations.symbols import K, N, T, d

SIZES = (N, K, T, d)
LIMIT = 6  # mutants of one equation tried every time
Path = tuple[int, ...]

# Not wrong: the same value in another form.
EQUIVALENT = {
    ("X3k", "t_0 dropped at "),  # a constant of integration, any number
    ("X6i", "h**2 to a higher power at 1.4.10.1"),  # h is 0 or 1
    ("21", "K >= kappa with K less 1 at 0.1"),  # kappa = K is no state either way
    ("40", "W[k, m, n] transposed at 2.0"),  # both indices are summed
    ("88", "1/2 plus 1 at 0.0.1"),  # the step function at 0: ties have no weight
}


def mutants(equation: Equation) -> dict[str, sp.Eq]:
    """Every mutant of the right side, by what was changed; those that say the same left out."""
    statement = equation.statement
    right = statement.rhs
    wrong = dict(_of_the_whole(right))
    for path, node in _nodes(right):
        for words, other in _of_one_node(node):
            place = ".".join(map(str, path))
            wrong[f"{words} at {place}"] = _put(right, path, other)
    return {
        words: sp.Eq(statement.lhs, other, evaluate=False)
        for words, other in wrong.items()
        if other != right and (equation.number, words) not in EQUIVALENT
    }


def some(mutants: dict[str, sp.Eq]) -> dict[str, sp.Eq]:
    """At most LIMIT of the mutants, spread evenly."""
    kept = range(min(LIMIT, len(mutants)))
    items = list(mutants.items())
    return dict(items[len(items) * place // len(kept)] for place in kept)


def _of_the_whole(right: sp.Basic) -> Iterator[tuple[str, sp.Basic]]:
    yield "doubled", 2 * right
    yield "negative", -right
    yield "N and K exchanged", right.subs({N: K, K: N}, simultaneous=True)
    for size in SIZES:
        yield f"{size} less 1 everywhere", right.subs(size, size - 1)


def _nodes(expr: sp.Basic, path: Path = ()) -> Iterator[tuple[Path, sp.Basic]]:
    """All parts of ``expr`` that may be changed on their own, with the way to them."""
    yield path, expr
    for place, part in enumerate(expr.args):
        if isinstance(expr, sp.Sum | sp.Product | sp.Integral) and place > 0:
            continue  # limits are changed as a whole
        if isinstance(expr, sp.Pow) and place == 1 and part.is_Rational:
            continue  # as is an exponent
        if isinstance(expr, sp.Derivative | sp.IndexedBase | sp.core.relational.Relational):
            continue
        if isinstance(expr, sp.MatrixBase) and place < 2:
            continue  # its shape
        yield from _nodes(part, (*path, place))


def _put(expr: sp.Basic, path: Path, other: sp.Basic) -> sp.Basic:
    """``expr`` with ``other`` in the place that ``path`` leads to."""
    if not path:
        return other
    parts = list(expr.args)
    parts[path[0]] = _put(parts[path[0]], path[1:], other)
    return expr.func(*parts)


def _of_one_node(node: sp.Basic) -> Iterator[tuple[str, sp.Basic]]:
    if isinstance(node, sp.Add):
        for term in node.args:
            yield f"{term} dropped", node - term
    elif isinstance(node, sp.Mul):
        for factor in node.args:
            if not factor.is_number:
                others = [other for other in node.args if other is not factor]
                yield f"factor {factor} dropped", sp.Mul(*others)
    elif isinstance(node, sp.Pow) and node.exp.is_Rational:
        yield f"{node} to a higher power", node.base ** (node.exp + sp.sign(node.exp))
    elif isinstance(node, sp.core.relational.Relational):
        for size in filter(node.has, SIZES):
            yield f"{node} with {size} less 1", node.subs(size, size - 1)
    elif node in SIZES:
        yield f"one {node} plus 1", node + 1
    elif isinstance(node, sp.Rational) and abs(node) != 1:
        yield f"{node} plus 1", node + 1
    elif isinstance(node, sp.Indexed) and len(node.indices) == 3:
        first, second, third = node.indices
        yield f"{node} transposed", node.base[first, third, second]
    elif isinstance(node, sp.Sum | sp.Product | sp.Integral):
        yield from _of_the_limits(node)


def _of_the_limits(node: sp.Sum | sp.Product | sp.Integral) -> Iterator[tuple[str, sp.Basic]]:
    step = sp.Rational(1, 3) if isinstance(node, sp.Integral) else 1
    for place, (index, low, high) in enumerate(node.limits):
        for bound, moved in (
            (low, (index, 0 if low.is_infinite else low + step, high)),
            (high, (index, low, 0 if high.is_infinite else high - step)),
        ):
            limits = [*node.limits[:place], moved, *node.limits[place + 1 :]]
            yield f"bound {bound} of {index} moved", node.func(node.function, *limits)
