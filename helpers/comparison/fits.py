"""Contenders on the same folds with several seeds; every fit is stored as soon as it ends.

A comparison that was killed goes on with what is missing.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from helpers import evaluation, features, models, splits, training, workers
from helpers.comparison import baselines, fine_tuning
from helpers.comparison.contenders import (
    FUNCTIONALS,
    PRETRAINED,
    ComparisonError,
    Contender,
)
from helpers.comparison.pretrained import pretrained_head, pretrained_valence
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.models import keras
from helpers.progress import bar
from helpers.results import versions
from helpers.splits import Split
from helpers.storage import Record, Store, cache_folder, digest

#: Changes whenever the same contender would predict something else, so that no old fit is reused.
VERSION = 11

#: What a fit costs: seconds of training, parameters, milliseconds to predict a clip.
COSTS = ("seconds", "parameters", "milliseconds")


class FoldPredictions(NamedTuple):
    """What a contender predicted in all folds.

    Attributes:
        rows: row numbers of the clips, fold by fold [clips]
        predictions: valence, by each seed [seeds, clips]
        costs: a row a fit, see `COSTS`
        quantiles: of the predicted distributions, see `models.quantiles` [seeds, clips, 2]; None
            for a contender that predicts none
    """

    rows: np.ndarray
    predictions: np.ndarray
    costs: pd.DataFrame
    quantiles: np.ndarray | None = None

    def first(self, fold: np.ndarray | int) -> pd.DataFrame:
        """What the first training of each fold predicted, as `inference.save` takes it.

        Args:
            fold: number of the fold of each clip [clips], or of all

        Returns:
            see `tables.cross_val_predict`, in the order of the rows
        """
        prediction = self.predictions[0]
        low, high = (prediction,) * 2 if self.quantiles is None else self.quantiles[0].T
        columns = {"fold": fold, "prediction": prediction, "low": low, "high": high}
        return pd.DataFrame(columns, index=self.rows)


def fit_all(
    corpus: Corpus,
    compared: Mapping[str, Contender],
    *,
    parts: Sequence[Split] | None = None,
    by: splits.Unit = "speaker",
    folds: int = 6,
    seeds: int = 1,
    seed: int = 0,
    part: Literal["test", "validation"] = "test",
    which: Sequence[int] | None = None,
    jobs: int = -1,
) -> dict[str, FoldPredictions]:
    """Fit every contender in every fold with every seed, except what is stored already.

    Args:
        corpus: see `corpora.load`
        compared: contenders by the name that tables show
        parts: the splits to fit on, such as an official one; None is `folds` by `by`
        by: what is kept together in folds
        folds: number of folds
        seeds: trainings of each network in each fold; contenders without a network have one fit
        seed: of the folds, and of the first training; the others count up from it
        part: ``"test"`` trains on all other clips and is for final tables; ``"validation"`` leaves
            the test part alone, and is for choices
        which: numbers of the splits to fit; None is all
        jobs: fits at once, each in a process with one thread, so that their number does not change
            a bit of the result; -1 is one for each core, as far as memory goes. On one GPU, use 1

    Returns:
        by name, what each contender predicted

    Raises:
        splits.SplitError: if the corpus cannot be split like this
        models.KernelSizeError: if a kernel is too large for the clips
        ComparisonError: if there is nothing to fit, a process is killed twice, or a contender
            begins with a network that was trained on this corpus, or without normalisation by
            speaker where it has one
        cli.UserError: if `jobs` is 0

    See: notebooks/06_improvements.ipynb
    """
    if parts is None:
        parts = splits.folds(corpus.clips, folds, by=by, seed=seed)
    numbers = range(len(parts)) if which is None else which
    chosen = [_parts(parts[number], part) for number in numbers]
    if seeds < 1 or not chosen:
        raise ComparisonError("There is nothing to fit: name at least one seed and one fold.")
    tuned = [contender for contender in compared.values() if contender.is_fine_tuned]
    if any(contender.by_speaker for contender in tuned):
        raise ComparisonError(
            "fine_tuned begins with a network without normalisation by speaker: leave out "
            "fine_tuned, or --normalise."
        )
    if tuned:
        fine_tuning.check(corpus)

    def plan(contender: Contender) -> list[Fit]:
        numbers = range(seed, seed + (seeds if contender.is_network else 1))
        return [Fit.plan(corpus, contender, split, each) for each in numbers for split in chosen]

    plans = {name: plan(contender) for name, contender in compared.items()}
    records = _carry_out(corpus, [fit for fits in plans.values() for fit in fits], jobs)
    rows = np.concatenate([split.test for split in chosen])
    return {name: _collected(rows, fits, records) for name, fits in plans.items()}


def _parts(split: Split, part: Literal["test", "validation"]) -> Split:
    """A split into what is fitted on and what is predicted, without a validation part."""
    nothing = np.array([], dtype=int)
    if part == "validation":
        return Split(split.train, nothing, split.validation)
    return Split(np.union1d(split.train, split.validation), nothing, split.test)


def _collected(
    rows: np.ndarray, fits: Sequence[Fit], records: Mapping[str, Record]
) -> FoldPredictions:
    """What a contender predicted in its fits, seed by seed."""
    table = pd.DataFrame([records[fit.key] for fit in fits])
    predictions = np.concatenate(table["prediction"]).reshape(-1, len(rows))
    quantiles = None
    if "quantiles" in table:
        quantiles = np.concatenate(table["quantiles"]).reshape(-1, len(rows), 2)
    return FoldPredictions(rows, predictions, table[list(COSTS)], quantiles)


class Fit(NamedTuple):
    """One contender, fitted on one split with one seed.

    Attributes:
        key: name of its file in the store
        contender: see `Contender`
        split: see `_parts`
        seed: of the training
        made_by: all that decides the numbers, as plain JSON; no paths and no commit
    """

    key: str
    contender: Contender
    split: Split
    seed: int
    made_by: dict[str, Any]

    @classmethod
    def plan(cls, corpus: Corpus, contender: Contender, split: Split, seed: int) -> Fit:
        """A fit with all that decides its numbers."""
        about = {
            "comparison": VERSION,
            "features": features.VERSION,
            "versions": versions(),
            "backend": keras.backend.backend() if contender.is_network else None,
            "corpus": corpus.fingerprint,
            "model": contender.as_dict(),
            "train": split.train.tolist(),
            "test": split.test.tolist(),
            "seed": seed if contender.is_network else None,
        }
        if FUNCTIONALS.keys() & set(contender.inputs):
            about["functionals"] = [features.FUNCTIONALS_VERSION, version("opensmile")]
        if contender.is_fine_tuned:
            about["start"] = fine_tuning.made_by()
        if contender.has_distribution:
            about["quantiles"] = models.QUANTILES
        if "embeddings" in contender.inputs:
            about["pretrained"] = features.pretrained_model().made_by
        key = digest(json.dumps(about, sort_keys=True))
        about["train"], about["test"] = len(split.train), len(split.test)
        return cls(key, contender, split, seed, {"key": key, **json.loads(json.dumps(about))})

    def is_whole(self, record: Record) -> bool:
        """Whether a record has all that `_fit` gives, and ``made_by`` of this fit."""
        quantiles = record["quantiles"] if self.contender.has_distribution else []
        ends = list(itertools.chain(*quantiles))
        numbers = [*record["prediction"], *ends, *(record[cost] for cost in COSTS)]
        return (
            record["made_by"] == self.made_by
            and len(record["prediction"]) == len(self.split.test)
            and len(ends) == 2 * len(self.split.test) * self.contender.has_distribution
            and all(isinstance(each, int | float) for each in numbers)
        )


def _carry_out(corpus: Corpus, fits: Sequence[Fit], jobs: int) -> dict[str, Record]:
    """The records of fits, by key; those that are stored are only read."""
    store = Store(cache_folder("comparisons"))
    records, missing = store.load_all(fits)
    _extract_all(corpus, [fit.contender for fit in missing])
    run = functools.partial(_fit_once, store, corpus)
    count = workers.side_by_side(jobs, workers.TRAINING_MEMORY)
    total = len(records) + len(missing)
    with (
        bar(total=total, initial=len(records), desc="comparison", unit="fit") as progress,
        contextlib.closing(workers.each(run, missing, count)) as ended,
    ):
        for fit, record in ended:
            if isinstance(record, workers.KilledError):
                raise ComparisonError(f"{record} Use fewer jobs; what was finished is stored.")
            records[fit.key] = record
            progress.update()
    return records


def _extract_all(corpus: Corpus, contenders: Sequence[Contender]) -> None:
    """Fill the cache with all inputs, so that the processes only read it."""
    for kind, mel in {(kind, each.mel) for each in contenders for kind in each.inputs}:
        _extracted(corpus, kind, mel)
    for kind in FUNCTIONALS:
        if any(kind in each.inputs for each in contenders):
            short = np.isnan(features.functionals(corpus, **FUNCTIONALS[kind])).any(axis=1)
            if short.any():
                print(
                    f"{short.sum()} of {len(short)} clips are too short for {kind}: these become "
                    "the mean of the training clips."
                )


def _fit_once(store: Store, corpus: Corpus, fit: Fit) -> Record:
    """Fit and store, unless another comparison has done it meanwhile."""
    if fit.contender.is_network:
        models.limit_threads(1)
    return store.once(fit, functools.partial(_fit, corpus, fit))


def _fit(corpus: Corpus, fit: Fit) -> Record:
    contender, (train, _, test) = fit.contender, fit.split
    ratings = corpus.clips["valence"].to_numpy(dtype=np.float32)
    speakers = evaluation.known_speakers(corpus.clips.iloc[train])
    costs, more = (0.0, 0, 0.0), {}
    if contender.network == "median":
        prediction = baselines.median(ratings, train, test)
    elif contender.network == "svr":
        matrix, start = _filled_inputs(corpus, fit), time.perf_counter()
        prediction = baselines.svr(
            matrix,
            ratings,
            train,
            test,
            speakers=speakers,
            scale=corpus.scale,
            **contender.options,
        )
        costs = (time.perf_counter() - start, 0, 0.0)
    elif contender.network in PRETRAINED:
        matrix, start = inputs(corpus, contender), time.perf_counter()
        if contender.network == "pretrained":
            prediction = pretrained_valence(matrix, ratings, train, test)
        else:
            prediction = pretrained_head(matrix, ratings, train, test, speakers=speakers)
        costs = (time.perf_counter() - start, 0, 0.0)
    else:
        run = _train(fit, _filled_inputs(corpus, fit), ratings, corpus.scale)
        start = time.perf_counter()
        prediction, quantiles = training.predict_with_quantiles(run, run.features, test)
        milliseconds = 1000 * (time.perf_counter() - start) / len(test)
        costs = (run.seconds, run.settings["parameters"], milliseconds)
        more = {"quantiles": quantiles.tolist()} if contender.has_distribution else {}
    named = dict(zip(COSTS, costs, strict=True))
    return {"prediction": prediction.tolist(), **more, **named, "made_by": fit.made_by}


def _train(
    fit: Fit, matrix: np.ndarray, ratings: np.ndarray, scale: tuple[float, float]
) -> training.Run:
    contender, train = fit.contender, fit.split.train
    if matrix.ndim == 2:  # statistics, as bands of one frame
        matrix = matrix[:, :, None]
    rows, frames = matrix.shape[1:]
    shape = (rows, None if contender.training.get("bucket_by_length") else frames)
    build = getattr(models, contender.network)
    scales = {"scale": scale} if "scale" in inspect.signature(build).parameters else {}
    network = build(shape, **scales, **contender.options)
    options = {**contender.training, "seed": fit.seed}
    if contender.is_fine_tuned:
        options["start"] = fine_tuning.start()
    if contender.balanced:
        options["sample_weight"] = training.rarity(ratings, train)
    if contender.augmentation:
        mean, _ = training.statistics(matrix, train)
        change = functools.partial(training.augment, amounts=contender.augmentation, fill=mean)
        options["transform"] = change
    return training.train(network, matrix, ratings, fit.split, **options)


def _filled_inputs(corpus: Corpus, fit: Fit) -> np.ndarray:
    """What a contender is given in a fit: `inputs`, and what is missing in them filled."""
    matrix = inputs(corpus, fit.contender)
    return baselines.filled(matrix, fit.split.train) if matrix.ndim == 2 else matrix


#: Inputs that this process has made of its corpus, each of them once.
_made: dict[tuple[str, str, MelSettings, bool, str], np.ndarray] = {}


def inputs(corpus: Corpus, contender: Contender) -> np.ndarray:
    """Features of each clip, [clips, rows, frames] or [clips, statistics].

    Functionals of clips that are too short for them are not numbers, see `baselines.filled`.
    """
    parts = [_part(corpus, kind, contender.mel, contender.by_speaker) for kind in contender.inputs]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _part(corpus: Corpus, kind: str, mel: MelSettings, by_speaker: bool) -> np.ndarray:
    pretrained = str(features.pretrained_model().made_by) if kind == "embeddings" else ""
    key = (corpus.fingerprint, kind, mel, by_speaker, pretrained)
    if key not in _made:
        matrix = _extracted(corpus, kind, mel)
        if kind == "statistics":
            matrix = _statistics(matrix, mel)
        if by_speaker:
            matrix = features.normalise_by_speaker(matrix, corpus.clips["speaker"])
        _made[key] = matrix
    return _made[key]


def _extracted(corpus: Corpus, kind: str, mel: MelSettings) -> np.ndarray:
    """What inputs of a kind are made of, from the cache."""
    if kind == "embeddings":
        return features.embeddings(corpus)
    if kind in FUNCTIONALS:
        return features.functionals(corpus, **FUNCTIONALS[kind])
    duration = features.input_duration(corpus)
    return features.extract(corpus, mel, duration=duration)


def _statistics(matrix: np.ndarray, mel: MelSettings) -> np.ndarray:
    """The first layer of the recommended network, applied to every clip [clips, statistics]."""
    layer = models.ClipStatistics(tracks=mel.rows - mel.n_mels)
    starts = range(0, len(matrix), 64)
    return np.concatenate([np.asarray(layer(np.array(matrix[i : i + 64]))) for i in starts])
