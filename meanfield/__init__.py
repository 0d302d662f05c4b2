"""Mean-field theory of chain-of-thought state tracking, as numbers (NumPy and SciPy only).

Parameters and a Theory in, a Trajectory out: ``predict``. The nouns stand at the top: parameters,
training, start, theory. A theory is composed of what the rooms attention, logic, loss and logits
hold, by dynamics; generated has the equations, numerics the tools that know no physics. The rooms
predict, runs, compare, sweep and explore use them, and four are commands.
"""

from meanfield.compare.comparison import compare
from meanfield.errors import FileError, ParameterError, SolverError
from meanfield.parameters import Parameters
from meanfield.predict.many import predict_many
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.read import read
from meanfield.start import Start
from meanfield.theory import Theory
from meanfield.training import Training

__all__ = [
    "FileError",
    "ParameterError",
    "Parameters",
    "SolverError",
    "Start",
    "Theory",
    "Training",
    "Trajectory",
    "compare",
    "predict",
    "predict_many",
    "read",
]
