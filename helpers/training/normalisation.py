"""Batch normalisation with statistics of the final weights ("precise", Wu & Johnson 2021).

While a network is trained, batch normalisation keeps moving averages of its inputs' statistics, to
predict with. They lag behind the weights, the more the shorter the training is.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np

from helpers.models import as_graph, keras

#: Training clips that the statistics are taken from, at most.
CLIPS = 256


class BatchStatistics:
    """The statistics of batch normalisation in a network, which can be taken anew.

    Args:
        model: a network with or without batch normalisation

    See: notebooks/03_model.ipynb
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.layers = [
            each for each in _layers(model) if isinstance(each, keras.layers.BatchNormalization)
        ]
        self.train_step = as_graph(functools.partial(model, training=True), model.input_shape)

    def refit(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        rows: np.ndarray,
        *,
        batch_size: int,
        lengths: np.ndarray | None = None,
    ) -> None:
        """Take them from training clips, with the weights as they are now.

        The clips pass in batches of the training's size, with the training's dropout. Means and
        variances of the batches are pooled by the law of total variance. Neither weights nor the
        random numbers of the training change.

        Args:
            read: gives the inputs of clips [rows, ...]
            rows: row numbers of training clips, of which the first `CLIPS` are used
            batch_size: clips at a time, at most
            lengths: frames of each clip [clips], if batches are of clips of similar length
        """
        if not self.layers:
            return
        rows = rows[:CLIPS]
        if lengths is not None:
            rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches = np.array_split(rows, -(-len(rows) // batch_size))
        found = []
        with self._following_each_batch():
            for batch in batches:
                self.train_step(keras.ops.convert_to_tensor(read(batch)))
                found.append([_statistics(layer) for layer in self.layers])
        shares = [len(batch) / len(rows) for batch in batches]
        for layer, statistics in zip(self.layers, zip(*found, strict=True), strict=True):
            means, variances = np.array(statistics).swapaxes(0, 1)
            mean = np.average(means, axis=0, weights=shares)
            between = np.average((means - mean) ** 2, axis=0, weights=shares)
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(np.average(variances, axis=0, weights=shares) + between)

    @contextlib.contextmanager
    def _following_each_batch(self) -> Iterator[None]:
        """For a while, moving averages are those of the last batch; random numbers are lent."""
        weights = {id(each) for each in self.model.non_trainable_weights}
        seeds = [each for each in self.model.non_trainable_variables if id(each) not in weights]
        kept = [np.array(keras.ops.convert_to_numpy(each)) for each in seeds]
        momenta = [layer.momentum for layer in self.layers]
        try:
            for layer in self.layers:
                layer.momentum = 0.0
            yield
        finally:
            for layer, momentum in zip(self.layers, momenta, strict=True):
                layer.momentum = momentum
            for seed, value in zip(seeds, kept, strict=True):
                seed.assign(value)


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, those of networks inside the network included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _statistics(layer: keras.layers.BatchNormalization) -> list[np.ndarray]:
    both = (layer.moving_mean, layer.moving_variance)
    return [np.array(keras.ops.convert_to_numpy(each), np.float64) for each in both]
