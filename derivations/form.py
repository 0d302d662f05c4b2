"""Formulas as a person writes them: parsed from text, and kept in their order.

SymPy orders what it computes; a form is *held*: ``(N*y_c - C)/(N - 1)`` stays what it is. It is
made of SymPy's own nodes, not evaluated, so that SymPy can substitute and print it. ``terms`` and
``fractions`` are how every printer reads it: in order, and a division where one was written.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

HEADS: dict[str, Any] = {
    name: getattr(sp, name)
    for name in (
        "exp", "log", "sin", "cos", "erf", "LambertW", "polylog", "Sum", "Integral", "Derivative",
        "KroneckerDelta", "factorial", "pi", "oo",
    )
} | {"expm1": expm1, "log1p": log1p}  # fmt: skip


class FormError(ValueError):
    """A form that cannot be read, or is not what it is said to be."""


# --- held expressions ----------------------------------------------------------------------------


def plus(*parts: sp.Expr) -> sp.Expr:
    """A sum in this order."""
    return sp.Add(*parts, evaluate=False)


def minus(part: sp.Expr) -> sp.Expr:
    """The negative of ``part``; of a number the number."""
    return -part if part.is_Number else sp.Mul(-1, part, evaluate=False)


def times(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """A product in this order, its sign in front."""
    negative, size = signed(left)
    product = sp.Mul(size, right, evaluate=False)
    return minus(product) if negative else product


def over(above: sp.Expr, below: sp.Expr) -> sp.Expr:
    """A quotient."""
    return times(above, sp.Pow(below, -1, evaluate=False))


def released(expr: Any) -> Any:
    """A held expression as SymPy evaluates it."""
    if not isinstance(expr, sp.Basic) or not expr.args:
        return expr
    return expr.func(*map(released, expr.args))


def replaced(expr: sp.Basic, rules: Mapping[sp.Basic, sp.Basic]) -> Any:
    """A held expression with some parts replaced; a part counts by what it evaluates to."""
    value = released(expr)
    if value in rules:
        return rules[value]
    if not expr.args:
        return expr
    parts = [replaced(part, rules) for part in expr.args]
    if all(new is old for new, old in zip(parts, expr.args, strict=True)):
        return expr
    if isinstance(expr, (sp.Add, sp.Mul, sp.Pow, sp.Function)):
        return expr.func(*parts, evaluate=False)
    return expr.func(*parts)


# --- how printers read them ----------------------------------------------------------------------


def signed(expr: sp.Expr) -> tuple[bool, sp.Expr]:
    """Whether ``expr`` carries a minus in front, and what it is without."""
    if expr.is_Number:
        return bool(expr < 0), abs(expr)
    if isinstance(expr, sp.Mul) and expr.args[0].is_Number and expr.args[0] < 0:
        first, *others = expr.args
        if first != -1:
            others.insert(0, -first)
        return True, others[0] if len(others) == 1 else sp.Mul(*others, evaluate=False)
    return False, expr


def terms(expr: sp.Expr) -> list[tuple[bool, sp.Expr]]:
    """The terms of a sum in order, each with its sign; SymPy's own begin with one that is added."""
    parts = [signed(part) for part in _chain(expr, sp.Add)]
    if parts[0][0] and not all(negative for negative, _ in parts) and expr == released(expr):
        first = next(place for place, (negative, _) in enumerate(parts) if not negative)
        parts.insert(0, parts.pop(first))
    return parts


def fractions(expr: sp.Expr) -> list[tuple[list[sp.Expr], list[sp.Expr]]]:
    """The factors of a product in order, as fractions (above, below) one after the other."""
    groups: list[tuple[list[sp.Expr], list[sp.Expr]]] = [([], [])]
    flat = isinstance(expr, sp.Mul) and expr == released(expr)
    for factor in _chain(expr, sp.Mul):
        for above, below in _split(factor):
            if above is not None:
                if groups[-1][1] and not flat:
                    groups.append(([], []))
                if above != 1 or not isinstance(expr, sp.Mul):
                    groups[-1][0].append(above)
            if below is not None:
                parts = _chain(below, sp.Mul)
                whole = any(_split(part)[0][0] is None for part in parts)
                groups[-1][1].extend([below] if whole else parts)
    return groups


