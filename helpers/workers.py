"""Processes beside this one, in which networks are trained: how many, and when they end.

A training has one process to itself, since networks in threads draw from the same random numbers,
and one thread, since the number of threads decides its last digits.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

import joblib
import psutil
from joblib.externals import loky
from joblib.externals.loky.process_executor import TerminatedWorkerError

Task = TypeVar("Task")

#: Processes that wait for work, each a pool of its own: one of several ends as a whole when the
#: system kills one of them, with all that they were at, and does not say who was the cause.
Processes = list[loky.ProcessPoolExecutor]


class KilledError(RuntimeError):
    """The process that was at it was killed twice, as the system does when memory runs out."""


def side_by_side(jobs: int, memory: float) -> int:
    """How many tasks to do at once.

    Args:
        jobs: the number asked for, or -1 for one on each core as far as memory goes
        memory: bytes that each needs

    Returns:
        at least 1
    """
    fit = max(1, int(psutil.virtual_memory().available // memory))
    return jobs if jobs > 0 else min(joblib.effective_n_jobs(jobs), fit)


@contextlib.contextmanager
def kept() -> Iterator[Processes]:
    """Processes that go on from one call of `each` to the next, and end with this context.

    Starting one takes longer than a small training.
    """
    idle: Processes = []
    try:
        yield idle
    finally:
        for process in idle:
            process.shutdown()


def each(
    function: Callable[[Task], Any],
    tasks: Iterable[Task],
    jobs: int,
    processes: Processes | None = None,
) -> Generator[tuple[Task, Any]]:
    """Do tasks in processes, some at once.

    Args:
        function: of a module, or a `functools.partial` of one
        tasks: what it is called with
        jobs: tasks at once
        processes: see `kept`; None starts some and ends them

    Yields:
        a task that has ended, and what the function returned, or `KilledError` as a value. When the
        generator is closed early, the processes are killed
    """
    busy: set[loky.ProcessPoolExecutor] = set()
    with (
        kept() if processes is None else contextlib.nullcontext(processes) as idle,
        warnings.catch_warnings(),
    ):
        # TensorFlow keeps the memory of networks that are gone; loky starts such a process afresh,
        # and says so.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)

        def run(task: Task) -> tuple[Task, Any]:
            try:
                return task, call(function, task, idle=idle, busy=busy)
            except KilledError as error:
                return task, error

        threads = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
        try:
            yield from threads(joblib.delayed(run)(task) for task in tasks)
        finally:
            for process in list(busy):  # none, unless it was ended early
                process.shutdown(kill_workers=True)


def call(
    function: Callable[..., Any],
    *arguments: Any,
    idle: Processes,
    busy: set[loky.ProcessPoolExecutor] | None = None,
) -> Any:
    """Call a function in a process that does nothing else meanwhile.

    Args:
        function: see `each`
        *arguments: of the function
        idle: see `kept`; the process is taken from them, or started, and then put there
        busy: holds the process while it is at work

    Raises:
        KilledError: see there
    """
    busy = set() if busy is None else busy
    for _ in range(2):
        try:
            process = idle.pop()
        except IndexError:
            process = loky.ProcessPoolExecutor(1, initializer=_end_with, initargs=(os.getpid(),))
        busy.add(process)
        try:
            result = process.submit(function, *arguments).result()
            idle.append(process)
            return result
        except TerminatedWorkerError:
            continue
        finally:
            busy.discard(process)
    raise KilledError("Its process was killed twice, as the system does when memory runs out.")


def _end_with(parent: int) -> None:
    """End this process when its parent was killed: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
