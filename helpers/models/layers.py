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


@keras.saving.register_keras_serializable(package="valence")
class ClipStatistics(keras.layers.Layer):
    """Statistics over time of mel bands and cepstral coefficients, for clips of any length.

    For each mel band and each of the first cepstral coefficients: mean, standard deviation, and
    mean absolute change from frame to frame. The coefficients are the cosine transform of the bands
    of a frame, which separates the shape of the spectrum from its level.

    For groups of neighbouring bands: how strongly and how fast their level changes, as the
    logarithm of its power in octaves of modulation frequency down from half the frame rate
    (modulation spectrum, after Wu, Falk & Chan 2011). Rhythm and stress are at 2 to 8 Hz.

    For parts of the phrase, from its beginning to its end: mean and standard deviation of the first
    13 coefficients (relative time intervals, Schuller & Rigoll 2006). Each part has the same share
    of the loud frames, which are those above the clip's mean level. Frames before the first loud
    frame or after the last are in no part.

    Padding, that is frames in which every band is at the clip's lowest level, does not count, so
    the statistics do not depend on how far a clip was padded. Pitch and harmonicity count in voiced
    frames only, in the clip and, with their means, in each part. The share of voiced frames among
    those that are not padding is one more statistic.

    Args:
        coefficients: number of cepstral coefficients
        tracks: number of rows after the bands: 2 with pitch and harmonicity, else 0, see
            `features.waveform_features`
        groups: groups of mel bands with a modulation spectrum, at most as many as there are bands;
            0 leaves modulation out
        octaves: of modulation frequency
        parts: of the phrase; 0 leaves them out
        **kwargs: of every Keras layer, such as `name`

    Input: [batch, n_mels + tracks, frames], of any number of frames; an increasing function of
    decibels that is the same for all rows.
    Output: [batch, 3 * (n_mels + coefficients + tracks) + groups * octaves
    + parts * (26 + tracks)], and one more with tracks.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(
        self,
        coefficients: int = 30,
        tracks: int = 0,
        groups: int = 16,
        octaves: int = 5,
        parts: int = 5,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.coefficients = coefficients
        self.tracks = tracks
        self.groups = groups
        self.octaves = octaves
        self.parts = parts

    def call(self, inputs: Tensor) -> Tensor:
        """Statistics of every clip."""
        n_mels = inputs.shape[1] - self.tracks
        inputs, tracks = inputs[:, :n_mels], inputs[:, n_mels:]
        k, n = np.ogrid[: self.coefficients, :n_mels]
        cosines = np.cos(np.pi * k * (2 * n + 1) / (2 * n_mels)).astype(np.float32)
        cosines *= np.sqrt(np.where(k == 0, 1, 2) / n_mels).astype(np.float32)
        lowest = ops.min(inputs, axis=(1, 2), keepdims=True)
        sounds = _sounding(inputs, lowest)
        cepstrum = ops.matmul(cosines, inputs)
        bands = ops.concatenate([inputs, cepstrum], axis=1)
        found = [_over_time(bands, sounds)]
        if self.groups:
            found.append(_modulation(inputs, sounds, min(self.groups, n_mels), self.octaves))
        if self.parts:
            parts = _parts(inputs, sounds, self.parts)
            found += _of_parts(cepstrum[:, :TIMBRE], sounds, parts)
        if self.tracks:
            known = ops.cast(tracks > lowest, inputs.dtype)
            voiced, sounding = known[:, :1], known[:, 1:]
            found += [_over_time(tracks, voiced), _mean(voiced, sounding)[:, :, 0]]
            if self.parts:
                found.append(_of_parts(tracks, voiced, parts * voiced)[0])
        return ops.concatenate(found, axis=1)


#: Distance of modulation frequencies, in cycles per frame: about the resolution of one clip.
SPACING = 1 / 512


#: Added to the power of modulation before its logarithm, so that a constant band has one.
FAINTEST = 1e-4


def _modulation(bands: Tensor, sounds: Tensor, groups: int, octaves: int) -> Tensor:
    """Logarithm of power by group of bands and octave of modulation [batch, groups * octaves]."""
    parts = np.array_split(np.eye(bands.shape[1], dtype=np.float32), groups)
    levels = ops.matmul(np.stack([part.mean(axis=0) for part in parts]), bands)
    levels = (levels - _mean(levels, sounds)) * sounds
    frequencies = np.arange(0.5**octaves / 2, 0.5, SPACING, dtype=np.float32)
    frame = ops.cast(ops.arange(ops.shape(bands)[2]), "float32")[:, None]
    angle = 2 * np.pi * frame * frequencies
    real, imaginary = (ops.matmul(levels, wave(angle)) for wave in (ops.cos, ops.sin))
    count = ops.maximum(ops.sum(sounds, axis=2, keepdims=True), 1)
    power = (real**2 + imaginary**2) / count  # [batch, groups, frequencies]
    octave = np.floor(np.log2(frequencies / frequencies[0] * (1 + 1e-6))).astype(int)
    share = np.eye(octaves, dtype=np.float32)[octave]
    found = ops.log(ops.matmul(power, share / share.sum(axis=0)) + FAINTEST)
    return ops.reshape(found, (-1, groups * octaves))


#: Cepstral coefficients of each part: the usual number in speech recognition.
TIMBRE = 13


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
    """Means and deviations of rows in each part [batch, parts * rows].

    In an empty part they are the mean of the clip, and 0.
    """
    mean = _mean(rows, counts)
    frames_first = ops.transpose((rows - mean) * counts, (0, 2, 1))
    size = ops.maximum(ops.sum(parts, axis=2)[:, :, None], 1)
    shift = ops.matmul(parts, frames_first) / size  # [batch, parts, rows]
    variance = ops.matmul(parts, frames_first**2) / size - shift**2
    deviation = ops.sqrt(ops.maximum(variance, 0) + keras.config.epsilon())
    values = shift + ops.transpose(mean, (0, 2, 1)), deviation
    return [ops.reshape(each, (-1, parts.shape[1] * rows.shape[1])) for each in values]


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


@keras.saving.register_keras_serializable(package="valence")
class RandomSpeed(keras.layers.Layer):
    """Plays each clip faster or slower in training (speed perturbation, Ko et al. 2015).

    Frames are interpolated, so the pitch stays. If frames are then missing at the end, the last
    frame is repeated; padding stays padding. Outside of training, nothing is changed.

    Args:
        amount: largest change of speed, as a share
        **kwargs: of every Keras layer, such as `name`

    Input and output: [batch, n_mels, frames], of any number of frames.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(self, amount: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.amount = amount
        self.seeds = keras.random.SeedGenerator()

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The clips, in training each at a speed of its own."""
        if not training:
            return inputs
        each = (ops.shape(inputs)[0], 1, 1)
        speed = keras.random.uniform(each, 1 - self.amount, 1 + self.amount, seed=self.seeds)
        last = ops.shape(inputs)[2] - 1
        position = ops.cast(ops.arange(last + 1), "float32") * speed
        position = ops.minimum(position, ops.cast(last, "float32"))
        before = ops.floor(position)
        share = position - before
        before = ops.cast(before, "int32")
        here = ops.take_along_axis(inputs, before, axis=2)
        after = ops.take_along_axis(inputs, ops.minimum(before + 1, last), axis=2)
        return here + share * (after - here)  # between equals, exactly equal


def _over_time(rows: Tensor, counts: Tensor) -> Tensor:
    """Means, standard deviations and mean absolute changes of rows, over the frames that count.

    They follow each other: [batch, 3 * rows].
    """
    both = counts[:, :, 1:] * counts[:, :, :-1]
    mean = _mean(rows, counts)
    deviation = ops.sqrt(_mean((rows - mean) ** 2, counts) + keras.config.epsilon())
    change = _mean(ops.abs(rows[:, :, 1:] - rows[:, :, :-1]), both)
    return ops.concatenate([mean, deviation, change], axis=1)[:, :, 0]


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Over the frames that count [batch, bands, 1]."""
    total = ops.maximum(ops.sum(counts, axis=2, keepdims=True), 1)
    return ops.sum(values * counts, axis=2, keepdims=True) / total


@keras.saving.register_keras_serializable(package="valence")
class RatingMean(keras.layers.Layer):
    r"""The mean of a distribution over ratings, followed by the distributions it was made of.

    With several distributions, it is the mean of their product, each to the power of its weight:
    :math:`p(r) \propto \prod_i p_i(r)^{w_i}` (product of experts, Hinton 2002). A narrow
    distribution then counts more than a wide one.

    Higher weights make the product sharper. This matters, since the mean of a wide distribution is
    near the middle of the scale.

    Args:
        scale: lowest and highest rating; the classes are spread evenly from one to the other
        weights: of the distributions, which are concatenated in the input
        **kwargs: of every Keras layer, such as `name`

    Input: probabilities [batch, distributions * classes].
    Output: [batch, 1 + distributions * classes]; the first column is on the scale of the ratings.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(self, scale: tuple[float, float], weights: Sequence[float], **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.of_each = tuple(weights)  # `weights` of a layer are its variables

    def call(self, inputs: Tensor) -> Tensor:
        """The mean of the product, and the probabilities."""
        count = len(self.of_each)
        each = ops.reshape(inputs, (-1, count, inputs.shape[1] // count))
        weights = np.array(self.of_each, dtype=np.float32)[:, None]
        logarithms = ops.log(each + keras.config.epsilon())
        product = ops.softmax(ops.sum(ops.multiply(weights, logarithms), axis=1))
        ratings = np.linspace(*self.scale, each.shape[2], dtype=np.float32)
        mean = ops.sum(ops.multiply(ratings, product), axis=1, keepdims=True)
        return ops.concatenate([mean, inputs], axis=1)
