"""Many tasks on many processes or machines, by Dask: a local cluster, a running one, or SLURM.

Results come back as they are done, a bounded number being under way at a time. A worker that dies
(killed, out of memory, its machine gone) costs nothing but its current task, which another does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from meanfield.checks import option
from meanfield.errors import FileError, ParameterError

AHEAD = 4  # tasks under way for each worker, so that none waits
DEATHS = 20  # of workers over one task, before it is held to be the cause
CLOSING = 30  # seconds for workers to stop
PATIENCE = 8  # seconds to wait for a scheduler that does not answer
LOCAL = "127.0.0.1:0"  # of what shows the state: for one machine alone, at any free port
LEAST_MEMORY = 128 * 2**20  # bytes: a worker with NumPy and SciPy alone takes about as much


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
        if self.memory is not None:
            _check_memory(self.memory)

    @property
    def count(self) -> int:
        """Workers there will be, 1 if not known."""
        if self.scheduler is not None:
            return 1
        return max(1, self.slurm or (os.cpu_count() or 1 if self.workers is None else self.workers))


def _check_memory(text: str) -> None:
    """Raise ParameterError for no size, or for one that no worker starts in."""
    from dask.utils import parse_bytes

    try:
        size = parse_bytes(text)
    except ValueError:
        raise ParameterError(f"--memory must be a size such as 2GiB, not {text!r}") from None
    if size < LEAST_MEMORY:
        raise ParameterError(f"--memory must be at least 128MiB, what Python takes, not {text!r}")


def run(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    cluster: Cluster,
    client: Any = None,
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (task, function(*task)) as they are done, in any order; tasks are drawn as needed.

    client: what ``started`` gives of the cluster; it is started here unless given.
    Raises what the function raises, and FileError if there is no cluster or it is lost.
    """
    if cluster.workers == 0:
        for task in tasks:
            yield task, function(*task)
        return
    from dask.distributed import as_completed
    from distributed.scheduler import KilledWorker

    waiting = iter(tasks)
    with nullcontext(client) if client else started(cluster) as client:
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
def started(cluster: Cluster) -> Iterator[Any]:
    """Give a Dask client of the cluster, None if there is none; what was started is stopped again.

    Raises FileError if there is no such cluster: no queue here, no scheduler that answers.
    """
    if cluster.workers == 0:
        yield None
        return
    import dask
    from dask.distributed import Client

    with ExitStack() as stack:
        if cluster.scheduler is not None:
            patience = {"distributed.comm.timeouts.connect": f"{PATIENCE}s"}
            stack.enter_context(dask.config.set(patience))
            _knock(cluster.scheduler)
            try:
                client = stack.enter_context(Client(cluster.scheduler, set_as_default=False))
            except (OSError, ValueError) as error:
                raise FileError(f"no scheduler answers at {cluster.scheduler}: {error}") from None
        else:
            here = _slurm_jobs if cluster.slurm is not None else _local_cluster
            where = stack.enter_context(here(cluster))
            client = stack.enter_context(Client(where, set_as_default=False))
        yield client


def _knock(address: str) -> None:
    """Raise FileError unless a scheduler answers at an address: soon, where Dask would wait."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.core import rpc
    from distributed.security import Security

    async def identity() -> Any:
        known = Security().get_connection_args("client")
        async with rpc(address, timeout=PATIENCE, connection_args=known) as there:
            return await asyncio.wait_for(there.identity(), PATIENCE)

    try:
        scheme, rest = parse_address(address)
        if scheme in ("tcp", "tls"):  # who is not there refuses at once
            socket.create_connection(parse_host_port(rest), timeout=PATIENCE).close()
        kind = asyncio.run(identity())["type"]
    except Exception as error:  # what answers may be anything
        kind = " ".join(str(error).split()) or "what is there does not speak as one"
    if kind != "Scheduler":
        raise FileError(f"no scheduler answers at {address}: {kind}")


@contextmanager
def _local_cluster(cluster: Cluster) -> Iterator[Any]:
    """Give a cluster of processes on this machine, which is stopped afterwards."""
    from dask.distributed import LocalCluster

    local = LocalCluster(
        n_workers=cluster.count,
        threads_per_worker=1,
        memory_limit=cluster.memory or "auto",
        silence_logs=logging.CRITICAL,  # a worker that dies is no news here
        dashboard_address=LOCAL,
    )
    try:
        yield local
    finally:
        # a worker that is just being started again trips Dask up; it ends with this process
        with suppress(AssertionError, TimeoutError):
            local.close(timeout=CLOSING)


@contextmanager
def _slurm_jobs(cluster: Cluster) -> Iterator[Any]:
    """Give a cluster of jobs that a SLURM queue has taken; they are cancelled afterwards."""
    refusals: list[str] = []

    async def submitted() -> None:
        await jobs

    for name in ("asyncio", "tornado.application"):  # they tell of a refusal in many lines
        logging.getLogger(name).setLevel(logging.CRITICAL)
    jobs = slurm_cluster(cluster, refusals)
    jobs.scale(jobs=cluster.slurm)
    jobs.sync(submitted)
    try:
        if refusals:
            raise FileError(f"SLURM takes no job: {refusals[0]}")
        yield jobs
    finally:
        jobs.close()


def slurm_cluster(cluster: Cluster, refusals: list[str]) -> Any:
    """Return the cluster of a SLURM queue, no job asked for yet.

    refusals: takes what sbatch says when it refuses a job.
    """
    if shutil.which("sbatch") is None:
        raise FileError(
            "--slurm needs SLURM's command sbatch, which is not here: give the command on a "
            "machine where jobs are submitted"
        )
    try:
        import dask_jobqueue as jobqueue
        from distributed.core import Status
    except ModuleNotFoundError:
        raise FileError('--slurm needs dask-jobqueue: pip install --editable ".[slurm]"') from None

    class Job(jobqueue.slurm.SLURMJob):
        async def _submit_job(self, script: str) -> Any:
            try:
                return await super()._submit_job(script)
            except RuntimeError as error:
                told = str(error).partition("stderr:")[2] or str(error)
                refusals.append(" ".join(told.split()))
                self.status = Status.failed  # so that the cluster can be closed
                raise

    given = {"queue": cluster.queue, "walltime": cluster.walltime, "account": cluster.account}
    return jobqueue.SLURMCluster(
        job_cls=Job,
        cores=1,
        processes=1,
        memory=cluster.memory or "4GiB",
        job_extra_directives=list(cluster.directives),
        scheduler_options={"dashboard_address": LOCAL},
        worker_extra_args=["--no-dashboard", "--dashboard-address", LOCAL],
        **{name: value for name, value in given.items() if value is not None},
    )
