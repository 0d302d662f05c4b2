"""What goes wrong by a user's hand: each error is one sentence that names the value and the remedy.

A command prints the sentence on stderr and ends with exit code 2.
"""


class ParameterError(ValueError):
    """A value that cannot be; the message names it and what is allowed."""


class FileError(ValueError):
    """A file that is not what it should be, or cannot be written; the message says which."""


class SolverError(RuntimeError):
    """The integrator gave up; the message says why, when, and what to try."""


MISTAKES = (ParameterError, FileError, SolverError)  # what a command tells in one sentence
