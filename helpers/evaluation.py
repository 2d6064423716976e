"""How good predictions are, and how sure one can be of it.

Metrics come from audmetric, the field's package; the intervals are bootstrap percentiles over
clips (Efron & Tibshirani 1993, chapter 13).
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
    rows = _resamples(len(truth), seed)
    table = pd.DataFrame(index=pd.Index(METRICS, name="metric"), columns=["value", "low", "high"])
    for name, metric in METRICS.items():
        resampled = [metric(truth[row], prediction[row]) for row in rows]
        known = [value for value in resampled if not np.isnan(value)]
        interval = np.percentile(known, [2.5, 97.5]) if known else [np.nan, np.nan]
        table.loc[name] = [metric(truth, prediction), *interval]
    return table.astype(float)


def _resamples(clips: int, seed: int) -> np.ndarray:
    """Row numbers drawn with replacement [RESAMPLES, clips]."""
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
    rows = _resamples(len(gain), seed)
    low, high = np.percentile(gain[rows].mean(axis=1), [2.5, 97.5])
    return pd.Series({"value": gain.mean(), "low": low, "high": high})


def _errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Absolute error of each clip, averaged over trainings."""
    return np.abs(np.atleast_2d(prediction) - truth).mean(axis=0)


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
