"""Trainings that are done once: stored, shared, and run side by side.

Each is stored whole in ``.cache/trials/`` as soon as it ends, under all that decides its numbers,
and so never done twice; each runs in a process that has one thread and its own death, here or on a
Dask cluster. What to train, and what it says, is for `tuning` and `bayesian`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import platform
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import filelock
import numpy as np

from helpers import models, workers
from helpers.models import ConvMaxPool, keras, limit_threads
from helpers.results import save_results
from helpers.training import train
from helpers.tuning.trials import THREADS, TRAINING_SETTINGS, Study, Training, TuningError, _code

#: Seconds that a cluster has to answer.
PATIENCE = 20


def carry_out(
    study: Study,
    trainings: Sequence[Training],
    *,
    jobs: int = -1,
    scheduler: str | None = None,
    processes: workers.Processes | None = None,
) -> Iterator[tuple[Training, dict[str, Any], int]]:
    """Train, here or on a cluster, and store each training as it ends.

    Args:
        study: what the trainings share
        trainings: of different keys
        jobs: see `search`
        scheduler: see `search`
        processes: see `workers.kept`; None starts some and ends them

    Yields:
        a training that has ended, its record (see `Study.stored`), and how many are running
    """
    if not trainings:
        return
    shape = np.load(study.features, mmap_mode="r").shape[1:]
    memory = max(_memory(each, shape) for each in trainings)  # a network that cannot be fails here
    if scheduler is not None:
        ended = _on_dask(study, trainings, scheduler)
    else:
        ended = _here(study, trainings, workers.side_by_side(jobs, memory), processes)
    with contextlib.closing(ended):
        for done, (training, record, most) in enumerate(ended, start=1):
            yield training, record, min(most, len(trainings) - done)


def _memory(training: Training, shape: tuple[int, ...]) -> float:
    """Bytes that a training needs at most, estimated.

    The interpreter with TensorFlow; what each layer computes three times (its output or what that
    is taken from, its gradient, room to compute them); each weight four times (itself, its
    gradient, Adam's two averages).
    """
    with models.without_weights():
        model = training.model(shape)
    outputs = sum(_largest(layer) for layer in model.layers)
    clips = training.settings["batch_size"]
    return 1e9 + 4 * (3 * clips * outputs + 4 * model.count_params())


def _largest(layer: keras.layers.Layer) -> int:
    """Values of a clip that a layer holds at once: of ConvMaxPool, the responses that it pools."""
    if isinstance(layer, ConvMaxPool):
        rows, columns = layer.positions
        return layer.filters * rows * columns
    return math.prod(layer.output.shape[1:])


def _here(
    study: Study, trainings: Iterable[Training], jobs: int, processes: workers.Processes | None
) -> Generator[tuple[Training, dict[str, Any], int]]:
    """Train on this machine."""
    with contextlib.closing(
        workers.each(functools.partial(_in_process, study), trainings, jobs, processes)
    ) as ended:
        for training, record in ended:
            failed = isinstance(record, workers.KilledError)
            yield training, _failed(KILLED) if failed else record, jobs


def _on_dask(
    study: Study, trainings: Iterable[Training], scheduler: str
) -> Generator[tuple[Training, dict[str, Any], int]]:
    """Train on a Dask cluster.

    Not through joblib's backend for Dask, which waits for ever for a task that is given up because
    it took several workers with it (joblib 1.6).
    """
    try:
        import distributed
    except ImportError as error:
        raise TuningError(
            "A scheduler needs Dask: 'pip install -r requirements-cluster.txt' brings it."
        ) from error
    try:
        # Asked first: a client that finds nobody makes the interpreter wait before it ends.
        with ThreadPoolExecutor(1) as thread:  # a notebook's own has a running loop
            thread.submit(asyncio.run, _answers(scheduler)).result()
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # the last if TLS is not configured
        raise TuningError(
            f"No Dask scheduler answers at {scheduler}: start one with 'dask scheduler' and name "
            "it as tcp://HOST:8786."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
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
            failure = future.exception()
            if failure is not None and not isinstance(failure, distributed.KilledWorker):
                raise failure
            record = _failed(KILLED) if failure else future.result()
            yield futures[future], record, sum(client.ncores().values())


async def _answers(scheduler: str) -> None:
    """Return if somebody answers at this address."""
    import distributed

    options = distributed.Security().get_connection_args("client")
    comm = await distributed.comm.connect(scheduler, timeout=PATIENCE, **options)
    await comm.close()


KILLED = (
    "its process was killed twice, as the system does when memory runs out: use fewer jobs, "
    "smaller batches or a smaller network"
)


#: Of a Dask worker, see `workers.kept`; they end with it.
_idle: workers.Processes = []


def _on_worker(study: Study, training: Training) -> dict[str, Any]:
    """Train in a process of a Dask worker, whose threads draw from the same random numbers."""
    try:
        return workers.call(_in_process, study, training, idle=_idle)
    except workers.KilledError:
        return _failed(KILLED)
    except AssertionError as error:  # of multiprocessing
        raise TuningError(
            f"The worker on {platform.node()} may not start processes: start it with --no-nanny."
        ) from error


def _failed(reason: str) -> dict[str, Any]:
    """A record of nothing. It is not stored, so that the next search tries again."""
    return {
        "history": {"epoch": [], "train_mae": [], "validation_mae": []},
        "validation": [],
        "failure": {"epoch": 1, "reason": reason},
        "seconds": 0.0,
    }


def _in_process(study: Study, training: Training) -> dict[str, Any]:
    """Train and store, unless another search has done it meanwhile."""
    _check_machine(study, training)
    os.environ["TQDM_DISABLE"] = "1"  # the search's bar is the one
    limit_threads(THREADS)
    path = study.path(training)
    with filelock.FileLock(path.with_suffix(".lock")):
        record = study.stored(training)
        if record is None:
            try:
                record = _fit(study, training)
            except Exception as error:  # whatever it is, the other trainings go on
                return _failed(_reason(error))
            save_results(path, record, made_by=training.decided_by)
    return record


def _check_machine(study: Study, training: Training) -> None:
    for path in (study.features, study.store):
        if not path.exists():
            raise TuningError(
                f"The worker on {platform.node()} cannot see {path}: share that folder with it, "
                "or let VALENCE_OUTPUT name one that all machines share."
            )
    here = _code()
    for name, there in training.decided_by["code"].items():
        if here[name] != there:
            raise TuningError(
                f"The worker on {platform.node()} has {name} {here[name]} and the search {there}: "
                "install the same version of this package and its requirements on both."
            )


class _Stopped(Exception):  # noqa: N818
    """A training has reached one of its limits, which is no error."""


def _fit(study: Study, training: Training) -> dict[str, Any]:
    """Train from the beginning; see `Study.stored` for the record."""
    matrix = np.load(study.features, mmap_mode="r")
    data = (training.model(matrix.shape[1:]), matrix, study.ratings, study.split)
    options = {name: training.settings[name] for name in TRAINING_SETTINGS if name != "epochs"}
    options["seed"] = training.settings["seed"]
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
        run = train(*data, epochs=training.checkpoints[-1], on_epoch=on_epoch, **options)
        validation = run.validation
    except _Stopped:
        pass
    except FloatingPointError as error:
        reached = len(history["epoch"])
        failure = {"epoch": reached + 1, "reason": str(error)}
        before = [epochs for epochs in training.checkpoints if epochs <= reached]
        if before:  # as far as it went well, it goes the same way again
            validation = train(*data, epochs=before[-1], **options).validation
    return {
        "history": history,
        "validation": [] if validation is None else validation.tolist(),
        "failure": failure,
        "seconds": time.perf_counter() - start,
        "commit": study.commit,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _reason(error: Exception) -> str:
    """One line about what ended a training; backends report want of memory in many ways."""
    kind = type(error).__name__
    memory = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
    if kind in memory or "RESOURCE_EXHAUSTED" in str(error):
        return "out of memory: use fewer jobs, smaller batches or a smaller network"
    return f"{kind}: {error}".splitlines()[0]