def _chain(expr: sp.Expr, kind: type[sp.Expr]) -> list[sp.Expr]:
    """What ``a + b + c`` or ``a*b*c`` was put together from, left to right."""
    if not isinstance(expr, kind):
        return [expr]
    if kind is sp.Mul and len(expr.args) > 2:  # SymPy's own; a held one is a pair
        return list(expr.as_ordered_factors())
    first, *others = expr.args
    return [*_chain(first, kind), *others]


def _split(factor: sp.Expr) -> list[tuple[sp.Expr | None, sp.Expr | None]]:
    """What a factor puts above and below the line."""
    if isinstance(factor, sp.Rational) and factor.q != 1:
        return [(sp.Integer(factor.p), None), (None, sp.Integer(factor.q))]
    if isinstance(factor, sp.Pow) and factor.exp.is_Rational and factor.exp < 0:
        below = factor.base if factor.exp == -1 else sp.Pow(factor.base, -factor.exp)
        return [(None, below)]
    return [(factor, None)]


# --- from text -----------------------------------------------------------------------------------


def plain(name: str) -> str:
    r"""How a letter is typed: ``\sigma_W^2`` is sigma_W2, ``\dot{R}`` dotR and ``U'`` U_prime."""
    for sign in "\\^{}()":
        name = name.replace(sign, "")
    return name.replace("'", "_prime").replace(" ", "_")


def letters(*expressions: sp.Basic) -> dict[str, Any]:
    """The letters of expressions by how they are typed: symbols, arrays and functions."""
    found: dict[str, Any] = {}
    for expr in expressions:
        for part in sp.preorder_traversal(expr):
            if isinstance(part, sp.Indexed):
                found[plain(str(part.base.label))] = part.base
            elif isinstance(part, sp.Function):
                found[part.func.__name__] = part.func
    arrays = set(found)
    for expr in expressions:
        symbols = {plain(symbol.name): symbol for symbol in expr.atoms(sp.Symbol)}
        found |= {name: symbol for name, symbol in symbols.items() if name not in arrays}
    return found


def parse(text: str, known: Mapping[str, Any]) -> sp.Expr:
    """A held expression from text; FormError for what it cannot mean."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _read(tree.body, {**HEADS, **known})
    except (SyntaxError, KeyError, TypeError) as error:
        raise FormError(f"{text!r} cannot be read: {error!r}") from None


def _read(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return sp.Integer(node.value)
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Tuple):
        return tuple(_read(part, known) for part in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return minus(_read(node.operand, known))
    if isinstance(node, ast.BinOp):
        return _joined(node.op, _read(node.left, known), _read(node.right, known))
    if isinstance(node, ast.Subscript):
        return _read(node.value, known)[_read(node.slice, known)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments = [_read(part, known) for part in node.args]
        if node.func.id == "sqrt":
            return sp.Pow(*arguments, sp.S.Half, evaluate=False)
        head = known[node.func.id]
        is_function = isinstance(head, type) and issubclass(head, sp.Function)
        return head(*arguments, evaluate=False) if is_function else head(*arguments)
    raise FormError(f"{ast.unparse(node)} has no meaning in a form")


def _joined(operator: ast.operator, left: sp.Expr, right: sp.Expr) -> sp.Expr:
    if isinstance(operator, ast.Add):
        return plus(left, right)
    if isinstance(operator, ast.Sub):
        return plus(left, minus(right))
    if isinstance(operator, ast.Mult):
        return times(left, right)
    if isinstance(operator, ast.Div):
        return over(left, right)
    if isinstance(operator, ast.Pow):
        return sp.Pow(left, right, evaluate=False)
    raise FormError(f"{type(operator).__name__} has no meaning in a form")
