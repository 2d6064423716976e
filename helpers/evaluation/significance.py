"""What goes with the errors: permutation tests, and the original study's claims about errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.stats

from helpers.evaluation.bootstrap import ENOUGH_SPEAKERS, resamples
from helpers.evaluation.errors import clip_errors
from helpers.evaluation.metrics import moments

#: Draws of each permutation test.
PERMUTATIONS = 9999

#: In `error_against`, each rating of a speaker has a mean of its own if it has so many clips.
CLIPS_OF_A_RATING = 5

#: Permutations at a time, which bounds the memory of a test.
BATCH = 1000


def worst_against_rest(facts: pd.DataFrame, is_worst: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Do the worst clips differ from the rest? A permutation test on the difference of the means.

    Args:
        facts: a row a clip, a column a number known of it, see `acoustic_facts`
        is_worst: which clips are the worst, bool [clips]
        seed: of the permutations

    Returns:
        a row a fact: its mean for the ``worst`` and the ``rest``, their ``difference``, the
        two-sided ``p`` of clips drawn at random having one as large, and ``corrected``, that p
        after Holm (1979) for the number of facts. Where one of the two has a single clip or none,
        nothing can be shown, and p is 1

    See: notebooks/05_error_analysis.ipynb
    """
    is_worst = np.asarray(is_worst)

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return a.mean(axis=axis) - b.mean(axis=axis)

    rows = {}
    for name, column in facts.items():
        worst, rest = column[is_worst].astype(float), column[~is_worst].astype(float)
        data = worst.to_numpy(), rest.to_numpy()
        enough = min(len(worst), len(rest)) > 1
        rows[name] = {
            "worst": worst.mean(),
            "rest": rest.mean(),
            "difference": worst.mean() - rest.mean(),
            "p": _permuted(seed, data=data, statistic=difference) if enough else 1.0,
        }
    return _corrected(pd.DataFrame(rows).T)


