"""Training: gradient, step, measurement, checkpoint, until the last epoch."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meanfield.errors import FileError, ParameterError
from meanfield.parameters import Parameters
from meanfield.runs.run import MEASURED, Run, checkpoint_of, read_run
from simulate import fused
from simulate.grouped import Grouped
from simulate.model import Transformer
from simulate.observe import Data, attention_of, measure
from simulate.optimizer import Optimizer
from simulate.settings import Training
from simulate.task import Sequences, Task, batches, make

DTYPES = {"float32": torch.float32, "float64": torch.float64}
KERNELS = ("auto", "torch", "fused")
HISTORY = (*MEASURED, "attention")

Report = Callable[[int, dict[str, NDArray[Any]]], None]
Say = Callable[[str], None]


def train(
    parameters: Parameters,
    training: Training,
    seeds: Sequence[int],
    *,
    path: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    dtype: str = "float32",
    kernel: str = "auto",
    each: fused.Each = map,
    report: Report = lambda epoch, measured: None,
    say: Say = lambda message: None,
) -> Run:
    """Train one model a seed and return what was measured.

    path: the run file to write; a checkpoint beside it is renewed at every evaluation.
    resume: go on from that checkpoint if there is one.
    device: "auto", "cpu" or "cuda". dtype: of W and of the sequences, "float32" or "float64".
    kernel: "torch" anywhere; "fused" with fixed embeddings, a CPU and a C compiler; "auto": fused
        where it can be.
    each: how the fused kernel goes through seeds: map, or that of a thread pool, side by side.
    report: called with the epoch and the measured arrays at every evaluation.
    say: called with a sentence when a seed diverges.

    Raises ParameterError for what cannot be, FileError for a checkpoint of another run.
    """
    where = torch_device(device)
    if dtype not in DTYPES:
        raise ParameterError(f'dtype must be "float32" or "float64", not {dtype!r}')
    real, N, K = DTYPES[dtype], parameters.N, parameters.K
    kernel = choose_kernel(kernel, parameters, real, where, training)
    task = make(parameters, training, seeds)
    model = Transformer(
        parameters, task, fix_embedding=training.fix_embedding, dtype=real, device=where
    )
    optimizer = Optimizer(training.optimizer, parameters.lr, training.weight_decay)

    def data(sequences: Sequences) -> Data:
        if kernel == "fused":
            return fused.Fused(sequences, N=N, K=K, dtype=real, each=each)
        return Grouped(sequences, N=N, K=K, dtype=real, device=where)

    train_data, test_data = data(task.train), data(task.test)
    q_start, k_start = (vector.cpu().numpy() for vector in model.vectors)
    history: dict[str, list[NDArray[Any]]] = {name: [] for name in HISTORY}
    epochs: list[int] = []
    diverged: dict[int, int] = {}
    settings = {"dtype": dtype, "device": where.type, "kernel": kernel}
    about = {**settings, **made_with(where)}

    def run(complete: bool) -> Run:
        q_end, k_end = (vector.cpu().numpy() for vector in model.vectors)
        return Run(
            parameters=parameters,
            training=asdict(training),
            seeds=np.array(seeds),
            epoch=np.array(epochs),
            **{name: np.stack(values, axis=1) for name, values in history.items()},
            permutations=task.permutations,
            q_start=q_start,
            k_start=k_start,
            q_end=q_end,
            k_end=k_end,
            W_end=model.W.detach().cpu().numpy(),
            diverged=diverged,
            made_with=about,
            complete=complete,
            state={} if complete else state_of(model, optimizer),
        )

    if resume and path is not None and checkpoint_of(path).exists():
        old = read_run(checkpoint_of(path), unfinished=True)
        _check_same(old, parameters, training, seeds, settings, checkpoint_of(path))
        load_state(model, optimizer, old.state)
        diverged.update(old.diverged)
        epochs.extend(old.epoch.tolist())
        for name in HISTORY:
            history[name].extend(np.moveaxis(getattr(old, name), 1, 0))
    broken = torch.zeros(len(seeds), dtype=torch.int64, device=where)  # epoch of divergence, or 0

    for epoch in range(epochs[-1] if epochs else 0, training.train_epochs + 1):
        last = epoch == training.train_epochs
        if (epoch % training.eval_every == 0 or last) and epoch not in epochs[-1:]:
            measured = measure(model, task, train_data, test_data)
            for index, (seed, at) in enumerate(zip(seeds, broken.tolist(), strict=True)):
                if seed not in diverged and (at or not all_finite(measured, index)):
                    diverged[seed] = at or epoch
                    say(
                        f"seed {seed} diverged at epoch {at or epoch}: its numbers are no longer "
                        f"finite; it is stopped, try a smaller lr such as {parameters.lr / 4:g}"
                    )
                for name in HISTORY if seed in diverged else ():
                    measured[name][index] = np.nan
            for name in HISTORY:
                history[name].append(measured[name])
            epochs.append(epoch)
            if path is not None and not last:
                run(complete=False).save(checkpoint_of(path))
            report(epoch, measured)
        if last or len(diverged) == len(seeds):
            break
        step(model, optimizer, task, train_data, data, training, epoch)
        broken = torch.where((broken == 0) & ~finite(model), epoch + 1, broken)
    result = run(complete=True)
    if path is not None:
        result.save(path)
        checkpoint_of(path).unlink(missing_ok=True)
    return result


def step(
    model: Transformer,
    optimizer: Optimizer,
    task: Task,
    train_data: Data,
    data: Callable[[Sequences], Data],
    training: Training,
    epoch: int,
) -> None:
    """Train for one epoch (13)."""
    weights = learnable(model)
    if not training.full_batch:
        for chosen in batches(training, task.seeds, epoch):
            batch = task.train.take(chosen)
            optimizer.step(weights, gradient(model, data(batch), batch))
        return
    if training.integrator == "sgd":
        optimizer.step(weights, gradient(model, train_data, task.train))
        return
    # u1 = u + h f(u); u2 = 3/4 u + 1/4 (u1 + h f(u1)); then 1/3 u + 2/3 (u2 + h f(u2))
    start = {name: weight.detach().clone() for name, weight in weights.items()}
    for kept in (0, 3 / 4, 1 / 3):
        optimizer.step(weights, gradient(model, train_data, task.train))
        with torch.no_grad():
            for name, weight in weights.items():
                weight.lerp_(start[name], kept)


def gradient(model: Transformer, data: Data, sequences: Sequences) -> dict[str, Tensor]:
    """Return the exact gradient of the loss (7) by every learnable parameter."""
    W = model.W.detach()
    if model.fix_embedding:
        A = model.attention()
        by_A, by_W = data.gradient(A, W)
        by_q, by_k = model.attention_gradient(A, by_A)
        by_query, by_key = (by[..., None].expand_as(model.query) for by in (by_q, by_k))
        return {"query": by_query, "key": by_key, "W": by_W}
    A = attention_of(model, sequences)
    by_A, by_W = data.gradient(A.detach(), W)
    by = torch.autograd.grad(A, (model.query, model.key, model.embedding), by_A)
    return {"query": by[0], "key": by[1], "embedding": by[2], "W": by_W}


def learnable(model: Transformer) -> dict[str, nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def finite(model: Transformer) -> Tensor:
    """Return for each seed whether all its weights are finite, (B,)."""
    weights = [torch.isfinite(weight.detach()).flatten(1).all(1) for weight in model.parameters()]
    return torch.stack(weights).all(0)


def all_finite(measured: dict[str, NDArray[Any]], index: int) -> bool:
    """Whether everything measured on one seed is finite."""
    return all(bool(np.all(np.isfinite(values[index]))) for values in measured.values())


def torch_device(name: str) -> torch.device:
    """Return the device; "auto" is a GPU where there is one. ParameterError if there is none."""
    if name not in ("auto", "cpu", "cuda"):
        raise ParameterError(f"device must be auto, cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device must be auto or cpu here: torch finds no GPU for 'cuda'")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_kernel(
    name: str, p: Parameters, dtype: torch.dtype, device: torch.device, training: Training
) -> str:
    """Return "torch" or "fused"; ParameterError where fused is asked for but cannot be."""
    if name not in KERNELS:
        raise ParameterError(f"kernel must be auto, torch or fused, not {name!r}")
    if name == "torch":
        return name
    if device.type != "cpu":
        obstacle = "it runs on a CPU only"
    elif not training.fix_embedding:
        obstacle = "it needs fixed embeddings"
    elif fused.library(p.N, p.K, p.T, dtype) is None:
        obstacle = "there is no C compiler that can build it"
    else:
        return "fused"
    if name == "fused":
        raise ParameterError(f"kernel must be auto or torch here, not 'fused': {obstacle}")
    return "torch"


def state_of(model: Transformer, optimizer: Optimizer) -> dict[str, NDArray[Any]]:
    """Return all that the next step depends on, as arrays."""
    state: dict[str, Tensor] = {
        f"model/{name}": weight for name, weight in model.named_parameters()
    }
    for name, (mean, square) in optimizer.moments.items():
        state |= {f"mean/{name}": mean, f"square/{name}": square}
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    return {**arrays, "steps": np.array(optimizer.steps)}


@torch.no_grad()
def load_state(model: Transformer, optimizer: Optimizer, state: dict[str, NDArray[Any]]) -> None:
    """Undo state_of."""
    optimizer.steps = int(state["steps"])
    for name, weight in model.named_parameters():
        weight.copy_(torch.from_numpy(state[f"model/{name}"]))
        if f"mean/{name}" in state:
            optimizer.moments[name] = tuple(  # type: ignore[assignment]  # a pair
                torch.from_numpy(state[f"{kind}/{name}"]).to(weight.device)
                for kind in ("mean", "square")
            )


def made_with(device: torch.device) -> dict[str, Any]:
    """Return versions, processor and commit, as far as they can be found out."""
    result = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "processor": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
    }
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
        )
        result["commit"] = answer.stdout.strip() if answer.returncode == 0 else None
    except OSError:  # no git here
        result["commit"] = None
    return result


def _check_same(
    old: Run,
    parameters: Parameters,
    training: Training,
    seeds: Sequence[int],
    settings: dict[str, str],
    path: Path,
) -> None:
    """Raise FileError if a checkpoint is not of this very run."""
    wanted = {**asdict(parameters), **asdict(training), "seeds": list(seeds), **settings}
    found = {
        **asdict(old.parameters), **old.training, "seeds": old.seeds.tolist(),
        **{name: old.made_with.get(name) for name in settings},
    }  # fmt: skip
    for name, value in wanted.items():
        if found.get(name) != value:
            raise FileError(
                f"{path} was begun with {name} = {found.get(name)!r}, not {value!r}: resume with "
                "the same settings, or start again elsewhere"
            )
