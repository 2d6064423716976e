"""How well several listeners agree about the same clips."""

from __future__ import annotations

import audmetric
import numpy as np
import pandas as pd


def against_others(raters: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each rater beside the mean of the others.

    Args:
        raters: `Corpus.raters`

    Returns:
        by rater, the columns ``one`` and ``others``, of the clips that both have rated

    Examples:
        >>> against_others(pd.DataFrame({"a": [1.0, 2], "b": [3.0, None]}))["a"].values.tolist()
        [[1.0, 3.0]]
    """
    return {
        name: pd.DataFrame(
            {"one": raters[name], "others": raters.drop(columns=name).mean(axis=1)}
        ).dropna()
        for name in raters
    }


def agreement(raters: pd.DataFrame) -> pd.DataFrame:
    """Each rater against the mean of the others: how near one listener comes to the rest.

    Args:
        raters: `Corpus.raters`

    Returns:
        a row a rater: number of ``clips`` that others rated, too, ``mae`` and ``ccc`` (concordance
        correlation coefficient; Lin 1989)

    Examples:
        >>> agreement(pd.DataFrame({"a": [1.0, 2, 4], "b": [1.0, 3, 5]})).round(2).loc["a"].tolist()
        [3.0, 0.67, 0.86]
    """
    rows = {}
    for name, both in against_others(raters).items():
        a, b = both.to_numpy().T
        mae = np.abs(a - b).mean() if len(a) else np.nan
        rows[name] = {"clips": len(a), "mae": mae, "ccc": audmetric.concordance_cc(a, b)}
    return pd.DataFrame.from_dict(rows, orient="index")


def reliability(raters: pd.DataFrame) -> float:
    """The reliability of the raters' mean, ICC(2,k) of Shrout & Fleiss (1979).

    Args:
        raters: `Corpus.raters`; only clips that all of them rated count

    Returns:
        up to 1; NaN if fewer than two clips were rated by all

    Examples:
        >>> round(reliability(pd.DataFrame({"a": [1.0, 2, 4], "b": [1.0, 3, 5]})), 2)
        0.95
    """
    x = raters.dropna().to_numpy()
    n, k = x.shape
    if n < 2:
        return float("nan")
    clip, rater = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    between_clips = k * ((clip - x.mean()) ** 2).sum() / (n - 1)
    between_raters = n * ((rater - x.mean()) ** 2).sum() / (k - 1)
    rest = ((x - clip - rater + x.mean()) ** 2).sum() / ((n - 1) * (k - 1))
    spread = between_clips + (between_raters - rest) / n
    return float((between_clips - rest) / spread) if spread else float("nan")


def in_words(raters: pd.DataFrame) -> str:
    """How many raters there are, and how well they agree."""
    each, count, icc = agreement(raters), raters.notna().sum(axis=1), reliability(raters)
    everyone = count.min() == raters.shape[1]
    a_clip = "" if everyone else f" ({count.min()} to {count.max()} a clip)"
    ranges = (f"{c.upper()} {each[c].min():.2f} to {each[c].max():.2f}" for c in ("mae", "ccc"))
    common = "" if np.isnan(icc) else f"; ICC(2,k) {icc:.2f}"
    return (
        f"{raters.shape[1]}{a_clip}, each against the mean of the others: {'; '.join(ranges)}"
        f"{common}"
    )
