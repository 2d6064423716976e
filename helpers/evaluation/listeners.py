"""What a listener reaches, where a corpus has several."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.corpora import against_others
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

    Raises:
        ValueError: if no clip was rated by two raters

    See: notebooks/06_improvements.ipynb
    """
    weights = draws(len(raters), groups, seed=seed)
    found = [
        scored(both["others"].to_numpy(), both["one"].to_numpy(), weights[:, both.index])
        for both in against_others(raters.reset_index(drop=True)).values()
        if len(both)
    ]
    if not found:
        raise ValueError("No clip was rated by two raters.")
    means = {score: np.mean([one[score] for one in found], axis=0) for score in found[0]}
    return pd.Series(row_of(means), name="one_listener")
