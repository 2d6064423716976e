"""Training clips made a little different each time they are seen.

All of it works on decibels of mel bands, a batch at a time, so that a waveform need not be read and
transformed anew: a shift along the mel bands stands for a change of pitch, a stretch along the
frames for one of speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from helpers.features import is_padding


@dataclass(frozen=True)
class Augmentation:
    """How much clips are changed; every amount is 0, and nothing changed, unless given.

    Attributes:
        masks: bars along each axis that are wiped out (SpecAugment, Park et al. 2019)
        mask_share: widest bar, as a share of the bands or frames
        shift: furthest that a clip is moved in time, as a share of the frames, to come in again at
            the other end
        speed: largest change of speed, as a share
        pitch: furthest shift along the mel bands, in bands
        noise: chance that a clip gets white noise, at a signal-to-noise ratio of 5 to 30 dB
        gain: standard deviation of a change of level, in dB
        mixup: of the beta distribution that says how much of another clip and of its rating is
            mixed in (Zhang et al. 2018)
    """

    masks: int = 0
    mask_share: float = 0.15
    shift: float = 0.0
    speed: float = 0.0
    pitch: int = 0
    noise: float = 0.0
    gain: float = 0.0
    mixup: float = 0.0


def augment(
    clips: np.ndarray,
    ratings: np.ndarray,
    amounts: Augmentation,
    *,
    fill: ArrayLike,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Change a batch of clips, each in its own way.

    Padding stays padding, see `features.is_padding`: networks that leave it out still know it.

    Args:
        clips: decibels of mel bands, without pitch [batch, n_mels, frames]
        ratings: of the clips [batch]
        amounts: see `Augmentation`
        fill: decibels that masked parts get, a number or [n_mels, 1]: the mean of the training part
        rng: random numbers

    Returns:
        changed copies of clips and ratings, float32

    See: notebooks/06_improvements.ipynb
    """
    clips = np.array(clips, dtype=np.float32)
    ratings = np.array(ratings, dtype=np.float32)
    n_mels, frames = clips.shape[1:]
    for clip in clips:  # what moves padding, too
        if amounts.speed:
            clip[:] = _stretch(clip, 1 + rng.uniform(-amounts.speed, amounts.speed))
        if amounts.pitch:
            clip[:] = _shift_bands(clip, int(rng.integers(-amounts.pitch, amounts.pitch + 1)))
        if amounts.shift:
            reach = int(amounts.shift * frames)
            clip[:] = np.roll(clip, rng.integers(-reach, reach + 1), axis=1)
    lowest, padding = clips.min(axis=(1, 2), keepdims=True), is_padding(clips)
    for clip in clips:
        if amounts.noise and rng.random() < amounts.noise:
            clip[:] = _add_noise(clip, rng.uniform(5, 30))
        if amounts.gain:
            clip += rng.normal(0, amounts.gain)
    if amounts.mixup:
        others = rng.permutation(len(clips))
        share = rng.beta(amounts.mixup, amounts.mixup, len(clips)).astype(np.float32)
        share = np.maximum(share, 1 - share)  # more of itself than of the other
        clips = share[:, None, None] * clips + (1 - share[:, None, None]) * clips[others]
        ratings = share * ratings + (1 - share) * ratings[others]
        padding &= padding[others]
    fill = np.broadcast_to(np.asarray(fill, dtype=np.float32), (n_mels, 1))
    for clip in clips:
        for _ in range(amounts.masks):
            bands, times = (_bar(size, amounts.mask_share, rng) for size in clip.shape)
            clip[bands] = fill[bands]
            clip[:, times] = fill
    lowest = np.minimum(lowest, clips.min(axis=(1, 2), keepdims=True))
    return np.where(padding, lowest, clips), ratings


def _stretch(clip: np.ndarray, speed: float) -> np.ndarray:
    """Play faster (above 1) or slower; what is then missing at the end repeats the last frame."""
    frames = clip.shape[1]
    position = np.minimum(np.arange(frames) * speed, frames - 1)
    before = position.astype(int)
    after = np.minimum(before + 1, frames - 1)
    share = (position - before).astype(np.float32)
    return clip[:, before] + share * (clip[:, after] - clip[:, before])  # of equals, exactly equal


def _shift_bands(clip: np.ndarray, bands: int) -> np.ndarray:
    """Move up; the band at the edge is repeated."""
    return clip[np.clip(np.arange(len(clip)) - bands, 0, len(clip) - 1)]


def _add_noise(clip: np.ndarray, ratio: float) -> np.ndarray:
    """Add power, equal in all bands (their filters have equal areas), `ratio` dB below the mean."""
    power = 10 ** (clip / 10)
    return 10 * np.log10(power + power.mean() * 10 ** (-ratio / 10))


def _bar(size: int, share: float, rng: np.random.Generator) -> slice:
    width = rng.integers(0, int(share * size) + 1)
    start = rng.integers(0, size - width + 1)
    return slice(start, start + width)
