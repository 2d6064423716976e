"""Keras layers that Keras lacks.

They are written in `keras.ops`, so that every backend runs the same lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from helpers.backend import Tensor, fast_bfloat16, keras

ops = keras.ops

Precision = Literal["float32", "bfloat16", "auto"]

#: How many times longer a multiplication takes in the search by Fourier transform, which moves more
#: memory for each, than in the search by convolution. With a kernel of 12 x 16 on 94 frames the
#: ratio of multiplications is 1.57, and both took equally long on a processor with AVX-512.
FOURIER_COST = 1.5


def convolution_dtype(precision: Precision) -> str:
    """Type that convolutions are computed in.

    Args:
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 where the processor or the
            GPU multiplies it faster

    Raises:
        ValueError: if it is none of these
    """
    if precision not in ("float32", "bfloat16", "auto"):
        raise ValueError(f"precision is {precision!r}: it is 'float32', 'bfloat16' or 'auto'.")
    if precision == "auto":
        return "bfloat16" if fast_bfloat16() else "float32"
    return precision


@keras.saving.register_keras_serializable(package="valence")
class ConvMaxPool(keras.layers.Layer):
    r"""Convolution, bias, ReLU and max pooling to a grid, in one layer and a fraction of the time.

    The values and the gradients are those of `keras.layers.Conv2D` with ReLU and max pooling to a
    few cells after it. Pooling keeps one of thousands of positions in each cell, so this layer
    finds that position first and computes there only:

    1. *Where* is the maximum? The convolution's responses are computed without a gradient, for they
       serve to compare positions and are then dropped. Bias and ReLU don't move a maximum and wait.
    2. *What* is it? The patch of the input at that position, times the kernel, plus the bias,
       through ReLU. This is all that a gradient has to pass: the kernel's is a sum over one patch
       for each clip, cell and filter, instead of a correlation over every position.

    With kernels of hundreds of taps, the first step is faster through a Fourier transform over
    time, in which the correlation of a row of the input with a row of the kernel becomes one
    product for each frequency: :math:`Y_k = \sum_a X_k[r + a] \, \overline{W_k[a]}`. Both
    transforms are products with a matrix, at which processors and GPUs are best. The layer counts
    the multiplications of both ways and takes the cheaper.

    Where several positions have the maximum, or differ by less than rounding, one of them gets the
    gradient, as in stock max pooling, but not always the same one.

    Args:
        filters: number of filters
        kernel_size: frequency x time
        grid: cells along frequency and time. Every position is in one cell; where they can't be
            equal, the first ones are larger by one
        precision: of the search only, the values are always computed in the layer's own.
            ``"bfloat16"`` is faster where hardware has it, and may take a position for the maximum
            that falls short of it by under a percent; ``"auto"`` is that, where it is faster
        own_frames: whether the grid divides the frames of each clip up to its padding, so that how
            far it was padded changes nothing. Padding is what has the clip's lowest level; a clip
            needs as many positions as the grid has cells, or else some are taken from its padding
        **options: of every Keras layer, such as `name`

    Input: [batch, n_mels, frames] or [batch, n_mels, frames, channels], of a fixed size.
    Output: [batch, *grid, filters].

    Raises:
        ValueError: if the input's size is not fixed, or has fewer positions than there are cells

    See: notebooks/03_model.ipynb
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        *,
        grid: tuple[int, int] = (2, 2),
        precision: Precision = "float32",
        own_frames: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        convolution_dtype(precision)  # which says if it is none of them
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.grid = tuple(grid)
        self.precision = precision
        self.own_frames = own_frames

    def get_config(self) -> dict[str, Any]:
        """What `keras.models.load_model` builds the layer from again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "grid": self.grid,
            "precision": self.precision,
            "own_frames": self.own_frames,
        }

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel and the bias, as `keras.layers.Conv2D` does."""
        size = [n for n in input_shape[1:3] if n is not None]
        if len(size) < 2:
            raise ValueError(f"{self.name} needs an input of a fixed size; it is {input_shape}.")
        self.positions = tuple(n - k + 1 for n, k in zip(size, self.kernel_size, strict=True))
        if any(n < cells for n, cells in zip(self.positions, self.grid, strict=True)):
            raise ValueError(
                f"The kernel {_by(self.kernel_size)} is too large to be pooled to {_by(self.grid)} "
                f"on an input of {_by(size)}: use longer clips, more mel bands or smaller kernels."
            )
        channels = input_shape[3] if len(input_shape) == 4 else 1
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, channels, self.filters), name="kernel"
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output: [batch, *grid, filters]."""
        return (input_shape[0], *self.grid, self.filters)

    def call(self, inputs: Tensor) -> Tensor:
        """Pooled responses of every filter."""
        image = inputs if len(inputs.shape) == 4 else inputs[..., None]
        kernel = ops.convert_to_tensor(self.kernel)
        rows, columns = _where(
            ops.stop_gradient(image),
            ops.stop_gradient(kernel),
            self.grid,
            convolution_dtype(self.precision),
            _own_frames(image) if self.own_frames else None,
        )
        patches = _patches(image, rows, columns, self.kernel_size)
        weights = ops.reshape(ops.transpose(kernel, (3, 0, 1, 2)), (self.filters, -1, 1))
        values = ops.reshape(ops.matmul(patches, weights), ops.shape(rows))
        return ops.relu(ops.transpose(values, (1, 2, 3, 0)) + self.bias)


def _by(size: Iterable[int]) -> str:
    return " x ".join(map(str, size))


def _own_frames(image: Tensor) -> Tensor:
    """Frames of each clip up to its padding: int32 [batch]."""
    bands = ops.max(image, axis=3)
    sounds = _sounding(bands, ops.min(bands, axis=(1, 2), keepdims=True))[:, 0]
    return ops.max(ops.cast(sounds, "int32") * ops.arange(1, bands.shape[2] + 1), axis=1)


def _where(
    image: Tensor, kernel: Tensor, grid: tuple[int, ...], dtype: str, frames_of: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Row and column of each cell's largest response: int32 [filters, batch, *grid], twice."""
    _, n_mels, frames, channels = image.shape
    height, width, _, filters = kernel.shape
    n_rows, n_columns = n_mels - height + 1, frames - width + 1
    # Multiplications for each filter and each row of positions: every tap at every position; or,
    # for each of half as many frequencies as there are frames, a complex product with each tap of
    # the kernel's height, and the way back to each position.
    by_taps = height * width * channels * n_columns
    by_fourier = frames * (2 * height * channels + n_columns)
    if by_taps > FOURIER_COST * by_fourier:
        responses = _correlate_by_fourier(image, kernel, dtype)
    else:
        responses = _correlate_by_taps(image, kernel, dtype)

    batch = ops.shape(image)[0]
    column = filters * batch * n_rows  # how many responses there are from one column to the next
    flat = ops.reshape(responses, (-1,))
    starts = n_rows * ops.reshape(ops.arange(filters * batch, dtype="int32"), (filters, batch, 1))
    rows, columns = [], []
    for number, (first, last) in enumerate(_cells(n_columns, grid[1])):
        if frames_of is not None:
            outside = _outside(number, grid[1], frames_of - width + 1, n_columns, dtype)
            cell = ops.reshape(responses, (n_columns, filters, -1, n_rows))
            cell = cell + ops.transpose(outside)[:, None, :, None]
            first, last = 0, n_columns
        else:
            cell = responses[first:last]
        # The largest of each row first: that axis is the outermost, and what it leaves is small.
        cell = ops.reshape(cell, (1, last - first, filters, -1))
        window = (last - first, 1)
        best = ops.max_pool(cell, window, window)  # strides too: on JAX, Keras needs them told
        best = ops.reshape(best, (filters, batch, n_rows))
        tops = [ops.argmax(best[..., top:end], -1) + top for top, end in _cells(n_rows, grid[0])]
        row = ops.cast(ops.stack(tops, axis=-1), "int32")
        steps = column * ops.arange(first, last, dtype="int32")
        along = ops.take(flat, (starts + row)[..., None] + steps)
        if frames_of is not None:
            along = along + outside[:, None, :]
        rows.append(row)
        columns.append(ops.cast(ops.argmax(along, axis=-1), "int32") + first)
    return ops.stack(rows, axis=-1), ops.stack(columns, axis=-1)


