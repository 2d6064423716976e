"""Where the errors are: the worst clips, bias, calibration and speakers.

Functions take a table of predictions, a row a clip: ``valence`` (its rating), ``prediction``, and
whatever else is known of the clip. A table may have several rows of a clip, one for each training
of a network, with the same ``file``. An error is prediction minus rating.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.evaluation.bootstrap import resamples
from helpers.evaluation.metrics import moments

#: Parts of the rating scale, and groups of similar predictions, for which a mean error is given.
BINS = 4


def worst(predicted: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """The clips with the highest absolute error, the worst first.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        count: how many clips; all if there are fewer

    Returns:
        their rows and an ``error``: prediction minus rating

    Examples:
        >>> table = pd.DataFrame({"valence": [1.0, 4.0, 5.0], "prediction": [1.5, 4.0, 2.0]})
        >>> worst(table, 2)["error"].tolist()
        [-3.0, 0.5]

    See: notebooks/05_error_analysis.ipynb
    """
    table = predicted.assign(error=predicted["prediction"] - predicted["valence"])
    return table.sort_values("error", key=abs, ascending=False, kind="stable").head(count)


def clip_errors(predicted: pd.DataFrame) -> pd.DataFrame:
    """One error a clip: the mean absolute error over its rows.

    Args:
        predicted: a row a prediction, with ``valence`` and ``prediction``. Rows with the same
            ``file`` are of one clip; without this column, each row is a clip of its own

    Returns:
        the first row of each clip, with ``error`` in place of ``prediction``

    Examples:
        >>> table = pd.DataFrame({"file": ["a", "b", "a"], "valence": [2.0, 3.0, 2.0]})
        >>> clip_errors(table.assign(prediction=[2.5, 3.0, 1.0]))["error"].tolist()
        [0.75, 0.0]

    See: notebooks/05_error_analysis.ipynb
    """
    error = (predicted["prediction"] - predicted["valence"]).abs()
    table = predicted.assign(error=error).drop(columns="prediction")
    if "file" not in predicted:
        return table
    table["error"] = error.groupby(predicted["file"]).transform("mean")
    return table.drop_duplicates("file")


def bias_by_rating(
    predicted: pd.DataFrame,
    scale: tuple[float, float],
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean error in `BINS` equal parts of the rating scale, with 95 % intervals.

    Args:
        predicted: a row a prediction, with ``valence`` and ``prediction``
        scale: lowest and highest possible rating
        groups: speaker of each row [rows]; the bootstrap draws the speakers of each part of the
            scale, with all their rows there. None draws clips, with all rows of the same ``file``
        seed: of the bootstrap

    Returns:
        a row a part that has clips, from the lowest: ``from`` and ``to`` (a rating on the border
        counts to the lower part), the number of ``clips``, ``speakers``, the number of theirs
        (missing without `groups`), their mean ``valence`` and ``prediction``, their ``bias`` (the
        mean of prediction minus rating) with ``low`` and ``high``. One speaker alone, or one clip,
        has no interval

    See: notebooks/05_error_analysis.ipynb
    """
    return _by_bin(predicted, "valence", np.linspace(*scale, BINS + 1), groups, seed)


def calibration(
    predicted: pd.DataFrame, *, groups: np.ndarray | None = None, seed: int = 0
) -> pd.DataFrame:
    """Mean rating of clips with similar predictions, in `BINS` groups of equal size.

    Where a network predicts 4, are the ratings 4 on average? If so it is calibrated; its
    predictions may still be less spread than the ratings. There are fewer groups where many
    predictions are equal.

    Args:
        predicted: a row a prediction, with ``valence`` and ``prediction``
        groups: speaker of each row [rows], see `bias_by_rating`
        seed: of the bootstrap

    Returns:
        as `bias_by_rating`, where ``from`` and ``to`` are predictions

    See: notebooks/05_error_analysis.ipynb
    """
    edges = np.unique(np.quantile(predicted["prediction"], np.linspace(0, 1, BINS + 1)))
    return _by_bin(predicted, "prediction", edges, groups, seed)


def part_of(values: ArrayLike, edges: np.ndarray) -> np.ndarray:
    """The part between two edges that each value is in.

    Args:
        values: ratings or predictions [clips]; one on an edge counts to the lower part, and one
            beyond the ends to the first or last
        edges: ascending [parts + 1]

    Returns:
        numbers of parts, from 0 on [clips]

    Examples:
        >>> part_of([1, 2, 2.5, 5.0000001], np.array([1, 2, 3, 5])).tolist()
        [0, 0, 1, 2]

    See: notebooks/05_error_analysis.ipynb
    """
    return np.clip(np.searchsorted(edges, np.asarray(values)) - 1, 0, max(len(edges) - 2, 0))


