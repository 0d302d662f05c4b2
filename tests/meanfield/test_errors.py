"""What a user may have done wrong, and that the commands know all of it."""

from __future__ import annotations

import inspect

import meanfield
from meanfield import errors


def test_every_error_is_a_users_mistake_and_part_of_the_face() -> None:
    defined = {each for _, each in inspect.getmembers(errors, inspect.isclass)}
    assert set(errors.MISTAKES) == defined
    assert {each.__name__ for each in defined} <= set(meanfield.__all__)


def test_a_caller_who_knows_only_python_catches_them() -> None:
    assert issubclass(errors.ParameterError, ValueError)
    assert issubclass(errors.FileError, ValueError)
    assert issubclass(errors.SolverError, RuntimeError)
