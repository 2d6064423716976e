"""Which parts of a spectrogram a prediction depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from helpers.training import Run

#: Bands and frames that are covered at once: the smallest kernel of the four branches.
PATCH = (12, 16)

#: Bands and frames from one patch to the next.
STRIDE = (6, 8)


def occlusion(run: Run, levels: np.ndarray) -> np.ndarray:
    """How much each part of a spectrogram raises the prediction (occlusion, Zeiler & Fergus 2014).

    A patch of `PATCH` bands and frames is covered with the mean level of the training set, and the
    network predicts again. The change of the prediction is the contribution of the patch.

    Args:
        run: the trained network, see `training.train`
        levels: one clip, decibels [n_mels, frames]

    Returns:
        points of valence [n_mels, frames]: the mean, over the patches that cover a place, of the
        prediction on the whole clip minus the prediction without the patch. Above 0, that part
        raises the predicted valence

    See: notebooks/05_error_analysis.ipynb
    """
    from helpers.training import predict  # it loads Keras

    height, width = np.minimum(PATCH, levels.shape)
    rows, columns = map(_starts, levels.shape, (height, width), STRIDE)
    places = [np.s_[r : r + height, c : c + width] for r in rows for c in columns]
    covered = np.repeat(levels[None], len(places) + 1, axis=0)  # the last one stays whole
    mean = np.broadcast_to(run.settings["mean"], levels.shape)
    for clip, place in zip(covered, places, strict=False):
        clip[place] = mean[place]
    *without, whole = predict(run, covered, np.arange(len(covered)))
    total, count = np.zeros(levels.shape), np.zeros(levels.shape)
    for place, prediction in zip(places, without, strict=True):
        total[place] += whole - prediction
        count[place] += 1
    return total / count


def _starts(whole: int, size: int, step: int) -> list[int]:
    """Where patches begin along one axis; the last one ends at the edge."""
    return [*range(0, whole - size, step), whole - size]