def error_against(
    facts: pd.DataFrame,
    error: np.ndarray,
    rating: np.ndarray,
    *,
    speakers: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Does the size of the error go with what is known of a clip, beyond the rating?

    Errors depend on the rating: that of a predictor that always says the median *is* the distance
    of the rating from the median. Ratings go with acoustic facts. So errors go with facts even for
    a predictor that knows nothing of the clip. The correlation given here is therefore a partial
    one: that of the residuals of the ranks of error and fact, after least squares on the ranks of
    the rating and of its distance from the median. Where speakers are known, it is controlled for
    them, too, by a mean of their own: what differs between speakers only is no finding. If there
    are `CLIPS_OF_A_RATING` of a speaker with the same rating on average, as with labels of
    emotions, these have a mean of their own instead: what differs between emotions, or in how a
    speaker acts them, is no finding, either.

    The interval draws speakers and holds the residuals fixed, so it leaves out how the least
    squares vary. The p comes from permuting the residuals of the error within speakers, or within
    a speaker's clips of one rating (Freedman & Lane 1983). Where lines are drawn through ratings,
    some of what the rating does may be left: in simulations, a p below 0.05 came in 3 to 18 of 100
    cases for predictors that always say another constant than the median. Take a p just below 0.05
    for no more than a hint.

    Args:
        facts: a row a clip, a column a number known of it, see `acoustic_facts`
        error: absolute error of each clip [clips], see `clip_errors`
        rating: of each clip [clips]
        speakers: of each clip [clips], see `known_speakers`; None draws clips and permutes them all
        seed: of bootstrap and permutations

    Returns:
        a row a fact that is not the same for all clips: Spearman's rank correlation with the error
        as ``raw``, and as ``constant`` that with the error of a predictor that always says the
        median; the partial correlation as ``value``, ``low`` and ``high`` of its 95 % interval; the
        two-sided ``p``, and ``corrected``, that p after Holm (1979) for the number of facts. Where
        what is held fixed says all of the error or of the fact, ``value`` is missing and p is 1

    See: notebooks/05_error_analysis.ipynb
    """
    error, rating = np.asarray(error, np.float64), np.asarray(rating, np.float64)
    columns = facts.loc[:, facts.nunique() > 1]
    typical = np.abs(rating - np.median(rating))
    speaker = np.zeros(len(rating)) if speakers is None else pd.factorize(speakers)[0]
    cell, held = speaker, [scipy.stats.rankdata(each) for each in (rating, typical)]
    of_one_rating = pd.DataFrame([speaker, rating]).T.groupby([0, 1]).ngroup().to_numpy()
    if len(rating) >= CLIPS_OF_A_RATING * len(np.unique(of_one_rating)):
        cell, held = of_one_rating, []
    basis = scipy.linalg.orth(np.column_stack([pd.get_dummies(cell), *held]).astype(float))
    rest = _residuals(basis, scipy.stats.rankdata(error))
    drawn = resamples(len(rating), speakers, seed=seed)
    rests = [_residuals(basis, scipy.stats.rankdata(x)) for x in columns.to_numpy(float).T]
    rows = {}
    for (name, fact), other in zip(columns.items(), rests, strict=True):
        ranks = _ranks(fact.to_numpy(dtype=np.float64))
        rows[name] = {
            "raw": (ranks * _ranks(error)).mean(),
            "constant": (ranks * _ranks(typical)).mean(),
            **drawn.estimate(moments(rest, other, drawn).correlation()),
        }
    names = ["raw", "constant", "value", "low", "high"]
    p = _permuted_within(basis, rest, rests, cell, seed)
    return _corrected(pd.DataFrame(rows, index=names).T.assign(p=p))


def _residuals(basis: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """What least squares on an orthonormal basis leave of ranks, without rounding errors."""
    return (ranks - basis @ (basis.T @ ranks)).round(6)


def _permuted_within(
    basis: np.ndarray,
    rest: np.ndarray,
    others: list[np.ndarray],
    cell: np.ndarray,
    seed: int,
) -> np.ndarray:
    """The two-sided p of each partial correlation [facts], from permutations within cells."""
    if not others:
        return np.empty(0)
    order = np.argsort(cell, kind="stable")
    basis, rest, facts = basis[order], rest[order], np.column_stack(others)[order]

    def strength(x: np.ndarray) -> np.ndarray:
        """Of each fact, [..., facts], up to a factor that permutations do not change."""
        left = x - (x @ basis) @ basis.T
        return np.abs(left @ facts) / (np.linalg.norm(left, axis=-1, keepdims=True) + 1e-12)

    found, random = strength(rest), np.random.default_rng(seed)
    as_strong = np.zeros(facts.shape[1])
    for start in range(0, PERMUTATIONS, BATCH):
        size = (min(BATCH, PERMUTATIONS - start), len(rest))
        keys = cell[order] + random.random(size)  # sorted, each cell keeps its places
        drawn = strength(rest[np.argsort(keys, axis=-1)])
        as_strong += (drawn >= found * (1 - 1e-9)).sum(axis=0)
    return (1 + as_strong) / (1 + PERMUTATIONS)


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks along the last axis with mean 0 and variance 1; missing where all are equal."""
    ranks = scipy.stats.rankdata(x, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0 where all are equal
        return ranks / ranks.std(axis=-1, keepdims=True)


def _permuted(seed: int, **test: Any) -> float:
    """The p of a permutation test, see `scipy.stats.permutation_test`."""
    options = {"n_resamples": PERMUTATIONS, "batch": BATCH, "rng": np.random.default_rng(seed)}
    return float(scipy.stats.permutation_test(vectorized=True, **options, **test).pvalue)


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """With Holm's step-down correction of ``p``, in the order of the rows."""
    ordered = table["p"].sort_values()
    steps = ordered * np.arange(len(ordered), 0, -1)
    return table.assign(corrected=steps.cummax().clip(upper=1))


def speakers_differ(predicted: pd.DataFrame, *, seed: int = 0) -> pd.Series:
    """Is the error larger for some speakers than for others? A permutation test.

    Args:
        predicted: a row a prediction, with ``valence``, ``prediction`` and ``speaker``; rows of one
            clip count as one error, see `clip_errors`
        seed: of the permutations

    Returns:
        ``share`` of the variance of absolute errors that lies between speakers (0 to 1, the squared
        correlation ratio), and the ``p`` of speakers given to clips at random having one as large.
        Both are missing with fewer than two known speakers, or if all errors are the same

    See: notebooks/05_error_analysis.ipynb
    """
    known = clip_errors(predicted[predicted["speaker"].notna()])
    member = pd.get_dummies(known["speaker"]).to_numpy(dtype=np.float64)
    if member.shape[1] < 2 or np.ptp(known["error"]) == 0:
        return pd.Series({"share": np.nan, "p": np.nan})
    sizes = member.sum(axis=0)
    error = scipy.stats.zscore(known["error"].to_numpy(dtype=np.float64))

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
        a row a claim, with the ``value`` that it is about, a ``verdict`` and whether it ``holds``
        (the verdict is yes). The verdict is ``yes`` if the data show it, ``no`` if they show the
        opposite, and else ``not shown``. The claims: the worst clips have more energy at low
        frequencies, and a broader spectrum, than the rest (beyond chance at 5 % after correction);
        low ratings are predicted too high, and high ones too low (in the lowest and the highest
        part of the scale that has clips, the interval does not reach 0, and it draws at least
        `bootstrap.ENOUGH_SPEAKERS` speakers)

    See: notebooks/05_error_analysis.ipynb
    """
    difference = spectral["difference"]
    direction = np.sign(difference).where(spectral["corrected"] < 0.05, 0)
    sign = bias["low"].gt(0).astype(int) - bias["high"].lt(0)
    sign = sign.where(bias["speakers"] >= ENOUGH_SPEAKERS, 0)  # also where they are unknown
    rows = [
        ("more energy at low frequencies", difference["low share"], direction["low share"]),
        ("broader spectrum", difference["spread"], direction["spread"]),
        ("low ratings predicted too high", bias["bias"].iloc[0], sign.iloc[0]),
        ("high ratings predicted too low", bias["bias"].iloc[-1], -sign.iloc[-1]),
    ]
    table = pd.DataFrame(rows, columns=["claim", "value", "verdict"]).set_index("claim")
    table["verdict"] = table["verdict"].map({1: "yes", -1: "no", 0: "not shown"})
    return table.assign(holds=table["verdict"] == "yes")
