"""What an equation is here: one object, with its derivation and its checks.

A derivation is a generator. It receives the statements it follows from, in the order of
``follows_from`` and in no other way, and yields ``(words, formula)`` one step at a time; the last
formula is the statement. So a link "follows from" cannot be untrue: what is not named is not there.

    @shown("(C - y_c)/(N - 1)")
    @equation("12", "Mean other logit", follows_from=(sum_of_logits, mean_logits))
    def other_logit(sum_of_logits, mean_logits):
        yield "The N mean logits add up to C", ...
        yield "Solve for one of the N - 1 others", Eq(y_o, ...)

A check receives the statements it covers as arguments (never reads them elsewhere), so that the
tests can hand it a wrong statement and see it fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import ModuleType
from typing import TypeAlias

import sympy as sp

from derivations.code.latex import latex
from derivations.form import letters, parse
from derivations.proof import difference

Formula: TypeAlias = sp.Basic
Step: TypeAlias = tuple[str, Formula]
Derivation: TypeAlias = Callable[..., Iterator[Step]]


class Status(Enum):
    """How firmly the paper's prose fixes an equation."""

    DEFINITION = "definition"  # a choice that everything else follows from
    FORCED = "forced"  # what it follows from leaves one result; see also rests_on
    CLOSURE = "closure"  # an assumption the paper makes; something else could stand here
    BEYOND = "beyond"  # not in the paper


class Kind(Enum):
    """How a check is made, each in a way the derivation was not."""

    IDENTITY = "identity"  # another symbolic route, or a symbolic limit
    ENUMERATION = "enumeration"  # every action sequence and state of a small model, exact rationals
    NUMERIC = (
        "numeric"  # arbitrary-precision numbers: finite differences, quadrature, an ODE solved
    )
    MONTE_CARLO = "Monte Carlo"  # a seeded average, two-sided, with its standard error
    AUTOGRAD = "autograd"  # gradients of the real torch model; lives in tests/, needs torch


class CheckFailed(AssertionError):
    """A statement does not hold."""


def require(condition: object, complaint: str) -> None:
    """Raise CheckFailed with ``complaint`` unless ``condition`` is true (SymPy's true included)."""
    if not (condition is True or condition == sp.true):
        raise CheckFailed(complaint)


@dataclass(frozen=True, eq=False, repr=False)
class Equation:
    """One numbered equation. A notebook shows its formula.

    number: the paper's, e.g. ``"15a"``; ``"X2a"`` for results beyond the paper.
    derive: generator of steps, called with the statements of ``follows_from``.
    note: what a reader must know about the reading chosen (ambiguity, convention), or "".
    shown: the right side as it is to be read, usually the paper's; "" for SymPy's own order.
    """

    number: str
    title: str
    status: Status
    follows_from: tuple[Equation, ...]
    derive: Derivation
    note: str = ""
    shown: str = ""

    def __repr__(self) -> str:
        """Return the number and the title."""
        return f"<({self.number}) {self.title}>"

    def _repr_latex_(self) -> str:
        return f"$$ {self.latex} \\tag{{{self.number}}} $$"

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All steps of the derivation, the statement last."""
        steps = tuple(self.derive(*(parent.statement for parent in self.follows_from)))
        if not steps:
            raise ValueError(f"equation ({self.number}) yields no step")
        return steps

    @property
    def statement(self) -> sp.Eq:
        """The result: an ``Eq`` whose left side is what the equation determines."""
        statement = self.steps[-1][1]
        if not isinstance(statement, sp.Eq):
            raise TypeError(f"equation ({self.number}) ends with {statement!r}, not with an Eq")
        return statement

    @cached_property
    def form(self) -> sp.Eq:
        """The statement as it is shown, proven to be what was derived; CheckFailed if it is not."""
        if not self.shown:
            return self.statement
        right = parse(self.shown, letters(self.statement.rhs))
        found = difference(right, self.statement.rhs)
        require(not found, f"({self.number}) is not shown as derived, {self.shown}: {found}")
        return sp.Eq(self.statement.lhs, right, evaluate=False)

    @cached_property
    def latex(self) -> str:
        """The statement in LaTeX, for a display."""
        return latex(self.form, held=bool(self.shown))

    # what others make of it is known to the registry, which is built from the equations
    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks that cover it; ``run`` of one takes the statements of its ``covers``."""
        from derivations.registry import checks_of

        return tuple(checks_of(self))

    @property
    def used_by(self) -> tuple[Equation, ...]:
        """The equations that follow from it directly."""
        from derivations.registry import followers_of

        return tuple(followers_of(self))

    @property
    def rests_on(self) -> tuple[Equation, ...]:
        """The closures behind it: the assumptions that its derivation makes on the way."""
        from derivations.registry import rests_on

        return tuple(rests_on(self))

    @property
    def functions(self) -> tuple[str, ...]:
        """The generated functions that are taken from it: ``meanfield.generated.loss``, ..."""
        from derivations.lookup import functions_of

        return functions_of(self)


@dataclass(frozen=True, eq=False)
class Check:
    """One check of one or several equations.

    run: called with the statements of ``covers``; raises CheckFailed, or returns what it measured.
        None for a check that needs torch: then ``test`` names the pytest function that makes it.
    """

    covers: tuple[Equation, ...]
    kind: Kind
    says: str
    run: Callable[..., str] | None = field(repr=False)
    test: str = ""


def equation(
    number: str,
    title: str,
    *,
    status: Status = Status.FORCED,
    follows_from: tuple[Equation, ...] = (),
    note: str = "",
) -> Callable[[Derivation], Equation]:
    """Decorator: turn a generator of steps into an Equation."""

    def build(derive: Derivation) -> Equation:
        return Equation(number, title, status, follows_from, derive, note)

    return build


def shown(form: str) -> Callable[[Equation], Equation]:
    """Decorator above ``equation``: the form in which its right side is shown and generated.

    form: text in the letters of the statement, as ``derivations.form`` reads it.
    """
    return lambda equation: replace(equation, shown=form)


def check(*covers: Equation, kind: Kind, says: str) -> Callable[[Callable[..., str]], Check]:
    """Decorator: turn a function of the covered statements into a Check."""

    def build(run: Callable[..., str]) -> Check:
        return Check(covers, kind, says, run)

    return build


def tested_with_torch(*covers: Equation, says: str, test: str) -> Check:
    """A check by autograd of the real loss, made by the pytest function ``test``."""
    return Check(covers, Kind.AUTOGRAD, says, None, test)


def collect(modules: Iterable[ModuleType]) -> tuple[dict[str, Equation], tuple[Check, ...]]:
    """Gather the equations (by number, in the order derived) and the checks of ``modules``."""
    equations: dict[str, Equation] = {}
    checks: list[Check] = []
    for module in modules:
        for item in vars(module).values():
            if isinstance(item, Equation) and item.derive.__module__ == module.__name__:
                if item.number in equations:
                    raise ValueError(f"two equations are numbered ({item.number})")
                equations[item.number] = item
            elif isinstance(item, Check) and item not in checks:
                checks.append(item)
    return equations, tuple(checks)