def _cells(positions: int, cells: int) -> list[tuple[int, int]]:
    """Where each cell begins and ends."""
    size, larger = divmod(positions, cells)
    edges = [i * size + min(i, larger) for i in range(cells + 1)]
    return list(itertools.pairwise(edges))


def _outside(cell: int, cells: int, positions: Tensor, most: int, dtype: str) -> Tensor:
    """0 where a cell of each clip's own positions is, minus infinity elsewhere [batch, most]."""
    positions = ops.clip(positions, cells, most)
    size, larger = positions // cells, positions % cells
    begin, end = (i * size + ops.minimum(i, larger) for i in (cell, cell + 1))
    column = ops.arange(most, dtype="int32")
    inside = (column >= begin[:, None]) & (column < end[:, None])
    return ops.cast(ops.where(inside, 0.0, -np.inf), dtype)


def _correlate_by_taps(image: Tensor, kernel: Tensor, dtype: str) -> Tensor:
    """Responses at every position: [columns, filters * batch * rows]."""
    responses = ops.conv(ops.cast(image, dtype), ops.cast(kernel, dtype), 1, "valid")
    return ops.reshape(ops.transpose(responses, (2, 3, 0, 1)), (responses.shape[2], -1))


def _correlate_by_fourier(image: Tensor, kernel: Tensor, dtype: str) -> Tensor:
    """The same, by a discrete Fourier transform over time."""
    _, n_mels, frames, channels = image.shape
    height, width, _, filters = kernel.shape
    rows, columns = n_mels - height + 1, frames - width + 1
    cosine, sine = _waves(frames)
    frequencies = len(cosine)

    image = ops.transpose(image, (2, 3, 0, 1))
    spectrum = ops.stack([ops.tensordot(wave, image, 1) for wave in (cosine, sine)], axis=1)
    spectrum = ops.cast(spectrum, dtype)  # [frequencies, 2, channels, batch, n_mels]
    shifted = ops.stack([spectrum[..., tap : tap + rows] for tap in range(height)], axis=3)
    shifted = ops.reshape(shifted, (frequencies, 1, 2 * channels * height, -1))

    kernel = ops.transpose(kernel, (1, 3, 2, 0))
    real, imaginary = (
        ops.reshape(ops.tensordot(wave[:, :width], kernel, 1), (frequencies, filters, -1))
        for wave in (cosine, sine)
    )
    conjugate = ops.stack(  # times (real, imaginary) of the image, gives those of the responses
        [ops.concatenate([real, imaginary], -1), ops.concatenate([imaginary, -real], -1)], axis=1
    )
    product = ops.matmul(ops.cast(conjugate, dtype), shifted)

    # Back to positions. Real signals have the frequencies above the middle twice.
    twice = np.full((frequencies, 1), 2.0)
    twice[0] = 1
    twice[frames - frequencies + 1 :] = 1
    back = np.stack([cosine * twice, -sine * twice], axis=1)[..., :columns] / frames
    back = ops.cast(np.reshape(back, (-1, columns)).T.astype(np.float32), dtype)
    return ops.matmul(back, ops.reshape(product, (2 * frequencies, -1)))


