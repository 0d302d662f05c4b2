"""Sums over actions, states and positions with symbolic limits: the few moves the derivations need.

Everything stays general in N, K and T: an average over actions is a ``Sum`` to K, a trace is a
``Sum`` to N, and "equal or different" is a Kronecker delta.
"""

from __future__ import annotations

import itertools

import sympy as sp

from derivations.symbols import K, N, i, j, k, l, m, n, r

k_prime, l_prime = sp.symbols("k' l'", integer=True, positive=True)  # further actions
m_prime, n_prime = sp.symbols("m' n'", integer=True, positive=True)  # further states
j_prime = sp.Symbol("j'", integer=True, positive=True)  # a further position

ACTIONS = (k, l, k_prime, l_prime)
STATES = (m, n, m_prime, n_prime)
FAMILIES = (ACTIONS, STATES, (j, j_prime), (i,), (r,))  # letters that may stand for each other
UPPER = dict.fromkeys(ACTIONS, K) | dict.fromkeys(STATES, N)


def over(summand: sp.Expr, *indices: sp.Symbol) -> sp.Expr:
    """Sum ``summand`` over actions (k, l, ...) to K and states (m, n, ...) to N."""
    return sp.Sum(summand, *((index, 1, UPPER[index]) for index in indices))


def trace_product(
    left: sp.IndexedBase, k_left: sp.Expr, right: sp.IndexedBase, k_right: sp.Expr
) -> sp.Expr:
    """Tr(left_{k}^T right_{l}) = sum over m, n of left[k, m, n] right[l, m, n]."""
    return over(left[k_left, m, n] * right[k_right, m, n], m, n)


def contract(expr: sp.Expr) -> sp.Expr:
    """Normal form of ``expand_sums`` with every summed Kronecker delta carried out.

    Both indices of a delta run over the same values here, so no case distinction is needed.
    """
    expr = expand_sums(expr)
    return sp.Add(*(_contract_term(term) for term in sp.Add.make_args(expr)))


def _contract_term(term: sp.Expr) -> sp.Expr:
    for total in term.atoms(sp.Sum):
        indices = {limit[0] for limit in total.limits}
        for factor in sp.Mul.make_args(total.function):
            bound = indices & set(factor.args) if isinstance(factor, sp.KroneckerDelta) else None
            if bound:
                index = max(bound, key=str)
                (kept,) = set(factor.args) - {index}
                limits = [limit for limit in total.limits if limit[0] != index]
                summand = (total.function / factor).xreplace({index: kept})
                shorter = sp.Sum(summand, *limits) if limits else summand
                return contract(term.xreplace({total: shorter}))
    return term


def expand_sums(expr: sp.Expr) -> sp.Expr:
    """Normal form: sums distributed over additions, constants in front, nested sums merged.

    Summed indices get the first letters that are free, chosen so that equal sums compare equal.
    """
    expr = sp.expand(_with_own_indices(expr))
    return sp.Add(*(_merge(term) for term in sp.Add.make_args(expr)))


def _with_own_indices(expr: sp.Expr) -> sp.Expr:
    """Give every sum indices of its own, so that sums can be multiplied without a clash."""
    if not expr.has(sp.Sum):
        return expr
    if not isinstance(expr, sp.Sum):
        return expr.func(*(_with_own_indices(arg) for arg in expr.args))
    own = {index: sp.Dummy(index.name, **index.assumptions0) for index, _, _ in expr.limits}
    summand = _with_own_indices(expr.function).xreplace(own)
    return sp.Sum(summand, *((own[index], low, high) for index, low, high in expr.limits))


def _merge(term: sp.Expr) -> sp.Expr:
    """One product, possibly with sums among its factors, as constant times a single sum."""
    sums = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.Sum)]
    if not sums:
        return term
    others = term / sp.Mul(*sums)
    summand = sp.expand(sp.Mul(*(total.function for total in sums)))
    limits = [limit for total in sums for limit in total.limits]
    if isinstance(summand, sp.Add):
        return sp.Add(*(_merge(others * sp.Sum(part, *limits)) for part in summand.args))
    if summand.has(sp.Sum):
        inner = [factor for factor in sp.Mul.make_args(summand) if isinstance(factor, sp.Sum)]
        flat = summand / sp.Mul(*inner) * sp.Mul(*(total.function for total in inner))
        limits = [limit for total in inner for limit in total.limits] + limits
        return _merge(others * sp.Sum(flat, *limits))
    bound = [limit for limit in limits if limit[0] in summand.free_symbols]
    count = sp.Mul(
        *(high - low + 1 for index, low, high in limits if (index, low, high) not in bound)
    )
    constant, summand = summand.as_independent(*(limit[0] for limit in bound), as_Add=False)
    total = _with_first_letters(summand, bound) if bound else summand
    return sp.expand(others * count * constant) * total


