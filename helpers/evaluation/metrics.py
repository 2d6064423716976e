"""How good predictions are, and how sure one can be of it.

Metrics come from audmetric, the field's package; the intervals are bootstrap percentiles over
clips, or over speakers (Efron & Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import audmetric
import numpy as np
import pandas as pd

#: Draws of each bootstrap.
RESAMPLES = 1000

METRICS = ("mae", "rmse", "ccc", "pearson")


def scores(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean absolute error, root mean squared error, concordance and Pearson correlation.

    With errors :math:`e = p - t`, means :math:`m` and standard deviations :math:`s`: MAE is the
    mean of :math:`|e|`; RMSE the root of the mean of :math:`e^2`; the concordance correlation
    coefficient :math:`2 r s_p s_t / (s_p^2 + s_t^2 + (m_p - m_t)^2)` (Lin 1989) is 1 only if every
    prediction is right, and 0 for a constant; Pearson's :math:`r` forgives a wrong mean and spread.

    Args:
        truth: ratings [clips]
        prediction: predicted valence [clips]
        groups: speaker of each clip [clips], see `compare`; None draws clips
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
    row = compare(truth, {"model": prediction}, groups=groups, seed=seed).loc["model"]
    return row[list(METRICS)].unstack(sort=False)


def compare(
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    *,
    groups: np.ndarray | None = None,
    reference: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores of several models on the same clips, and how much better each is than a reference.

    The scores of a model that was trained several times are means over its trainings. Clips of one
    speaker are alike: with `groups`, the bootstrap draws speakers and takes all their clips, and
    the intervals say how the scores vary with the speakers. Every model is resampled with the same
    draws, so that the gains are paired: clips that are hard for both models do not widen them.

    Args:
        truth: ratings [clips]
        predictions: name of each model, and what it predicts [clips] or [trainings, clips]
        groups: speaker of each clip [clips]; None draws clips
        reference: name of the model that gains are over; the first if None
        seed: of the bootstrap

    Returns:
        a row a model; columns are pairs of a score and ``value``, ``low`` or ``high`` of its 95 %
        interval. Scores are the metrics of `scores`; ``bias``, the slope of the error over the
        rating (0 if low and high ratings are predicted alike, -1 for a constant); ``mae gain`` and
        ``ccc gain`` (above 0 is better than the reference). A score that is not defined is missing

    Raises:
        ValueError: see `scores`

    See: notebooks/03_model.ipynb, notebooks/06_improvements.ipynb
    """
    truth = np.asarray(truth, dtype=np.float64)
    trainings = {name: _checked(truth, each) for name, each in predictions.items()}
    weights = _draws(np.arange(len(truth)) if groups is None else groups, seed)
    found = {}
    for name, predicted in trainings.items():
        each = [_scored(truth, training, weights) for training in predicted]
        found[name] = {score: np.mean([one[score] for one in each], axis=0) for score in each[0]}
    base = found[next(iter(found)) if reference is None else reference]
    rows = {}
    for name, scored in found.items():
        gains = {"mae gain": base["mae"] - scored["mae"], "ccc gain": scored["ccc"] - base["ccc"]}
        rows[name] = {
            (score, part): number
            for score, drawn in {**scored, **gains}.items()
            for part, number in {"value": drawn[0], **interval(drawn[1:])}.items()
        }
    return pd.DataFrame(rows).T.rename_axis(index="model", columns=["metric", None])


