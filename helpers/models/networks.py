"""The networks, as Keras functional models whose first output is the valence.

Each function takes the shape of one clip's features, such as ``(n_mels, frames)``, and returns a
model that is not compiled; `training.train` compiles it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from helpers.features import MelSettings
from helpers.models.backend import Tensor, keras
from helpers.models.conv_max_pool import ConvMaxPool, count_positions
from helpers.models.layers import MELODY, RHYTHM, ClipStatistics, RatingMedian, SoundingFrames

#: Kernels of the four branches, frequency x time (Tripathi et al. 2019).
KERNELS = ((12, 16), (18, 24), (24, 32), (30, 40))

#: Momentum of the moving averages of batch normalisation. Keras's 0.99 averages over hundreds of
#: steps, which is more than a short training on a small corpus has.
MOMENTUM = 0.9

#: How "2 x 2 max pooling" is read, see `parallel_cnn`.
Pool = Literal["grid", "window"]


def parallel_cnn(
    input_shape: tuple[int, ...],
    *,
    filters: int = 200,
    kernels: Sequence[tuple[int, int]] = KERNELS,
    units: Sequence[int] = (400, 200),
    dropout: float = 0.5,
    pool: Pool = "grid",
    scale: tuple[float, float] = (1.0, 5.0),
) -> keras.Model:
    """Four convolutions side by side, each with a kernel of another size (Tripathi et al. 2019).

    Each branch: convolution, ReLU, max pooling, flattening. The outputs of the branches are
    concatenated and pass through dense layers. Each dense layer is followed by batch normalisation
    and ReLU, with dropout between.

    Args:
        input_shape: (n_mels, frames), or with a channel axis of 1
        filters: of each branch
        kernels: of each branch, frequency x time
        units: of each dense layer
        dropout: share of units that are dropped while training
        pool: how "2 x 2 max pooling" is read. ``"grid"`` pools to 2 x 2 values for each filter,
            halving the map along each axis, as the paper does; ``"window"`` pools windows of 2 x 2,
            which leaves hundreds of times more values
        scale: lowest and highest rating; a quarter of it counts as one unit of the last layer

    Raises:
        KernelSizeError: if a kernel is too large for the input
        ValueError: if `pool` is neither of these

    See: notebooks/03_model.ipynb
    """
    parallel_cnn_size(input_shape, filters=filters, kernels=kernels, units=units, pool=pool)
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    image = _image(inputs)
    branches = []
    for kernel in kernels:
        name = f"{kernel[0]}x{kernel[1]}"
        if pool == "grid":
            x = ConvMaxPool(filters, kernel, name=f"conv_{name}")(image)
        else:
            x = keras.layers.Conv2D(filters, kernel, activation="relu", name=f"conv_{name}")(image)
            x = keras.layers.MaxPooling2D((2, 2), name=f"pool_{name}")(x)
        branches.append(keras.layers.Flatten(name=f"flatten_{name}")(x))
    x = keras.layers.Concatenate(name="concatenate")(branches) if len(branches) > 1 else branches[0]
    for i, width in enumerate(units, start=1):
        x = _normalised(keras.layers.Dense(width, name=f"dense_{i}")(x), f"{i}")
        if i < len(units):
            x = keras.layers.Dropout(dropout, name=f"dropout_{i}")(x)
    return keras.Model(inputs, _valence(x, scale), name="parallel_cnn")


class Size(NamedTuple):
    """How large a network is.

    Attributes:
        parameters: number of weights, those of batch normalisation's moving averages included
        features: values of a clip that enter the first dense layer
        values: values of a clip that all layers hold in a training step, within a few percent:
            responses of the convolutions at every position, and three copies of the features
    """

    parameters: int
    features: int
    values: int


def parallel_cnn_size(
    input_shape: tuple[int, ...],
    *,
    filters: int = 200,
    kernels: Sequence[tuple[int, int]] = KERNELS,
    units: Sequence[int] = (400, 200),
    pool: Pool = "grid",
) -> Size:
    """How large `parallel_cnn` would be, without building it.

    Args:
        input_shape: see `parallel_cnn`
        filters: see there
        kernels: see there
        units: see there
        pool: see there

    Raises:
        KernelSizeError: if a kernel is too large for the input
        ValueError: if `pool` is neither ``"grid"`` nor ``"window"``

    Examples:
        >>> parallel_cnn_size((128, 94)).parameters
        1882401
        >>> parallel_cnn_size((128, 94), pool="window").parameters
        570362401

    See: notebooks/03_model.ipynb
    """
    if pool not in ("grid", "window"):
        raise ValueError(f"pool is {pool!r}: it is 'grid' or 'window'.")
    responses = [count_positions(input_shape, kernel) for kernel in kernels]
    pooled = [4 if pool == "grid" else (rows // 2) * (columns // 2) for rows, columns in responses]
    features = filters * sum(pooled)
    widths = itertools.pairwise([features, *units, 1])
    dense = sum((before + 1) * width for before, width in widths)
    convolutions = sum(filters * (math.prod(kernel) + 1) for kernel in kernels)
    parameters = convolutions + dense + 4 * sum(units)  # four of each batch normalisation
    values = filters * sum(map(math.prod, responses)) + 3 * features  # pooled, flat, concatenated
    return Size(parameters, features, values)


def cnn_blstm(
    input_shape: tuple[int, ...], *, scale: tuple[float, float] = (1.0, 5.0)
) -> keras.Model:
    """Two convolutions, then two bidirectional LSTMs over time (after Yang & Hirschberg 2018).

    The convolutions (32 and 64 filters of 5 x 5, batch normalisation, ReLU) pool over frequency by
    4 and over time by 2. The LSTMs (64 units in each direction) read the result as a sequence of
    frames. The last state, with a dropout of 0.5, gives the valence.

    Args:
        input_shape: (n_mels, frames), or with a channel axis of 1
        scale: see `parallel_cnn`

    See: notebooks/03_model.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    x = _image(inputs)
    for i, count in enumerate((32, 64), start=1):
        x = keras.layers.Conv2D(count, (5, 5), padding="same", use_bias=False, name=f"conv_{i}")(x)
        x = _normalised(x, f"{i}")
        x = keras.layers.MaxPooling2D((4, 2), name=f"pool_{i}")(x)
    x = keras.layers.Permute((2, 1, 3), name="time_first")(x)
    x = keras.layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="frames")(x)
    lstm = keras.layers.LSTM(64, return_sequences=True, name="lstm_1")
    x = keras.layers.Bidirectional(lstm, name="blstm_1")(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(64, name="lstm_2"), name="blstm_2")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(inputs, _valence(x, scale), name="cnn_blstm")


