"""Processes in which networks are trained: how many, and when they end.

Each training has a process of its own, since networks in threads draw from the same random numbers,
and one thread, since the number of threads decides its last digits.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

import joblib
import psutil
from joblib.externals import loky
from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

from helpers.cli import UserError
from helpers.storage import output_folder

Task = TypeVar("Task")


#: Bytes that a training needs: TensorFlow, and the features of some thousand clips.
TRAINING_MEMORY = 3e9


class KilledError(RuntimeError):
    """A task whose process was killed twice, as the system does when memory runs out."""


def side_by_side(jobs: int, memory: float) -> int:
    """How many tasks to do at once.

    Args:
        jobs: the number asked for, or -1 for one on each core as far as memory goes
        memory: bytes that each needs

    Returns:
        at least 1

    Raises:
        UserError: if no job is asked for
    """
    if jobs == 0:
        raise UserError("jobs is 0: name a number of processes, or -1 for one on each core.")
    fit = max(1, int(psutil.virtual_memory().available // memory))
    return jobs if jobs > 0 else min(joblib.effective_n_jobs(jobs), fit)


class Processes(contextlib.ExitStack):
    """Processes that are used again and again; they end with the context, the busy ones killed.

    Each is a pool of its own: when the system kills one process of a larger pool, the whole pool
    ends with all its work, and does not say which process was the cause.

    Attributes:
        idle: those that do nothing at the moment
    """

    def __init__(self) -> None:
        super().__init__()
        self.idle: list[loky.ProcessPoolExecutor] = []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a process that does nothing else meanwhile.

        Args:
            function: see `each`
            *arguments: of the function

        Returns:
            what the function returned, or a `KilledError` if the process is killed, and then
            another one, too
        """
        for _ in range(2):
            try:
                process = self.idle.pop()
            except IndexError:
                process = loky.ProcessPoolExecutor(1, initializer=prepare, initargs=(os.getpid(),))
                self.callback(self._end, process)
            try:
                future = process.submit(function, *arguments)
                _watch(process)
                result = future.result()
            except TerminatedWorkerError:
                continue
            except Exception as error:
                if not isinstance(error, BrokenProcessPool):  # which takes no other call
                    self.idle.append(process)
                raise
            self.idle.append(process)
            return result
        return KilledError("Its process was killed twice, as the system does when memory runs out.")

    def _end(self, process: loky.ProcessPoolExecutor) -> None:
        process.shutdown(kill_workers=process not in self.idle)


def _watch(process: loky.ProcessPoolExecutor) -> None:
    """Let loky watch the process that it has just started for a call, if it did.

    Where one ended, as it does when its memory has grown, loky starts the next one only after it
    listed which to watch, and would wait for ever for one that is killed. So it lists them again.
    """
    with process._flags.shutdown_lock:
        if process._executor_manager_thread_wakeup is not None:
            process._executor_manager_thread_wakeup.wakeup()


#: Those that the last call of `each` left: to start a process and to import TensorFlow there takes
#: longer than a small training. By the number of this process: a fork of it would wait for ever for
#: processes that answer its parent.
_kept: defaultdict[int, list[Processes]] = defaultdict(list)


@contextlib.contextmanager
def _processes() -> Generator[Processes]:
    """Those that a call left before this one, or new ones; all end when this one is broken off."""
    kept = _kept[os.getpid()]
    processes = kept.pop() if kept else Processes()
    try:
        yield processes
    except BaseException:
        processes.close()
        raise
    kept.append(processes)


def each(
    function: Callable[[Task], Any], tasks: Iterable[Task], jobs: int
) -> Generator[tuple[Task, Any]]:
    """Call a function with each task, in processes, several at once.

    The processes stay for the next call. They end with this process, or with a call that is
    broken off.

    Args:
        function: of a module, or a `functools.partial` of one
        tasks: the function is called with one of them
        jobs: tasks at once

    Yields:
        a task that has ended, and what the function returned, or a `KilledError` as a value
    """
    choices = {name: os.environ.get(name, "") for name in ("VALENCE_OUTPUT", "VALENCE_PRETRAINED")}
    choices["VALENCE_OUTPUT"] = str(output_folder())
    with _processes() as processes, warnings.catch_warnings():
        # TensorFlow does not free the memory of deleted networks; loky then restarts the process,
        # and warns of it.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)

        def run(task: Task) -> tuple[Task, Any]:
            return task, processes.call(_call, choices, function, task)

        threads = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
        yield from threads(joblib.delayed(run)(task) for task in tasks)


def _call(choices: dict[str, str], function: Callable[[Task], Any], task: Task) -> Any:
    """Call a function where the choices may have changed since the process was started."""
    os.environ.update(choices)
    return function(task)


def prepare(parent: int) -> None:
    """In a new process: draw no bars, and end when the parent was killed.

    Else it would wait for more work, for half a minute or for ever.

    Args:
        parent: number of the process that started this one
    """
    os.environ["TQDM_DISABLE"] = "1"

    def watch() -> None:
        # `os.getppid` says nothing on Windows, where the number of a parent that ended stays.
        with contextlib.suppress(psutil.NoSuchProcess):
            caller = psutil.Process(parent)
            while caller.is_running() and caller.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
