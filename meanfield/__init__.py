"""Mean-field theory of chain-of-thought state tracking, as numbers (NumPy and SciPy only).

Parameters in, a Trajectory out: ``predict``. Below it, generated holds the equations; closures and
attention say what G is, dynamics and flow solve (15), lock and quadrature take the exact way for
many models at once, accuracy and sampled give (17), (18), seeds many initialisations, scaling the
exponents. runs, measured and comparison read trained models and hold theory against them; grid,
grid_store, grid_theory and workers fill a sweep. Commands: predict, compare, explore, sweep.
"""

from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory

__all__ = ["ParameterError", "Parameters", "Trajectory", "predict"]
