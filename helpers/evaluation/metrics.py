"""How good predictions are, and how sure one can be of it.

Metrics come from audmetric, the field's package. The intervals draw speakers with all their clips,
or clips, see `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import audmetric
import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import ENOUGH_SPEAKERS, Resamples, drawn_times, resamples

METRICS = ("mae", "rmse", "ccc", "pearson")


def known_speakers(clips: pd.DataFrame) -> np.ndarray | None:
    """The speaker of each clip, if an interval can draw speakers.

    Args:
        clips: a row a clip, with ``speaker``, such as rows of `corpora.Corpus.clips`

    Returns:
        the names [clips], in the order of the rows. None if the speaker of a clip is not known, or
        if there are fewer than two

    Examples:
        >>> known_speakers(pd.DataFrame({"speaker": ["anna", "ben", "anna"]})).tolist()
        ['anna', 'ben', 'anna']
        >>> known_speakers(pd.DataFrame({"speaker": ["anna", None, "ben"]})) is None
        True

    See: notebooks/05_error_analysis.ipynb
    """
    speakers = clips["speaker"]
    known = speakers.notna().all() and speakers.nunique() > 1
    return speakers.to_numpy(dtype=object) if known else None


def drawn(groups: np.ndarray | None) -> str:
    """What the intervals of a table draw, in the words of its caption.

    Args:
        groups: speaker of each clip [clips], see `known_speakers`; None for intervals that draw
            clips

    Returns:
        one sentence. It says so if there are fewer than `ENOUGH_SPEAKERS` speakers

    Examples:
        >>> drawn(np.repeat(np.arange(18), 5))
        '95 % intervals: 18 speakers drawn anew.'
        >>> drawn(np.array(["anna", "ben"])).split(",")[0]
        '95 % intervals: 2 speakers drawn anew'

    See: notebooks/05_error_analysis.ipynb
    """
    if groups is None:
        what = "clips drawn anew, as if each were a voice of its own (one speaker, or some unknown)"
    else:
        count = len(np.unique(groups))
        what = f"{count} speaker{'s' * (count > 1)} drawn anew"
        if count < ENOUGH_SPEAKERS:
            what += ", too few (below eight, such intervals are too narrow)"
    return f"95 % intervals: {what}."


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
        ``ccc gain`` (above 0 is better than the reference). A score that is not defined is missing,
        and so are the intervals of one speaker alone

    Raises:
        ValueError: see `scores`

    See: notebooks/03_model.ipynb, notebooks/04_tuning.ipynb
    """
    truth = np.asarray(truth, dtype=np.float64)
    trainings = {name: _checked(truth, each) for name, each in predictions.items()}
    drawn = resamples(len(truth), groups, seed=seed)
    found = {}
    for name, predicted in trainings.items():
        each = [scored(truth, training, drawn) for training in predicted]
        found[name] = {score: np.mean([one[score] for one in each], axis=0) for score in each[0]}
    base = found[next(iter(found)) if reference is None else reference]
    rows = {}
    for name, own in found.items():
        gains = {"mae gain": base["mae"] - own["mae"], "ccc gain": own["ccc"] - base["ccc"]}
        rows[name] = row_of({**own, **gains}, drawn)
    return pd.DataFrame(rows).T.rename_axis(index="model", columns=["metric", None])


