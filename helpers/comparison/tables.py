"""Tables of a comparison: the scores of every model, what each change brings, each prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from helpers import evaluation, splits
from helpers.comparison.contenders import Contender
from helpers.comparison.fits import FoldPredictions, fit_all
from helpers.corpora import Corpus
from helpers.splits import Split


def averaged(fits: FoldPredictions) -> FoldPredictions:
    """The mean prediction of several seeds, as one contender that costs as much as all of them.

    Args:
        fits: see `fit_all`

    See: notebooks/06_improvements.ipynb
    """
    mean = fits.predictions.mean(axis=0, keepdims=True)
    return FoldPredictions(fits.rows, mean, fits.costs * len(fits.predictions))


def score_table(
    corpus: Corpus,
    fits: Mapping[str, FoldPredictions],
    *,
    reference: str | None = None,
    listener: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores of contenders with 95 % intervals, and their costs.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds
        reference: name of the contender that gains are over; the first if None
        listener: add the row ``"one_listener"`` (see `evaluation.one_listener`) where a clip has
            several raters; it has no gains and no costs. If ``"median"`` is a contender, the column
            ``covered share`` is added, too (see `evaluation.covered_share`)
        seed: of the bootstrap, over speakers if all are known, else over clips

    Returns:
        `evaluation.compare` without RMSE, and the mean costs of a fit (``seconds``,
        ``parameters``, ``milliseconds`` to predict a clip) in columns ``cost``

    See: notebooks/06_improvements.ipynb
    """
    rows = next(iter(fits.values())).rows
    speakers = evaluation.known_speakers(corpus.clips.iloc[rows])
    groups = rows if speakers is None else speakers  # validation parts may share clips
    truth = corpus.clips["valence"].to_numpy()[rows]
    predictions = {name: found.predictions for name, found in fits.items()}
    scores = evaluation.compare(truth, predictions, groups=groups, reference=reference, seed=seed)
    raters = None if corpus.raters is None else corpus.raters.iloc[rows]
    if listener and raters is not None and raters.notna().sum(axis=1).gt(1).any():
        drawn: dict[str, Any] = {"groups": groups, "seed": seed}
        scores.loc["one_listener"] = evaluation.one_listener(raters, **drawn)
        if "median" in fits:
            share = evaluation.covered_share(truth, predictions, raters, **drawn)
            scores = scores.join(pd.concat({"covered share": share}, axis=1))
    costs = pd.DataFrame({name: found.costs.mean() for name, found in fits.items()}).T
    return scores.drop(columns="rmse", level=0).join(pd.concat({"cost": costs}, axis=1))


def ablation_table(
    corpus: Corpus, fits: Mapping[str, FoldPredictions], *, seed: int = 0
) -> pd.DataFrame:
    """Scores of ideas, each with its gain over what it changes.

    An idea called “x, y” adds y to x, and its gain is over x if that is among them. All other gains
    are over the first.

    Args:
        corpus: see `corpora.load`
        fits: of `ideas`, see `fit_all`; of the same folds
        seed: see `score_table`

    Returns:
        as from `score_table`

    See: notebooks/06_improvements.ipynb
    """
    first, *_ = fits
    table = score_table(corpus, fits, reference=first, seed=seed)
    for name in fits:
        changed = name.rpartition(", ")[0]
        if changed in fits:
            both = {changed: fits[changed], name: fits[name]}
            gains = score_table(corpus, both, seed=seed).filter(like=" gain")
            table.loc[name, gains.columns] = gains.loc[name]
    return table


def out_of_fold(corpus: Corpus, fits: Mapping[str, FoldPredictions]) -> pd.DataFrame:
    """What each contender predicted for each clip, by a training that did not have it.

    Args:
        corpus: see `corpora.load`
        fits: see `fit_all`; of the same folds

    Returns:
        a row a tested clip, in the order of the corpus: ``file``, ``speaker``, ``valence`` and a
        column for each contender, with a number for each of several trainings

    See: notebooks/06_improvements.ipynb
    """
    rows = next(iter(fits.values())).rows
    columns = {}
    for name, found in fits.items():
        several = len(found.predictions) > 1
        for number, prediction in enumerate(found.predictions, start=1):
            columns[f"{name} {number}" if several else name] = prediction
    known = corpus.clips.iloc[rows][["file", "speaker", "valence"]]
    return known.assign(**columns).sort_index()


def cross_val_predict(
    corpus: Corpus,
    contender: Contender,
    split: Split,
    *,
    folds: int = 6,
    seed: int = 0,
    jobs: int = -1,
) -> pd.DataFrame:
    """What a contender predicts for the clips that are not tested on, by trainings without them.

    The training and validation part are cut into folds, by speaker if all are known. A training on
    the other folds predicts each, so no prediction is for a voice that it was trained on. The test
    part is not used. Its errors tell how wide prediction intervals must be, see `inference.save`.

    Args:
        corpus: see `corpora.load`
        contender: see `named`
        split: see `splits.main_split`
        folds: number of folds; fewer if there are fewer speakers (or clips)
        seed: of the folds and the trainings
        jobs: see `fit_all`

    Returns:
        a row a clip of the training and validation part, with its row number in the corpus as the
        index: number of its ``fold``, ``prediction``, and ``low`` and ``high``, see
        `models.quantiles`

    See: notebooks/07_your_speech.ipynb
    """
    rows = np.union1d(split.train, split.validation)
    parts = splits.folds_within(corpus.clips, rows, folds, seed=seed)
    found = fit_all(corpus, {"": contender}, parts=parts, seed=seed, jobs=jobs)[""]
    fold = np.repeat(np.arange(len(parts)), [len(each.test) for each in parts])
    return found.first(fold).sort_index()


def as_dict(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """A table of `score_table` for a results file.

    Args:
        table: see `score_table`

    Returns:
        by contender, then by score, ``value``, ``low`` and ``high``; also ``cost``

    See: notebooks/06_improvements.ipynb
    """
    return evaluation.as_dict(table, metrics=table.columns.get_level_values(0).unique())
