"""Timing in turns, and the memory of a process of one's own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


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


def peak_memory(code: str) -> float:
    """Most memory, in MB, that a new Python process had while running `code`."""
    own = f"import resource\n{code}\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", own], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * _RSS_UNIT / 1e6


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
