"""Trainings that are done once: stored, shared, and run side by side.

Each is stored whole in ``.cache/trials/`` as soon as it ends, under all that decides its numbers,
and so never done twice; each runs in a process that has one thread and its own death, here or on a
Dask cluster. What to train, and what it says, is for `tuning` and `bayesian`.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import math
import os
import platform
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
import psutil
from joblib.externals import loky
from joblib.externals.loky.process_executor import TerminatedWorkerError

from helpers import backend, features, models, splits
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
    processes: list[loky.ProcessPoolExecutor] | None = None,
) -> Iterator[tuple[Training, dict[str, Any], int]]:
    """Train, here or on a cluster, and store each training as it ends.

    Args:
        study: what the trainings share
        trainings: of different keys
        jobs: see `search`
        scheduler: see `search`
        processes: of `kept_processes`; None starts some and ends them

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
        ended = _here(study, trainings, _side_by_side(jobs, memory), processes)
    with contextlib.closing(ended):
        for done, (training, record, workers) in enumerate(ended, start=1):
            yield training, record, min(workers, len(trainings) - done)


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


def _side_by_side(jobs: int, memory: float) -> int:
    """The number asked for, or one for each core as far as memory goes."""
    fit = max(1, int(psutil.virtual_memory().available // memory))
    return jobs if jobs > 0 else min(joblib.effective_n_jobs(jobs), fit)


@contextlib.contextmanager
def kept_processes() -> Iterator[list[loky.ProcessPoolExecutor]]:
    """Processes that go on from one call of `carry_out` to the next, and end with this context.

    Starting one takes longer than a small training.
    """
    idle: list[loky.ProcessPoolExecutor] = []
    try:
        yield idle
    finally:
        for process in idle:
            process.shutdown()


def _here(
    study: Study,
    trainings: Iterable[Training],
    jobs: int,
    processes: list[loky.ProcessPoolExecutor] | None,
) -> Generator[tuple[Training, dict[str, Any], int]]:
    """Train on this machine, in as many threads as jobs."""
    busy: set[loky.ProcessPoolExecutor] = set()
    keep = kept_processes() if processes is None else contextlib.nullcontext(processes)
    with keep as idle, warnings.catch_warnings():
        # TensorFlow keeps the memory of networks that are gone; loky starts such a process afresh,
        # and says so.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)

        def run(training: Training) -> tuple[Training, dict[str, Any], int]:
            return training, _train(study, training, idle, busy), jobs

        threads = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
        try:
            yield from threads(joblib.delayed(run)(each) for each in trainings)
        finally:
            for process in list(busy):  # none, unless the search was ended early
                process.shutdown(kill_workers=True)


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
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
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
        futures = {client.submit(_train, study, each, pure=False): each for each in trainings}
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


KILLED = (
    "its process was killed twice, as the system does when memory runs out: use fewer jobs, "
    "smaller batches or a smaller network"
)

#: Of a Dask worker, as `kept_processes`; they end with it.
_idle: list[loky.ProcessPoolExecutor] = []


def _train(
    study: Study,
    training: Training,
    idle: list[loky.ProcessPoolExecutor] = _idle,
    busy: set[loky.ProcessPoolExecutor] | None = None,
) -> dict[str, Any]:
    """Train in a process that does nothing else meanwhile.

    A pool of several processes ends as a whole when the system kills one of them, with all that
    they were at, and does not say which training was the cause. A thread of a Dask worker is no
    place either: others draw from the same random numbers.
    """
    busy = set() if busy is None else busy
    for _ in range(2):
        try:
            process = idle.pop()
        except IndexError:
            process = loky.ProcessPoolExecutor(1, initializer=_end_with, initargs=(os.getpid(),))
        busy.add(process)
        try:
            record = process.submit(_in_process, study, training).result()
            idle.append(process)
            return record
        except TerminatedWorkerError:
            continue
        except AssertionError as error:  # of multiprocessing
            raise TuningError(
                f"The worker on {platform.node()} may not start processes: start it with "
                "--no-nanny."
            ) from error
        finally:
            busy.discard(process)
    return _failed(KILLED)


def _failed(reason: str) -> dict[str, Any]:
    """A record of nothing. It is not stored, so that the next search tries again."""
    return {
        "history": {"epoch": [], "train_mae": [], "validation_mae": []},
        "validation": [],
        "failure": {"epoch": 1, "reason": reason},
        "seconds": 0.0,
    }


def _end_with(parent: int) -> None:
    """End this process when its parent was killed: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