def _valence(x: Tensor, scale: tuple[float, float], zero: float = 0.0) -> Tensor:
    """One linear unit. It counts in quarters of the scale, so all scales are learnt as fast.

    Args:
        x: features [batch, features]
        scale: lowest and highest rating
        zero: the rating that the unit calls 0
    """
    quarter = (scale[1] - scale[0]) / 4
    if (quarter, zero) == (1, 0):
        return keras.layers.Dense(1, name="valence")(x)
    x = keras.layers.Dense(1, name="quarters_of_the_scale")(x)
    return keras.layers.Rescaling(quarter, offset=zero, name="valence")(x)


def clip_statistics(
    input_shape: tuple[int, ...],
    *,
    scale: tuple[float, float] = (1.0, 5.0),
    networks: int = 1,
    output: Literal["distribution", "rating"] = "distribution",
    **statistics: Any,
) -> keras.Model:
    """Statistics of how a voice sounds over time, then dense layers, then a distribution.

    It has no convolution. Statistics of the whole phrase carry most of what can be learnt from some
    hundred clips, and take milliseconds.

    Args:
        input_shape: (rows, frames); frames may be None, for clips of any length
        scale: lowest and highest rating
        networks: of dense layers side by side, each with a distribution, see `layers.RatingMedian`
        output: ``"distribution"`` over the scale, for the loss of this name, or one linear unit
            around the middle of the scale that gives the ``"rating"``, for other losses
        **statistics: which statistics, such as `tracks`: arguments of `layers.ClipStatistics`

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    x = ClipStatistics(**statistics, name="statistics")(inputs)
    if output == "distribution":
        x = _head(x, scale, networks)
    else:
        x = _valence(_hidden(_standardised(x), ""), scale, zero=sum(scale) / 2)
    return keras.Model(inputs, x, name="clip_statistics")


def statistics_network(
    input_shape: tuple[int, ...], *, scale: tuple[float, float] = (1.0, 5.0), networks: int = 1
) -> keras.Model:
    """The dense layers and the distribution of `clip_statistics`, on statistics computed before.

    The statistics may be those of `layers.ClipStatistics`, eGeMAPS functionals, or both.

    Args:
        input_shape: (statistics, 1)
        scale: lowest and highest rating
        networks: see `clip_statistics`

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="statistics")
    x = _head(keras.layers.Flatten(name="flatten")(inputs), scale, networks)
    return keras.Model(inputs, x, name="statistics_network")


