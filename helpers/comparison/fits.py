"""Models side by side: the same folds, several seeds, every fit stored as soon as it ends.

A model here is a name and all that decides its numbers: features, network, training. A comparison
that was killed goes on with what is missing. From a terminal: ``python -m helpers.evaluation``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from helpers import corpora, features, models, splits, training, workers
from helpers.comparison import baselines
from helpers.comparison.contenders import Compared, Model
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.models import ClipStatistics, keras
from helpers.progress import bar
from helpers.results import versions
from helpers.splits import Split
from helpers.storage import cache_folder, write_file

#: Changes whenever the same model would give other predictions, so that no old fit is reused.
VERSION = 7


#: Bytes that a fit needs: TensorFlow, and the features of some thousand clips.
MEMORY = 3e9


#: What a fit costs: seconds of training, parameters, milliseconds to predict a clip.
COSTS = ("seconds", "parameters", "milliseconds")


class Fits(NamedTuple):
    """What a model predicted in all folds.

    Attributes:
        rows: row numbers of the clips, fold by fold [clips]
        predictions: of each seed [seeds, clips]
        costs: a row a fit, see `COSTS`
    """

    rows: np.ndarray
    predictions: np.ndarray
    costs: pd.DataFrame


def fit_all(
    corpus: Corpus,
    compared: Mapping[str, Compared],
    *,
    by: Literal["speaker", "clip"] = "speaker",
    folds: int = 6,
    seeds: int = 1,
    seed: int = 0,
    part: Literal["test", "validation"] = "test",
    which: Sequence[int] | None = None,
    jobs: int = -1,
) -> dict[str, Fits]:
    """Fit every model in every fold with every seed, except what is stored already.

    Args:
        corpus: see `corpora.load`
        compared: models by the name that tables show; where there are several by one name, the
            weighted mean of what they predict counts, and the sum of what they cost
        by: what is kept together in folds
        folds: number of folds
        seeds: trainings of each network in each fold; other models have one
        seed: of the folds, and of the first training; the others count up from it
        part: ``"test"`` trains on all other clips and is for final tables; ``"validation"`` leaves
            the test part alone, and is for choices
        which: numbers of the folds to fit; all if None
        jobs: fits at once, each in a process with one thread, so that their number does not change
            a bit of what they find; -1 is one for each core, as far as memory goes. On one GPU,
            networks are best trained one by one

    Returns:
        by name, what each predicted

    Raises:
        ValueError: if the corpus cannot be split, or a model not be built

    See: notebooks/06_improvements.ipynb
    """
    parts = splits.folds(corpus.clips, folds, by=by, seed=seed)
    chosen = [_fitted_on(parts[number], part) for number in which or range(folds)]
    members = {
        name: each if isinstance(each, tuple) else ((1, each),) for name, each in compared.items()
    }
    tasks = {
        name: [
            [_Fit.of(corpus, each, split, seed + number) for _, each in several]
            for number in range(seeds if several[0][1].is_network else 1)
            for split in chosen
        ]
        for name, several in members.items()
    }
    every = {fit.key: fit for groups in tasks.values() for group in groups for fit in group}
    records = _carry_out(corpus, every, jobs)
    found = {
        name: [
            _as_one([records[fit.key] for fit in group], [weight for weight, _ in members[name]])
            for group in groups
        ]
        for name, groups in tasks.items()
    }
    rows = np.concatenate([split.test for split in chosen])
    return {
        name: Fits(
            rows,
            np.concatenate([each["prediction"] for each in group]).reshape(-1, len(rows)),
            pd.DataFrame(group)[list(COSTS)],
        )
        for name, group in found.items()
    }


def _as_one(records: list[dict[str, Any]], weights: list[float]) -> dict[str, Any]:
    """The weighted mean prediction of several models, and the sum of their costs."""
    prediction = np.average([each["prediction"] for each in records], axis=0, weights=weights)
    return {"prediction": prediction, **{k: sum(each[k] for each in records) for k in COSTS}}


def _fitted_on(split: Split, part: Literal["test", "validation"]) -> Split:
    """As a split of what is fitted on and what is predicted."""
    nothing = np.array([], dtype=int)
    if part == "validation":
        return Split(split.train, nothing, split.validation)
    return Split(np.union1d(split.train, split.validation), nothing, split.test)


class _Inputs:
    """Features of a corpus, each kind made once and only if a fit needs it."""

    def __init__(self, corpus: Corpus):
        self.corpus = corpus
        self.made: dict[str, np.ndarray] = {}

    def of(self, model: Model) -> np.ndarray:
        """What the model is given, [clips, rows, frames] or [clips, statistics]."""
        parts = [self._part(kind, model) for kind in model.inputs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _part(self, kind: str, model: Model) -> np.ndarray:
        key = str((kind, model.mel, model.by_speaker))
        if key not in self.made:
            matrix = self._extracted(kind, model.mel)
            if model.by_speaker:
                matrix = features.normalise_by_speaker(matrix, self.corpus.clips["speaker"])
            self.made[key] = matrix
        return self.made[key]

    def _extracted(self, kind: str, mel: MelSettings) -> np.ndarray:
        matrix = _from_disk(self.corpus, kind, mel)
        if kind == "pcen":
            return features.pcen(matrix, mel)
        return _statistics(matrix, mel) if kind == "statistics" else matrix


def _from_disk(corpus: Corpus, kind: str, mel: MelSettings) -> np.ndarray:
    """What inputs of a kind are made of, extracted once: functionals or mel spectrograms."""
    if kind == "functionals":
        return np.nan_to_num(baselines.functionals(corpus))
    duration = features.target_duration(corpus.clips["duration"])
    return features.extract(corpus, mel, duration=duration)


def _statistics(matrix: np.ndarray, mel: MelSettings) -> np.ndarray:
    """What the recommended network begins with, of every clip [clips, statistics]."""
    layer = ClipStatistics(tracks=mel.rows - mel.n_mels)
    starts = range(0, len(matrix), 64)
    return np.concatenate([np.asarray(layer(np.array(matrix[i : i + 64]))) for i in starts])


class _Fit(NamedTuple):
    """What is fitted on what.

    Attributes:
        model: see `Model`
        split: see `_fitted_on`
        seed: of the training
        made_by: all that decides the numbers, as plain JSON; no paths and no commit
    """

    model: Model
    split: Split
    seed: int
    made_by: dict[str, Any]

    @property
    def key(self) -> str:
        """Name of its file in the store."""
        return self.made_by["key"]

    @classmethod
    def of(cls, corpus: Corpus, model: Model, split: Split, seed: int) -> _Fit:
        """With all that decides its numbers."""
        about = {
            "comparison": VERSION,
            "features": features.VERSION,
            "functionals": baselines.VERSION,
            "versions": {**versions(), "opensmile": version("opensmile")},
            "backend": keras.backend.backend() if model.is_network else None,
            "corpus": corpus.fingerprint,
            "model": asdict(model),
            "train": split.train.tolist(),
            "test": split.test.tolist(),
            "seed": seed if model.is_network else None,
        }
        content = json.dumps(about, sort_keys=True)
        about["train"], about["test"] = len(split.train), len(split.test)
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        return cls(model, split, seed, {"key": key, **json.loads(json.dumps(about))})

    def stored(self) -> dict[str, Any] | None:
        """Its record: ``prediction``, those of `COSTS`, and ``made_by``."""
        # A file that a crash has torn, or that is not ours, is as good as none.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(self.path().read_text(encoding="utf-8"))
            numbers = [*record["prediction"], *(record[cost] for cost in COSTS)]
            whole = len(numbers) == len(self.split.test) + len(COSTS) and all(
                isinstance(each, int | float) for each in numbers
            )
            if record["made_by"] == self.made_by and whole:
                return record
        return None

    def path(self) -> Path:
        """Where it is stored."""
        return cache_folder("comparisons") / f"{self.key}.json"


def _carry_out(corpus: Corpus, fits: Mapping[str, _Fit], jobs: int) -> dict[str, dict[str, Any]]:
    """The records of fits, by their keys; those that are stored are only read."""
    found = {key: fit.stored() for key, fit in fits.items()}
    records = {key: record for key, record in found.items() if record is not None}
    missing = [fit for key, fit in fits.items() if key not in records]
    with bar(total=len(fits), initial=len(records), desc="comparison", unit="fit") as progress:
        for fit, record in _fitted(corpus, missing, jobs):
            records[fit.key] = record
            progress.update()
    return records


def _fitted(
    corpus: Corpus, missing: Sequence[_Fit], jobs: int
) -> Iterator[tuple[_Fit, dict[str, Any]]]:
    """Fit in processes of their own, each as soon as one is free."""
    if not missing:
        return
    for kind, mel in {(kind, each.model.mel) for each in missing for kind in each.model.inputs}:
        _from_disk(corpus, kind, mel)  # so that the processes only read it
    count = workers.side_by_side(jobs, MEMORY)
    run = functools.partial(_in_process, corpus)
    with contextlib.closing(workers.each(run, missing, min(count, len(missing)))) as ended:
        for fit, record in ended:
            if isinstance(record, workers.KilledError):
                raise ValueError(f"{record} Use fewer jobs; what was finished is stored.")
            yield fit, record


def _in_process(corpus: Corpus, fit: _Fit) -> dict[str, Any]:
    """Fit and store, unless another comparison has done it meanwhile."""
    record = fit.stored()
    if record is None:
        os.environ["TQDM_DISABLE"] = "1"  # the comparison's bar is the one
        if fit.model.is_network:
            models.limit_threads(1)
        if corpus.fingerprint not in _known:
            _known.clear()
            _known[corpus.fingerprint] = _Inputs(corpus)
        found = _fit(corpus, fit.model, fit.split, fit.seed, _known[corpus.fingerprint])
        record = {**found, "made_by": fit.made_by}
        write_file(fit.path(), json.dumps(record))
    return record


#: What a process has read of the corpus that it fits on.
_known: dict[str, _Inputs] = {}


def _fit(corpus: Corpus, model: Model, split: Split, seed: int, inputs: _Inputs) -> dict[str, Any]:
    ratings = corpus.clips["valence"].to_numpy(dtype=np.float32)
    parameters, start = 0, time.perf_counter()
    if model.network == "median":
        prediction = baselines.median(ratings, split.train, split.test)
        seconds = taken = 0.0
    elif model.network == "egemaps_svr":
        matrix = inputs.of(model)
        start = time.perf_counter()
        prediction = baselines.svr(matrix, ratings, split.train, split.test)
        seconds, taken = time.perf_counter() - start, 0.0
    else:
        weights = _learnt_from_demo(model, seed) if model.transfer else None
        run = _train(corpus, model, split, seed, inputs, weights)
        seconds, parameters = run.seconds, run.settings["parameters"]
        start = time.perf_counter()
        prediction = training.predict(run, run.features, split.test)
        taken = time.perf_counter() - start
    return {
        "prediction": [float(each) for each in prediction],
        "seconds": seconds,
        "parameters": parameters,
        "milliseconds": 1000 * taken / len(split.test),
    }


def _train(
    corpus: Corpus,
    model: Model,
    split: Split,
    seed: int,
    inputs: _Inputs,
    weights: list[np.ndarray] | None = None,
) -> training.Run:
    matrix = inputs.of(model)
    if matrix.ndim == 2:  # statistics, as bands of one frame
        matrix = matrix[:, :, None]
    network: Callable[..., keras.Model] = getattr(models, model.network)
    scale = {} if model.network in ("parallel_cnn", "cnn_blstm") else {"scale": corpus.scale}
    rows, frames = matrix.shape[1:]
    shape = (rows, None if model.training.get("by_length") else frames)
    built = network(shape, **scale, **model.options)
    ratings = corpus.clips["valence"].to_numpy(dtype=np.float32)
    return training.train(
        built, matrix, ratings, split, seed=seed, weights=weights, **model.training
    )


def _learnt_from_demo(model: Model, seed: int) -> list[np.ndarray]:
    demo = corpora.load(None)
    every, nothing = np.arange(len(demo.clips)), np.array([], dtype=int)
    run = _train(demo, model, Split(every, nothing, nothing), seed, _Inputs(demo))
    return run.model.get_weights()
