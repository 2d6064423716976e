"""How good predictions are, and how sure one can be of it.

Metrics come from audmetric, the field's package; the intervals are bootstrap percentiles over
clips, or over speakers (Efron & Tibshirani 1993, chapter 13).

From a terminal, ``python -m helpers.evaluation [PATH] [--models NAME,NAME] [--by speaker|clip]
[--folds K] [--seeds N] [--normalise] [--csv OUT]`` compares models and baselines on a corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
import scipy.stats

from helpers.evaluation.metrics import interval, resamples

# Where the errors are. These take a table of predictions, a row a clip: ``valence`` (its rating),
# ``prediction``, and whatever else is known of the clip. An error is prediction minus rating.


def worst(predicted: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """The clips with the highest absolute error, the worst first.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        count: how many, if there are as many

    Returns:
        their rows and an ``error``: prediction minus rating

    Examples:
        >>> table = pd.DataFrame({"valence": [1.0, 4.0, 5.0], "prediction": [1.5, 4.0, 2.0]})
        >>> worst(table, 2)["error"].tolist()
        [-3.0, 0.5]

    See: notebooks/05_error_analysis.ipynb
    """
    table = predicted.assign(error=predicted["prediction"] - predicted["valence"])
    order = table["error"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order[:count]]


def bias_by_rating(
    predicted: pd.DataFrame, scale: tuple[float, float], *, bins: int = 4, seed: int = 0
) -> pd.DataFrame:
    """Mean error in equal parts of the rating scale, with 95 % intervals.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        scale: lowest and highest possible rating
        bins: parts of the scale; those without clips are left out
        seed: of the bootstrap

    Returns:
        a row a part, from the lowest: ``from`` and ``to`` (a rating on the border counts to the
        lower part), ``clips``, their mean ``valence`` and ``prediction``, their ``bias`` (the mean
        of prediction minus rating) with ``low`` and ``high``. Below two clips there is no interval

    See: notebooks/05_error_analysis.ipynb
    """
    edges = np.linspace(*scale, bins + 1)
    return _by_bin(predicted, predicted["valence"], edges, seed)


def calibration(predicted: pd.DataFrame, *, bins: int = 4, seed: int = 0) -> pd.DataFrame:
    """Mean rating of clips with similar predictions, in groups of equal size.

    Where a network predicts 4, are the ratings 4 on average? If so it is calibrated, and that its
    predictions are less spread than the ratings is no fault.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        bins: groups; fewer where many predictions are equal
        seed: of the bootstrap

    Returns:
        as `bias_by_rating`, where ``from`` and ``to`` are predictions

    See: notebooks/05_error_analysis.ipynb
    """
    edges = np.unique(np.quantile(predicted["prediction"], np.linspace(0, 1, bins + 1)))
    return _by_bin(predicted, predicted["prediction"], edges, seed)


def _by_bin(predicted: pd.DataFrame, by: pd.Series, edges: np.ndarray, seed: int) -> pd.DataFrame:
    bins = np.maximum(np.searchsorted(edges, by) - 1, 0)
    rows = []
    for i, group in predicted.groupby(bins):
        error = (group["prediction"] - group["valence"]).to_numpy()
        resampled = error[resamples(len(error), seed)].mean(axis=1)
        rows.append(
            {
                "from": edges[i],
                "to": edges[min(i + 1, len(edges) - 1)],
                "clips": len(group),
                "valence": group["valence"].mean(),
                "prediction": group["prediction"].mean(),
                "bias": error.mean(),
                **interval(resampled if len(error) > 1 else resampled[:0]),
            }
        )
    return pd.DataFrame(rows)


def slopes(predicted: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Regression to the mean, and whether there is more of it than ignorance explains.

    Two least-squares lines through the same cloud. That of the prediction on the rating has a slope
    below 1 for every network that does not know all: the lower, the more it stays near the mean.
    That of the rating on the prediction has a slope of 1 if the network is calibrated (Mincer &
    Zarnowitz 1969); above 1 it is more timid than it need be, below 1 bolder than it should be.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        seed: of the bootstrap

    Returns:
        rows ``prediction on rating`` and ``rating on prediction``: ``value``, ``low`` and ``high``
        of its 95 % interval. The second is missing for a constant prediction

    Examples:
        >>> timid = pd.DataFrame({"valence": [1.0, 3.0, 5.0], "prediction": [2.0, 3.0, 4.0]})
        >>> slopes(timid)["value"].to_dict()
        {'prediction on rating': 0.5, 'rating on prediction': 2.0}

    See: notebooks/05_error_analysis.ipynb
    """
    rating, prediction = predicted[["valence", "prediction"]].to_numpy(dtype=np.float64).T
    rows = resamples(len(rating), seed)
    lines = {
        "prediction on rating": (rating, prediction),
        "rating on prediction": (prediction, rating),
    }
    return pd.DataFrame(
        [
            {"value": _slope(x, y).item(), **interval(_slope(x[rows], y[rows]))}
            for x, y in lines.values()
        ],
        index=list(lines),
    )


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the least-squares line, along the last axis; missing where x is constant."""
    x = x - x.mean(axis=-1, keepdims=True)
    variance = (x**2).sum(axis=-1)
    with np.errstate(invalid="ignore"):  # of a constant, 0 / 0
        return np.where(variance > 1e-12, (x * y).sum(axis=-1) / variance, np.nan)


def by_speaker(predicted: pd.DataFrame) -> pd.DataFrame:
    """Errors of each speaker, the worst first.

    Args:
        predicted: a row a clip, with ``valence``, ``prediction`` and ``speaker``

    Returns:
        a row a speaker: number of ``clips``, mean absolute error ``mae``, and ``bias``, the mean of
        prediction minus rating. Clips of unknown speakers are left out

    See: notebooks/05_error_analysis.ipynb
    """
    error = predicted["prediction"] - predicted["valence"]
    errors = pd.DataFrame({"mae": error.abs(), "bias": error})
    groups = errors.groupby(predicted["speaker"])
    table = groups.mean().assign(clips=groups.size())[["clips", "mae", "bias"]]
    return table.sort_values("mae", ascending=False)


PERMUTATIONS = 9999


def worst_against_rest(facts: pd.DataFrame, is_worst: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Do the worst clips differ from the rest? A permutation test on the difference of the means.

    Args:
        facts: a row a clip, a column a number known of it, see `acoustics.table`
        is_worst: which clips are the worst, bool [clips]
        seed: of the permutations

    Returns:
        a row a fact: its mean for the ``worst`` and the ``rest``, their ``difference``, the
        two-sided ``p`` of clips drawn at random having one as large, and ``corrected``, that p
        after Holm (1979) for the number of facts

    See: notebooks/05_error_analysis.ipynb
    """
    is_worst = np.asarray(is_worst)

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return a.mean(axis=axis) - b.mean(axis=axis)

    rows = {}
    for name, column in facts.items():
        worst, rest = column[is_worst].to_numpy(float), column[~is_worst].to_numpy(float)
        rows[name] = {
            "worst": worst.mean(),
            "rest": rest.mean(),
            "difference": worst.mean() - rest.mean(),
            "p": _permuted((worst, rest), difference, "independent", seed),
        }
    return _corrected(pd.DataFrame(rows).T)


