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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers import features, models, splits
from helpers.cli import UserError
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.models import keras
from helpers.results import commit, versions
from helpers.splits import Split
from helpers.storage import cache_folder
from helpers.training import train

#: Changes whenever the same settings would train another network, so that no old trial is reused.
VERSION = 1


#: Of each training. It is one number wherever trials run, because it decides their last digits.
THREADS = 1


#: The network whose settings are searched.
NETWORK = models.parallel_cnn


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


class TuningError(UserError):
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

    def model(self, input_shape: tuple[int, ...]) -> keras.Model:
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
    name = keras.backend.backend()
    return {"tuning": VERSION, "backend": name, "threads": THREADS, **versions()}