def row_of(found: Mapping[str, np.ndarray], drawn: Resamples) -> dict[tuple[str, str], float]:
    """A row of a table: each score's value and interval, from `scored`."""
    return {
        (score, part): number
        for score, each in found.items()
        for part, number in drawn.estimate(each).items()
    }


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
    draw_trainings: bool = False,
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
        draw_trainings: whether each resample draws the trainings, too, with replacement and for
            each of the two models on its own. The interval then also says how the difference
            varies with the seeds of the trainings. What is drawn is spread by the root of
            n / (n - 1), since n trainings vary that much less around their own mean (the narrowness
            bias, Hesterberg 2015): intervals of three then hold 92 instead of 89 of 100 true
            differences (simulated, 12 speakers). A model with one training is held fixed
        seed: of the bootstrap

    Returns:
        ``value``, and the ``low`` and ``high`` end of its 95 % interval

    Raises:
        ValueError: see `scores`

    Examples:
        >>> mae_difference([1, 2, 3], [1, 2, 3], [2, 2, 2])["value"].round(3).item()
        0.667

    See: notebooks/03_model.ipynb, notebooks/04_tuning.ipynb
    """
    truth = np.asarray(truth, dtype=np.float64)
    errors = [np.abs(_checked(truth, each) - truth) for each in (reference, prediction)]
    drawn = resamples(len(truth), groups, seed=seed)
    maes = [np.column_stack([drawn.mean(one) for one in each]) for each in errors]
    means = [mae.mean(axis=1) for mae in maes]
    for model, (mae, mean) in enumerate(zip(maes, means, strict=True), start=1):
        count = mae.shape[1]
        if draw_trainings and count > 1:
            # NumPy takes a seed of (0, 0) for one of 0, which the speakers have.
            times = drawn_times(count, (seed, model))[: len(mae) - 1]
            off = (mae[1:] * times).mean(axis=1) - mean[1:]
            mean[1:] += off * np.sqrt(count / (count - 1))
    return pd.Series(drawn.estimate(means[0] - means[1]))


def rounded(*numbers: float) -> list[str]:
    """Numbers that stand together, with two decimals, or three where two show a 0 that is none.

    Args:
        *numbers: such as a score and the ends of its interval

    Examples:
        >>> rounded(0.312, 0.1, 0.5)
        ['0.31', '0.10', '0.50']
        >>> rounded(-0.012, -0.021, -0.004)
        ['-0.012', '-0.021', '-0.004']
        >>> rounded(0.25, 0.0, -0.0001)
        ['0.25', '0.00', '0.00']
    """
    near = any(0.0005 <= abs(number) < 0.005 for number in numbers)
    return [f"{number:z.{3 if near else 2}f}" for number in numbers]


def verdict(difference: Mapping[str, float], groups: np.ndarray | None = None) -> str:
    """What the interval of a difference in mean absolute error shows, in words.

    Args:
        difference: see `mae_difference`
        groups: speaker of each clip [clips]; below `ENOUGH_SPEAKERS` of them nothing is called
            better or worse

    Examples:
        >>> verdict({"value": 0.25, "low": 0.1, "high": 0.4})
        'is better: its MAE is lower by 0.25 [0.10, 0.40]'
        >>> verdict({"value": -0.25, "low": -0.4, "high": -0.1})
        'is worse: its MAE is higher by 0.25 [0.10, 0.40]'
        >>> verdict({"value": 0.05, "low": -0.1, "high": 0.2})
        'is not shown to be better or worse: its MAE is lower by 0.05 [-0.10, 0.20]'
        >>> verdict({"value": -0.05, "low": -0.2, "high": 0.1})
        'is not shown to be better or worse: its MAE is higher by 0.05 [-0.10, 0.20]'
        >>> verdict({"value": 0.25, "low": 0.1, "high": 0.4}, np.array(["anna", "ben"]))
        'cannot be called better or worse over 2 speakers: its MAE is lower by 0.25 [0.10, 0.40]'

    See: notebooks/03_model.ipynb
    """
    value, low, high = (difference[end] for end in ("value", "low", "high"))
    shown = "is not shown to be better or worse"
    if groups is not None and len(np.unique(groups)) < ENOUGH_SPEAKERS:
        shown = f"cannot be called better or worse over {len(np.unique(groups))} speakers"
    elif low > 0 or high < 0:
        shown = "is better" if low > 0 else "is worse"
    less = "lower"
    if value < 0:
        value, low, high, less = -value, -high, -low, "higher"
    return "{}: its MAE is {} by {} [{}, {}]".format(shown, less, *rounded(value, low, high))


def scored(t: np.ndarray, p: np.ndarray, drawn: Resamples) -> dict[str, np.ndarray]:
    """Each score of one training: its value, then that of each resample [1 + draws]."""
    constant = np.ptp(p) == 0  # its computed spread may be a rounding error of 0, and is divided by
    undefined = constant or np.ptp(t) == 0
    values = {
        "mae": audmetric.mean_absolute_error(t, p),
        "rmse": np.sqrt(audmetric.mean_squared_error(t, p)),
        "ccc": 0.0 if constant else audmetric.concordance_cc(t, p),
        "pearson": np.nan if undefined else audmetric.pearson_cc(t, p),
    }
    of = moments(t, p, drawn)
    ccc = _ratio(2 * of.covariance, of.var_x + of.var_y + (of.mean_x - of.mean_y) ** 2)
    found = {
        "mae": drawn.mean(np.abs(p - t)),
        "rmse": np.sqrt(drawn.mean((p - t) ** 2)),
        "ccc": np.where(of.var_y == 0, 0, ccc),
        "pearson": of.correlation(),
        "bias": of.slope() - 1,
    }
    for score, value in values.items():
        found[score][0] = value
    return found


class Moments(NamedTuple):
    """Means, variances and covariance of two variables, see `Resamples` [1 + draws]."""

    mean_x: np.ndarray
    mean_y: np.ndarray
    var_x: np.ndarray
    var_y: np.ndarray
    covariance: np.ndarray

    def slope(self) -> np.ndarray:
        """Of the least-squares line of y on x; missing for constant x."""
        return _ratio(self.covariance, self.var_x)

    def swapped(self) -> Moments:
        """Of y and x."""
        return Moments(self.mean_y, self.mean_x, self.var_y, self.var_x, self.covariance)

    def correlation(self) -> np.ndarray:
        """Pearson's; missing where a variable is constant."""
        return _ratio(self.covariance, np.sqrt(np.maximum(self.var_x * self.var_y, 0)))


def moments(x: np.ndarray, y: np.ndarray, drawn: Resamples) -> Moments:
    """Moments of two variables in a sample and in each resample.

    Args:
        x: a variable [clips]
        y: another [clips]
        drawn: see `bootstrap.resamples`
    """
    dx, dy = x - x.mean(), y - y.mean()  # moments about a point near the means lose no digits
    shift_x, shift_y = drawn.mean(dx), drawn.mean(dy)
    constant_x, constant_y = drawn.constant(x), drawn.constant(y)
    covariance = drawn.mean(dx * dy) - shift_x * shift_y
    covariance[constant_x | constant_y] = 0
    return Moments(
        mean_x=x.mean() + shift_x,
        mean_y=y.mean() + shift_y,
        var_x=np.where(constant_x, 0, drawn.mean(dx**2) - shift_x**2),
        var_y=np.where(constant_y, 0, drawn.mean(dy**2) - shift_y**2),
        covariance=covariance,
    )


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Not a number where ratings or predictions do not vary."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 1e-12)


def as_dict(
    table: pd.DataFrame, metrics: Iterable[str] = METRICS
) -> dict[str, dict[str, dict[str, float | None]]]:
    """A table of `compare` for a results file: model, then metric, then value, low and high.

    Args:
        table: see `compare`
        metrics: some of its scores

    Returns:
        numbers, with None where a score is not defined

    See: notebooks/03_model.ipynb
    """
    return {
        model: {
            metric: {key: None if pd.isna(v) else float(v) for key, v in row[metric].items()}
            for metric in metrics
        }
        for model, row in table.iterrows()
    }