def _waves(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of the frequencies of `frames` samples: float32 [frequencies, frames]."""
    phase = 2 * np.pi * np.outer(np.arange(frames // 2 + 1), np.arange(frames)) / frames
    return np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)


def _patches(image: Tensor, rows: Tensor, columns: Tensor, kernel_size: tuple[int, ...]) -> Tensor:
    """Parts of the image under the kernel at these positions: [filters, positions, taps]."""
    _, n_mels, frames, channels = image.shape
    height, width = kernel_size
    filters, _, *grid = rows.shape
    starts = frames - width + 1
    clips = ops.reshape(ops.arange(ops.shape(image)[0], dtype="int32"), (-1, 1, 1))
    if filters * math.prod(grid) * height < n_mels * starts:
        stretches, stretch = frames, 1
        windows = ops.reshape(image, (-1, channels))
    else:
        # So many are wanted that it pays to lay out every stretch of `width` frames: a patch is
        # then a few rows of these, and not many values.
        stretches, stretch = starts, width
        windows = np.arange(starts)[:, None] + np.arange(width)
        windows = ops.take(ops.transpose(image, (2, 0, 1, 3)), windows, axis=0)
        windows = ops.reshape(ops.transpose(windows, (2, 3, 0, 1, 4)), (-1, width * channels))
    first = (clips * n_mels + rows) * stretches + columns  # [filters, batch, *grid]
    steps = stretches * np.arange(height)[:, None] + np.arange(0, width, stretch)
    taken = ops.reshape(first, (filters, -1, 1)) + steps.ravel().astype(np.int32)
    return ops.reshape(ops.take(windows, taken, axis=0), (filters, -1, height * width * channels))


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
