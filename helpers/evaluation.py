"""How good predictions are, and how sure one can be of it.

Metrics come from audmetric, the field's package; the intervals are bootstrap percentiles over
clips, or over speakers (Efron & Tibshirani 1993, chapter 13).

From a terminal, ``python -m helpers.evaluation [PATH] [--models NAME,NAME] [--by speaker|clip]
[--folds K] [--seeds N] [--normalise] [--csv OUT]`` compares models and baselines on a corpus.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import audmetric
import numpy as np
import pandas as pd

from helpers.settings import OutputError, write_whole

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


# Where the errors are. These take a table of predictions, a row a clip: ``valence`` (its rating),
# ``prediction``, and whatever else is known of the clip. An error is prediction minus rating.


def worst(predicted: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """The clips with the highest absolute error, the worst first.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        count: how many, if there are as many

    Returns:
        their rows and an ``error``: prediction minus rating

    Examples:
        >>> table = pd.DataFrame({"valence": [1.0, 4.0, 5.0], "prediction": [1.5, 4.0, 2.0]})
        >>> worst(table, 2)["error"].tolist()
        [-3.0, 0.5]

    See: notebooks/05_error_analysis.ipynb
    """
    table = predicted.assign(error=predicted["prediction"] - predicted["valence"])
    order = table["error"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order[:count]]


def bias_by_rating(
    predicted: pd.DataFrame, scale: tuple[float, float], *, bins: int = 4, seed: int = 0
) -> pd.DataFrame:
    """Mean error in equal parts of the rating scale, with 95 % intervals.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        scale: lowest and highest possible rating
        bins: parts of the scale; those without clips are left out
        seed: of the bootstrap

    Returns:
        a row a part, from the lowest: ``from`` and ``to`` (a rating on the border counts to the
        lower part), ``clips``, their mean ``valence`` and ``prediction``, their ``bias`` (the mean
        of prediction minus rating) with ``low`` and ``high``. Below two clips there is no interval

    See: notebooks/05_error_analysis.ipynb
    """
    edges = np.linspace(*scale, bins + 1)
    return _by_bin(predicted, predicted["valence"], edges, seed)


def calibration(predicted: pd.DataFrame, *, bins: int = 4, seed: int = 0) -> pd.DataFrame:
    """Mean rating of clips with similar predictions, in groups of equal size.

    Where a network predicts 4, are the ratings 4 on average? If so it is calibrated, and that its
    predictions are less spread than the ratings is no fault.

    Args:
        predicted: a row a clip, with ``valence`` and ``prediction``
        bins: groups; fewer where many predictions are equal
        seed: of the bootstrap

    Returns:
        as `bias_by_rating`, where ``from`` and ``to`` are predictions

    See: notebooks/05_error_analysis.ipynb
    """
    edges = np.unique(np.quantile(predicted["prediction"], np.linspace(0, 1, bins + 1)))
    return _by_bin(predicted, predicted["prediction"], edges, seed)


def _by_bin(predicted: pd.DataFrame, by: pd.Series, edges: np.ndarray, seed: int) -> pd.DataFrame:
    bins = np.maximum(np.searchsorted(edges, by) - 1, 0)
    rows = []
    for i, group in predicted.groupby(bins):
        error = (group["prediction"] - group["valence"]).to_numpy()
        resampled = error[resamples(len(error), seed)].mean(axis=1)
        rows.append(
            {
                "from": edges[i],
                "to": edges[min(i + 1, len(edges) - 1)],
                "clips": len(group),
                "valence": group["valence"].mean(),
                "prediction": group["prediction"].mean(),
                "bias": error.mean(),
                **interval(resampled if len(error) > 1 else resampled[:0]),
            }
        )
    return pd.DataFrame(rows)


def slopes(predicted: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Regression to the mean, and whether there is more of it than ignorance explains.

    Two least-squares lines through the same cloud. That of the prediction on the rating has a slope
    below 1 for every network that does not know all: the lower, the more it stays near the mean.
    That of the rating on the prediction has a slope of 1 if the network is calibrated (Mincer &
    Zarnowitz 1969); above 1 it is more timid than it need be, below 1 bolder than it should be.

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
    lines = {
        "prediction on rating": (rating, prediction),
        "rating on prediction": (prediction, rating),
    }
    return pd.DataFrame(
        [
            {"value": _slope(x, y).item(), **interval(_slope(x[rows], y[rows]))}
            for x, y in lines.values()
        ],
        index=list(lines),
    )


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the least-squares line, along the last axis; missing where x is constant."""
    x = x - x.mean(axis=-1, keepdims=True)
    variance = (x**2).sum(axis=-1)
    with np.errstate(invalid="ignore"):  # of a constant, 0 / 0
        return np.where(variance > 1e-12, (x * y).sum(axis=-1) / variance, np.nan)


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
    errors = pd.DataFrame({"mae": error.abs(), "bias": error})
    groups = errors.groupby(predicted["speaker"])
    table = groups.mean().assign(clips=groups.size())[["clips", "mae", "bias"]]
    return table.sort_values("mae", ascending=False)


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


def main(arguments: list[str] | None = None) -> int:
    """Compare models on the same folds; 0, or 2 with one sentence if it cannot be done."""
    from helpers import comparison, corpora  # late, since they import this module

    parser = argparse.ArgumentParser(prog="python -m helpers.evaluation", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder, zip or name; left out, the demo corpus")
    parser.add_argument(
        "--models",
        default="recommended,egemaps_svr,median",
        help=f"of {', '.join(comparison.NAMES)}, separated by commas (%(default)s)",
    )
    parser.add_argument(
        "--by", choices=("speaker", "clip"), default="speaker", help="what folds keep together"
    )
    parser.add_argument("--folds", type=int, default=6, help="number of folds (%(default)s)")
    parser.add_argument(
        "--seeds", type=int, default=1, help="trainings of each network in each fold (%(default)s)"
    )
    parser.add_argument(
        "--normalise", action="store_true", help="normalise the features by speaker, without labels"
    )
    parser.add_argument("--jobs", type=int, default=-1, help="fits at once (-1: as many as fit)")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write the table with all digits")
    options = parser.parse_args(arguments)
    names = options.models.split(",")
    try:
        models = {n: comparison.named(n, by_speaker=options.normalise) for n in names}
        corpus = corpora.load(options.path)
        sizes = {"folds": options.folds, "seeds": options.seeds, "jobs": options.jobs}
        fits = comparison.fit_all(corpus, models, by=options.by, **sizes)
        reference = "egemaps_svr" if "egemaps_svr" in models else names[0]
        scores = comparison.table(corpus, fits, reference=reference)
        if options.csv:
            flat = scores.set_axis([" ".join(pair) for pair in scores.columns], axis=1)
            write_whole(options.csv, flat.to_csv())
    except (ValueError, OutputError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"{corpus.name}: {options.folds} folds by {options.by}, networks trained {options.seeds} "
        f"times in each; gains are over {reference}, intervals 95 %\n"
    )
    print(readable(scores).to_string())
    print()
    print(scores["cost"].round(2).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
