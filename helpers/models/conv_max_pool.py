"""Convolution and max pooling in one layer, several times faster than the two stock layers.

It is written in `keras.ops`, so that every backend runs the same lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.cli import UserError
from helpers.models.backend import Tensor, keras

ops = keras.ops


#: How many times longer a multiplication takes in the search by Fourier transform, which moves more
#: memory for each, than in the search by convolution. With a kernel of 12 x 16 on 94 frames the
#: ratio of multiplications is 1.57, and both took equally long on a processor with AVX-512.
FOURIER_COST = 1.5

#: How many times longer it takes to copy a stretch of frames into a patch than to lay out a value,
#: and the longest stretch that is tried besides the whole width; on a processor with AVX-512.
COPY_COST = 7
LONGEST_STRETCH = 8

#: Most products of a clip that the search by Fourier transform holds at a time, where it goes
#: through the filters in groups, and the fewest filters of a group. Products of a batch of 16
#: clips, 10 MB, then stay in a processor's cache, which is faster than memory. With fewer filters,
#: small matrices lose more time than that saves. Measured on one thread with AVX-512.
HELD = 160_000
FEWEST = 5


class KernelSizeError(UserError):
    """A kernel that is too large for the clips; the message names both and how to fix it."""


def count_positions(
    input_shape: Sequence[int | None], kernel_size: Sequence[int], grid: Sequence[int] = (2, 2)
) -> tuple[int, int]:
    """Positions of a kernel along frequency and time.

    Args:
        input_shape: (n_mels, frames, ...)
        kernel_size: frequency x time
        grid: cells along both axes that the positions are pooled to

    Raises:
        KernelSizeError: if there are fewer positions than cells
        ValueError: if the input's size is not fixed
    """
    n_mels, frames = input_shape[:2]
    if n_mels is None or frames is None:
        raise ValueError(f"A convolution needs an input of a fixed size, not {n_mels} x {frames}.")
    rows, columns = n_mels - kernel_size[0] + 1, frames - kernel_size[1] + 1
    if rows < grid[0] or columns < grid[1]:
        raise KernelSizeError(
            f"The kernel {kernel_size[0]} x {kernel_size[1]} is too large to be pooled to "
            f"{grid[0]} x {grid[1]} on an input of {n_mels} x {frames}: use longer clips, more mel "
            "bands or smaller kernels."
        )
    return rows, columns


@keras.saving.register_keras_serializable(package="valence")
class ConvMaxPool(keras.layers.Layer):
    r"""Convolution, bias, ReLU and max pooling to a grid, in one layer and a fraction of the time.

    The values and the gradients are those of `keras.layers.Conv2D` with ReLU, followed by max
    pooling to a few cells. Pooling keeps one of thousands of positions in each cell. This layer
    finds that position first and computes the value there only:

    1. *Where* is the maximum? The responses of the convolution are computed without a gradient,
       compared and dropped. Bias and ReLU do not move a maximum, so they are left for step 2.
    2. *What* is it? The patch of the input at that position, times the kernel, plus the bias,
       through ReLU. The gradient passes through this step only: the gradient of the kernel is a
       sum over one patch for each clip, cell and filter, not over every position.

    With kernels of hundreds of taps, the first step is faster through a Fourier transform over
    time. The correlation of a row of the input with a row of the kernel is then one product for
    each frequency: :math:`Y_k = \sum_a X_k[r + a] \, \overline{W_k[a]}`. Both transforms are
    products with a matrix, which processors and GPUs do best. The layer counts the
    multiplications of both ways and takes the cheaper way.

    If several positions share the maximum, or differ by less than rounding, one of them gets the
    gradient, as in stock max pooling, but not always the same one.

    Args:
        filters: number of filters
        kernel_size: frequency x time
        grid: cells along frequency and time. Each position is in one cell. If the cells cannot be
            equal, the first ones are larger by one
        **kwargs: of every Keras layer, such as `name`

    Input: [batch, n_mels, frames] or [batch, n_mels, frames, channels], of a fixed size.
    Output: [batch, *grid, filters].

    Raises:
        KernelSizeError: if the kernel has fewer positions than there are cells
        ValueError: if the input's size is not fixed

    See: notebooks/03_model.ipynb
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        *,
        grid: tuple[int, int] = (2, 2),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.grid = tuple(grid)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ConvMaxPool:
        """Build the layer from what `get_config` returned, in this version or an older one.

        Older versions had two more options, which no command set.
        """
        return super().from_config(
            {k: v for k, v in config.items() if k not in ("precision", "own_frames")}
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel and the bias, as `keras.layers.Conv2D` does."""
        count_positions(input_shape[1:], self.kernel_size, self.grid)
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
        rows, columns = argmax_positions(
            ops.stop_gradient(image), ops.stop_gradient(kernel), self.grid
        )
        patches = _patches(image, rows, columns, self.kernel_size)
        weights = ops.reshape(ops.transpose(kernel, (3, 0, 1, 2)), (self.filters, -1, 1))
        values = ops.reshape(ops.matmul(patches, weights), ops.shape(rows))
        return ops.relu(ops.transpose(values, (1, 2, 3, 0)) + self.bias)


def argmax_positions(image: Tensor, kernel: Tensor, grid: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Row and column of the largest response in each cell: int32 [filters, batch, *grid], twice."""
    _, n_mels, frames, channels = image.shape
    height, width, _, filters = kernel.shape
    n_rows, n_columns = n_mels - height + 1, frames - width + 1
    # Multiplications for each filter and each row of positions: every tap at every position; or,
    # for each of half as many frequencies as there are frames, a complex product with each tap of
    # the kernel's height, and the way back to each position.
    by_taps = height * width * channels * n_columns
    by_fourier = frames * (2 * height * channels + n_columns)
    if by_taps <= FOURIER_COST * by_fourier:
        return _argmax(
            _correlate_by_taps(image, kernel), (filters, ops.shape(image)[0], n_rows), grid
        )
    spectrum = _spectrum(image, height)

    def search(kernel: Tensor) -> tuple[Tensor, Tensor]:
        shape = (kernel.shape[-1], ops.shape(image)[0], n_rows)
        return _argmax(_correlate_by_fourier(spectrum, kernel, frames), shape, grid)

    groups = _groups(filters, frames * n_rows)
    if groups == 1:
        return search(kernel)
    parts = ops.reshape(kernel, (*kernel.shape[:3], groups, filters // groups))
    rows, columns = ops.map(search, ops.transpose(parts, (3, 0, 1, 2, 4)))
    return ops.reshape(rows, (filters, -1, *grid)), ops.reshape(columns, (filters, -1, *grid))


def _groups(filters: int, held: int) -> int:
    """Number of equal groups of filters that are searched one after another, see `HELD`.

    Up to twice as many products are searched at once, since the loop over groups takes a second to
    build; so are all filters if they cannot be cut into groups that are small and equal.

    Args:
        filters: of the layer
        held: products of a clip and a filter

    Examples:
        >>> _groups(200, held=63 * 117), _groups(24, held=94 * 117), _groups(199, held=63 * 117)
        (10, 1, 1)
    """
    if filters * held <= 2 * HELD:
        return 1
    equal = (n for n in range(2, filters // FEWEST + 1) if filters % n == 0)
    return next((n for n in equal if filters // n * held <= HELD), 1)


def _argmax(
    responses: Tensor, shape: tuple[Any, ...], grid: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Row and column of the largest response in each cell: int32 [filters, batch, *grid], twice.

    Args:
        responses: [columns, filters * batch * rows]
        shape: filters, batch, rows
        grid: cells along rows and columns
    """
    filters, batch, n_rows = shape
    column = filters * batch * n_rows  # how many responses there are from one column to the next
    flat = ops.reshape(responses, (-1,))
    starts = n_rows * ops.reshape(ops.arange(filters * batch, dtype="int32"), (filters, batch, 1))
    rows, columns = [], []
    for first, last in _cells(responses.shape[0], grid[1]):
        # The largest of each row first: that axis is the outermost, and what it leaves is small.
        cell = ops.reshape(responses[first:last], (1, last - first, filters, -1))
        window = (last - first, 1)
        best = ops.max_pool(cell, window, window)  # strides too: on JAX, Keras needs them told
        best = ops.reshape(best, shape)
        tops = [ops.argmax(best[..., top:end], -1) + top for top, end in _cells(n_rows, grid[0])]
        row = ops.cast(ops.stack(tops, axis=-1), "int32")
        steps = column * ops.arange(first, last, dtype="int32")
        along = ops.take(flat, (starts + row)[..., None] + steps)
        rows.append(row)
        columns.append(ops.cast(ops.argmax(along, axis=-1), "int32") + first)
    return ops.stack(rows, axis=-1), ops.stack(columns, axis=-1)


def _cells(positions: int, cells: int) -> list[tuple[int, int]]:
    """Where each cell begins and ends."""
    size, larger = divmod(positions, cells)
    edges = [i * size + min(i, larger) for i in range(cells + 1)]
    return list(itertools.pairwise(edges))


def _correlate_by_taps(image: Tensor, kernel: Tensor) -> Tensor:
    """Responses at every position: [columns, filters * batch * rows]."""
    responses = ops.conv(image, kernel, 1, "valid")
    return ops.reshape(ops.transpose(responses, (2, 3, 0, 1)), (responses.shape[2], -1))


def _spectrum(image: Tensor, height: int) -> Tensor:
    """Discrete Fourier transform over time, with the rows under a kernel of this height.

    Returns:
        [frequencies, 1, real and imaginary * channels * height, batch * rows]
    """
    _, n_mels, frames, channels = image.shape
    image = ops.transpose(image, (2, 3, 0, 1))
    waves = _waves(frames)
    # [frequencies, 2, channels, batch, n_mels]
    spectrum = ops.stack([ops.tensordot(wave, image, 1) for wave in waves], axis=1)
    rows = n_mels - height + 1
    shifted = ops.stack([spectrum[..., tap : tap + rows] for tap in range(height)], axis=3)
    return ops.reshape(shifted, (len(waves[0]), 1, 2 * channels * height, -1))


def _correlate_by_fourier(spectrum: Tensor, kernel: Tensor, frames: int) -> Tensor:
    """The same, by a discrete Fourier transform over time.

    Args:
        spectrum: see `_spectrum`
        kernel: [height, width, channels, filters]
        frames: of the image
    """
    width, filters = kernel.shape[1], kernel.shape[3]
    cosine, sine = _waves(frames)
    frequencies = len(cosine)
    kernel = ops.transpose(kernel, (1, 3, 2, 0))
    real, imaginary = (
        ops.reshape(ops.tensordot(wave[:, :width], kernel, 1), (frequencies, filters, -1))
        for wave in (cosine, sine)
    )
    conjugate = ops.stack(  # times (real, imaginary) of the image, gives those of the responses
        [ops.concatenate([real, imaginary], -1), ops.concatenate([imaginary, -real], -1)], axis=1
    )
    product = ops.matmul(conjugate, spectrum)

    # Back to positions. Real signals have the frequencies above the middle twice.
    twice = np.full((frequencies, 1), 2.0)
    twice[0] = 1
    twice[frames - frequencies + 1 :] = 1
    columns = frames - width + 1
    back = np.stack([cosine * twice, -sine * twice], axis=1)[..., :columns] / frames
    back = np.reshape(back, (-1, columns)).T.astype(np.float32)
    return ops.matmul(back, ops.reshape(product, (2 * frequencies, -1)))


def _waves(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of the frequencies of `frames` samples: float32 [frequencies, frames]."""
    phase = 2 * np.pi * np.outer(np.arange(frames // 2 + 1), np.arange(frames)) / frames
    return np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)


def _patches(image: Tensor, rows: Tensor, columns: Tensor, kernel_size: tuple[int, ...]) -> Tensor:
    """Parts of the image under the kernel at these positions: [filters, positions, taps].

    A patch is copied in stretches of a few frames, all of which are laid out first.
    """
    _, n_mels, frames, channels = image.shape
    height, width = kernel_size
    filters, _, *grid = rows.shape
    values = filters * math.prod(grid) * height * width
    stretch = _stretch(width, values / (n_mels * frames))
    starts = frames - stretch + 1
    windows = np.arange(starts)[:, None] + np.arange(stretch)
    windows = ops.take(ops.transpose(image, (2, 0, 1, 3)), windows, axis=0)
    windows = ops.reshape(ops.transpose(windows, (2, 3, 0, 1, 4)), (-1, stretch * channels))
    clips = ops.reshape(ops.arange(ops.shape(image)[0], dtype="int32"), (-1, 1, 1))
    first = (clips * n_mels + rows) * starts + columns  # [filters, batch, *grid]
    steps = starts * np.arange(height)[:, None] + np.arange(0, width, stretch)
    taken = ops.reshape(first, (filters, -1, 1)) + steps.ravel().astype(np.int32)
    return ops.reshape(ops.take(windows, taken, axis=0), (filters, -1, height * width * channels))


def _stretch(width: int, wanted: float) -> int:
    """Frames of a stretch: it divides the width, and laying out and copying are quickest together.

    Laying out takes longer the longer a stretch is, copying the shorter it is.

    Args:
        width: of the kernel, in frames
        wanted: values in the patches for each value of the image

    Examples:
        >>> [_stretch(width, wanted=4.0) for width in (24, 21, 23)]
        [6, 7, 23]
    """
    short = [each for each in range(1, LONGEST_STRETCH + 1) if width % each == 0]
    return min([*short, width], key=lambda each: each + COPY_COST * wanted / each)