def _checked(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Predictions in double precision, a row a training [trainings, clips]."""
    trainings = np.atleast_2d(np.asarray(prediction, dtype=np.float64))
    if truth.ndim != 1 or truth.size == 0 or trainings.shape[1:] != truth.shape:
        raise ValueError(
            f"Ratings {truth.shape} and predictions {np.shape(prediction)} are not two lists of "
            "the same length."
        )
    if not (np.isfinite(truth).all() and np.isfinite(trainings).all()):
        raise ValueError("A rating or a prediction is not a number.")
    return trainings


def mae_difference(
    truth: np.ndarray,
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> pd.Series:
    """How much smaller the mean absolute error of a prediction is than that of a reference.

    Paired, see `compare`. Where all of the interval is above 0, the prediction is better beyond
    chance.

    Args:
        truth: ratings [clips]
        prediction: predicted valence [clips] or [trainings, clips]
        reference: what another model predicts, in the same shapes
        groups: speaker of each clip [clips]; None draws clips
        seed: of the bootstrap

    Returns:
        ``value``, and the ``low`` and ``high`` end of its 95 % interval

    Raises:
        ValueError: see `scores`

    Examples:
        >>> mae_difference([1, 2, 3], [1, 2, 3], [2, 2, 2])["value"].round(3).item()
        0.667

    See: notebooks/03_model.ipynb
    """
    models = {"reference": reference, "model": prediction}
    return compare(truth, models, groups=groups, seed=seed).loc["model", "mae gain"]


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


def resamples(count: int, seed: int) -> np.ndarray:
    """What each bootstrap resample draws, with replacement.

    Args:
        count: how many clips or speakers there are
        seed: of the draws

    Returns:
        their positions, int [`RESAMPLES`, count]
    """
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))


def _draws(groups: np.ndarray, seed: int) -> np.ndarray:
    """How often each resample of the groups holds each clip [`RESAMPLES`, clips].

    Examples:
        >>> _draws(np.array(["a", "a", "b"]), seed=0)[:2].astype(int)
        array([[0, 0, 2],
               [1, 1, 1]])
    """
    names, place = np.unique(groups, return_inverse=True)
    times = [np.bincount(row, minlength=len(names)) for row in resamples(len(names), seed)]
    return np.stack(times)[:, place].astype(np.float64)


def _scored(t: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each score of one training: its value, then that of each resample [1 + draws]."""
    constant = np.ptp(p) == 0  # its computed spread may be a rounding error of 0, and is divided by
    undefined = constant or np.ptp(t) == 0
    values = {
        "mae": audmetric.mean_absolute_error(t, p),
        "rmse": np.sqrt(audmetric.mean_squared_error(t, p)),
        "ccc": 0.0 if constant else audmetric.concordance_cc(t, p),
        "pearson": np.nan if undefined else audmetric.pearson_cc(t, p),
        "bias": slope(t, p - p[0]) - 1,  # exactly -1 for a constant
    }
    drawn = _resampled(t, p, weights)
    return {score: np.append(value, drawn[score]) for score, value in values.items()}


def _resampled(t: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each score of each resample [draws], from weighted moments."""
    total = weights.sum(axis=1)
    mean_t, mean_p = weights @ t / total, weights @ p / total
    dt, dp = t - t.mean(), p - p.mean()  # moments about a point near the means lose no digits
    shift_t, shift_p = mean_t - t.mean(), mean_p - p.mean()
    constant_t, constant_p = _constant(weights, t), _constant(weights, p)
    var_t = np.where(constant_t, 0, weights @ dt**2 / total - shift_t**2)
    var_p = np.where(constant_p, 0, weights @ dp**2 / total - shift_p**2)
    covariance = weights @ (dt * dp) / total - shift_t * shift_p
    covariance[constant_t | constant_p] = 0
    ccc = _ratio(2 * covariance, var_t + var_p + (mean_t - mean_p) ** 2)
    return {
        "mae": weights @ np.abs(p - t) / total,
        "rmse": np.sqrt(weights @ (p - t) ** 2 / total),
        "ccc": np.where(constant_p, 0, ccc),
        "pearson": _ratio(covariance, np.sqrt(np.maximum(var_t * var_p, 0))),
        "bias": _ratio(covariance, var_t) - 1,
    }


def _constant(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Which resamples hold one value only; a computed variance may be a rounding error of 0."""
    drawn = weights > 0
    return np.where(drawn, x, np.inf).min(axis=1) == np.where(drawn, x, -np.inf).max(axis=1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Not a number where ratings or predictions do not vary."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 1e-12)


def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slope of the least-squares line of y on x, along the last axis; missing for constant x."""
    x = x - x.mean(axis=-1, keepdims=True)
    return _ratio((x * y).sum(axis=-1), (x**2).sum(axis=-1))


def as_dict(
    table: pd.DataFrame, metrics: Iterable[str] = METRICS
) -> dict[str, dict[str, dict[str, float | None]]]:
    """A table of `compare` for a results file: model, then metric, then value, low and high.

    Args:
        table: see `compare`
        metrics: some of its scores

    Returns:
        numbers, with None where a score is not defined
    """
    return {
        model: {
            metric: {key: None if pd.isna(v) else float(v) for key, v in row[metric].items()}
            for metric in metrics
        }
        for model, row in table.iterrows()
    }


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Each score of a table and its interval in one cell, on one line.

    Args:
        table: see `compare`; other columns, such as costs, are left out

    Examples:
        >>> print(*readable(compare([1, 2, 3], {"median": [2, 2, 2]})).loc["median", "mae"].split())
        0.67 [0.00, 1.00]
    """

    def cell(row: pd.Series) -> str:
        if pd.isna(row["value"]):
            return "–"
        text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    with_interval = [name for name, part in table.columns if part == "low"]
    return pd.DataFrame({name: table[name].apply(cell, axis=1) for name in with_interval})
