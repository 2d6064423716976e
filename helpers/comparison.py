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
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from helpers import (
    backend,
    baselines,
    corpora,
    evaluation,
    features,
    models,
    splits,
    training,
    workers,
)
from helpers.augmentation import Augmentation
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.progress import bar
from helpers.settings import cache_folder, versions, write_whole
from helpers.splits import Split

#: Changes whenever the same model would give other predictions, so that no old fit is reused.
VERSION = 7

#: Bytes that a fit needs: TensorFlow, and the features of some thousand clips.
MEMORY = 3e9


@dataclass(frozen=True)
class Model:
    """All that decides what a model predicts, given clips and a seed.

    Attributes:
        network: name of a function in `models`, or ``"median"`` or ``"egemaps_svr"``
        options: arguments of that function
        inputs: what it is given: the ``"spectrogram"`` or its ``"pcen"`` (see `features.pcen`), or
            any of ``"statistics"`` of the spectrogram (see `layers.ClipStatistics`) and eGeMAPS
            ``"functionals"`` side by side
        mel: how clips become mel spectrograms
        training: arguments of `training.train`
        by_speaker: normalise the inputs by speaker first, see `features.normalise_by_speaker`
        transfer: begin with what it learnt from the demo corpus, instead of random weights
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("spectrogram",)
    mel: MelSettings = field(default_factory=MelSettings)
    training: Mapping[str, Any] = field(default_factory=dict)
    by_speaker: bool = False
    transfer: bool = False

    @property
    def is_network(self) -> bool:
        """Whether it is trained from random weights, so that seeds differ."""
        return self.network not in ("median", "egemaps_svr")


#: A model, or several with weights, whose weighted mean prediction counts as that of one.
Compared = Model | tuple[tuple[float, Model], ...]


def recommended(**changes: Any) -> Model:
    """The recommended model as `models` has it.

    Args:
        **changes: arguments of `training.train` that differ
    """
    settings = {**models.RECOMMENDED_TRAINING, **changes}
    return Model("recommended", mel=models.RECOMMENDED_MEL, training=settings)


#: How networks on nothing but statistics are trained.
STATISTICS_TRAINING = {**models.RECOMMENDED_TRAINING, "batch_size": 64, "epochs": 60}


def statistics(
    *,
    mel: MelSettings = models.RECOMMENDED_MEL,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Model:
    """The part of the recommended model that is trained in seconds, or with something changed.

    Args:
        mel: see `Model`
        options: of `models.clip_statistics`
        **changes: arguments of `training.train` that differ
    """
    settings = {**STATISTICS_TRAINING, **changes}
    tracks = {"tracks": mel.rows - mel.n_mels}
    return Model("clip_statistics", {**tracks, **(options or {})}, mel=mel, training=settings)


def _beforehand(*inputs: str, by_speaker: bool = False) -> Model:
    """The dense layers of `statistics`, on statistics that are made beforehand."""
    settings = {**STATISTICS_TRAINING, "per_band": True}
    network = "statistics_network"
    return Model(network, {}, inputs, models.RECOMMENDED_MEL, settings, by_speaker)


#: Models that can be asked for by name, beside the recommended one.
NAMED = {
    "egemaps_network": _beforehand("functionals"),
    "egemaps_svr": Model("egemaps_svr", inputs=("functionals",)),
    "median": Model("median", inputs=()),
    "parallel_cnn": Model("parallel_cnn", {"filters": 24}),
    "cnn_blstm": Model("cnn_blstm"),
}


#: All names of models.
NAMES = ("recommended", "fusion", *NAMED)


def named(name: str, *, by_speaker: bool = False) -> Compared:
    """A model that can be asked for by name.

    ``"recommended"``; ``"fusion"``, two parts of that and one of a network on statistics and
    eGeMAPS functionals; or one of `NAMED`.

    Args:
        name: of the model
        by_speaker: see `Model`. Of the statistics and functionals, which say more of a voice than
            single frames do: the recommended network then has a network on those beside it, which
            counts half as much

    Raises:
        ValueError: if there is none of this name
    """
    if name == "recommended" and not by_speaker:
        return recommended()
    if name in ("recommended", "fusion"):
        inputs = ("statistics",) if name == "recommended" else ("statistics", "functionals")
        return (2, recommended()), (1, _beforehand(*inputs, by_speaker=by_speaker))
    if name not in NAMED:
        raise ValueError(f"{name!r} is no model: those are {', '.join(NAMES)}.")
    return replace(NAMED[name], by_speaker=by_speaker)


def ablation() -> dict[str, Model]:
    """Models in which one thing is as it would be without, or with, an idea.

    The first is `statistics`, which they are changes of: it is trained in seconds.

    See: notebooks/06_improvements.ipynb
    """
    # One linear unit instead of a distribution, or nothing but mel bands.
    number = {"options": {"distribution": False}}
    bands = replace(models.RECOMMENDED_MEL, pitch=False)
    changes: dict[str, dict[str, Any]] = {
        "statistics": {},
        "loss: mean absolute error": {"loss": "mae", **number},
        "loss: MAE and CCC": {"loss": "mae+ccc", **number},
        "loss: CCC": {"loss": "ccc", **number},
        "loss: Huber": {"loss": "huber", **number},
        "loss: mean squared error": {"loss": "mse", **number},
        "no pitch": {"mel": bands},
        "no modulation spectrum": {"options": {"groups": 0}},
        "no parts of the phrase": {"options": {"parts": 0}},
        "features of the report": {"mel": MelSettings()},
        "frames half as many": {"mel": replace(models.RECOMMENDED_MEL, hop_length=256)},
        "bands half as many": {"mel": replace(models.RECOMMENDED_MEL, n_mels=32)},
        "frequencies up to 8 kHz": {
            "mel": MelSettings(16000, n_fft=1024, hop_length=256, n_mels=80, pitch=True)
        },
        "standardised band by band": {"per_band": True},
        "constant learning rate": {"schedule": "constant"},
        "averaging of weights": {"averaging": 0.98},
        "weight decay": {"weight_decay": 1e-2},
        "balanced": {"balanced": True},
        "no pitch, SpecAugment": {"mel": bands, "augmentation": Augmentation(masks=2)},
        "no pitch, shifted in time": {"mel": bands, "augmentation": Augmentation(shift=0.3)},
        "no pitch, shifted by up to 3 bands": {"mel": bands, "augmentation": Augmentation(pitch=3)},
        "no pitch, speed ± 15 %": {"mel": bands, "augmentation": Augmentation(speed=0.15)},
        "no pitch, noise": {"mel": bands, "augmentation": Augmentation(noise=0.5)},
        "no pitch, mixup": {"mel": bands, "augmentation": Augmentation(mixup=0.4)},
    }
    plain = statistics(mel=bands)
    four = NAMED["parallel_cnn"]
    attention = Model("attention_cnn", mel=bands, training=models.RECOMMENDED_TRAINING)
    return {
        **{name: statistics(**change) for name, change in changes.items()},
        "no pitch, PCEN": replace(plain, inputs=("pcen",)),
        "trained on the demo corpus first": replace(statistics(), transfer=True),
        "normalised by speaker": _beforehand("statistics", by_speaker=True),
        "with eGeMAPS": _beforehand("statistics", "functionals"),
        "with eGeMAPS, normalised by speaker": _beforehand(
            "statistics", "functionals", by_speaker=True
        ),
        "parallel_cnn instead": four,
        "parallel_cnn on own frames instead": replace(
            four, options={**four.options, "own_frames": True}
        ),
        "attention_cnn instead": attention,
        "attention_cnn at random speeds instead": replace(
            attention, options={"speed": models.RECOMMENDED_SPEED}
        ),
        "attention_cnn instead, batches by length": replace(
            attention, training={**attention.training, "by_length": True}
        ),
        "two attention_cnn beside it: recommended": recommended(),
    }


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
    from helpers.layers import ClipStatistics  # late, since it imports Keras

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
            "backend": backend.keras.backend.backend() if model.is_network else None,
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
            backend.limit_threads(1)
        if corpus.fingerprint not in _known:
            _known.clear()
            _known[corpus.fingerprint] = _Inputs(corpus)
        found = _fit(corpus, fit.model, fit.split, fit.seed, _known[corpus.fingerprint])
        record = {**found, "made_by": fit.made_by}
        write_whole(fit.path(), json.dumps(record))
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
    network: Callable[..., backend.keras.Model] = getattr(models, model.network)
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


def averaged(fits: Fits) -> Fits:
    """The mean of what several seeds predicted, as one model that costs as much as all of them.

    Args:
        fits: see `fit_all`

    See: notebooks/06_improvements.ipynb
    """
    mean = fits.predictions.mean(axis=0, keepdims=True)
    return Fits(fits.rows, mean, fits.costs * len(fits.predictions))


def table(
    corpus: Corpus, fits: Mapping[str, Fits], *, reference: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """Scores of compared models with intervals, and their costs.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds
        reference: name of the model that gains are over; the first if None
        seed: of the bootstrap, over speakers if all are known, else over clips

    Returns:
        `evaluation.table`, and the mean costs of a fit (see `Fits`) in columns ``cost``

    See: notebooks/06_improvements.ipynb
    """
    rows = next(iter(fits.values())).rows
    speakers = corpus.clips["speaker"].iloc[rows]
    scores = evaluation.table(
        corpus.clips["valence"].to_numpy()[rows],
        {name: found.predictions for name, found in fits.items()},
        groups=speakers.to_numpy() if speakers.notna().all() and speakers.nunique() > 1 else None,
        reference=reference,
        seed=seed,
    )
    costs = pd.DataFrame({name: found.costs.mean() for name, found in fits.items()}).T
    costs.columns = pd.MultiIndex.from_product([["cost"], costs.columns])
    return scores.join(costs)


def as_dict(scores: pd.DataFrame) -> dict[str, Any]:
    """A table of `table` for a results file: model, then score, then value, low and high.

    Args:
        scores: see `table`

    Returns:
        numbers, with None where a score is not defined
    """
    found: dict[str, Any] = {}
    for model, row in scores.iterrows():
        for (score, part), value in row.items():
            place = found.setdefault(model, {}).setdefault(score, {})
            place[part] = None if pd.isna(value) else float(value)
    return found
