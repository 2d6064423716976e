"""Keras layers of the improved networks that Keras does not have.

They are written in `keras.ops`, so that every backend runs the same lines. Keras saves their
arguments and infers the shapes of their outputs by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.models.backend import Tensor, keras

ops = keras.ops


#: Cepstral coefficients that describe the timbre of voiced frames, without the level of the frame.
VOICED = range(1, 20)

#: Those that describe the frames without voice: the usual number in speech recognition.
UNVOICED = range(1, 14)

#: Those that are followed through the parts of the phrase.
FOLLOWED = range(7)

#: Numbers of statistics that `ClipStatistics` gives of level and pitch, and of rhythm.
MELODY, RHYTHM = 24, 11

#: The pitch does not change by so many times its median change, unless it was taken for another
#: octave.
JUMP = 10

#: Percentiles of a track.
PERCENTILES = (10, 20, 50, 80, 90)

#: Quantiles of a predicted distribution, from which prediction intervals are made.
QUANTILES = (0.05, 0.95)


@keras.saving.register_keras_serializable(package="valence")
class ClipStatistics(keras.layers.Layer):
    """Statistics over time of how a voice sounds, for clips of any length.

    Tracks are numbers that change from frame to frame: level (the largest of all bands), the slope
    of the spectrum over its lower quarter and over the rest, the difference of its two halves and,
    where they are given, pitch and harmonicity. Of level and pitch there are percentiles, the
    deviation, the slope in time and percentiles of the changes; of the others mean and deviation,
    much as in eGeMAPS (Eyben et al. 2016).

    Rhythm, where it is asked for: stretches of voice for each frame, frames of a stretch and frames
    between stretches; mean and deviation of how much the bands change from one frame to the next,
    with voice and without, and of how much the pitch rises and how much it falls.

    Timbre is in cepstral coefficients, the cosine transform of the bands of a frame: means and
    deviations of `VOICED` ones over the frames with voice, means of `UNVOICED` ones over those
    without.

    For parts of the phrase, from its beginning to its end: means and deviations of the coefficients
    `FOLLOWED`, and means of pitch and harmonicity (relative time intervals, Schuller & Rigoll
    2006). Means are differences from the mean of the clip. Each part has the same share of the loud
    frames, which are those above the clip's mean level. Frames before the first loud frame or after
    the last are in no part.

    A frame has a voice where its pitch is known, and none where only its harmonicity is; the other
    frames are silent, and only count for the parts. Without these two tracks, all frames but those
    of padding count for everything. Padding, that is frames in which every band is at the clip's
    lowest level, never counts, so the statistics do not depend on how far a clip was padded.

    Args:
        tracks: number of rows after the bands: 2 with pitch and harmonicity, else 0, see
            `features.waveform_features`
        parts: of the phrase; 0 leaves them out
        rhythm: whether it is among the statistics; it needs both tracks
        **kwargs: of every Keras layer, such as `name`

    Input: [batch, n_mels + tracks, frames], of any number of frames and 20 bands or more; an
    increasing function of decibels that is the same for all rows.
    Output: [batch, statistics]: those of level and pitch first, then rhythm, timbre and parts.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(self, tracks: int = 0, parts: int = 3, rhythm: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.tracks = tracks
        self.parts = parts
        self.rhythm = rhythm

    def call(self, inputs: Tensor) -> Tensor:
        """Statistics of every clip."""
        n_mels = inputs.shape[1] - self.tracks
        bands, tracks = inputs[:, :n_mels], inputs[:, n_mels:]
        lowest = ops.min(bands, axis=(1, 2), keepdims=True)
        sounds = _sounding(bands, lowest)
        voiced = active = sounds
        if self.tracks:
            known = ops.cast(tracks > lowest, bands.dtype)
            voiced, active = known[:, :1], known[:, 1:]
        unvoiced = active * (1 - voiced) if self.tracks else active
        cepstrum = ops.matmul(_cosines(n_mels, max(*VOICED, *UNVOICED) + 1), bands)
        level = ops.max(bands, axis=1, keepdims=True)
        simple = ops.matmul(_slopes(n_mels), bands)
        if self.tracks:
            simple = ops.concatenate([simple, tracks], axis=1)
        timbre = ops.concatenate([simple, cepstrum[:, VOICED.start : VOICED.stop]], axis=1)
        mean = _mean(timbre, voiced)
        found = [_of_track(level, active)]
        if self.tracks:
            found.append(_of_track(tracks[:, :1], voiced))
        if self.rhythm:
            found.append(_of_rhythm(bands, tracks[:, :1], voiced, active))
        found += [
            mean[:, :, 0],
            _deviation(timbre, mean, voiced),
            _mean(cepstrum[:, UNVOICED.start : UNVOICED.stop], unvoiced)[:, :, 0],
        ]
        if self.parts:
            parts = _parts(bands, sounds, self.parts)
            found += _of_parts(cepstrum[:, FOLLOWED.start : FOLLOWED.stop], sounds, parts)
            if self.tracks:
                found.append(_of_parts(tracks, voiced, parts * voiced)[0])
        return ops.concatenate(found, axis=1)


def _cosines(n_mels: int, coefficients: int) -> np.ndarray:
    """From bands to cepstral coefficients [coefficients, n_mels]."""
    k, n = np.ogrid[:coefficients, :n_mels]
    cosines = np.cos(np.pi * k * (2 * n + 1) / (2 * n_mels))
    return (cosines * np.sqrt(np.where(k == 0, 1, 2) / n_mels)).astype(np.float32)


def _slopes(n_mels: int) -> np.ndarray:
    """From bands to the slopes of the lower quarter and the rest, and the balance [3, n_mels]."""
    quarter, half = n_mels // 4, n_mels // 2
    weights = np.zeros((3, n_mels), np.float32)
    for row, bands in ((0, slice(0, quarter)), (1, slice(quarter, n_mels))):
        place = np.arange(n_mels, dtype=np.float32)[bands]
        weights[row, bands] = (place - place.mean()) / ((place - place.mean()) ** 2).sum()
    weights[2, :half], weights[2, half:] = 1 / half, -1 / (n_mels - half)
    return weights


def _of_track(track: Tensor, counts: Tensor) -> Tensor:
    """Functionals of a track over the frames that count, all but the mean [batch, functionals].

    Percentiles, less the mean; deviation; slope over time; percentiles of the change from frame to
    frame, which jumps by an octave do not move.
    """
    mean = _mean(track, counts)
    centred = (track - mean) * counts
    frame = ops.cast(ops.arange(ops.shape(track)[2]), track.dtype) * counts
    time = (frame - _mean(frame, counts)) * counts
    slope = ops.sum(time * centred, axis=2) / ops.maximum(ops.sum(time**2, axis=2), 1)
    both = counts[:, :, 1:] * counts[:, :, :-1]
    change = _percentiles(track[:, :, 1:] - track[:, :, :-1], both)
    found = [_percentiles(centred, counts), _deviation(track, mean, counts), slope, change]
    return ops.concatenate(found, axis=1)


def _of_rhythm(bands: Tensor, pitch: Tensor, voiced: Tensor, active: Tensor) -> Tensor:
    """How the voice sets in and pauses, and how fast bands and pitch change [batch, 11]."""
    span = _span(active)
    frames, spoken = ops.sum(span, axis=2), ops.sum(voiced, axis=2)
    both = voiced[:, :, 1:] * voiced[:, :, :-1]
    stretches = ops.maximum(spoken - ops.sum(both, axis=2), 1)
    found = [stretches / ops.maximum(frames, 1), spoken / stretches, (frames - spoken) / stretches]
    change = ops.mean(ops.abs(bands[:, :, 1:] - bands[:, :, :-1]), axis=1, keepdims=True)
    rise = pitch[:, :, 1:] - pitch[:, :, :-1]
    steady = ops.abs(rise) <= JUMP * _percentiles(ops.abs(rise), both)[:, None, 2:3]
    steady = both * ops.cast(steady, both.dtype)
    for track, counts in (
        (change, both),
        (change, (span * (1 - voiced))[:, :, 1:]),
        (rise, steady * ops.cast(rise > 0, both.dtype)),
        (rise, steady * ops.cast(rise < 0, both.dtype)),
    ):
        mean = _mean(track, counts)
        found += [mean[:, :, 0], _deviation(track, mean, counts)]
    return ops.concatenate(found, axis=1)


def _span(active: Tensor) -> Tensor:
    """1 from the first active frame to the last [batch, 1, frames]."""
    before = ops.cumsum(active, axis=2)
    begun, left = before > 0, before - active < before[:, :, -1:]
    return ops.cast(ops.logical_and(begun, left), active.dtype)


def _percentiles(track: Tensor, counts: Tensor) -> Tensor:
    """`PERCENTILES` over the frames that count, the nearest value of each [batch, percentiles]."""
    last = ops.sum(counts, axis=2) - 1
    in_order = ops.sort(ops.where(counts > 0, track, np.float32(3e38)), axis=2)[:, 0]
    places = ops.maximum(last, 0) * np.array(PERCENTILES, np.float32) / 100
    found = ops.take_along_axis(in_order, ops.cast(ops.round(places), "int32"), axis=1)
    return ops.where(last >= 0, found, 0.0)


def _parts(bands: Tensor, sounds: Tensor, count: int) -> Tensor:
    """1 where a frame is in a part [batch, parts, frames]."""
    level = ops.mean(bands, axis=1, keepdims=True)
    loud = ops.cast(level > _mean(level, sounds), bands.dtype) * sounds
    # Above 0 from the first loud frame on, and `total` after the last.
    passed = ops.cumsum(loud, axis=2) - loud / 2
    total = ops.sum(loud, axis=2, keepdims=True)
    place = passed * count / ops.maximum(total, 1)
    part = np.arange(count, dtype=np.float32)[:, None]
    inside = ops.logical_and(place > 0, ops.equal(ops.floor(place), part))
    return ops.cast(inside, bands.dtype)


def _of_parts(rows: Tensor, counts: Tensor, parts: Tensor) -> list[Tensor]:
    """Means, less those of the clip, and deviations of rows in each part [batch, parts * rows].

    In an empty part they are 0.
    """
    frames_first = ops.transpose((rows - _mean(rows, counts)) * counts, (0, 2, 1))
    size = ops.maximum(ops.sum(parts, axis=2)[:, :, None], 1)
    shift = ops.matmul(parts, frames_first) / size  # [batch, parts, rows]
    variance = ops.matmul(parts, frames_first**2) / size - shift**2
    deviation = ops.sqrt(ops.maximum(variance, 0) + keras.config.epsilon())
    return [ops.reshape(each, (-1, parts.shape[1] * rows.shape[1])) for each in (shift, deviation)]


def _sounding(bands: Tensor, lowest: Tensor) -> Tensor:
    """1 where a band is above the clip's lowest level, 0 in padding [batch, 1, frames]."""
    return ops.cast(ops.any(bands > lowest, axis=1, keepdims=True), bands.dtype)


@keras.saving.register_keras_serializable(package="valence")
class SoundingFrames(keras.layers.Layer):
    """Which frames of a clip are not padding: those with a band above the clip's lowest level.

    Input: [batch, n_mels, frames], of any number of frames.
    Output: 1 or 0, [batch, 1, frames, 1], to multiply an image of the clip with.

    See: notebooks/06_improvements.ipynb
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Frames that sound, of every clip."""
        return _sounding(inputs, ops.min(inputs, axis=(1, 2), keepdims=True))[..., None]


def _deviation(rows: Tensor, mean: Tensor, counts: Tensor) -> Tensor:
    """Standard deviation over the frames that count [batch, rows]."""
    return ops.sqrt(_mean((rows - mean) ** 2, counts) + keras.config.epsilon())[:, :, 0]


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Over the frames that count [batch, bands, 1]."""
    total = ops.maximum(ops.sum(counts, axis=2, keepdims=True), 1)
    return ops.sum(values * counts, axis=2, keepdims=True) / total


@keras.saving.register_keras_serializable(package="valence")
class RatingMedian(keras.layers.Layer):
    """The median of a distribution over ratings, followed by the distributions it was made of.

    The median has the smallest expected absolute error. Where a voice might be happy or angry, it
    is the likelier of the two, while the mean is in the middle, which is neither.

    With several distributions, it is the mean of their medians.

    Args:
        scale: lowest and highest rating; the classes are spread evenly from one to the other
        distributions: how many, which are concatenated in the input
        stretch: factor of the distance from the middle of the scale, within the scale
        **kwargs: of every Keras layer, such as `name`

    Input: probabilities [batch, distributions * classes].
    Output: [batch, 1 + distributions * classes]; the first column is on the scale of the ratings.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(
        self,
        scale: tuple[float, float],
        distributions: int = 1,
        stretch: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.scale = scale
        self.distributions = distributions
        self.stretch = stretch

    def call(self, inputs: Tensor) -> Tensor:
        """The mean of the medians, and the probabilities."""
        classes = inputs.shape[1] // self.distributions
        each = ops.reshape(inputs, (-1, self.distributions, classes))
        low, high = self.scale
        width = (high - low) / (classes - 1)
        below = ops.cumsum(each, axis=2) - each  # the share below each class
        last = ops.sum(ops.cast(below <= 0.5, "int32"), axis=2, keepdims=True) - 1
        missing = 0.5 - ops.take_along_axis(below, last, axis=2)
        inside = missing / ops.maximum(ops.take_along_axis(each, last, axis=2), 1e-12)
        medians = low + width * (ops.cast(last, "float32") - 0.5 + inside)
        mean = ops.mean(ops.clip(medians, low, high), axis=1)
        middle = (low + high) / 2
        valence = ops.clip(middle + self.stretch * (mean - middle), low, high)
        return ops.concatenate([valence, inputs], axis=1)

    def quantiles(self, outputs: np.ndarray, shares: Sequence[float]) -> np.ndarray:
        """Quantiles of the predicted distributions, averaged as their medians are.

        They are not stretched, since stretched ones would all be at the ends of the scale.

        Each class stands for the ratings that are nearest to it, all of them equally likely.

        Args:
            outputs: of this layer [clips, 1 + distributions * classes]
            shares: of the distributions below each quantile

        Returns:
            on the scale of the ratings [clips, shares]
        """
        each = outputs[:, 1:].reshape(len(outputs) * self.distributions, -1).astype(np.float64)
        below = np.pad(each.cumsum(axis=1), ((0, 0), (1, 0)))
        low, high = self.scale
        half = (high - low) / (each.shape[1] - 1) / 2
        borders = np.linspace(low - half, high + half, below.shape[1])
        found = np.array([np.interp(shares, row / row[-1], borders) for row in below])
        return np.clip(found, low, high).reshape(-1, self.distributions, len(shares)).mean(axis=1)


def quantiles(network: keras.Model, outputs: np.ndarray) -> np.ndarray:
    """Between which ratings a network expects most of the ratings of such a clip.

    Args:
        network: such as `networks.recommended`
        outputs: all that it gives for some clips [clips, outputs]

    Returns:
        `QUANTILES` of its distribution if it ends with `RatingMedian`; else the prediction, twice
        [clips, 2]

    See: notebooks/07_your_speech.ipynb
    """
    last = network.layers[-1]
    if isinstance(last, RatingMedian):
        return last.quantiles(outputs, QUANTILES)
    return np.repeat(outputs[:, :1], 2, axis=1)
