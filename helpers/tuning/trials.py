"""What a trial is: one training of the network, with all that decides its numbers.

Each training is stored in ``.cache/trials/`` as soon as it ends, and is never done twice. How
trainings are run is for `execution`; which ones are run, for `grid_search` and `bayesian`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers import features, models, splits
from helpers.cli import UserError
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.models import keras
from helpers.results import versions
from helpers.splits import Split
from helpers.storage import Record, Store, cache_folder, digest
from helpers.training import Run, train

#: Changes whenever the same hyperparameters would train another network, so that no old trial is
#: reused.
VERSION = 3

#: Of each training. It is one number wherever trials run, because it decides their last digits.
THREADS = 1

#: The network whose hyperparameters are searched.
NETWORK = models.parallel_cnn

#: Hyperparameters of the network, with the values of the original study.
NETWORK_HYPERPARAMETERS: dict[str, Any] = {
    "filters": 200,
    "kernels": models.KERNELS,
    "units": (400, 200),
    "dropout": 0.5,
    "pool": "grid",
}

#: Hyperparameters of `training.train`, with the values of the original study.
TRAINING_HYPERPARAMETERS: dict[str, Any] = {
    "batch_size": 16,
    "epochs": 20,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
}

#: All that a search can vary, and the value that counts where it does not.
HYPERPARAMETERS = {**NETWORK_HYPERPARAMETERS, **TRAINING_HYPERPARAMETERS}


class TuningError(UserError):
    """A search that cannot be carried out; the message says why and how to fix it."""


def check_names(names: Iterable[str]) -> None:
    """Refuse names that are not in `HYPERPARAMETERS`.

    Args:
        names: of hyperparameters

    Raises:
        TuningError: for the first unknown name
    """
    for name in names:
        if name not in HYPERPARAMETERS:
            raise TuningError(
                f"{name!r} is not a hyperparameter: choose from {', '.join(HYPERPARAMETERS)}."
            )


@dataclass(frozen=True)
class Training:
    """One training. It can be read after any of its epochs.

    Attributes:
        key: 16 hexadecimal digits that change with anything that decides the numbers
        made_by: all that decides the numbers, as plain JSON
        epochs: how many are asked for; they are no part of the key
        limits: validation MAE above which it is stopped early, epoch by epoch; empty if never
    """

    key: str
    made_by: dict[str, Any]
    epochs: int
    limits: tuple[float, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """The seed and all hyperparameters except the epochs."""
        return self.made_by["settings"]

    def stopped(self, maes: Sequence[float]) -> int | None:
        """The epoch in which the limits end a training with these validation errors, if any."""
        pairs = zip(itertools.accumulate(maes, min), self.limits, strict=False)
        above = (epoch for epoch, (lowest, limit) in enumerate(pairs, start=1) if lowest > limit)
        return next(above, None)

    def is_whole(self, record: Record) -> bool:
        """Whether a record is of this training and says all that is asked, see `Study`."""
        history, validation = list(record["history"].values()), record["validation"]
        numbers = np.array([record["seconds"], *np.ravel(history), *np.ravel(validation)])
        if _key(record["made_by"]) != self.key or numbers.dtype.kind != "f":
            return False
        if self.stopped(record["history"]["validation_mae"]):
            return True
        failure = record["failure"]
        most = failure["epoch"] - 1 if failure and failure["reason"] else self.epochs
        epochs = min(len(validation), len(record["history"]["train_mae"]))
        return epochs >= min(self.epochs, most)

    def outcome(self, record: Record) -> dict[str, Any]:
        """A row about the last epoch, see `search`."""
        history, last = record["history"], self.epochs - 1
        stopped = self.stopped(history["validation_mae"])
        reached = not stopped and last < len(record["validation"])
        return {
            "epochs": self.epochs,
            "seed": self.settings["seed"],
            "validation_mae": history["validation_mae"][last] if reached else np.nan,
            "train_mae": history["train_mae"][last] if reached else np.nan,
            "seconds": record["seconds"],
            "error": None if reached or stopped else record["failure"]["reason"],
            "key": self.key,
        }


def _key(made_by: dict[str, Any]) -> str:
    return digest(json.dumps(made_by, sort_keys=True))


def stored(key: str, epochs: int) -> Record:
    """The record that a row of a table of trials was read from.

    Args:
        key: see `search`
        epochs: see `search`

    Returns:
        see `Study`

    Raises:
        TuningError: if it is no longer in the store
    """
    store, training = Store(cache_folder("trials")), Training(key, {}, epochs)
    record = store.load(training)
    if record is None:
        raise TuningError(f"{store.path(training)} is gone or spoilt: run the search again.")
    return record


@dataclass(frozen=True)
class Study:
    """What all trainings of a search share. Workers get a copy of it.

    A stored record has ``history`` (see `training.Run`, as lists), ``validation`` (predictions
    after each epoch), ``failure`` (None, or its ``epoch`` and ``reason``), ``seconds``, ``commit``,
    ``machine`` and ``made_by``.

    Attributes:
        features: file of the features, see `features.extract`
        store: the finished trainings
        ratings: valence of each clip, float32 [clips]
        scale: lowest and highest rating
        split: row numbers of the clips
        made_by: fingerprints of all this, and versions of the code
    """

    features: Path
    store: Store
    ratings: np.ndarray
    scale: tuple[float, float]
    split: Split
    made_by: dict[str, Any]

    @classmethod
    def from_corpus(cls, corpus: Corpus, *, seed: int = 0) -> Study:
        """Extract the features of a corpus and split it.

        Args:
            corpus: see `corpora.load`
            seed: of the split
        """
        mel = MelSettings()
        duration = features.input_duration(corpus)
        matrix = features.extract(corpus, mel, duration=duration)
        assert matrix.filename  # it was opened by its name
        parts = splits.main_split(corpus.clips, seed=seed)
        return cls(
            features=Path(matrix.filename),
            store=Store(cache_folder("trials")),
            ratings=corpus.clips["valence"].to_numpy(dtype=np.float32),
            scale=corpus.scale,
            split=parts,
            made_by={
                "code": code(),
                "corpus": corpus.fingerprint,
                "features": {**asdict(mel), "duration": duration, "version": features.VERSION},
                "split": digest(json.dumps([part.tolist() for part in parts])),
            },
        )

    def training(
        self, settings: Mapping[str, Any], *, seed: int, limits: Iterable[float] = ()
    ) -> Training:
        """One training of this study.

        Args:
            settings: hyperparameters that differ from `HYPERPARAMETERS`
            seed: of initial weights, batch order and dropout
            limits: see `Training`

        Raises:
            TuningError: if a name is unknown, or there is no epoch
        """
        check_names(settings)
        chosen = {**HYPERPARAMETERS, **settings, "seed": seed}
        epochs = int(chosen.pop("epochs"))
        if epochs < 1:
            raise TuningError(f"A training has at least one epoch, not {epochs}.")
        content = {**self.made_by, "model": NETWORK.__name__, "settings": chosen}
        # As it is read from the store: with lists for tuples, and Python's numbers for NumPy's.
        plain = json.loads(json.dumps(content, default=lambda value: value.tolist()))
        return Training(_key(plain), plain, epochs, tuple(limits))

    def train(self, training: Training, **options: Any) -> Run:
        """Carry out a training, in this process.

        Args:
            training: see `training`; its limits are not heeded
            **options: of `training.train`, such as other ``epochs``

        Raises:
            FloatingPointError: if the training diverges
        """
        matrix = np.load(self.features, mmap_mode="r")
        chosen = {**training.settings, "epochs": training.epochs}
        network = {each: chosen[each] for each in NETWORK_HYPERPARAMETERS}
        options = {each: chosen[each] for each in ("seed", *TRAINING_HYPERPARAMETERS)} | options
        model = NETWORK(matrix.shape[1:], scale=self.scale, **network)
        return train(model, matrix, self.ratings, self.split, **options)


def code() -> dict[str, Any]:
    """What the numbers depend on, except the processor."""
    name = keras.backend.backend()
    return {"tuning": VERSION, "backend": name, "threads": THREADS, **versions()}
