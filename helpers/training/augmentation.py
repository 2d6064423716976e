"""Data augmentation: training clips are changed a little, anew in each epoch.

It works on decibels of mel bands, a batch at a time, so that no waveform has to be read again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from helpers.features import is_padding


@dataclass(frozen=True)
class Augmentation:
    """How much clips are changed. By default nothing is changed.

    Attributes:
        masks: bars along each axis that are wiped out (SpecAugment, Park et al. 2019)
        mask_share: widest bar, as a share of the bands or frames, 0 to 1
        noise: probability that a clip gets white noise, at a signal-to-noise ratio of 5 to 30 dB.
            The signal is the mean power with that of padding: the speech of a clip that is half
            padding has 3 dB more
    """

    masks: int = 0
    mask_share: float = 0.15
    noise: float = 0.0


def augment(
    clips: np.ndarray,
    ratings: np.ndarray,
    amounts: Augmentation,
    *,
    fill: ArrayLike,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Change a batch of clips, each in its own way.

    Padding stays padding, see `features.is_padding`, so that networks can still leave it out.

    Args:
        clips: decibels of mel bands, without pitch [batch, n_mels, frames]
        ratings: of the clips [batch]
        amounts: see `Augmentation`
        fill: decibels of masked parts, a number or [n_mels, 1]: the mean of the training part
        rng: random numbers

    Returns:
        changed copies of the clips, float32, and the ratings as they were

    See: notebooks/06_improvements.ipynb
    """
    clips = np.array(clips, dtype=np.float32)
    lowest, padding = clips.min(axis=(1, 2), keepdims=True), is_padding(clips)
    for clip in clips:
        if amounts.noise and rng.random() < amounts.noise:
            clip[:] = _add_noise(clip, rng.uniform(5, 30))
    fill = np.broadcast_to(np.asarray(fill, dtype=np.float32), (clips.shape[1], 1))
    for clip in clips:
        for _ in range(amounts.masks):
            bands, times = (_bar(size, amounts.mask_share, rng) for size in clip.shape)
            clip[bands] = fill[bands]
            clip[:, times] = fill
    lowest = np.minimum(lowest, clips.min(axis=(1, 2), keepdims=True))
    return np.where(padding, lowest, clips), ratings


def _add_noise(clip: np.ndarray, ratio: float) -> np.ndarray:
    """Add power, equal in all bands (their filters have equal areas).

    It is `ratio` dB below the mean over the whole clip, with its padding.
    """
    power = 10 ** (clip / 10)
    return 10 * np.log10(power + power.mean() * 10 ** (-ratio / 10))


def _bar(size: int, share: float, rng: np.random.Generator) -> slice:
    """A random stretch of an axis of `size`."""
    width = rng.integers(0, int(share * size) + 1)
    start = rng.integers(0, size - width + 1)
    return slice(start, start + width)
