"""Losses other than the mean absolute error of the original study, and weights of clips in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from helpers.models import RatingMedian, Tensor, keras

ops = keras.ops

#: Of ratings and predictions.
Loss = Callable[[Tensor, Tensor], Tensor]


def mae_ccc(truth: Tensor, prediction: Tensor) -> Tensor:
    """Absolute error of each clip, plus one minus the CCC of the batch.

    The mean absolute error alone favours predictions near the middle of the scale. The concordance
    correlation coefficient (CCC; Lin 1989) also asks for the mean and the spread of the ratings.

    Args:
        truth: ratings [batch, 1]
        prediction: predicted valence [batch, 1]

    Returns:
        [batch]; the CCC counts as 0 if all predictions or all ratings of the batch are the same

    See: notebooks/06_improvements.ipynb
    """
    error = ops.mean(ops.abs(truth - prediction), axis=-1)
    mean_t, mean_p = ops.mean(truth), ops.mean(prediction)
    covariance = ops.mean((truth - mean_t) * (prediction - mean_p))
    spread = ops.var(truth) + ops.var(prediction) + (mean_t - mean_p) ** 2
    return error + (1 - 2 * covariance / (spread + keras.config.epsilon()))


#: Standard deviation of the distribution that a rating becomes, as a share of the scale. It spans
#: more than one class, so that neighbouring ratings have a part in it. No width is best everywhere:
#: with half of it, as it is and with twice, the recommended network has a CCC of 0.65, 0.66, 0.65
#: on RAVDESS, 0.53, 0.53, 0.52 on half of EmoTale and 0.76, 0.77, 0.78 on the demo, and an MAE
#: of 0.50, 0.52, 0.59; 0.49, 0.48, 0.49; and 0.51, 0.49, 0.48 (folds by speaker, three seeds).
#: One around each listener's rating, averaged, in place of one around the listeners' mean changes
#: the CCC by 0.01 (0.00 to 0.02) on the demo and by 0.01 (-0.01 to 0.03) on half of EmoTale.
WIDTH = 0.075


def distribution(scale: tuple[float, float], distributions: int = 1) -> Loss:
    """Cross-entropy with a distribution around the rating (label distributions, Geng 2016).

    A network that predicts one number predicts the middle of the scale when low and high ratings
    are equally likely. A network that predicts a distribution can give both. The rating becomes a
    Gaussian of `WIDTH` over the classes, so that a small error costs less than a large one.

    Args:
        scale: lowest and highest rating; the classes are spread evenly between them
        distributions: how many the network predicts; the loss is the mean of their losses, so that
            each is trained as if it were alone

    Returns:
        a loss of ratings [batch, 1] and the output of `layers.RatingMedian`

    See: notebooks/06_improvements.ipynb
    """
    low, high = scale

    def cross_entropy(truth: Tensor, prediction: Tensor) -> Tensor:
        classes = (prediction.shape[1] - 1) // distributions
        probabilities = ops.reshape(prediction[:, 1:], (-1, distributions, classes))
        centres = ops.linspace(low, high, classes)
        distance = (ops.reshape(truth, (-1, 1, 1)) - centres) / (WIDTH * (high - low))
        target = ops.softmax(-0.5 * distance**2, axis=2)
        entropy = -ops.sum(target * ops.log(probabilities + keras.config.epsilon()), axis=2)
        return ops.mean(entropy, axis=1)

    return cross_entropy


def named(name: str, model: keras.Model) -> str | Loss:
    """A loss as Keras takes it.

    Args:
        name: ``"distribution"`` (see `distribution`) if the network ends in `layers.RatingMedian`,
            else ``"mae"`` or ``"mae+ccc"`` (see `mae_ccc`)
        model: the network

    Raises:
        ValueError: if there is no loss of this name, or it does not fit the network
    """
    fitting: dict[str, str | Loss] = {"mae": "mean_absolute_error", "mae+ccc": mae_ccc}
    last = model.layers[-1]
    if isinstance(last, RatingMedian):
        fitting = {"distribution": distribution(last.scale, last.distributions)}
    if name not in fitting:
        raise ValueError(f"loss is {name!r}: for {model.name} it is {' or '.join(fitting)}.")
    return fitting[name]


def rarity(ratings: ArrayLike, rows: np.ndarray) -> np.ndarray:
    """Weights that grow with the rarity of a rating, so that rare ratings count more.

    Label-distribution smoothing (Yang et al. 2021): the density of the ratings, smoothed by a
    Gaussian of a twentieth of their range, to the power of -1/2. The exponent -1 would be stronger.

    Args:
        ratings: valence of each clip [clips]
        rows: row numbers of the training part; only these count for the density

    Returns:
        weight of each clip, 1 on average over the training part, float32 [clips]

    See: notebooks/06_improvements.ipynb
    """
    ratings = np.asarray(ratings, dtype=np.float32)
    width = max(np.ptp(ratings[rows]) / 20, 1e-6)
    values, counts = np.unique(ratings[rows], return_counts=True)
    density = np.exp(-0.5 * ((ratings[:, None] - values) / width) ** 2) @ counts
    weights = 1 / np.sqrt(np.maximum(density, 1))
    return (weights / weights[rows].mean()).astype(np.float32)
