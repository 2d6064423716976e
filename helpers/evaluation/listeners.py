"""What a listener reaches, where a corpus has several."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.evaluation.metrics import draws, row_of, scored


def one_listener(
    raters: pd.DataFrame, *, groups: np.ndarray | None = None, seed: int = 0
) -> pd.Series:
    """Scores of one rater against the mean of the others: what a listener reaches.

    The scores are means over the raters, each of whom is judged on the clips that others rated,
    too. They stand beside those of models, which are judged against the mean of all.

    Args:
        raters: `corpora.Corpus.raters` [clips, raters]
        groups: see `compare`
        seed: see `compare`

    Returns:
        a row of `compare`, without gains

    See: notebooks/06_improvements.ipynb
    """
    weights, found = draws(len(raters), groups, seed=seed), []
    for name in raters:
        others = raters.drop(columns=name).mean(axis=1)
        both = (raters[name].notna() & others.notna()).to_numpy()
        if both.any():
            t, p = others.to_numpy(float)[both], raters[name].to_numpy(float)[both]
            found.append(scored(t, p, weights[:, both]))
    means = {score: np.mean([one[score] for one in found], axis=0) for score in found[0]}
    return pd.Series(row_of(means), name="one_listener")
