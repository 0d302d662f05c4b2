"""Many tasks on many processes or machines, by Dask: a local cluster, a running one, or SLURM.

Results come back as they are done, a bounded number being under way at a time. A worker that dies
(killed, out of memory, its machine gone) costs nothing but its current task, which another does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from meanfield.checks import option
from meanfield.errors import FileError, ParameterError

AHEAD = 4  # tasks under way for each worker, so that none waits
DEATHS = 20  # of workers over one task, before it is held to be the cause
PATIENCE = 60  # seconds to wait for a scheduler that does not answer


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where tasks run.

    workers: processes of the local cluster, 0 for none: one task after the other, right here; None:
    as many as cores. memory: of each worker, "2GiB"; a worker that needs more is started again.
    scheduler: address of a running Dask scheduler instead, "tcp://host:8786".
    slurm: jobs to ask a SLURM queue for instead, each one worker. queue, walltime, account: of
    these jobs. directives: further #SBATCH lines, ("--gres=gpu:1",). Anything else, and every
    default, is Dask's own jobqueue.yaml.
    """

    workers: int | None = option(
        None, "local processes; 0 for none, one after the other", least=0, metavar="COUNT"
    )
    memory: str | None = option(None, "of each worker, such as 2GiB", metavar="SIZE")
    scheduler: str | None = option(
        None, "of a Dask cluster that is running", metavar="tcp://HOST:PORT"
    )
    slurm: int | None = option(None, "workers to ask a SLURM queue for", least=1, metavar="JOBS")
    queue: str | None = option(None, "of the SLURM jobs")
    walltime: str | None = option(None, "of the SLURM jobs", metavar="HH:MM:SS")
    account: str | None = option(None, "of the SLURM jobs")
    directives: tuple[str, ...] = option(
        (), "a further #SBATCH line: --directive=--gres=gpu:1", flag="directive", metavar="LINE"
    )

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        chosen = [
            name for name in ("workers", "scheduler", "slurm") if getattr(self, name) is not None
        ]
        if len(chosen) > 1:
            raise ParameterError(f"--{chosen[0]} and --{chosen[1]} exclude one another")
        for name, least in (("workers", 0), ("slurm", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ParameterError(f"--{name} must be at least {least}, not {value}")
        jobs_only = [n for n in ("queue", "walltime", "account", "directives") if getattr(self, n)]
        if self.slurm is None and jobs_only:
            raise ParameterError(f"--{jobs_only[0]} needs --slurm")
        if self.scheduler is not None and self.memory is not None:
            raise ParameterError(
                "--memory is for workers started here, not for a running scheduler"
            )

    @property
    def count(self) -> int:
        """Workers there will be, 1 if not known."""
        if self.scheduler is not None:
            return 1
        return max(1, self.slurm or (os.cpu_count() or 1 if self.workers is None else self.workers))


def run(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], cluster: Cluster
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (task, function(*task)) as they are done, in any order; tasks are drawn as needed.

    Raises what the function raises, and FileError if there is no cluster or it is lost.
    """
    if cluster.workers == 0:
        for task in tasks:
            yield task, function(*task)
        return
    from dask.distributed import as_completed
    from distributed.scheduler import KilledWorker

    waiting = iter(tasks)
    with _client(cluster) as client:
        under_way: dict[Any, tuple[Any, ...]] = {}
        deaths: dict[Any, int] = {}

        def submit(count: int) -> list[Any]:
            new = []
            for task in islice(waiting, count):
                future = client.submit(function, *task, pure=False)
                under_way[future] = task
                new.append(future)
            return new

        first = submit(AHEAD * max(len(client.nthreads()), cluster.count))
        done = as_completed(first, loop=client.loop)
        for future in done:
            if future.status == "lost" or future.cancelled():
                raise FileError("the connection to the scheduler was lost: --resume goes on")
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                allowed = future.exception().allowed_failures  # before we are told of a death
                deaths[future] = deaths.get(future, allowed) + 1
                if deaths[future] >= DEATHS:
                    raise FileError(
                        f"workers died {deaths[future]} times over one task: give them more "
                        "--memory, then --resume goes on"
                    )
                client.retry([future])
                done.add(future)
                continue
            result = future.result()
            task = under_way.pop(future)
            future.release()
            yield task, result
            more = AHEAD * len(client.nthreads()) - len(under_way)
            for new in submit(max(1, more)):
                done.add(new)


@contextmanager
def _client(cluster: Cluster) -> Iterator[Any]:
    """Give a Dask client of the cluster; what was started for it is stopped afterwards."""
    import dask
    from dask.distributed import Client

    patience = {"distributed.comm.timeouts.connect": f"{PATIENCE}s"}
    with dask.config.set(patience), ExitStack() as stack:
        if cluster.scheduler is not None:
            where: Any = cluster.scheduler
        elif cluster.slurm is not None:
            where = stack.enter_context(slurm_cluster(cluster))
            where.scale(jobs=cluster.slurm)
        else:
            where = stack.enter_context(_local_cluster(cluster))
        try:
            client = stack.enter_context(Client(where, set_as_default=False))
        except (OSError, ValueError) as error:
            raise FileError(f"no scheduler answers at {cluster.scheduler}: {error}") from None
        yield client


@contextmanager
def _local_cluster(cluster: Cluster) -> Iterator[Any]:
    """Give a cluster of processes on this machine, which is stopped afterwards."""
    from dask.distributed import LocalCluster

    local = LocalCluster(
        n_workers=cluster.count,
        threads_per_worker=1,
        memory_limit=cluster.memory or "auto",
        silence_logs=logging.CRITICAL,  # a worker that dies is no news here
        dashboard_address="127.0.0.1:0",  # for this machine alone, at any free port
    )
    try:
        yield local
    finally:
        # Dask asserts that a worker is not just being started again; it ends with this process
        with suppress(AssertionError):
            local.close()


def slurm_cluster(cluster: Cluster) -> Any:
    """Return the cluster of a SLURM queue, no job asked for yet; FileError if it cannot be."""
    try:
        from dask_jobqueue import SLURMCluster
    except ModuleNotFoundError:
        raise FileError('--slurm needs dask-jobqueue: pip install --editable ".[slurm]"') from None
    given = {"queue": cluster.queue, "walltime": cluster.walltime, "account": cluster.account}
    return SLURMCluster(
        cores=1,
        processes=1,
        memory=cluster.memory or "4GiB",
        job_extra_directives=list(cluster.directives),
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        **{name: value for name, value in given.items() if value is not None},
    )
