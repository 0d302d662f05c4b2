"""Where this process and those that it started listen for connections, seen from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def listening(mark: str = "") -> Iterator[set[str]]:
    """Give the addresses at which anything listens while the body runs; complete after it.

    mark: a process with this in its command line belongs to it as well.
    """
    import psutil

    found: set[str] = set()
    done, own = threading.Event(), psutil.Process()

    def watch() -> None:
        while not done.wait(0.1):
            family = [own, *own.children(recursive=True)]
            others = psutil.process_iter(["cmdline"]) if mark else ()
            marked = [each for each in others if mark in " ".join(each.info["cmdline"] or ())]
            for each in (*family, *marked):
                found.update(_addresses(each))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()


def _addresses(process: Any) -> set[str]:
    import psutil

    try:
        connections = process.net_connections("inet")
    except psutil.Error:  # it has just ended
        return set()
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
