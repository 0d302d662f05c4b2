"""How much memory a training takes at least, and whether this machine has it."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from meanfield.errors import ParameterError
from simulate.machine import dtype_of
from simulate.settings import Experiment, Machine

GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def least_bytes(experiment: Experiment, machine: Machine) -> int:
    """Return what the arrays of one seed take at least, whatever the order of the work.

    machine: a kernel that is not found out yet counts as the one that takes less.
    """
    p, training, schedule = experiment.parameters, experiment.training, experiment.schedule
    real, logic = dtype_of(machine).itemsize, p.K * p.N**2
    moments = 0 if training.optimizer == "sgd" else 2
    sequences, E = training.n_train + schedule.n_test, schedule.train_epochs // schedule.eval_every
    tokens = (sequences * (2 * p.T + 1) + p.K * p.N) * (2 if max(p.N, p.K) <= 2**16 else 4)
    total = logic * (8 + real * (2 + moments)) + tokens + E * p.T**2 * 8  # W is drawn in float64
    if machine.kernel == "torch":
        total += sequences * p.T * p.K * real  # actions, one-hot
    if not training.fix_embedding:
        total += sequences * p.T**2 * 8  # an attention matrix each
    return total


def machine_bytes(machine: Machine) -> float:
    """Return the memory of the device, as far as this process may have it; inf if unknown."""
    if machine.device == "cuda":
        return float(torch.cuda.mem_get_info()[1])
    limits = [math.inf]
    if hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        import resource

        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    if GROUP_LIMIT.exists() and (text := GROUP_LIMIT.read_text().strip()).isdigit():
        limits.append(int(text))
    return min(limit for limit in limits if limit > 0)  # RLIM_INFINITY is -1


def seeds_at_once(experiment: Experiment, machine: Machine) -> int:
    """Return how many seeds can fit into memory; ParameterError if one cannot."""
    there, needed = machine_bytes(machine), least_bytes(experiment, machine)
    if needed > there:
        raise ParameterError(f"{too_large(experiment, machine)}, and there are {there / 1e9:.3g}")
    return int(min(there // needed, len(experiment.seeds)))


def too_large(experiment: Experiment, machine: Machine) -> str:
    """Say what one seed takes."""
    p = experiment.parameters
    return (
        f"a seed of N = {p.N}, K = {p.K}, T = {p.T}, n_train = {experiment.training.n_train} takes "
        f"at least {least_bytes(experiment, machine) / 1e9:.3g} GB of memory"
    )
