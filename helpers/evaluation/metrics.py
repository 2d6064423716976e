"""How good predictions are, and how sure one can be of it.

Metrics come from audmetric, the field's package; the intervals are bootstrap percentiles over
clips, or over speakers (Efron & Tibshirani 1993, chapter 13).

From a terminal, ``python -m helpers.evaluation [PATH] [--models NAME,NAME] [--by speaker|clip]
[--folds K] [--seeds N] [--normalise] [--csv OUT]`` compares models and baselines on a corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import audmetric
import numpy as np
import pandas as pd

RESAMPLES = 1000


def _rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(np.sqrt(audmetric.mean_squared_error(truth, prediction)))


# A constant has no spread, yet the computed one may be a rounding error of the mean, which would
# then be divided by.


def _ccc(truth: np.ndarray, prediction: np.ndarray) -> float:
    return 0.0 if np.ptp(prediction) == 0 else audmetric.concordance_cc(truth, prediction)


def _pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    return np.nan if np.ptp(prediction) == 0 else audmetric.pearson_cc(truth, prediction)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mae": audmetric.mean_absolute_error,
    "rmse": _rmse,
    "ccc": _ccc,
    "pearson": _pearson,
}


def scores(truth: np.ndarray, prediction: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Mean absolute error, root mean squared error, concordance and Pearson correlation.

    With errors :math:`e = p - t`, means :math:`m` and standard deviations :math:`s`: MAE is the
    mean of :math:`|e|`; RMSE the root of the mean of :math:`e^2`; the concordance correlation
    coefficient :math:`2 r s_p s_t / (s_p^2 + s_t^2 + (m_p - m_t)^2)` (Lin 1989) is 1 only if every
    prediction is right, and 0 for a constant; Pearson's :math:`r` forgives a wrong mean and spread.

    Args:
        truth: ratings [clips]
        prediction: predicted valence [clips]
        seed: of the bootstrap

    Returns:
        a row a metric (``mae``, ``rmse``, ``ccc``, ``pearson``) with its ``value`` and the ``low``
        and ``high`` end of its 95 % interval. Pearson's is missing for constant predictions, whose
        correlation is not defined

    Raises:
        ValueError: if the lengths differ, there are no clips, or a value is not a number

    Examples:
        >>> scores([1, 2, 3, 4], [1, 2, 3, 3])["value"].round(3).to_dict()
        {'mae': 0.25, 'rmse': 0.5, 'ccc': 0.875, 'pearson': 0.944}

    See: notebooks/03_model.ipynb
    """
    truth = np.asarray(truth, dtype=np.float64)
    prediction = np.asarray(prediction, dtype=np.float64)
    if truth.shape != prediction.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            f"Ratings {truth.shape} and predictions {prediction.shape} are not two lists of the "
            "same length."
        )
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise ValueError("A rating or a prediction is not a number.")
    rows = resamples(len(truth), seed)
    table = pd.DataFrame(index=pd.Index(METRICS, name="metric"), columns=["value", "low", "high"])
    for name, metric in METRICS.items():
        resampled = [metric(truth[row], prediction[row]) for row in rows]
        known = [value for value in resampled if not np.isnan(value)]
        interval = np.percentile(known, [2.5, 97.5]) if known else [np.nan, np.nan]
        table.loc[name] = [metric(truth, prediction), *interval]
    return table.astype(float)


def resamples(clips: int, seed: int) -> np.ndarray:
    """Rows of the clips that each bootstrap resample draws, with replacement.

    Args:
        clips: how many there are
        seed: of the draws

    Returns:
        int [`RESAMPLES`, clips]
    """
    return np.random.default_rng(seed).integers(clips, size=(RESAMPLES, clips))


def compare(
    truth: np.ndarray, predictions: Mapping[str, np.ndarray], *, seed: int = 0
) -> pd.DataFrame:
    """Scores of several models on the same clips, side by side.

    Args:
        truth: ratings [clips]
        predictions: name of each model, and what it predicts [clips]
        seed: of the bootstrap; every model is resampled with the same clips

    Returns:
        a row a model; columns are pairs of metric and ``value``, ``low`` or ``high``

    See: notebooks/03_model.ipynb
    """
    tables = {name: scores(truth, each, seed=seed).stack() for name, each in predictions.items()}
    return pd.DataFrame(tables).T.rename_axis(index="model", columns=["metric", None])


def mae_difference(
    truth: np.ndarray, prediction: np.ndarray, reference: np.ndarray, *, seed: int = 0
) -> pd.Series:
    """How much smaller the mean absolute error of a prediction is than that of a reference.

    Paired: each resample draws the same clips for both, so that clips which are hard for both do
    not blur the difference. Above 0 in all of its interval, the prediction is better beyond chance.

    Args:
        truth: ratings [clips]
        prediction: predicted valence [clips], or [trainings, clips], whose errors are averaged over
            the trainings
        reference: what another model predicts, likewise
        seed: of the bootstrap

    Returns:
        ``value``, and the ``low`` and ``high`` end of its 95 % interval

    Examples:
        >>> mae_difference([1, 2, 3], [1, 2, 3], [2, 2, 2])["value"].round(3).item()
        0.667

    See: notebooks/03_model.ipynb
    """
    truth = np.asarray(truth, dtype=np.float64)
    gain = _errors(truth, reference) - _errors(truth, prediction)
    rows = resamples(len(gain), seed)
    low, high = np.percentile(gain[rows].mean(axis=1), [2.5, 97.5])
    return pd.Series({"value": gain.mean(), "low": low, "high": high})


