"""Models side by side: the same folds, several seeds, every fit stored as soon as it ends.

A model here is a name and all that decides its numbers: features, network, training. A comparison
that was killed goes on with what is missing. From a terminal: ``python -m helpers.evaluation``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from helpers import backend, baselines, evaluation, features, models, splits, training
from helpers.augmentation import Augmentation
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.progress import bar
from helpers.settings import cache_folder, versions, write_whole
from helpers.splits import Split

#: Changes whenever the same model would give other predictions, so that no old fit is reused.
VERSION = 1


@dataclass(frozen=True)
class Model:
    """All that decides what a model predicts, given clips and a seed.

    Attributes:
        network: name of a function in `models`, or ``"median"`` or ``"egemaps_svr"``
        options: arguments of that function
        mel: how clips become mel spectrograms
        training: arguments of `training.train`
        by_speaker: normalise the features by speaker first, see `features.normalise_by_speaker`
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    mel: MelSettings = field(default_factory=MelSettings)
    training: Mapping[str, Any] = field(default_factory=dict)
    by_speaker: bool = False

    @property
    def is_network(self) -> bool:
        """Whether it is trained from random weights, so that seeds differ."""
        return self.network not in ("median", "egemaps_svr")


def recommended(
    *,
    mel: MelSettings = models.RECOMMENDED_MEL,
    options: Mapping[str, Any] | None = None,
    by_speaker: bool = False,
    **changes: Any,
) -> Model:
    """The recommended model as `models` has it, or with something changed.

    Args:
        mel: see `Model`
        options: of `models.clip_statistics`, without which it is `models.recommended`
        by_speaker: see `Model`
        **changes: arguments of `training.train` that differ
    """
    network = "recommended" if options is None else "clip_statistics"
    settings = {**models.RECOMMENDED_TRAINING, **changes}
    return Model(network, options or {}, mel, settings, by_speaker)


def named(name: str, *, by_speaker: bool = False) -> Model:
    """One of the models that can be asked for by name.

    Args:
        name: of a function in `models`, or ``"median"`` or ``"egemaps_svr"``
        by_speaker: see `Model`

    Raises:
        ValueError: if there is none of this name
    """
    if name == "recommended":
        return recommended(by_speaker=by_speaker)
    if name == "egemaps_network":
        settings = {**models.RECOMMENDED_TRAINING, "per_band": True}
        return Model(name, training=settings, by_speaker=by_speaker)
    known = {
        "median": {},
        "egemaps_svr": {},
        "parallel_cnn": {"filters": 24},
        "cnn_blstm": {},
    }
    if name not in known:
        raise ValueError(
            f"{name!r} is no model: those are recommended, egemaps_network, {', '.join(known)}."
        )
    return Model(name, known[name], by_speaker=by_speaker)


def ablation() -> dict[str, Model]:
    """The recommended model, and models in which one thing is as it would be without an idea.

    See: notebooks/06_improvements.ipynb
    """
    number = {"options": {"distribution": False}}  # one linear unit instead of a distribution
    changes: dict[str, dict[str, Any]] = {
        "loss: mean absolute error": {"loss": "mae", **number},
        "loss: MAE and CCC": {"loss": "mae+ccc", **number},
        "loss: mean squared error": {"loss": "mse", **number},
        "features of the report": {"mel": MelSettings()},
        "frames half as many": {"mel": replace(models.RECOMMENDED_MEL, hop_length=256)},
        "constant learning rate": {"schedule": "constant"},
        "no averaging of weights": {"averaging": 0.0},
        "no weight decay": {"weight_decay": 0.0},
        "balanced": {"balanced": True},
        "SpecAugment": {"augmentation": Augmentation(masks=2)},
        "pitch ± 3 bands": {"augmentation": Augmentation(pitch=3)},
        "speed ± 15 %": {"augmentation": Augmentation(speed=0.15)},
        "noise": {"augmentation": Augmentation(noise=0.5)},
        "mixup": {"augmentation": Augmentation(mixup=0.4)},
        "normalised by speaker": {"by_speaker": True},
    }
    return {
        "recommended": recommended(),
        **{name: recommended(**change) for name, change in changes.items()},
    }


class Fits(NamedTuple):
    """What a model predicted in all folds.

    Attributes:
        rows: row numbers of the clips, fold by fold [clips]
        predictions: of each seed [seeds, clips]
        costs: a row a fit: ``seconds`` of training, ``parameters``, and ``milliseconds`` that the
            prediction of a clip takes
    """

    rows: np.ndarray
    predictions: np.ndarray
    costs: pd.DataFrame