def _with_first_letters(summand: sp.Expr, limits: list[sp.Tuple]) -> sp.Sum:
    """Name the summed indices k, l, ... m, n, ...: of all ways the one that sorts first."""
    by_family: list[list[dict[sp.Symbol, sp.Symbol]]] = []
    bound = {limit[0] for limit in limits}
    for family in FAMILIES:
        names = {letter.name for letter in family}
        own = [index for index, _, _ in limits if index.name in names]
        letters = [letter for letter in family if letter not in summand.free_symbols - bound]
        orders = itertools.permutations(letters[: len(own)])
        by_family.append([dict(zip(own, order, strict=True)) for order in orders])
    namings = (_union(choice) for choice in itertools.product(*by_family))
    best = min(namings, key=lambda naming: str(summand.xreplace(naming)))
    renamed = [(best.get(index, index), low, high) for index, low, high in limits]
    return sp.Sum(summand.xreplace(best), *sorted(renamed, key=lambda limit: str(limit[0])))


def _union(parts: tuple[dict[sp.Symbol, sp.Symbol], ...]) -> dict[sp.Symbol, sp.Symbol]:
    return {index: letter for part in parts for index, letter in part.items()}


def rename(expr: sp.Expr, letters: dict[sp.Symbol, sp.Symbol]) -> sp.Expr:
    """Rename free indices; summed ones give way."""
    return expand_sums(_with_own_indices(expr).xreplace(letters))


def swap(expr: sp.Expr, old: sp.IndexedBase, new: sp.IndexedBase) -> sp.Expr:
    """Replace every entry of ``old`` by the same entry of ``new``."""
    return expr.replace(
        lambda e: isinstance(e, sp.Indexed) and e.base == old, lambda e: new[e.indices]
    )


def average_over_state(expr: sp.Expr, state: sp.IndexedBase, moment: sp.Expr) -> sp.Expr:
    """Replace every product of two entries of ``state`` by its mean ``moment``, in m and m'."""

    def entries(product: sp.Expr) -> list[sp.Indexed]:
        return [e for e in product.args if isinstance(e, sp.Indexed) and e.base == state]

    def averaged(product: sp.Expr) -> sp.Expr:
        first, second = entries(product)
        letters = {m: first.indices[1], m_prime: second.indices[1]}
        return product / (first * second) * moment.subs(letters, simultaneous=True)

    return expr.replace(lambda e: isinstance(e, sp.Mul) and len(entries(e)) == 2, averaged)


def average_over_action(expr: sp.Expr, action: sp.Expr, index: sp.Symbol) -> sp.Expr:
    """Average over one uniform action: replace it by ``index``, sum to K, divide by K."""
    return over(expr.xreplace({action: index}), index) / K


def numbers(
    expr: sp.Expr, values: dict[sp.Symbol, sp.Expr], arrays: dict[sp.IndexedBase, dict]
) -> sp.Expr:
    """Evaluate ``expr`` exactly, sums carried out term by term.

    values: sizes and free indices.  arrays: index tuple -> value, for every base; a value may
    hold entries itself.  Raises ValueError for an index or a bound that is no integer.
    """
    if isinstance(expr, sp.Indexed):
        indices = tuple(whole(numbers(index, values, arrays)) for index in expr.indices)
        return numbers(sp.sympify(arrays[expr.base][indices]), values, arrays)
    if isinstance(expr, sp.Symbol):
        return sp.sympify(values.get(expr, expr))
    if isinstance(expr, sp.Sum):
        (index, low, high), *outer = expr.limits[::-1]
        inner = sp.Sum(expr.function, *outer[::-1]) if outer else expr.function
        first, last = (whole(numbers(bound, values, arrays)) for bound in (low, high))
        terms = (numbers(inner, {**values, index: q}, arrays) for q in range(first, last + 1))
        return sp.Add(*terms)
    if not expr.args:
        return expr
    return expr.func(*(numbers(argument, values, arrays) for argument in expr.args))


def whole(number: sp.Expr) -> int:
    """``number`` as an index; ValueError unless it is an integer."""
    if not number.is_integer:
        raise ValueError(f"{number} is no index: it must be an integer")
    return int(number)
