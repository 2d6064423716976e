"""Timing in turns, and the memory of a process of one's own and of its children."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import psutil


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: what was measured
        value: the figure
        unit: of the figure
        against: what it is compared with
        other: the figure of that
    """

    what: str
    value: float
    unit: str
    against: str = ""
    other: float | None = None


def in_turns(functions: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Least time of each function in seconds; all are called once before, then in turns."""
    for function in functions.values():
        function()
    least = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            least[name] = min(least[name], time.perf_counter() - start)
    return least


def in_new_process(code: str) -> list[float]:
    """Numbers that `code` prints in a Python process of its own, then its most memory in MB."""
    own = f"from tests.benchmarks import measuring\n{code}\nprint(measuring.most_memory())"
    done = subprocess.run([sys.executable, "-c", own], capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def most_memory() -> float:
    """Most memory that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where ru_maxrss of a new process begins with its parent's
        kilobytes = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]
        return int(kilobytes) * 1024 / 1e6
    if os.name == "nt":
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


class Cost:
    """Seconds of a block, and the most memory that this process and its children had in it.

    Memory that processes share, and pages of files that are mapped, which the system takes back at
    any time, are left out.

    Attributes:
        seconds: how long the block took
        busy: seconds in which cores of this machine computed something
        memory: MB
    """

    def __enter__(self) -> Self:
        self.memory, self._ended = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        self._began, self._busy = time.perf_counter(), _busy()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.busy = time.perf_counter() - self._began, _busy() - self._busy
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.memory = max(self.memory, _own_memory() / 1e6)
            if self._ended.wait(0.2):
                return


def _busy() -> float:
    """Seconds in which cores computed something, since the machine was started."""
    times = psutil.cpu_times()
    return times.user + times.system


def _own_memory() -> int:
    """Bytes of this process and its children that belong to one process alone."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    own = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            memory = process.memory_info()
            own += memory.rss - getattr(memory, "shared", 0)  # which only Linux tells
    return own
