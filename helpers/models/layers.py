"""Keras layers that Keras lacks.

They are written in `keras.ops`, so that every backend runs the same lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.models.backend import Tensor, keras

ops = keras.ops


@keras.saving.register_keras_serializable(package="valence")
class ClipStatistics(keras.layers.Layer):
    """What a clip's mel bands and cepstral coefficients are like over time, however long it is.

    Of each mel band, and of each of the first cepstral coefficients (the cosine transform of the
    bands of a frame, which tells the shape of the spectrum from its level): mean, standard
    deviation, and mean absolute change from frame to frame.

    Of groups of neighbouring bands: how strongly their level rises and falls, and how fast, as the
    logarithm of its power in octaves of modulation frequency down from half the frame rate
    (modulation spectrum, after Wu, Falk & Chan 2011). Rhythm and stress are at 2 to 8 Hz.

    Of parts of a phrase, from its beginning to its end: mean and standard deviation of the first 13
    coefficients (relative time intervals, Schuller & Rigoll 2006). A part ends where a further
    share of the clip's loud frames has passed, those above its mean level; what comes before the
    first of them or after the last is in none.

    Frames in which every band is at the clip's lowest level are padding and do not count, so that
    a clip's statistics do not depend on how far it was padded. Pitch and harmonicity count where
    there is a voice, in the clip and, by their means, in each part; what share of the frames that
    sound has a voice is a statistic more.

    Args:
        coefficients: number of cepstral coefficients
        tracks: rows above the bands: 2 if there are pitch and harmonicity, else 0, see
            `features.waveform_features`
        groups: groups of mel bands whose modulation is told, at most as many as there are bands; 0
            leaves modulation out
        octaves: of modulation frequency
        parts: of the phrase; 0 leaves them out
        **options: of every Keras layer, such as `name`

    Input: [batch, n_mels + tracks, frames], of any number of frames; an increasing function of
    decibels that is the same for all rows.
    Output: [batch, 3 * (n_mels + coefficients + tracks) + groups * octaves
    + parts * (26 + tracks)], and one more if there are tracks.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(
        self,
        coefficients: int = 30,
        tracks: int = 0,
        groups: int = 16,
        octaves: int = 5,
        parts: int = 5,
        **options: Any,
    ):
        super().__init__(**options)
        self.coefficients = coefficients
        self.tracks = tracks
        self.groups = groups
        self.octaves = octaves
        self.parts = parts

    def get_config(self) -> dict[str, Any]:
        """What `keras.models.load_model` builds the layer from again."""
        names = ("coefficients", "tracks", "groups", "octaves", "parts")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int | None]
    ) -> tuple[int | None, int]:
        """Shape of the output."""
        over_time = 3 * (input_shape[1] + self.coefficients) + bool(self.tracks)
        groups = min(self.groups, input_shape[1] - self.tracks)
        of_parts = self.parts * (2 * min(TIMBRE, self.coefficients) + self.tracks)
        return (input_shape[0], over_time + groups * self.octaves + of_parts)

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
        found = [each[:, :, 0] for each in _over_time(bands, sounds)]
        if self.groups:
            groups = min(self.groups, n_mels)
            found.append(_modulation(inputs, sounds, groups, self.octaves))
        if self.parts:
            parts = _parts(inputs, sounds, self.parts)
            found += _of_parts(cepstrum[:, :TIMBRE], sounds, parts)
        if self.tracks:
            known = ops.cast(tracks > lowest, inputs.dtype)
            voiced, sounding = known[:, :1], known[:, 1:]
            voice = [*_over_time(tracks, voiced), _mean(voiced, sounding)]
            found += [each[:, :, 0] for each in voice]
            if self.parts:
                found.append(_of_parts(tracks, voiced, parts * voiced)[0])
        return ops.concatenate(found, axis=1)


#: Modulation frequencies lie so far apart, in cycles per frame: about what a clip can tell apart.
SPACING = 1 / 512


#: Added to the power of modulation before its logarithm, so that a band that never moves has one.
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


#: Cepstral coefficients that are told of each part, the usual number in speech recognition.
TIMBRE = 13


