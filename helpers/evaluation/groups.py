"""Are some groups of voices predicted worse than others?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import resamples
from helpers.evaluation.metrics import compare

#: Columns of labels that put voices into groups, where a corpus has them.
GROUPS = ("gender", "voice", "language", "accent", "corpus")


def by_group(clips: pd.DataFrame, prediction: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Scores of each group of voices, with 95 % intervals, and how many speakers they rest on.

    Ratings may be spread differently in two groups, and so their MAE and CCC may differ with the
    same errors of a model: look at both.

    Args:
        clips: a row a clip: ``valence``, ``speaker`` and any of `GROUPS`; a column that has one
            value only is left out, and so are clips for which it has none
        prediction: predicted valence [clips] or [trainings, clips], see `compare`
        seed: of the bootstraps, over speakers if all are known, else over clips

    Returns:
        a row a group, indexed by ``column`` and ``group``; columns are pairs: ``size`` with
        ``clips`` and ``speakers``; ``mae`` and ``ccc`` with ``value``, ``low`` and ``high``;
        ``mae difference``, the MAE of the group minus that of all other groups of the column
        (above 0: worse). Where one of the two is one speaker alone, there is no interval. Empty
        where no column makes groups

    Raises:
        ValueError: see `scores`

    See: notebooks/06_improvements.ipynb
    """
    trainings = np.atleast_2d(prediction)
    rows = {}
    for column in (name for name in GROUPS if name in clips):
        known = clips[column].notna().to_numpy()
        some, predicted = clips[known], trainings[:, known]
        names = sorted(some[column].unique(), key=str)
        for name in names if len(names) > 1 else ():
            member = (some[column] == name).to_numpy()
            rows[column, str(name)] = _row(some, predicted, member, seed)
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).T.rename_axis(index=["column", "group"])


def _row(
    clips: pd.DataFrame, predicted: np.ndarray, member: np.ndarray, seed: int
) -> dict[tuple[str, str], float]:
    truth, speakers = clips["valence"].to_numpy(dtype=np.float64), clips["speaker"]
    names = speakers.to_numpy(dtype=object) if speakers.notna().all() else None
    groups = None if names is None else names[member]
    own = compare(truth[member], {"": predicted[:, member]}, groups=groups, seed=seed).loc[""]
    difference = _difference(np.abs(predicted - truth).mean(axis=0), member, names, seed)
    return {
        ("size", "clips"): member.sum(),
        ("size", "speakers"): speakers[member].nunique(),
        **own[["mae", "ccc"]],
        **{("mae difference", part): x for part, x in difference.items()},
    }


def _difference(
    error: np.ndarray, member: np.ndarray, names: np.ndarray | None, seed: int
) -> dict[str, float]:
    """Mean error of the members minus that of the others; resamples without either do not count."""
    drawn = resamples(len(error), names, seed=seed)
    inside, outside = (drawn.of(rows) for rows in (member, ~member))
    means = inside.mean(error[member]) - outside.mean(error[~member])
    if names is not None and min(len(set(names[member])), len(set(names[~member]))) < 2:
        means = means[:1]
    return drawn.estimate(means)
