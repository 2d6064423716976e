"""How trainings are run: side by side on this machine, or on a Dask cluster.

Each training runs in a process of its own with one thread, so that neither the number of jobs nor
the order in which they end changes a bit of the result, and a process that is killed takes no
other training with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import platform
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from helpers import models, workers
from helpers.models import limit_threads
from helpers.results import commit, machine
from helpers.storage import Record
from helpers.tuning.trials import THREADS, Study, Training, TuningError, code

#: Seconds that a cluster has to answer.
TIMEOUT = 20

OUT_OF_MEMORY = "out of memory: use fewer jobs, smaller batches or a smaller network"

KILLED = f"its process was killed twice, as the system does when it is {OUT_OF_MEMORY}"


def carry_out(
    study: Study,
    trainings: Sequence[Training],
    *,
    jobs: int = -1,
    scheduler: str | None = None,
) -> Iterator[tuple[Training, Record, int]]:
    """Train, here or on a cluster, and store each training as it ends.

    Args:
        study: what the trainings share
        trainings: of different keys
        jobs: see `search`
        scheduler: see `search`

    Yields:
        a training that has ended, its record (see `Study`), and how many are running

    Raises:
        models.KernelSizeError: if a kernel is too large for the clips, before any training
        TuningError: see `search`
    """
    if not trainings:
        return
    shape = np.load(study.features, mmap_mode="r").shape[1:]
    memory = max(_memory(each, shape) for each in trainings)
    most = workers.side_by_side(jobs, memory)
    client = None if scheduler is None else _client(scheduler)
    if client is None:
        run = functools.partial(_train_once, study)
        ended = workers.each(run, trainings, most)
    else:
        ended = _on_dask(study, trainings, client)
    with contextlib.closing(ended):
        for done, (training, record) in enumerate(ended, start=1):
            if isinstance(record, workers.KilledError):
                record = _failed(KILLED)
            if client is not None:
                most = sum(client.ncores().values())
            yield training, record, min(most, len(trainings) - done)


def _memory(training: Training, shape: tuple[int, ...]) -> float:
    """Bytes that a training needs at most, estimated.

    The interpreter with TensorFlow; three times the values of each layer (its output, the gradient
    and room to compute both); four times the weights (with the gradient and Adam's two averages).
    """
    names = ("filters", "kernels", "units", "pool")
    size = models.parallel_cnn_size(shape, **{name: training.settings[name] for name in names})
    clips = training.settings["batch_size"]
    return 1e9 + 4 * (3 * clips * size.values + 4 * size.parameters)


def _on_dask(
    study: Study, trainings: Iterable[Training], client: Any
) -> Generator[tuple[Training, Any]]:
    """Train on a Dask cluster, and then close its client.

    Not with joblib's backend for Dask: it waits for ever for a task that Dask gives up because
    several workers died of it (joblib 1.6).
    """
    import distributed

    scheduler = client.scheduler.address
    with client:
        try:
            client.wait_for_workers(1, timeout=TIMEOUT)
        except TimeoutError as error:
            raise TuningError(
                f"The Dask scheduler at {scheduler} has no workers: start some with "
                f"'dask worker {scheduler} --no-nanny'."
            ) from error
        futures = {client.submit(_on_worker, study, each, pure=False): each for each in trainings}
        for future in distributed.as_completed(futures, loop=client.loop):
            if future.cancelled():
                raise TuningError(
                    f"The Dask scheduler at {scheduler} is gone: start it and the search again, "
                    "which goes on with what is missing."
                )
            try:
                record = future.result()
            except distributed.KilledWorker:
                record = workers.KilledError()
            yield futures[future], record


def _client(scheduler: str) -> Any:
    """A client of a Dask scheduler."""
    try:
        import distributed
    except ImportError as error:
        raise TuningError(
            "A scheduler needs Dask: install it with 'pip install -r requirements-cluster.txt'."
        ) from error

    async def answers() -> None:
        options = distributed.Security().get_connection_args("client")
        comm = await distributed.comm.connect(scheduler, timeout=TIMEOUT, **options)
        await comm.close()

    try:
        # Asked first: a client that finds no scheduler delays the end of the interpreter.
        with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a running loop
            thread.submit(asyncio.run, answers()).result()
        return distributed.Client(scheduler, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # the last if TLS is not configured
        raise TuningError(
            f"No Dask scheduler answers at {scheduler}: start one with 'dask scheduler' and name "
            "it as tcp://HOST:8786."
        ) from error


#: Of a Dask worker; they end with it.
_processes = workers.Processes()


def _on_worker(study: Study, training: Training) -> Any:
    """Train in a process of a Dask worker: threads would draw from the same random numbers."""
    try:
        return _processes.call(_train_once, study, training)
    except AssertionError as error:  # of multiprocessing
        raise TuningError(
            f"The worker on {platform.node()} may not start processes: start it with --no-nanny."
        ) from error


def _failed(reason: str) -> Record:
    """The record of a training that never ran. It is not stored: the next search tries again."""
    return {
        "history": {"epoch": [], "train_mae": [], "validation_mae": []},
        "validation": [],
        "failure": {"epoch": 1, "reason": reason},
        "seconds": 0.0,
    }


def _train_once(study: Study, training: Training) -> Record:
    """Train and store, unless another search has done it meanwhile."""
    _check_machine(study, training)
    limit_threads(THREADS)
    try:
        return study.store.once(training, functools.partial(_train, study, training))
    except Exception as error:
        if not _lacks_memory(error):
            raise
        return _failed(OUT_OF_MEMORY)  # the other trainings go on


def _check_machine(study: Study, training: Training) -> None:
    for path in (study.features, study.store.folder):
        if not path.exists():
            raise TuningError(
                f"The worker on {platform.node()} cannot see {path}: share that folder with it, "
                "or let VALENCE_OUTPUT name one that all machines share."
            )
    here = code()
    for name, there in training.made_by["code"].items():
        if here[name] != there:
            raise TuningError(
                f"The worker on {platform.node()} has {name} {here[name]} and the search {there}: "
                "install the same version of this package and its requirements on both."
            )


class _Stopped(Exception):  # noqa: N818
    """A training has reached one of its limits, which is not an error."""


def _train(study: Study, training: Training) -> Record:
    """Train from the beginning; see `Study` for the record."""
    history: dict[str, list[float]] = {"epoch": [], "train_mae": [], "validation_mae": []}

    def on_epoch(epoch: int, losses: dict[str, float]) -> None:
        for name, value in {"epoch": epoch, **losses}.items():
            history[name].append(value)
        if training.stopped(history["validation_mae"]):
            raise _Stopped

    start = time.perf_counter()
    validation: np.ndarray | None = None
    failure: dict[str, Any] | None = None
    try:
        validation = study.train(training, on_epoch=on_epoch).validation
    except _Stopped:
        pass
    except FloatingPointError as error:
        reached = len(history["epoch"])
        failure = {"epoch": reached + 1, "reason": str(error)}
        if reached:  # up to there, the same training succeeds again
            validation = study.train(training, epochs=reached).validation
    return {
        "history": history,
        "validation": [] if validation is None else validation.tolist(),
        "failure": failure,
        "seconds": time.perf_counter() - start,
        "commit": commit(),
        "machine": machine(),
        "made_by": training.made_by,
    }


def _lacks_memory(error: Exception) -> bool:
    """Whether an error says that memory is full, which backends report in many ways."""
    memory = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
    return type(error).__name__ in memory or "RESOURCE_EXHAUSTED" in str(error)
