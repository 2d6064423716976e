"""Keras layers that Keras lacks.

They are written in `keras.ops`, so that every backend runs the same lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from helpers.models.backend import Tensor, fast_bfloat16, keras
from helpers.models.layers import _sounding

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
