"""What a network is trained to make small, besides the mean absolute error of the report."""

from __future__ import annotations

from collections.abc import Callable

from helpers.models import RatingMean, Tensor, keras

#: Of ratings and predictions.
Loss = Callable[[Tensor, Tensor], Tensor]


def ccc(truth: Tensor, prediction: Tensor) -> Tensor:
    """One minus the concordance correlation coefficient of a batch (Lin 1989), from 0 to 2.

    The mean absolute error is content with predictions near the middle of the scale; this one asks
    for the mean and the spread of the ratings too.

    Args:
        truth: ratings [batch, 1]
        prediction: predicted valence [batch, 1]

    Returns:
        one number for the batch; 1 if all predictions or all ratings are the same

    See: notebooks/06_improvements.ipynb
    """
    ops = keras.ops
    mean_t, mean_p = ops.mean(truth), ops.mean(prediction)
    covariance = ops.mean((truth - mean_t) * (prediction - mean_p))
    spread = ops.var(truth) + ops.var(prediction) + (mean_t - mean_p) ** 2
    return 1 - 2 * covariance / (spread + keras.config.epsilon())


def mae_ccc(truth: Tensor, prediction: Tensor) -> Tensor:
    """Absolute error of each clip plus `ccc` of their batch.

    Args:
        truth: ratings [batch, 1]
        prediction: predicted valence [batch, 1]

    Returns:
        [batch]
    """
    error = keras.ops.mean(keras.ops.abs(truth - prediction), axis=-1)
    return error + ccc(truth, prediction)


#: Width of the distribution that a rating is taken for, as a share of the scale: raters of speech
#: differ by about this much, and it spans more than one class.
WIDTH = 0.075


def distribution(scale: tuple[float, float], distributions: int = 1) -> Loss:
    """Cross-entropy with a distribution around the rating (label distributions, Geng 2016).

    A network that predicts one number answers in the middle where it wavers between low and high;
    one that predicts a distribution can say that it wavers. The rating becomes a Gaussian of
    `WIDTH` over the classes, so that a near miss costs less than a far one.

    Args:
        scale: lowest and highest rating, between which the classes are spread evenly
        distributions: how many the network predicts; the loss is the mean of theirs, so that each
            learns as if it were alone

    Returns:
        a loss of ratings [batch, 1] and the output of `layers.RatingMean`

    See: notebooks/06_improvements.ipynb
    """
    low, high = scale

    def cross_entropy(truth: Tensor, prediction: Tensor) -> Tensor:
        ops = keras.ops
        classes = (prediction.shape[1] - 1) // distributions
        probabilities = ops.reshape(prediction[:, 1:], (-1, distributions, classes))
        centres = ops.linspace(low, high, classes)
        distance = (ops.reshape(truth, (-1, 1, 1)) - centres) / (WIDTH * (high - low))
        target = ops.softmax(-0.5 * distance**2, axis=2)
        entropy = -ops.sum(target * ops.log(probabilities + keras.config.epsilon()), axis=2)
        return ops.mean(entropy, axis=1)

    return cross_entropy


#: Losses of one number a clip, by the name that `training.train` takes.
LOSSES: dict[str, str | Loss] = {
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "huber": "huber",
    "ccc": ccc,
    "mae+ccc": mae_ccc,
}


def named(name: str, model: keras.Model) -> str | Loss:
    """A loss as Keras takes it.

    Args:
        name: of one of `LOSSES`, or ``"distribution"``
        model: the network; it ends in `layers.RatingMean` for ``"distribution"``, in one linear
            unit for the others

    Raises:
        ValueError: if there is none of this name, or it does not fit the network
    """
    last = model.layers[-1]
    spread = isinstance(last, RatingMean)
    if name not in (*LOSSES, "distribution"):
        raise ValueError(f"loss is {name!r}: it is one of {', '.join(LOSSES)}, distribution.")
    if (name == "distribution") != spread:
        raise ValueError(
            f"The loss {name!r} does not fit a network that ends in {last.name!r}: "
            "'distribution' is for those that predict one, and for them alone."
        )
    return distribution(last.scale, len(last.of_each)) if spread else LOSSES[name]
