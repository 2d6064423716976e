"""Timing in turns, and the memory of a process of one's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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