def attention_cnn(
    input_shape: tuple[int, ...], *, scale: tuple[float, float] = (1.0, 5.0)
) -> keras.Model:
    """Convolutions, self-attention over time, and a weighted mean of the frames.

    Every second frame is left out. Four convolutions (16, 32, 48 and 64 filters of 3 x 3, batch
    normalisation, ReLU) are each followed by 2 x 2 max pooling. Self-attention with four heads then
    relates every frame to all others (Vaswani et al. 2017), and a learnt weight for each frame
    gives the mean (Mirsamadi et al. 2017). Padding is kept at 0 throughout and masked in the
    attention, so a prediction does not depend on how far a clip was padded.

    Args:
        input_shape: (n_mels, frames), without pitch; frames may be None, for clips of any length
        scale: lowest and highest rating

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    return keras.Model(inputs, _head(_attended(inputs), scale), name="attention_cnn")


def _attended(bands: Tensor) -> Tensor:
    """The part of `attention_cnn` before its dense layers [batch, 64]."""
    sounds = SoundingFrames(name="sounding")(bands)
    x = keras.layers.Multiply(name="without_padding")([_image(bands), sounds])
    second = {"pool_size": 1, "strides": (1, 2)}
    x = keras.layers.MaxPooling2D(**second, name="every_second_frame")(x)
    sounds = keras.layers.MaxPooling2D(**second, name="every_second_sounding")(sounds)
    for i, count in enumerate((16, 32, 48, 64), start=1):
        x = keras.layers.Conv2D(count, (3, 3), padding="same", use_bias=False, name=f"conv_{i}")(x)
        x = _normalised(x, f"conv_{i}")
        x = keras.layers.Multiply(name=f"without_padding_{i}")([x, sounds])
        x = keras.layers.MaxPooling2D((2, 2), padding="same", name=f"pool_{i}")(x)
        sounds = keras.layers.MaxPooling2D((1, 2), padding="same", name=f"sounding_{i}")(sounds)
    x = keras.layers.Permute((2, 1, 3), name="time_first")(x)
    x = keras.layers.Reshape((-1, x.shape[2] * x.shape[3]), name="frames")(x)
    x = keras.layers.Dense(64, name="dense_frames")(x)
    sounds = keras.layers.Reshape((-1, 1), name="sounding_frames")(sounds)
    keys = keras.layers.Permute((2, 1), name="sounding_keys")(sounds)
    attention = keras.layers.MultiHeadAttention(4, 16, name="self_attention")
    x = keras.layers.Add(name="residual")([x, attention(x, x, attention_mask=keys)])
    x = keras.layers.LayerNormalization(name="normalise_frames")(x)
    weights = keras.layers.Dense(1, name="score")(x)
    weights = keras.layers.Softmax(axis=1, name="weights")(weights, mask=sounds)
    x = keras.layers.Dot(axes=1, name="weighted_mean")([weights, x])
    return keras.layers.Flatten(name="flatten")(x)


#: Classes of the distribution that is predicted, from the lowest rating to the highest.
CLASSES = 21

#: A statistic counts as so many standard deviations at most, so that one that is far from all that
#: was trained on, as in a strange recording, does not decide alone.
FARTHEST = 6.0


def _head(x: Tensor, scale: tuple[float, float], networks: int = 1) -> Tensor:
    """The layers from a clip's features to distributions, and from these to its valence."""
    x = _standardised(x)
    names = [f"_{number}" for number in range(1, networks + 1)] if networks > 1 else [""]
    each = [_distribution(_hidden(x, name), name) for name in names]
    x = keras.layers.Concatenate(name="distributions")(each) if networks > 1 else each[0]
    return RatingMedian(scale, networks, name="valence")(x)


def _standardised(x: Tensor) -> Tensor:
    """A clip's features, each with a deviation of 1 / `FARTHEST` and none beyond 1.

    Those with a variance near or below Keras's epsilon, 0.001, keep a smaller deviation. (On the
    demo corpus, three folds and two seeds, 1e-8 in its place raised the CCC by 0.001 to 0.006.)
    """
    unscaled = {"center": False, "scale": False}
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name="standardise", **unscaled)(x)
    x = keras.layers.Rescaling(1 / FARTHEST, name="farthest")(x)
    return keras.layers.Activation("hard_tanh", name="within")(x)


