"""What a listener reaches, where a corpus has several."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.corpora import against_others
from helpers.evaluation.bootstrap import Resamples, resamples
from helpers.evaluation.metrics import row_of, scored

#: Clips from which a rater is judged alone: a correlation over fewer says little, and over one
#: nothing.
ENOUGH_CLIPS = 30

#: A share of resamples in which a ratio may lack a denominator above 0: those that an interval of
#: 95 % leaves out at one end.
UNDEFINED = 0.025


def one_listener(
    raters: pd.DataFrame, *, groups: np.ndarray | None = None, seed: int = 0
) -> pd.Series:
    """Scores of one rater against the mean of the others: what a listener reaches.

    The scores are means over the raters, each of whom is judged on the clips that others rated,
    too, and counts by their number. Raters of fewer than `ENOUGH_CLIPS` are judged together, as if
    they were one. The scores stand beside those of models, which are judged against the mean of
    all.

    Args:
        raters: `corpora.Corpus.raters` [clips, raters]
        groups: see `compare`
        seed: see `compare`

    Returns:
        a row of `compare`, without gains

    Raises:
        ValueError: if no clip was rated by two raters

    See: notebooks/06_improvements.ipynb
    """
    drawn = resamples(len(raters), groups, seed=seed)
    return pd.Series(row_of(_mean_scores(raters, drawn), drawn), name="one_listener")


def _mean_scores(raters: pd.DataFrame, drawn: Resamples) -> dict[str, np.ndarray]:
    """Each score of `one_listener`: its value, then that of each resample [1 + draws]."""
    found, clips = [], []
    with np.errstate(invalid="ignore"):  # a resample without clips of a rater has no scores
        for both in _listeners(raters.reset_index(drop=True)):
            heard = drawn.of(both.index)
            found.append(scored(both["others"].to_numpy(), both["one"].to_numpy(), heard))
            clips.append(heard.clips())
        shares = clips / np.max(clips, axis=0)
    several = {score: np.ma.masked_invalid([one[score] for one in found]) for score in found[0]}
    return {
        score: np.ma.filled(np.ma.average(each, axis=0, weights=shares), np.nan)
        for score, each in several.items()
    }


def _listeners(raters: pd.DataFrame) -> list[pd.DataFrame]:
    """Each rater beside the mean of the others; those of few clips together, as one rater."""
    each = [both for both in against_others(raters).values() if len(both)]
    if not each:
        raise ValueError("No clip was rated by two raters.")
    few = [both for both in each if len(both) < ENOUGH_CLIPS]
    return [both for both in each if len(both) >= ENOUGH_CLIPS] + ([pd.concat(few)] if few else [])


def covered_share(
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    raters: pd.DataFrame,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """How far each model is on the way from the median predictor to one listener.

    The share is (MAE of the median - MAE of the model) / (MAE of the median - MAE of one listener):
    0 is no better than the median predictor, and 1 as good as a listener. It may be above 1, since
    a model is judged against the mean of all raters and a listener against that of the others,
    which is less exact. All three are resampled with the same draws.

    Args:
        truth: ratings [clips]
        predictions: see `compare`; with ``"median"``
        raters: see `one_listener`
        groups: see `compare`
        seed: see `compare`

    Returns:
        a row a model, ``value``, ``low`` and ``high``; missing where a listener is no better than
        the median predictor. The ends are missing, too, where that is so in more than
        `UNDEFINED` of the resamples: the share then has no bounds (Fieller 1954)

    See: notebooks/06_improvements.ipynb
    """
    drawn = resamples(len(truth), groups, seed=seed)
    maes = {
        name: np.mean([scored(truth, one, drawn)["mae"] for one in np.atleast_2d(each)], axis=0)
        for name, each in predictions.items()
    }
    way = maes["median"] - _mean_scores(raters, drawn)["mae"]
    if not way[0] > 0 or np.sum(~(way[1:] > 0)) > UNDEFINED * len(way[1:]):
        way[1:] = np.nan
    rows = {}
    for name, mae in maes.items():
        share = np.divide(maes["median"] - mae, way, out=np.full_like(way, np.nan), where=way > 0)
        rows[name] = drawn.estimate(share)
    return pd.DataFrame.from_dict(rows, orient="index")
