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


def reliability(raters: pd.DataFrame) -> pd.Series:
    """Intraclass correlations of Shrout & Fleiss (1979): of one rating, and of the raters' mean.

    If all raters rated all clips, these are ICC(2,1) and ICC(2,k): raters are a sample of possible
    ones, and one who rates higher than the others is an error. If raters differ between clips, they
    cannot be told from other errors, and these are ICC(1,1) and ICC(1,k). Clips may then have
    different numbers of raters; k is their mean, as in the analysis of variance with groups of
    different sizes (Searle, Casella & McCulloch 1992, chapter 3). Clips of one rater do not count.

    Args:
        raters: `Corpus.raters`

    Returns:
        two numbers up to 1, by name; missing if fewer than two clips have two raters

    Examples:
        >>> reliability(pd.DataFrame({"a": [1.0, 2, 4], "b": [1.0, 3, 5]})).round(2).to_dict()
        {'ICC(2,1)': 0.9, 'ICC(2,k)': 0.95}

    See: notebooks/01_exploration.ipynb
    """
    several = raters[raters.notna().sum(axis=1) > 1]
    x, clip = several.to_numpy(), several.mean(axis=1).to_numpy()
    differ = bool(np.isnan(x).any())
    names = ["ICC(1,1)", "ICC(1,k)"] if differ else ["ICC(2,1)", "ICC(2,k)"]
    n, given = len(x), (~np.isnan(x)).sum(axis=1)
    if n < 2:
        return pd.Series(np.nan, names)
    total = given.sum()
    k = (total - (given**2).sum() / total) / (n - 1)
    between_clips = (given * (clip - np.nansum(x) / total) ** 2).sum() / (n - 1)
    if differ:
        rest = np.nansum((x - clip[:, None]) ** 2) / (total - n)
        of_raters = 0.0
    else:
        rater = x.mean(axis=0)
        rest = ((x - clip[:, None] - rater + x.mean()) ** 2).sum() / ((n - 1) * (k - 1))
        of_raters = (n * ((rater - x.mean()) ** 2).sum() / (k - 1) - rest) / n
    common = between_clips - rest
    spreads = np.array([between_clips + (k - 1) * rest + k * of_raters, between_clips + of_raters])
    return pd.Series(np.divide(common, spreads, out=np.full(2, np.nan), where=spreads > 0), names)


def in_words(raters: pd.DataFrame) -> str:
    """How many raters there are, and how well they agree."""
    each, count, icc = agreement(raters), raters.notna().sum(axis=1), reliability(raters)
    everyone = count.min() == raters.shape[1]
    a_clip = "" if everyone else f" ({count.min()} to {count.max()} a clip)"
    ranges = (f"{c.upper()} {each[c].min():.2f} to {each[c].max():.2f}" for c in ("mae", "ccc"))
    text = f"{raters.shape[1]}{a_clip}, each against the mean of the others: {'; '.join(ranges)}"
    if icc.isna().any():
        return text
    (one, single), (mean, average) = icc.items()
    return (
        f"{text}. The reliability of one listener's rating is {one} {single:.2f}, and that of "
        f"the listeners' mean {mean} {average:.2f}"
    )