def _distribution(x: Tensor, name: str) -> Tensor:
    """Probabilities of the classes."""
    return keras.layers.Dense(CLASSES, activation="softmax", name=f"distribution{name}")(x)


def _hidden(x: Tensor, name: str) -> Tensor:
    """The dense layer that all improved networks share."""
    x = keras.layers.Dropout(0.2, name=f"dropout_0{name}")(x)
    x = _normalised(keras.layers.Dense(256, name=f"dense_1{name}")(x), f"1{name}")
    return keras.layers.Dropout(0.5, name=f"dropout_1{name}")(x)


# The recommended model: this network, on these features, trained with these arguments. They were
# chosen on RAVDESS, nEMO, half of EmoTale and the demo corpus, see notebooks/06_improvements.ipynb.

#: Shorter windows than those of the original study, more of them, and pitch.
RECOMMENDED_MEL = MelSettings(n_fft=512, hop_length=128, n_mels=64, pitch=True)

RECOMMENDED_TRAINING = {
    "batch_size": 64,
    "epochs": 60,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "loss": "distribution",
}

#: Networks side by side in the recommended model.
RECOMMENDED_NETWORKS = 4


def recommended(
    input_shape: tuple[int, ...], *, scale: tuple[float, float] = (1.0, 5.0), pitch: bool = True
) -> keras.Model:
    """The network that notebook 6 recommends; its features and training are the constants above.

    Four small networks side by side, which differ by their random weights alone, read the same
    statistics of the clip, see `clip_statistics`. The prediction is the mean of the medians of
    their distributions, see `layers.RatingMedian`.

    Args:
        input_shape: (rows, frames); frames may be None, for clips of any length
        scale: lowest and highest rating
        pitch: whether the last two rows are pitch and harmonicity, as in `RECOMMENDED_MEL`

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    x = ClipStatistics(tracks=2 if pitch else 0, name="statistics")(inputs)
    return keras.Model(inputs, _head(x, scale, RECOMMENDED_NETWORKS), name="recommended")


#: Trained for less time than the recommended network: more fits the corpora, not valence.
THREE_VIEWS_TRAINING: dict[str, Any] = {**RECOMMENDED_TRAINING, "batch_size": 128, "epochs": 20}

#: How far `three_views` is from the middle of the scale, as a multiple of the mean of its medians.
#: Like its statistics and views, it was chosen by leaving out RAVDESS, nEMO and half of EmoTale.
STRETCH = 1.5


def three_views(
    input_shape: tuple[int, ...],
    *,
    scale: tuple[float, float] = (1.0, 5.0),
    stretch: float = STRETCH,
) -> keras.Model:
    """The network for voices, languages and recordings unlike those that it is trained on.

    Three small networks side by side, each of which reads another view of the clip: melody (level
    and pitch), rhythm, or timbre (see `layers.ClipStatistics`). On the corpora that it was chosen
    on, the mean of three carried over better than one network that reads everything.

    Args:
        input_shape: (rows, frames) with pitch and harmonicity as the last two rows; frames may be
            None, for clips of any length
        scale: lowest and highest rating
        stretch: of the predictions away from the middle of the scale, since their mean over three
            networks stays too near to it for strange voices; 1 leaves it there

    See: notebooks/08_other_voices.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    layer = ClipStatistics(tracks=2, parts=0, rhythm=True, name="statistics")
    x = _standardised(layer(inputs))
    ends = (MELODY, MELODY + RHYTHM, x.shape[1])
    each = []
    for name, start, end in zip(("_melody", "_rhythm", "_timbre"), (0, *ends), ends, strict=False):
        each.append(_distribution(_hidden(x[:, start:end], name), name))
    x = keras.layers.Concatenate(name="distributions")(each)
    x = RatingMedian(scale, len(each), stretch=stretch, name="valence")(x)
    return keras.Model(inputs, x, name="three_views")


def _normalised(x: Tensor, name: str) -> Tensor:
    """Batch normalisation and ReLU, which follow each convolution or dense layer."""
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"normalise_{name}")(x)
    return keras.layers.ReLU(name=f"relu_{name}")(x)


def _image(inputs: Tensor) -> Tensor:
    """The channel axis of convolutions, added unless it is there."""
    return keras.layers.Reshape((inputs.shape[1], inputs.shape[2] or -1, 1), name="channel")(inputs)
