"""Batch normalisation with statistics of the final weights ("precise", Wu & Johnson 2021).

While a network is trained, batch normalisation keeps moving averages of its inputs' statistics, to
predict with. They lag behind the weights, the more the shorter the training is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from helpers.models import keras

#: Training clips that the statistics are taken from, at most.
CLIPS = 256


def refit_statistics(
    model: keras.Model,
    read: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    *,
    batch_size: int,
) -> None:
    """Take the statistics of batch normalisation anew, from training clips and today's weights.

    The clips pass in batches of the training's size, with the training's dropout. Means and
    variances of the batches are pooled by the law of total variance.

    Args:
        model: a network with or without batch normalisation; its other weights and its random
            numbers stay as they are
        read: gives the inputs of clips [rows, ...]
        rows: row numbers of training clips, of which the first `CLIPS` are used
        batch_size: clips at a time, at most

    See: notebooks/03_model.ipynb
    """
    layers = [each for each in _layers(model) if isinstance(each, keras.layers.BatchNormalization)]
    if not layers:
        return
    rows = rows[:CLIPS]
    batches = np.array_split(rows, -(-len(rows) // batch_size))
    found = []
    with _undisturbed(model, layers):
        for batch in batches:
            model(read(batch), training=True)
            found.append([_statistics(layer) for layer in layers])
    shares = [len(batch) / len(rows) for batch in batches]
    for layer, statistics in zip(layers, zip(*found, strict=True), strict=True):
        means, variances = np.array(statistics).swapaxes(0, 1)
        mean = np.average(means, axis=0, weights=shares)
        between = np.average((means - mean) ** 2, axis=0, weights=shares)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.average(variances, axis=0, weights=shares) + between)


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, those of networks inside the network included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _statistics(layer: keras.layers.BatchNormalization) -> list[np.ndarray]:
    both = (layer.moving_mean, layer.moving_variance)
    return [np.asarray(keras.ops.convert_to_numpy(each), np.float64) for each in both]


@contextlib.contextmanager
def _undisturbed(
    model: keras.Model, layers: list[keras.layers.BatchNormalization]
) -> Iterator[None]:
    """For a while, moving averages are those of the last batch, and random numbers are borrowed."""
    weights = {id(each) for each in model.non_trainable_weights}
    seeds = [each for each in model.non_trainable_variables if id(each) not in weights]
    kept = [keras.ops.convert_to_numpy(each) for each in seeds]
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for seed, value in zip(seeds, kept, strict=True):
            seed.assign(value)
