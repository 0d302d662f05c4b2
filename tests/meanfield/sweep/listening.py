"""Where the processes of a command listen for connections, seen from outside."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress


def addresses(process: subprocess.Popen[str], mark: str = "") -> set[str]:
    """Return the addresses at which a command and its children listen while it runs.

    mark: a process with this in its command line belongs to it as well.
    """
    import psutil

    found = set()
    while process.poll() is None:
        with suppress(psutil.Error):  # what has just ended
            root = psutil.Process(process.pid)
            others = [each for each in psutil.process_iter() if mark and mark in _words(each)]
            for each in (root, *root.children(recursive=True), *others):
                found |= _listening(each)
        time.sleep(0.1)
    return found


def _words(process: object) -> str:
    import psutil

    try:
        return " ".join(process.cmdline())  # type: ignore[attr-defined]
    except psutil.Error:
        return ""


def _listening(process: object) -> set[str]:
    import psutil

    try:
        connections = process.net_connections("inet")  # type: ignore[attr-defined]
    except psutil.Error:
        return set()
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
