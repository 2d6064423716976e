"""What goes with the errors: permutation tests, and the original study's claims about errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from helpers.evaluation.metrics import interval, resamples

#: Draws of each permutation test.
PERMUTATIONS = 9999


def worst_against_rest(facts: pd.DataFrame, is_worst: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Do the worst clips differ from the rest? A permutation test on the difference of the means.

    Args:
        facts: a row a clip, a column a number known of it, see `acoustic_facts`
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
            "difference": difference(worst, rest, axis=0),
            "p": _permuted(seed, data=(worst, rest), statistic=difference),
        }
    return _corrected(pd.DataFrame(rows).T)


def error_against(facts: pd.DataFrame, error: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Does the size of the error go with what is known of a clip?

    Args:
        facts: a row a clip, a column a number known of it, see `acoustic_facts`
        error: absolute error [clips]
        seed: of bootstrap and permutations

    Returns:
        a row a fact that is not the same for all clips: Spearman's rank correlation with the error
        as ``value``, ``low`` and ``high`` of its 95 % interval, the ``p`` of clips and errors
        paired at random, and ``corrected``, that p after Holm (1979) for the number of facts

    See: notebooks/05_error_analysis.ipynb
    """
    error = np.asarray(error, dtype=np.float64)
    drawn = resamples(len(error), seed)
    ranks = _ranks(error)

    def correlation(x: np.ndarray, axis: int) -> np.ndarray:
        return (x * ranks).mean(axis=axis)

    rows = {}
    for name, column in facts.loc[:, facts.nunique() > 1].items():
        x = column.to_numpy(dtype=np.float64)
        rows[name] = {
            "value": correlation(_ranks(x), -1),
            **interval((_ranks(x[drawn]) * _ranks(error[drawn])).mean(axis=-1)),
            "p": _permuted(
                seed, data=(_ranks(x),), statistic=correlation, permutation_type="pairings"
            ),
        }
    return _corrected(pd.DataFrame(rows, index=["value", "low", "high", "p"]).T)


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks along the last axis with mean 0 and variance 1; missing where all are equal."""
    ranks = scipy.stats.rankdata(x, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0 where all are equal
        return ranks / ranks.std(axis=-1, keepdims=True)


def _permuted(seed: int, **test: Any) -> float:
    """The p of a permutation test, see `scipy.stats.permutation_test`."""
    draws = {"n_resamples": PERMUTATIONS, "batch": 1000, "rng": np.random.default_rng(seed)}
    return float(scipy.stats.permutation_test(vectorized=True, **draws, **test).pvalue)


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
    error = scipy.stats.zscore(error)

    def share(x: np.ndarray, axis: int) -> np.ndarray:
        return ((x @ member) ** 2 / sizes).sum(axis=-1) / len(error)

    kind = {"permutation_type": "pairings", "alternative": "greater"}
    p = _permuted(seed, data=(error,), statistic=share, **kind)
    return pd.Series({"share": share(error, -1), "p": p})


def claims(spectral: pd.DataFrame, bias: pd.DataFrame) -> pd.DataFrame:
    """Which of the original study's claims about errors hold.

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
    difference = spectral["difference"]
    more = difference.gt(0) & spectral["corrected"].lt(0.05)
    rows = [
        ("more energy at low frequencies", difference["low share"], more["low share"]),
        ("broader spectrum", difference["spread"], more["spread"]),
        ("low ratings predicted too high", lowest["bias"], lowest["low"] > 0),
        ("high ratings predicted too low", highest["bias"], highest["high"] < 0),
    ]
    return pd.DataFrame(rows, columns=["claim", "value", "holds"]).set_index("claim")
