"""Mean-field theory of chain-of-thought state tracking, as numbers (NumPy and SciPy only)."""

from meanfield.parameters import ParameterError, Parameters
from meanfield.prediction import predict
from meanfield.trajectory import Trajectory

__all__ = ["ParameterError", "Parameters", "Trajectory", "predict"]
