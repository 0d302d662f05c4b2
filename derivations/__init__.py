"""The theory as objects: every equation derived from the definitions, and checked (SymPy).

paper holds the paper's chapters in the order of the derivation (registry.CHAPTERS): definitions,
glu, logits, loss, overlaps, logic, attention, attention_closures, attention_course, dynamics,
thermodynamic_limit, regimes and rollout. beyond goes on: solution, matrices, attention_flow,
variances, finite_steps, fluctuations, scaling.

Each chapter holds its equations as functions under ``@equation``, with ``@check`` beside them, and
``@shown`` above one that is read in another form than SymPy's. statement says what those are, form
how a form is read and proof how it is proven; symbols holds the letters that chapters share, models
the independent models and tools that checks use. functions lists what is to be generated, code
writes it in NumPy and JavaScript, and formulas in LaTeX or for a terminal. generate writes the
files, report a page to read and appendix one to print.

    from derivations import equation, equations_of
    equation("14")                        # its formula, in a notebook
    equation("14").functions              # ("meanfield.generated.closure_rate_linear",)
    equations_of("closure_rate_linear")   # (14)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derivations.statement import Equation

__all__ = ["equation", "equations_of"]


def equation(number: str | int) -> Equation:
    """Return the equation of this number: ``"14"``, ``"(15a)"``, ``"X3c"``.

    It has ``statement`` (SymPy), ``latex``, ``steps``, ``follows_from``, ``used_by``, ``rests_on``,
    ``checks`` and ``functions``. Raises LookupError, with the nearest numbers, if there is none.
    """
    from derivations.lookup import equation

    return equation(number)


def equations_of(function: str | Callable[..., Any]) -> tuple[Equation, ...]:
    """Return the equations that a generated function, or the one of this name, is taken from.

    Raises LookupError, with the nearest names, if none has that name.
    """
    from derivations.lookup import equations_of

    return equations_of(function)