def _errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Absolute error of each clip, averaged over trainings."""
    return np.abs(np.atleast_2d(prediction) - truth).mean(axis=0)


#: Scores of `table`, and which way is better.
COLUMNS = ("mae", "ccc", "pearson", "bias")


def table(
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    *,
    groups: np.ndarray | None = None,
    reference: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores of models that were trained several times, and how much better each is than one.

    The scores are means over trainings. Clips of one speaker are alike, so the bootstrap draws
    speakers and takes all their clips: its intervals say what other speakers would have given.
    Every model is resampled with the same draws, which makes the gains paired.

    Args:
        truth: ratings [clips]
        predictions: name of each model, and what its trainings predict [trainings, clips]
        groups: speaker of each clip; None draws clips
        reference: name of the model that gains are over; the first if None
        seed: of the bootstrap

    Returns:
        a row a model; columns are pairs of ``mae``, ``ccc``, ``pearson``, ``bias`` (slope of the
        error over the rating: 0 if low and high ratings are predicted alike, -1 for a constant),
        ``mae gain`` and ``ccc gain`` (above 0 is better than the reference), and ``value``,
        ``low`` or ``high`` of the 95 % interval

    See: notebooks/06_improvements.ipynb
    """
    truth = np.asarray(truth, dtype=np.float64)
    weights = _draws(np.arange(len(truth)) if groups is None else groups, seed)
    found = {}
    for name, trainings in predictions.items():
        each = [_weighted(weights, truth, p) for p in np.atleast_2d(trainings).astype(float)]
        found[name] = {score: np.mean([one[score] for one in each], axis=0) for score in COLUMNS}
    base = found[reference if reference is not None else next(iter(found))]
    rows = {}
    for name, values in found.items():
        gains = {"mae gain": base["mae"] - values["mae"], "ccc gain": values["ccc"] - base["ccc"]}
        rows[name] = {
            (score, part): number
            for score, drawn in {**values, **gains}.items()
            for part, number in {"value": drawn[0], **interval(drawn[1:])}.items()
        }
    return pd.DataFrame(rows).T.rename_axis(index="model")


def interval(resampled: np.ndarray) -> dict[str, float]:
    """Ends of the 95 % bootstrap percentile interval.

    Args:
        resampled: a statistic of each resample; not a number where it is not defined

    Returns:
        ``low`` and ``high``, not a number where no resample has a value
    """
    known = resampled[~np.isnan(resampled)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def _draws(groups: np.ndarray, seed: int) -> np.ndarray:
    """How often each clip counts: once, then in `RESAMPLES` draws of groups [1 + draws, clips].

    Examples:
        >>> _draws(np.array(["a", "a", "b"]), seed=0)[:3].astype(int)
        array([[1, 1, 1],
               [0, 0, 2],
               [1, 1, 1]])
    """
    _, place = np.unique(groups, return_inverse=True)
    count = place.max() + 1
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    times = np.stack([np.bincount(row, minlength=count) for row in drawn])
    return np.concatenate([np.ones((1, len(place))), times[:, place]])


def _weighted(weights: np.ndarray, t: np.ndarray, p: np.ndarray) -> dict[str, np.ndarray]:
    """Each score for each row of weights, from weighted moments."""
    total = weights.sum(axis=1)
    mean_t, mean_p = weights @ t / total, weights @ p / total
    dt, dp = t - t.mean(), p - p.mean()  # moments about a point near the means lose no digits
    shift_t, shift_p = mean_t - t.mean(), mean_p - p.mean()
    var_t = weights @ dt**2 / total - shift_t**2
    var_p = weights @ dp**2 / total - shift_p**2
    covariance = weights @ (dt * dp) / total - shift_t * shift_p
    if np.ptp(p) == 0:
        var_p, covariance = np.zeros_like(var_p), np.zeros_like(covariance)
    return {
        "mae": weights @ np.abs(p - t) / total,
        "ccc": _ratio(2 * covariance, var_t + var_p + (mean_t - mean_p) ** 2),
        "pearson": _ratio(covariance, np.sqrt(np.maximum(var_t * var_p, 0))),
        "bias": _ratio(covariance, var_t) - 1,
    }


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Not a number where ratings or predictions do not vary."""
    defined = below > 1e-12
    return np.divide(above, below, out=np.full_like(below, np.nan), where=defined)


def as_dict(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """A table of `compare` for a results file: model, then metric, then value, low and high.

    Args:
        table: see `compare`

    Returns:
        numbers, with None where a score is not defined
    """
    return {
        model: {
            metric: {key: None if pd.isna(v) else float(v) for key, v in row[metric].items()}
            for metric in METRICS
        }
        for model, row in table.iterrows()
    }


def readable(scores: pd.DataFrame) -> pd.DataFrame:
    """A table of `table` with each score and its interval in one cell, on one line.

    Args:
        scores: see `table`

    Examples:
        >>> print(*readable(table([1, 2, 3], {"median": [2, 2, 2]})).loc["median", "mae"].split())
        0.67 [0.00, 1.00]
    """
    names = [name for name in dict.fromkeys(scores.columns.get_level_values(0)) if name != "cost"]

    def cell(row: pd.Series) -> str:
        if pd.isna(row["value"]):
            return "–"
        text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    return pd.DataFrame({name: scores[name].apply(cell, axis=1) for name in names})