def _parts(bands: Tensor, sounds: Tensor, count: int) -> Tensor:
    """1 where a frame is in a part [batch, parts, frames]."""
    level = ops.mean(bands, axis=1, keepdims=True)
    loud = ops.cast(level > _mean(level, sounds), bands.dtype) * sounds
    passed = ops.cumsum(loud, axis=2) - loud / 2  # above 0 from the first on, whole after the last
    total = ops.sum(loud, axis=2, keepdims=True)
    place = passed * count / ops.maximum(total, 1)
    part = np.arange(count, dtype=np.float32)[:, None]
    inside = ops.logical_and(place > 0, ops.equal(ops.floor(place), part))
    return ops.cast(inside, bands.dtype)


def _of_parts(rows: Tensor, counts: Tensor, parts: Tensor) -> list[Tensor]:
    """Means and deviations of rows in each part [batch, parts * rows].

    Where there is nothing in a part, they are those of the clip: its mean, and 0.
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

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int | None]
    ) -> tuple[int | None, int, int | None, int]:
        """Shape of the output."""
        return (input_shape[0], 1, input_shape[2], 1)

    def call(self, inputs: Tensor) -> Tensor:
        """Frames that sound, of every clip."""
        return _sounding(inputs, ops.min(inputs, axis=(1, 2), keepdims=True))[..., None]


@keras.saving.register_keras_serializable(package="valence")
class RandomSpeed(keras.layers.Layer):
    """In training, each clip played faster or slower (speed perturbation, Ko et al. 2015).

    Frames are interpolated, so the pitch stays. What is then missing at the end repeats the last
    frame; padding stays padding. Elsewhere than in training, nothing is changed. As
    `augmentation.augment` does for a whole network, this does it for a part of one.

    Args:
        amount: largest change of speed, as a share
        **options: of every Keras layer, such as `name`

    Input and output: [batch, n_mels, frames], of any number of frames.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(self, amount: float, **options: Any):
        super().__init__(**options)
        self.amount = amount
        self.seeds = keras.random.SeedGenerator()

    def get_config(self) -> dict[str, Any]:
        """What `keras.models.load_model` builds the layer from again."""
        return {**super().get_config(), "amount": self.amount}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output."""
        return input_shape

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


def _over_time(rows: Tensor, counts: Tensor) -> list[Tensor]:
    """Mean, standard deviation and mean absolute change of each row, over frames that count."""
    both = counts[:, :, 1:] * counts[:, :, :-1]
    mean = _mean(rows, counts)
    deviation = ops.sqrt(_mean((rows - mean) ** 2, counts) + keras.config.epsilon())
    change = _mean(ops.abs(rows[:, :, 1:] - rows[:, :, :-1]), both)
    return [mean, deviation, change]


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Over the frames that count [batch, bands, 1]."""
    total = ops.maximum(ops.sum(counts, axis=2, keepdims=True), 1)
    return ops.sum(values * counts, axis=2, keepdims=True) / total


@keras.saving.register_keras_serializable(package="valence")
class RatingMean(keras.layers.Layer):
    r"""The mean of a distribution over ratings, followed by what that distribution was made of.

    Of several distributions, which hear a clip in different ways, it is the mean of their product,
    each to the power of its weight: :math:`p(r) \propto \prod_i p_i(r)^{w_i}` (product of experts,
    Hinton 2002). Where one is sure and another wavers, the sure one decides.

    The higher the weights, the sharper the product. That counts, since the mean of a distribution
    that wavers lies near the middle of the scale.

    Args:
        scale: lowest and highest rating; the classes are spread evenly from one to the other
        weights: of the distributions, which are side by side
        **options: of every Keras layer, such as `name`

    Input: probabilities [batch, distributions * classes].
    Output: [batch, 1 + distributions * classes]; the first column is on the scale of the ratings.

    See: notebooks/06_improvements.ipynb
    """

    def __init__(self, scale: tuple[float, float], weights: Sequence[float], **options: Any):
        super().__init__(**options)
        low, high = scale
        self.scale = low, high
        self.of_each = tuple(weights)  # `weights` of a layer are its variables

    def get_config(self) -> dict[str, Any]:
        """What `keras.models.load_model` builds the layer from again."""
        return {**super().get_config(), "scale": self.scale, "weights": self.of_each}

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int]:
        """Shape of the output."""
        return (input_shape[0], 1 + input_shape[1])

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