def fit_all(
    corpus: Corpus,
    compared: Mapping[str, Model],
    *,
    by: Literal["speaker", "clip"] = "speaker",
    folds: int = 6,
    seeds: int = 1,
    seed: int = 0,
    part: Literal["test", "validation"] = "test",
    which: Sequence[int] | None = None,
) -> dict[str, Fits]:
    """Fit every model in every fold with every seed, except what is stored already.

    Args:
        corpus: see `corpora.load`
        compared: models by the name that tables show
        by: what is kept together in folds
        folds: number of folds
        seeds: trainings of each network in each fold; other models have one
        seed: of the folds, and of the first training; the others count up from it
        part: ``"test"`` trains on all other clips and is for final tables; ``"validation"`` leaves
            the test part alone, and is for choices
        which: numbers of the folds to fit; all if None

    Returns:
        by name, what each predicted

    Raises:
        ValueError: if the corpus cannot be split, or a model not be built

    See: notebooks/06_improvements.ipynb
    """
    parts = splits.folds(corpus.clips, folds, by=by, seed=seed)
    chosen = [_fitted_on(parts[number], part) for number in which or range(folds)]
    tasks = [
        (name, model, split, seed + number)
        for name, model in compared.items()
        for number in range(seeds if model.is_network else 1)
        for split in chosen
    ]
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in compared}
    inputs = _Inputs(corpus)
    with bar(total=len(tasks), desc="comparison", unit="fit") as progress:
        for name, model, split, number in tasks:
            progress.set_postfix(model=name, refresh=False)
            records[name].append(_stored_or_fitted(corpus, model, split, number, inputs))
            progress.update()
    rows = np.concatenate([split.test for split in chosen])
    return {
        name: Fits(
            rows,
            np.concatenate([each["prediction"] for each in found]).reshape(-1, len(rows)),
            pd.DataFrame(found).drop(columns=["prediction", "made_by"]),
        )
        for name, found in records.items()
    }


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
        kind = baselines.FEATURE_SET if model.network.startswith("egemaps") else model.mel
        key = str((kind, model.by_speaker))
        if key not in self.made:
            matrix = self._extracted(kind)
            if model.by_speaker:
                matrix = features.normalise_by_speaker(matrix, self.corpus.clips["speaker"])
            self.made[key] = matrix
        return self.made[key]

    def _extracted(self, kind: MelSettings | str) -> np.ndarray:
        if isinstance(kind, str):
            return baselines.functionals(self.corpus)
        duration = features.target_duration(self.corpus.clips["duration"])
        return features.extract(self.corpus, kind, duration=duration)


def _decided_by(corpus: Corpus, model: Model, split: Split, seed: int) -> dict[str, Any]:
    """All that decides the numbers of a fit, as plain JSON; no paths and no commit."""
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
    return {
        "key": hashlib.sha256(content.encode()).hexdigest()[:16],
        **json.loads(json.dumps(about)),
    }


def _stored_or_fitted(
    corpus: Corpus, model: Model, split: Split, seed: int, inputs: _Inputs
) -> dict[str, Any]:
    """A record: ``prediction``, ``seconds``, ``parameters``, ``milliseconds`` and ``made_by``."""
    made_by = _decided_by(corpus, model, split, seed)
    path = cache_folder("comparisons") / f"{made_by['key']}.json"
    # A file that a crash has torn, or that is not ours, is as good as none.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["made_by"] == made_by and len(record["prediction"]) == len(split.test):
            return record
    record = {**_fit(corpus, model, split, seed, inputs), "made_by": made_by}
    write_whole(path, json.dumps(record))
    return record


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
        matrix = inputs.of(model)
        if matrix.ndim == 2:  # functionals, as bands of one frame
            matrix = np.nan_to_num(matrix)[:, :, None]
        network: Callable[..., backend.keras.Model] = getattr(models, model.network)
        rated = model.network in ("recommended", "clip_statistics", "egemaps_network")
        scale = {"scale": corpus.scale} if rated else {}
        built = network(matrix.shape[1:], **scale, **model.options)
        run = training.train(built, matrix, ratings, split, seed=seed, **model.training)
        seconds, parameters = run.seconds, run.settings["parameters"]
        start = time.perf_counter()
        prediction = training.predict(run, matrix, split.test)
        taken = time.perf_counter() - start
    return {
        "prediction": [float(each) for each in prediction],
        "seconds": seconds,
        "parameters": parameters,
        "milliseconds": 1000 * taken / len(split.test),
    }


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


def ensemble(fits: Fits) -> Fits:
    """The mean of what a model's trainings predict, as one training that costs as much as all.

    Args:
        fits: see `fit_all`
    """
    seeds = len(fits.predictions)
    return Fits(fits.rows, fits.predictions.mean(axis=0, keepdims=True), fits.costs * seeds)


def fusion(*parts: Fits) -> Fits:
    """Late fusion: the mean of what different models predict, their costs added.

    Args:
        *parts: each model's `Fits`, of the same folds; the seeds of each are averaged first
    """
    together = [ensemble(each) for each in parts]
    prediction = np.mean([each.predictions for each in together], axis=0)
    costs = sum(each.costs.mean() for each in together).to_frame().T
    return Fits(together[0].rows, prediction, costs)
