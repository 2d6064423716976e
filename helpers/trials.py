"""Trainings that are done once: stored, shared, and run side by side.

Each is stored whole in ``.cache/trials/`` as soon as it ends, under all that decides its numbers,
and so never done twice; each runs in a process that has one thread and its own death, here or on a
Dask cluster. What to train, and what it says, is for `tuning` and `bayesian`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import inspect
import json
import math
import os
import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from helpers import backend, features, models, splits, workers
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.settings import cache_folder, commit, save_results, versions
from helpers.splits import Split
from helpers.training import train

#: Changes whenever the same settings would train another network, so that no old trial is reused.
VERSION = 1

#: Of each training. It is one number wherever trials run, because it decides their last digits.
THREADS = 1

#: The network whose settings are searched.
NETWORK = models.parallel_cnn

#: Seconds that a cluster has to answer.
PATIENCE = 20


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


#: What a grid can vary, and what is taken where it does not: arguments of the network, and of
#: `training.train`.
NETWORK_SETTINGS = _defaults(NETWORK)
TRAINING_SETTINGS = {
    name: _defaults(train)[name]
    for name in ("batch_size", "epochs", "learning_rate", "weight_decay")
}
DEFAULTS = {**NETWORK_SETTINGS, **TRAINING_SETTINGS}


class TuningError(ValueError):
    """A search that cannot be carried out; the message says why and the mend."""


def check_settings(names: Iterable[str]) -> None:
    """Refuse settings that are not in `DEFAULTS`.

    Args:
        names: of settings

    Raises:
        TuningError: naming the first of them
    """
    for name in names:
        if name not in DEFAULTS:
            raise TuningError(
                f"{name!r} is no setting of the network or its training: those are "
                f"{', '.join(DEFAULTS)}."
            )


@dataclass(frozen=True)
class Training:
    """One training and what is asked of it.

    Attributes:
        decided_by: all that decides its numbers, as plain JSON
        checkpoints: numbers of epochs after which it is read, ascending; it ends with the last
        limits: validation MAE above which it is stopped, epoch by epoch; none if empty
    """

    decided_by: dict[str, Any]
    checkpoints: tuple[int, ...]
    limits: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        """16 hexadecimal digits that change with anything that decides the numbers."""
        content = json.dumps(self.decided_by, sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:16]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the network and of `training.train`, but the epochs."""
        return self.decided_by["settings"]

    def model(self, input_shape: tuple[int, ...]) -> backend.keras.Model:
        """The network to train."""
        return NETWORK(input_shape, **{name: self.settings[name] for name in NETWORK_SETTINGS})

    def stopped(self, maes: Sequence[float]) -> int | None:
        """The epoch in which the limits end a training with these validation errors, if any."""
        best = math.inf
        for epoch, (mae, limit) in enumerate(zip(maes, self.limits, strict=False), start=1):
            best = min(best, mae)
            if best > limit:
                return epoch
        return None

    def is_answered(self, record: dict[str, Any]) -> bool:
        """Whether a stored record says all that is asked."""
        if self.stopped(record["history"]["validation_mae"]):
            return True
        trained = len(record["validation"])
        failed = record["failure"]["epoch"] if record["failure"] else math.inf
        return all(epoch <= trained or epoch >= failed for epoch in self.checkpoints)

    def outcome(self, record: dict[str, Any]) -> dict[str, Any]:
        """A row about the last checkpoint, see `search`."""
        epochs, history = self.checkpoints[-1], record["history"]
        stopped = self.stopped(history["validation_mae"])
        reached = not stopped and epochs <= len(record["validation"])
        return {
            "epochs": epochs,
            "seed": self.settings["seed"],
            "validation_mae": history["validation_mae"][epochs - 1] if reached else np.nan,
            "train_mae": history["train_mae"][epochs - 1] if reached else np.nan,
            "seconds": record["seconds"],
            "error": None if reached or stopped else record["failure"]["reason"],
            "key": self.key,
        }


@dataclass(frozen=True)
class Study:
    """What all trainings of a search share; workers are sent it.

    Attributes:
        features: file of the features, see `features.extract`
        store: folder of the finished trainings
        ratings: valence of each clip [clips]
        split: row numbers of the clips
        decided_by: fingerprints of all this, and versions of the code
        commit: of the code
    """

    features: Path
    store: Path
    ratings: np.ndarray
    split: Split
    decided_by: dict[str, Any]
    commit: str

    @classmethod
    def of(cls, corpus: Corpus, *, seed: int = 0) -> Study:
        """Extract the features of a corpus and split it.

        Args:
            corpus: see `corpora.load`
            seed: of the split
        """
        mel = MelSettings()
        duration = features.target_duration(corpus.clips["duration"])
        matrix = features.extract(corpus, mel, duration=duration)
        assert matrix.filename  # it was opened by its name
        parts = splits.main_split(corpus.clips, seed=seed)
        rows = json.dumps([part.tolist() for part in parts]).encode()
        return cls(
            features=Path(matrix.filename),
            store=cache_folder("trials"),
            ratings=corpus.clips["valence"].to_numpy(dtype=np.float32),
            split=parts,
            decided_by={
                "code": _code(),
                "corpus": corpus.fingerprint,
                "features": {**asdict(mel), "duration": duration, "version": features.VERSION},
                "split": hashlib.sha256(rows).hexdigest()[:16],
            },
            commit=commit(),
        )

    def training(
        self, settings: Mapping[str, Any], *, seed: int, limits: Iterable[float] = ()
    ) -> Training:
        """One training of this study.

        Args:
            settings: those that are not as in `DEFAULTS`
            seed: of initial weights, batch order and dropout
            limits: see `Training`

        Raises:
            TuningError: if a setting is unknown, or there is no epoch
        """
        check_settings(settings)
        chosen = {**DEFAULTS, **settings, "seed": seed}
        epochs = int(chosen.pop("epochs"))
        if epochs < 1:
            raise TuningError(f"A training has at least one epoch, not {epochs}.")
        content = {**self.decided_by, "model": NETWORK.__name__, "settings": chosen}
        # As it comes back from the store: tuples are lists there, and NumPy's numbers are Python's.
        plain = json.loads(json.dumps(content, default=lambda value: value.tolist()))
        return Training(plain, (epochs,), tuple(limits))

    def path(self, training: Training) -> Path:
        """Where a training is stored."""
        return self.store / f"{training.key}.json"

    def stored(self, training: Training) -> dict[str, Any] | None:
        """What is stored of a training, if it says all that is asked.

        Returns:
            ``history`` (see `training.Run`, as lists), ``validation`` (predictions after each
            epoch), ``failure`` (None, or ``epoch`` and ``reason``) and ``seconds``
        """
        # A file that a crash has torn, or that is not ours, is as good as none.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(self.path(training).read_text(encoding="utf-8"))
            if record["made_by"] == training.decided_by and training.is_answered(record):
                return record
        return None


def _code() -> dict[str, Any]:
    """What the numbers depend on, but for the processor."""
    name = backend.keras.backend.backend()
    return {"tuning": VERSION, "backend": name, "threads": THREADS, **versions()}


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


def _largest(layer: backend.keras.layers.Layer) -> int:
    """Values of a clip that a layer holds at once: of ConvMaxPool, the responses that it pools."""
    from helpers.layers import ConvMaxPool  # late, since it imports Keras

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
    backend.limit_threads(THREADS)
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