def error_against(facts: pd.DataFrame, error: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Does the size of the error go with what is known of a clip?

    Args:
        facts: a row a clip, a column a number known of it, see `acoustics.table`
        error: absolute error [clips]
        seed: of bootstrap and permutations

    Returns:
        a row a fact that is not the same for all clips: Spearman's rank correlation with the error
        as ``value``, ``low`` and ``high`` of its 95 % interval, the ``p`` of clips and errors
        paired at random, and ``corrected``, that p after Holm (1979) for the number of facts

    See: notebooks/05_error_analysis.ipynb
    """
    error = np.asarray(error, dtype=np.float64)
    resampled = resamples(len(error), seed)
    ranks = _ranks(error)

    def correlation(x: np.ndarray, axis: int) -> np.ndarray:
        return (x * ranks).mean(axis=axis)

    rows = {}
    for name, column in facts.items():
        x = column.to_numpy(dtype=np.float64)
        if np.ptp(x) > 0:
            rows[name] = {
                "value": correlation(_ranks(x), -1),
                **interval((_ranks(x[resampled]) * _ranks(error[resampled])).mean(axis=-1)),
                "p": _permuted((_ranks(x),), correlation, "pairings", seed),
            }
    return _corrected(pd.DataFrame(rows, index=["value", "low", "high", "p"]).T)


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks along the last axis with mean 0 and variance 1; missing where all are equal."""
    ranks = scipy.stats.rankdata(x, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    deviation = ranks.std(axis=-1, keepdims=True)
    return ranks / np.where(deviation > 0, deviation, np.nan)


def _permuted(
    data: tuple[np.ndarray, ...],
    statistic: Callable[..., np.ndarray],
    kind: Literal["independent", "pairings"],
    seed: int,
    alternative: Literal["two-sided", "greater"] = "two-sided",
) -> float:
    test = scipy.stats.permutation_test(
        data,
        statistic,
        permutation_type=kind,
        alternative=alternative,
        n_resamples=PERMUTATIONS,
        batch=1000,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """With Holm's step-down correction of ``p``, in the order of the rows."""
    ordered = table["p"].sort_values()
    steps = ordered * np.arange(len(ordered), 0, -1)
    return table.assign(corrected=steps.cummax().clip(upper=1))


def speakers_differ(predicted: pd.DataFrame, *, seed: int = 0) -> pd.Series:
    """Is the error larger for some speakers than for others? A permutation test.

    Args:
        predicted: a row a clip, with ``valence``, ``prediction`` and ``speaker``
        seed: of the permutations

    Returns:
        ``share`` of the variance of absolute errors that lies between speakers (0 to 1, the squared
        correlation ratio), and the ``p`` of speakers given to clips at random having one as large.
        Both are missing with fewer than two known speakers

    See: notebooks/05_error_analysis.ipynb
    """
    known = predicted[predicted["speaker"].notna()]
    member = pd.get_dummies(known["speaker"]).to_numpy(dtype=np.float64)
    if member.shape[1] < 2:
        return pd.Series({"share": np.nan, "p": np.nan})
    sizes = member.sum(axis=0)
    error = (known["prediction"] - known["valence"]).abs().to_numpy(dtype=np.float64)
    error = (error - error.mean()) / error.std()

    def share(x: np.ndarray, axis: int) -> np.ndarray:
        return ((x @ member) ** 2 / sizes).sum(axis=-1) / len(error)

    p = _permuted((error,), share, "pairings", seed, "greater")
    return pd.Series({"share": share(error, -1), "p": p})


def claims(spectral: pd.DataFrame, bias: pd.DataFrame) -> pd.DataFrame:
    """Which of the report's claims about errors hold.

    Args:
        spectral: `worst_against_rest` of ``low share`` and ``spread``
        bias: see `bias_by_rating`

    Returns:
        a row a claim, with the ``value`` that it is about and whether it ``holds``: the worst clips
        have more energy at low frequencies, and a broader spectrum, than the rest (beyond chance
        at 5 % after correction); low ratings are predicted too high, and high ones too low (in the
        lowest and the highest part of the scale that has clips, the interval does not reach 0)

    See: notebooks/05_error_analysis.ipynb
    """
    lowest, highest = bias.iloc[0], bias.iloc[-1]
    more = spectral["difference"].gt(0) & spectral["corrected"].lt(0.05)
    rows = {
        "more energy at low frequencies": (
            spectral.loc["low share", "difference"],
            more["low share"],
        ),
        "broader spectrum": (spectral.loc["spread", "difference"], more["spread"]),
        "low ratings predicted too high": (lowest["bias"], lowest["low"] > 0),
        "high ratings predicted too low": (highest["bias"], highest["high"] < 0),
    }
    table = pd.DataFrame(rows, index=["value", "holds"]).T.rename_axis("claim")
    return table.astype({"value": float, "holds": bool})
