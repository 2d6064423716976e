"""Where the errors are: the worst clips, bias, calibration and speakers.

Functions take a table of predictions, a row a clip: ``valence`` (its rating), ``prediction``, and
whatever else is known of the clip. An error is prediction minus rating.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.evaluation.metrics import interval, resamples, slope

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


def bias_by_rating(
    predicted: pd.DataFrame, scale: tuple[float, float], *, seed: int = 0
) -> pd.DataFrame:
    """Mean error in `BINS` equal parts of the rating scale, with 95 % intervals.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        scale: lowest and highest possible rating
        seed: of the bootstrap

    Returns:
        a row a part that has clips, from the lowest: ``from`` and ``to`` (a rating on the border
        counts to the lower part), ``clips``, their mean ``valence`` and ``prediction``, their
        ``bias`` (the mean of prediction minus rating) with ``low`` and ``high``. One clip alone has
        no interval

    See: notebooks/05_error_analysis.ipynb
    """
    return _by_bin(predicted, "valence", np.linspace(*scale, BINS + 1), seed)


def calibration(predicted: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Mean rating of clips with similar predictions, in `BINS` groups of equal size.

    Where a network predicts 4, are the ratings 4 on average? If so it is calibrated; its
    predictions may still be less spread than the ratings. There are fewer groups where many
    predictions are equal.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        seed: of the bootstrap

    Returns:
        as `bias_by_rating`, where ``from`` and ``to`` are predictions

    See: notebooks/05_error_analysis.ipynb
    """
    edges = np.unique(np.quantile(predicted["prediction"], np.linspace(0, 1, BINS + 1)))
    return _by_bin(predicted, "prediction", edges, seed)


def _by_bin(predicted: pd.DataFrame, by: str, edges: np.ndarray, seed: int) -> pd.DataFrame:
    bins = np.maximum(np.searchsorted(edges, predicted[by]) - 1, 0)
    rows = []
    for i, group in predicted.groupby(bins):
        error = (group["prediction"] - group["valence"]).to_numpy()
        resampled = error[resamples(len(error), seed)].mean(axis=1)
        rows.append(
            {
                "from": edges[i],
                "to": edges[min(i + 1, len(edges) - 1)],
                "clips": len(group),
                **group[["valence", "prediction"]].mean(),
                "bias": error.mean(),
                **interval(resampled if len(error) > 1 else resampled[:0]),
            }
        )
    return pd.DataFrame(rows)


def slopes(predicted: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Regression to the mean, and whether it is stronger than a calibrated network's.

    Two least-squares lines through the same points. The line of the prediction on the rating has a
    slope below 1 for every imperfect network: the lower, the closer predictions stay to the mean.
    The line of the rating on the prediction has a slope of 1 if the network is calibrated (Mincer &
    Zarnowitz 1969). Above 1, predictions are spread too little; below 1, too much.

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

    def line(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        return {"value": slope(x, y).item(), **interval(slope(x[rows], y[rows]))}

    found = {
        "prediction on rating": line(rating, prediction),
        "rating on prediction": line(prediction, rating),
    }
    return pd.DataFrame(found).T


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
    errors = pd.DataFrame({"mae": error.abs(), "bias": error}).groupby(predicted["speaker"])
    table = errors.agg(clips=("mae", "size"), mae=("mae", "mean"), bias=("bias", "mean"))
    return table.sort_values("mae", ascending=False)
