"""Prediction intervals: how wide they must be, and how many ratings they hold.

Conformal prediction (Vovk et al. 2005; Lei et al. 2018) takes their width from errors on clips that
a network was not trained on.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from helpers import evaluation, training
from helpers.corpora import Corpus
from helpers.inference.speakers import spread
from helpers.training import Run

#: Share of new clips whose rating lies in the interval of its prediction.
LEVEL = 0.9

#: Equal parts of the rating scale, for each of which the coverage is counted.
PARTS = 3


class Calibration(NamedTuple):
    """How wide intervals are, and why.

    Attributes:
        margin: how far an interval extends beyond the prediction, or beyond `models.quantiles` of
            its distribution, to each side; None if there were too few errors to know
        from_quantiles: whether it is the latter, where the margin can be below 0
        errors: number of ``clips`` whose errors were used, and of their ``speakers`` if known; if
            they are out of fold, also the number of ``folds``, and whether these are ``by``
            corpus, by speaker or by clip
        out_of_fold: see `count_held`, of these clips, where the margin of each fold comes from the
            errors in the others; empty if there are none
        spread: of these predictions over speakers, see `speakers.spread`
    """

    margin: float | None
    from_quantiles: bool
    errors: dict[str, Any]
    out_of_fold: dict[str, Any]
    spread: dict[str, Any]


def calibrate(run: Run, corpus: Corpus, out_of_fold: pd.DataFrame | None = None) -> Calibration:
    """Take the width of intervals from out-of-fold errors, or else from the validation part.

    Args:
        run: see `training.train`
        corpus: the corpus that the run was trained on
        out_of_fold: see `model_file.save`

    Raises:
        ValueError: if an out-of-fold prediction is of a test clip, or a distribution is predicted
            either there or by the network of the run, but not by both
    """
    if out_of_fold is None:
        rows = run.split.validation
        predicted, quantiles = training.predict_with_quantiles(run, run.features, rows)
    else:
        rows, predicted = out_of_fold.index.to_numpy(), out_of_fold["prediction"].to_numpy()
        quantiles = out_of_fold[["low", "high"]].to_numpy()
        if np.isin(rows, run.split.test).any():
            raise ValueError("The out-of-fold predictions are also of test clips: leave them out.")
        one = training.predict_with_quantiles(run, run.features, rows[:1])
        if _differ(*one) != _differ(predicted, quantiles):
            raise ValueError("The out-of-fold predictions are of another network than the run.")
    from_quantiles = _differ(predicted, quantiles)
    truth, clips = run.ratings[rows], corpus.clips.iloc[rows]
    scores = conformity(truth, quantiles)
    speakers = evaluation.known_speakers(clips)
    errors: dict[str, Any] = {"clips": len(rows)}
    if speakers is not None:
        errors["speakers"] = len(set(speakers))
    of_folds = {}
    if out_of_fold is not None:
        fold = out_of_fold["fold"].to_numpy()
        errors |= {"folds": len(set(fold)), "by": _kept_together(fold, clips, speakers)}
        of_others = {own: reach(conformal_margin(scores[fold != own])) for own in set(fold)}
        margins = np.array([of_others[own] for own in fold])
        low, high = extended(predicted, quantiles, margins)
        of_folds = count_held(truth, low, high, scale=corpus.scale, speakers=speakers)
    margin, of_speakers = conformal_margin(scores), spread(predicted, speakers)
    return Calibration(margin, from_quantiles, errors, of_folds, of_speakers)


def conformity(truth: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """How far each rating is outside its quantiles; below 0 inside (Romano et al. 2019).

    Args:
        truth: ratings [clips]
        quantiles: see `models.quantiles`. Where both are the prediction, this is the absolute error
            [clips, 2]

    Returns:
        points on the scale [clips]
    """
    return np.maximum(quantiles[:, 0] - truth, truth - quantiles[:, 1])


def extended(
    predicted: np.ndarray, quantiles: np.ndarray, margin: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles moved apart, or together, but never beyond the prediction.

    Args:
        predicted: valence [clips]
        quantiles: see `models.quantiles` [clips, 2]
        margin: by how much, to each side [clips]

    Returns:
        low and high ends, two arrays [clips]
    """
    low, high = quantiles[..., 0] - margin, quantiles[..., 1] + margin
    return np.minimum(low, predicted), np.maximum(high, predicted)


def _differ(predicted: np.ndarray, quantiles: np.ndarray) -> bool:
    """Whether quantiles are those of a distribution."""
    return bool((quantiles != predicted[:, None]).any())


def _kept_together(fold: np.ndarray, clips: pd.DataFrame, speakers: np.ndarray | None) -> str:
    """What folds keep together: ``"corpus"`` (of several), ``"speaker"`` or ``"clip"``."""
    groups = {"corpus": clips.get("corpus"), "speaker": speakers}
    for name, group in groups.items():
        if group is not None and pd.Series(fold).groupby(np.asarray(group)).nunique().max() == 1:
            return name
    return "clip"


def conformal_margin(scores: np.ndarray) -> float | None:
    """How far conformal prediction intervals extend to each side.

    Args:
        scores: see `conformity`; of clips that were not trained on [clips]

    Returns:
        the ceil((n + 1) `LEVEL`)-th smallest; None if there are fewer

    Examples:
        >>> conformal_margin([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
        0.9
        >>> conformal_margin([0.1, 0.2]) is None
        True

    See: notebooks/07_your_speech.ipynb
    """
    rank = math.ceil((len(scores) + 1) * LEVEL)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def reach(margin: float | None) -> float:
    """The margin; infinite if it is None, so that intervals span the scale."""
    return math.inf if margin is None else margin


def count_held(
    truth: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    scale: tuple[float, float],
    speakers: np.ndarray | None,
) -> dict[str, Any]:
    """How many ratings lie in the intervals of their predictions.

    Args:
        truth: ratings [clips]
        low: lowest rating of each interval, perhaps below the scale [clips]
        high: highest rating of each interval, perhaps above the scale [clips]
        scale: lowest and highest possible rating
        speakers: of each clip [clips], see `evaluation.known_speakers`

    Returns:
        number of ``clips``, how many were ``held``, and the mean ``width`` of the intervals; these
        numbers of clips for each of ``parts`` of the scale, ``from`` and ``to`` (a rating on the
        border counts to the lower part); and if the speakers are known, their number, the ``low``
        and ``high`` end of the 95 % interval of the share, drawing speakers, and the share of the
        ``worst_speaker`` and ``best_speaker``
    """
    held = (low <= truth) & (truth <= high)
    width = np.clip(high, *scale) - np.clip(low, *scale)
    edges = np.linspace(*scale, PARTS + 1)
    part = evaluation.part_of(truth, edges)
    found: dict[str, Any] = {**_counts(held), "width": float(width.mean())}
    found["parts"] = [
        {"from": float(edges[i]), "to": float(edges[i + 1]), **_counts(held[part == i])}
        for i in range(PARTS)
    ]
    if speakers is not None:
        drawn = evaluation.resamples(len(truth), speakers, seed=0)
        share = drawn.estimate(drawn.mean(held))
        shares = pd.Series(held).groupby(speakers).mean()
        found |= {"low": share["low"], "high": share["high"], "speakers": len(shares)}
        found |= {"worst_speaker": float(shares.min()), "best_speaker": float(shares.max())}
    return found


def _counts(held: np.ndarray) -> dict[str, int]:
    return {"clips": len(held), "held": int(held.sum())}
