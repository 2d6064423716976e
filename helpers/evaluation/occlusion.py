"""What in a spectrogram a prediction depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from helpers.training import Run


#: Bands and frames that are covered at once: the smallest kernel of the four branches.
PATCH = (12, 16)


def occlusion(
    run: Run,
    levels: np.ndarray,
    *,
    patch: tuple[int, int] = PATCH,
    stride: tuple[int, int] = (6, 8),
) -> np.ndarray:
    """How much each part of a spectrogram raises the prediction (occlusion, Zeiler & Fergus 2014).

    A patch is covered with the mean level of the training set, and the network is asked again.
    What the prediction loses is what the patch contributed.

    Args:
        run: the trained network, see `training.train`
        levels: one clip, decibels [n_mels, frames]
        patch: bands and frames that are covered at once
        stride: bands and frames from one patch to the next, at most those of the patch

    Returns:
        points of valence [n_mels, frames]: the mean, over the patches that cover a place, of the
        prediction on the whole clip minus the one without the patch. Above 0, that part makes the
        voice sound more pleasant to the network

    Raises:
        ValueError: if the patch is larger than the spectrogram, or the stride than the patch

    See: notebooks/05_error_analysis.ipynb
    """
    from helpers.training import predict  # it loads Keras

    if any(size > whole for size, whole in zip(patch, levels.shape, strict=True)):
        raise ValueError(f"A patch of {patch} does not fit into a spectrogram of {levels.shape}.")
    if any(not 0 < step <= size for step, size in zip(stride, patch, strict=True)):
        raise ValueError(f"With a stride of {stride}, patches of {patch} leave parts uncovered.")
    rows, columns = (
        _starts(whole, size, step)
        for whole, size, step in zip(levels.shape, patch, stride, strict=True)
    )
    places = [np.s_[r : r + patch[0], c : c + patch[1]] for r in rows for c in columns]
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
