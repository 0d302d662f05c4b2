"""Sweeps on real clusters on this machine: workers that are killed, starved, or asked of a queue.

Every result must be complete and the serial one's, bit for bit.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meanfield.errors import FileError, ParameterError
from meanfield.sweep import __main__ as sweep
from meanfield.sweep import workers
from meanfield.sweep.workers import Cluster
from tests.meanfield.sweep.listening import listening
from tests.meanfield.sweep.small_grid import SMALL, swept, written

xarray = pytest.importorskip("xarray")
pytest.importorskip("distributed")

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "DASK_DISTRIBUTED__WORKER__DAEMON": "True",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
SHORT = f'theory = "linear+fluctuations"\n{SMALL}'
LONG = """
closure = "spectral"
epochs = [60, 120]
[grid]
N = { from = 4, to = 7 }
T = { from = 3, to = 5 }
lr = [1.0, 2.0]
"""


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The dataset of SHORT computed one point after the other in this process."""
    return swept(tmp_path_factory.mktemp("serial"), text=SHORT)


def command(folder: Path, *options: str, mark: str = "") -> set[str]:
    """Run the sweep of SHORT as its users do; return where it and its workers listen.

    mark: a process with this in its command line is one of its workers.
    """
    (folder / "grid.toml").write_text(SHORT, encoding="utf-8")
    with listening(mark) as found:
        done = started(folder, *options)
        _, said = done.communicate(timeout=240)
    assert done.returncode == 0, said
    return found


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "meanfield.sweep", "grid.toml", "--out",
         "sweep.zarr", *options],
        cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def dask(*arguments: str, log: Path | str = os.devnull) -> subprocess.Popen[bytes]:
    """Start a Dask process in a group of its own, so that it is killed with all its children."""
    with open(log, "wb") as said:
        return _dask(*arguments, said=said)


def _dask(*arguments: str, said: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        env=ENVIRONMENT, stdout=said, stderr=said,
        start_new_session=True,
    )  # fmt: skip


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """A running scheduler; its address."""
    import json

    told = folder / "scheduler.json"
    process = dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told))
    try:
        until(told.exists)
        yield json.loads(told.read_text(encoding="utf-8"))["address"]
    finally:
        kill(process)