def _clip(predicted: pd.DataFrame) -> np.ndarray:
    """Which rows are of the same clip [rows]: those of one ``file``, where there is this column."""
    return predicted["file"].to_numpy() if "file" in predicted else np.arange(len(predicted))


def _by_bin(
    predicted: pd.DataFrame, by: str, edges: np.ndarray, groups: np.ndarray | None, seed: int
) -> pd.DataFrame:
    bins, clip = part_of(predicted[by], edges), _clip(predicted)
    drawn_of = clip if groups is None else np.asarray(groups)
    rows = []
    for i in np.unique(bins):
        part = predicted[bins == i]
        error = (part["prediction"] - part["valence"]).to_numpy()
        drawn = resamples(len(part), drawn_of[bins == i], seed=seed)
        bias = drawn.estimate(drawn.mean(error))
        rows.append(
            {
                "from": edges[i],
                "to": edges[min(i + 1, len(edges) - 1)],
                "clips": len(np.unique(clip[bins == i])),
                "speakers": np.nan if groups is None else drawn.times.shape[1],
                **part[["valence", "prediction"]].mean(),
                "bias": bias.pop("value"),
                **bias,
            }
        )
    return pd.DataFrame(rows)


def slopes(
    predicted: pd.DataFrame, *, groups: np.ndarray | None = None, seed: int = 0
) -> pd.DataFrame:
    """Regression to the mean, and whether the network is calibrated.

    Two least-squares lines through the same points. The line of the prediction on the rating has a
    slope below 1 for every imperfect network: the lower, the closer predictions stay to the mean.
    The line of the rating on the prediction says what the ratings are where the network predicts a
    value. A network is calibrated only if this line has slope 1 *and* intercept 0 (Mincer &
    Zarnowitz 1969). Above 1, predictions are spread too little; below 1, too much. A slope of 1
    alone does not mean that voices that get a 4 are rated 4: with intercept -0.5 they are rated
    3.5, and the mean error is 0.5.

    Args:
        predicted: a row a prediction, with ``valence`` and ``prediction``
        groups: speaker of each row [rows]; the bootstrap draws speakers with all their rows. None
            draws clips, with all rows of the same ``file``
        seed: of the bootstrap

    Returns:
        rows ``prediction on rating`` and ``rating on prediction`` (slopes), ``intercept of rating
        on prediction`` and ``mean error`` (of prediction minus rating), both in units of the
        rating: ``value``, ``low`` and ``high`` of its 95 % interval. The second and the third are
        missing for a constant prediction; one speaker alone has no intervals

    Examples:
        >>> timid = pd.DataFrame({"valence": [1.0, 3.0, 5.0], "prediction": [2.0, 3.0, 4.0]})
        >>> print(slopes(timid)["value"].to_string())
        prediction on rating                 0.5
        rating on prediction                 2.0
        intercept of rating on prediction   -3.0
        mean error                           0.0

    See: notebooks/05_error_analysis.ipynb
    """
    rating, prediction = predicted[["valence", "prediction"]].to_numpy(dtype=np.float64).T
    drawn = resamples(len(rating), _clip(predicted) if groups is None else groups, seed=seed)
    of = moments(prediction, rating, drawn)
    slope = of.slope()
    found = {
        "prediction on rating": of.swapped().slope(),
        "rating on prediction": slope,
        "intercept of rating on prediction": of.mean_y - slope * of.mean_x,
        "mean error": of.mean_x - of.mean_y,
    }
    return pd.DataFrame({name: drawn.estimate(each) for name, each in found.items()}).T


def by_speaker(predicted: pd.DataFrame) -> pd.DataFrame:
    """Errors of each speaker, the worst first.

    Args:
        predicted: a row a prediction, with ``valence``, ``prediction`` and ``speaker``

    Returns:
        a row a speaker: number of ``clips``, mean absolute error ``mae``, and ``bias``, the mean of
        prediction minus rating. Clips of unknown speakers are left out

    See: notebooks/05_error_analysis.ipynb
    """
    error = predicted["prediction"] - predicted["valence"]
    errors = pd.DataFrame({"clip": _clip(predicted), "mae": error.abs(), "bias": error})
    errors = errors.groupby(predicted["speaker"])
    table = errors.agg(clips=("clip", "nunique"), mae=("mae", "mean"), bias=("bias", "mean"))
    return table.sort_values("mae", ascending=False)