def until(true: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def finished(folder: Path) -> int:
    """How many points a sweep under way has."""
    try:
        return int((xarray.open_zarr(folder / "sweep.zarr").status.values != 0).sum())
    except (OSError, ValueError, KeyError):
        return 0


def test_killed_and_starved_workers_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(LONG, encoding="utf-8")
    with scheduler(tmp_path) as address:

        def worker(memory: str, **log: Any) -> subprocess.Popen[bytes]:
            return dask("worker", address, "--nthreads", "1", "--memory-limit", memory, **log)

        log = tmp_path / "starved.log"
        starved = [worker("60MiB", log=log)]  # Python with NumPy and SciPy alone needs more

        def starvations() -> int:
            return log.read_text(encoding="utf-8").count("exceeded 95% memory budget")

        alive = [worker("2GiB")]
        killed = 0
        running = started(tmp_path, "--scheduler", address)
        try:
            for goal in (1, 8):  # each time the worker that works is killed for good
                until(lambda goal=goal: finished(tmp_path) >= goal)
                assert running.poll() is None
                kill(alive.pop())
                killed += 1
                alive.append(worker("2GiB"))
                if starved:
                    until(lambda: starvations() > 1)
                    kill(starved.pop())  # seen often enough, and it starts again without end
            _, said = running.communicate(timeout=240)
            assert running.returncode == 0, said
        finally:
            running.kill()
            for process in (*alive, *starved):
                kill(process)
    assert (killed, starved) == (2, [])
    whole = swept(tmp_path, text=LONG, out="serial.zarr")
    assert xarray.open_zarr(tmp_path / "sweep.zarr").load().identical(whole)


def test_a_local_cluster_gives_the_serial_numbers(serial: Any, tmp_path: Path) -> None:
    # scheduler, dashboard, nannies and workers: nobody else on the network reaches them
    assert command(tmp_path, "--workers", "2") == {"127.0.0.1"}
    assert xarray.open_zarr(tmp_path / "sweep.zarr").load().identical(serial)


def test_jobs_of_a_queue_give_the_serial_numbers(
    serial: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue's sbatch and scancel are stood in for by scripts that run and kill the job."""
    pytest.importorskip("dask_jobqueue")
    tools = tmp_path / "tools"
    tools.mkdir()
    log = tmp_path / "job.sh"
    for name, text in {
        "sbatch": f'cp "$1" {log}; setsid bash {log} >/dev/null 2>&1 & '
        'echo "Submitted batch job $!"',
        "scancel": 'kill -9 -- "-$1"; true',
    }.items():
        path = tools / name
        path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setitem(ENVIRONMENT, "PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setitem(ENVIRONMENT, "DASK_JOBQUEUE__SLURM__INTERFACE", "lo")
    heard = command(
        tmp_path, "--slurm", "1", "--queue", "long", "--walltime", "02:00:00", "--memory", "2GiB",
        "--directive=--gres=gpu:1", mark="SLURMCluster",
    )  # fmt: skip
    assert heard == {"127.0.0.1"}  # the interface that they were given, and nothing else
    assert xarray.open_zarr(tmp_path / "sweep.zarr").load().identical(serial)
    script = log.read_text(encoding="utf-8")
    for line in ("-p long", "-t 02:00:00", "--mem=2G", "--gres=gpu:1"):
        assert f"#SBATCH {line}" in script
    assert "--no-dashboard --dashboard-address 127.0.0.1:0" in script


def test_without_a_queue_or_when_it_refuses_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("dask_jobqueue")
    tools, out = tmp_path / "tools", tmp_path / "sweep.zarr"
    tools.mkdir()
    arguments = [str(written(tmp_path)), "--out", str(out), "--slurm", "2"]
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    for said in ("needs SLURM's command sbatch, which is not here", "takes no job: no such queue"):
        with pytest.raises(SystemExit, match="2"):
            sweep.main(arguments)
        assert said in capsys.readouterr().err
        assert {each.name for each in tmp_path.iterdir()} == {"tools", "grid.toml"}
        (tools / "sbatch").write_text(
            "#!/bin/sh\necho no such queue >&2; exit 1\n", encoding="utf-8"
        )
        (tools / "sbatch").chmod(0o755)


def _fails(value: int) -> int:
    raise ParameterError(f"{value} cannot be")


def test_what_a_task_raises_is_raised_here() -> None:
    with pytest.raises(ParameterError, match="3 cannot be"):
        list(workers.run(_fails, [(3,)], Cluster(workers=0)))


def test_a_task_whose_workers_die_is_tried_again_and_given_up_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    def dies_twice(folder: str) -> int:
        import os
        import tempfile

        if len(os.listdir(folder)) < 2:
            tempfile.mkstemp(dir=folder)
            os._exit(1)
        return 7

    one = Cluster(workers=1)

    def answers(name: str, patience: int) -> list[Any]:
        monkeypatch.setattr(workers, "DEATHS", patience)
        (tmp_path / name).mkdir()
        tasks = [(str(tmp_path / name),)]
        return [answer for _, answer in workers.run(dies_twice, tasks, one, client)]

    failures = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with failures, workers.started(one) as client:
        # the scheduler gives up after two deaths, and is asked to try again
        assert answers("patient", 3) == [7]
        with pytest.raises(FileError, match="workers died 2 times over one task: give them"):
            answers("impatient", 2)


def test_what_goes_wrong_when_a_cluster_is_stopped_hides_no_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dask.distributed import LocalCluster

    close = LocalCluster.close

    def asserts(cluster: Any, *arguments: Any, **options: Any) -> None:
        close(cluster, *arguments, **options)
        raise AssertionError("can only join a started process")

    monkeypatch.setattr(LocalCluster, "close", asserts)
    with pytest.raises(ParameterError, match="3 cannot be"):
        list(workers.run(_fails, [(3,)], Cluster(workers=1)))


def test_contradictions_are_told() -> None:
    for given, told in (
        ({"workers": 2, "scheduler": "tcp://a:1"}, "exclude one another"),
        ({"workers": -1}, "--workers must be at least 0, not -1"),
        ({"queue": "gpu"}, "--queue needs --slurm"),
        ({"scheduler": "tcp://a:1", "memory": "1GiB"}, "--memory is for workers started here"),
        ({"memory": "lots"}, "--memory must be a size such as 2GiB, not 'lots'"),
        ({"memory": "1MiB"}, "--memory must be at least 128MiB, what Python takes, not '1MiB'"),
    ):
        with pytest.raises(ParameterError, match=told):
            Cluster(**given)  # type: ignore[arg-type]


def test_a_scheduler_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grid.toml").write_text(LONG, encoding="utf-8")
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never speaks
        port = silent.getsockname()[1]
        for address in ("tcp://127.0.0.1:9", f"tcp://127.0.0.1:{port}", "nonsense://", "nonsense"):
            with pytest.raises(SystemExit, match="2"):
                sweep.main([str(tmp_path / "grid.toml"), "--out", str(tmp_path / "a.zarr"),
                            "--scheduler", address])  # fmt: skip
            assert f"no scheduler answers at {address}" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["grid.toml"]
