"""The networks, as Keras functional models that end in one linear unit: the valence.

Each takes the shape of one clip's features, ``(n_mels, frames)`` or ``(n_mels, frames, 1)``, and
returns a model that is not compiled; `training.train` does that.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from helpers.features import MelSettings
from helpers.models.backend import Tensor, keras
from helpers.models.conv_max_pool import ConvMaxPool, Precision, convolution_dtype
from helpers.models.layers import ClipStatistics, RandomSpeed, RatingMean, SoundingFrames

#: Kernels of the four branches, frequency x time (Tripathi et al. 2019).
KERNELS = ((12, 16), (18, 24), (24, 32), (30, 40))

#: Momentum of the moving averages of batch normalisation. Keras's 0.99 remembers hundreds of steps,
#: which is more than a short training on a small corpus has.
MOMENTUM = 0.9


def parallel_cnn(
    input_shape: tuple[int, ...],
    *,
    filters: int = 200,
    kernels: Sequence[tuple[int, int]] = KERNELS,
    units: Sequence[int] = (400, 200),
    dropout: float = 0.5,
    pool: Literal["grid", "window"] = "grid",
    precision: Precision = "float32",
    own_frames: bool = False,
) -> keras.Model:
    """Four convolutions side by side, each with a kernel of another size (Tripathi et al. 2019).

    Each branch: convolution, ReLU, max pooling, flattening. Their outputs are concatenated and pass
    through dense layers, each followed by batch normalisation and ReLU, with dropout between.

    Args:
        input_shape: (n_mels, frames), or with a channel axis of 1
        filters: of each branch
        kernels: of each branch, frequency x time
        units: of each dense layer
        dropout: share of units that are dropped while training
        pool: how "2 x 2 max pooling" is read. ``"grid"`` pools to 2 x 2 values a filter, halving
            the map along each axis, as the paper does; ``"window"`` pools windows of 2 x 2, which
            leaves hundreds of times more values
        precision: of the convolutions, see `layers.ConvMaxPool`; all else is float32
        own_frames: whether the grid divides each clip's own frames, see `layers.ConvMaxPool`

    Raises:
        ValueError: if `pool` or `precision` is none of these, a kernel is larger than the input, or
            windows are to divide a clip's own frames

    See: notebooks/03_model.ipynb
    """
    if pool not in ("grid", "window"):
        raise ValueError(f"pool is {pool!r}: it is 'grid' or 'window'.")
    if own_frames and pool == "window":
        raise ValueError("Windows are of a fixed size: use pool='grid' with own_frames.")

    dtype = convolution_dtype(precision)
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype  # the weights stay in float32
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    image = _image(inputs)
    branches = []
    for kernel in kernels:
        name = f"{kernel[0]}x{kernel[1]}"
        if pool == "grid":
            x = ConvMaxPool(
                filters, kernel, precision=precision, own_frames=own_frames, name=f"conv_{name}"
            )(image)
        else:
            convolution = {"activation": "relu", "dtype": policy, "name": f"conv_{name}"}
            x = keras.layers.Conv2D(filters, kernel, **convolution)(image)
            x = keras.layers.MaxPooling2D((2, 2), dtype=policy, name=f"pool_{name}")(x)
        branches.append(keras.layers.Flatten(name=f"flatten_{name}")(x))
    x = keras.layers.Concatenate(name="concatenate")(branches) if len(branches) > 1 else branches[0]
    for i, width in enumerate(units, start=1):
        x = keras.layers.Dense(width, name=f"dense_{i}")(x)
        x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"normalise_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
        if i < len(units):
            x = keras.layers.Dropout(dropout, name=f"dropout_{i}")(x)
    return keras.Model(inputs, keras.layers.Dense(1, name="valence")(x), name="parallel_cnn")


def cnn_blstm(
    input_shape: tuple[int, ...],
    *,
    filters: Sequence[int] = (32, 64),
    lstm_units: int = 64,
    dropout: float = 0.5,
) -> keras.Model:
    """Two convolutions, then two bidirectional LSTMs over time (after Yang & Hirschberg 2018).

    The convolutions (5 x 5, batch normalisation, ReLU) pool over frequency by 4 and over time by 2;
    the LSTMs read what is left as a sequence of frames, and the last state gives the valence.

    Args:
        input_shape: (n_mels, frames), or with a channel axis of 1
        filters: of each convolution
        lstm_units: of each direction of each LSTM
        dropout: share of units that are dropped before the last layer while training

    See: notebooks/03_model.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    x = _image(inputs)
    for i, count in enumerate(filters, start=1):
        x = keras.layers.Conv2D(count, (5, 5), padding="same", use_bias=False, name=f"conv_{i}")(x)
        x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"normalise_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
        x = keras.layers.MaxPooling2D((4, 2), name=f"pool_{i}")(x)
    x = keras.layers.Permute((2, 1, 3), name="time_first")(x)
    x = keras.layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="frames")(x)
    lstm = keras.layers.LSTM(lstm_units, return_sequences=True, name="lstm_1")
    x = keras.layers.Bidirectional(lstm, name="blstm_1")(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(lstm_units, name="lstm_2"), name="blstm_2")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(1, name="valence")(x), name="cnn_blstm")


def clip_statistics(
    input_shape: tuple[int, ...],
    *,
    scale: tuple[float, float] = (1.0, 5.0),
    tracks: int = 0,
    groups: int = 16,
    parts: int = 5,
    distribution: bool = True,
) -> keras.Model:
    """Statistics of a clip's mel bands over time, then dense layers, then a distribution.

    It has no convolution: what a phrase is like on the whole says most of what there is to learn
    from some hundred clips, and takes milliseconds.

    Args:
        input_shape: (rows, frames); frames may be None, for clips of any length
        scale: lowest and highest rating
        tracks: how many of the rows are of pitch, see `layers.ClipStatistics`
        groups: of mel bands whose modulation spectrum is among the statistics, see there
        parts: of the phrase, of which there are statistics of their own, see there
        distribution: predict a distribution over the scale, for the loss ``"distribution"``; False
            ends in one linear unit that begins in the middle of the scale, for other losses

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    x = ClipStatistics(tracks=tracks, groups=groups, parts=parts, name="statistics")(inputs)
    return keras.Model(inputs, _head(x, scale, distribution), name="clip_statistics")


def statistics_network(
    input_shape: tuple[int, ...], *, scale: tuple[float, float] = (1.0, 5.0)
) -> keras.Model:
    """The dense layers and the distribution of `clip_statistics`, on statistics made beforehand.

    Those may be of the mel bands, eGeMAPS functionals, or both.

    Args:
        input_shape: (statistics, 1)
        scale: lowest and highest rating

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="statistics")
    x = _head(keras.layers.Flatten(name="flatten")(inputs), scale)
    return keras.Model(inputs, x, name="statistics_network")


def attention_cnn(
    input_shape: tuple[int, ...],
    *,
    filters: Sequence[int] = (16, 32, 48, 64),
    heads: int = 4,
    speed: float = 0.0,
    scale: tuple[float, float] = (1.0, 5.0),
) -> keras.Model:
    """Convolutions, self-attention over time, and a weighted mean of the frames.

    Every second frame is left out. Each convolution (3 x 3, batch normalisation, ReLU) is followed
    by 2 x 2 max pooling. Every frame then looks at all others (Vaswani et al. 2017), and a learnt
    weight for each says how much it counts in the mean (Mirsamadi et al. 2017). Padding is kept at
    0 throughout and is not looked at, so that a prediction does not depend on how far a clip was
    padded.

    Args:
        input_shape: (n_mels, frames), without pitch; frames may be None, for clips of any length
        filters: of each convolution
        heads: of the self-attention
        speed: how much faster or slower clips are played in training, see `layers.RandomSpeed`
        scale: lowest and highest rating of the distribution that it ends in

    See: notebooks/06_improvements.ipynb
    """
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    x = _attended(inputs, filters, heads, speed)
    return keras.Model(inputs, _head(x, scale), name="attention_cnn")


def _attended(
    bands: Tensor,
    filters: Sequence[int] = (16, 32, 48, 64),
    heads: int = 4,
    speed: float = 0.0,
) -> Tensor:
    """What `attention_cnn` hands to its dense layers [batch, filters]."""
    if speed:
        bands = RandomSpeed(speed, name="speed")(bands)
    sounds = SoundingFrames(name="sounding")(bands)
    x = keras.layers.Multiply(name="without_padding")([_image(bands), sounds])
    second = {"pool_size": 1, "strides": (1, 2)}
    x = keras.layers.MaxPooling2D(**second, name="every_second_frame")(x)
    sounds = keras.layers.MaxPooling2D(**second, name="every_second_sounding")(sounds)
    for i, count in enumerate(filters, start=1):
        x = keras.layers.Conv2D(count, (3, 3), padding="same", use_bias=False, name=f"conv_{i}")(x)
        x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"normalise_conv_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_conv_{i}")(x)
        x = keras.layers.Multiply(name=f"without_padding_{i}")([x, sounds])
        x = keras.layers.MaxPooling2D((2, 2), padding="same", name=f"pool_{i}")(x)
        sounds = keras.layers.MaxPooling2D((1, 2), padding="same", name=f"sounding_{i}")(sounds)
    x = keras.layers.Permute((2, 1, 3), name="time_first")(x)
    x = keras.layers.Reshape((-1, x.shape[2] * x.shape[3]), name="frames")(x)
    x = keras.layers.Dense(filters[-1], name="dense_frames")(x)
    sounds = keras.layers.Reshape((-1, 1), name="sounding_frames")(sounds)
    keys = keras.layers.Permute((2, 1), name="sounding_keys")(sounds)
    attention = keras.layers.MultiHeadAttention(heads, filters[-1] // heads, name="self_attention")
    x = keras.layers.Add(name="residual")([x, attention(x, x, attention_mask=keys)])
    x = keras.layers.LayerNormalization(name="normalise_frames")(x)
    weights = keras.layers.Dense(1, name="score")(x)
    weights = keras.layers.Softmax(axis=1, name="weights")(weights, mask=sounds)
    x = keras.layers.Dot(axes=1, name="weighted_mean")([weights, x])
    return keras.layers.Flatten(name="flatten")(x)


#: Classes of the distribution that is predicted, from the lowest rating to the highest.
CLASSES = 21

#: The weights of a network's distributions sum to this, see `layers.RatingMean`: with less, its
#: answers keep to the middle of the scale; with more, the likeliest rating is all that counts.
SHARPNESS = 2.0


def _head(x: Tensor, scale: tuple[float, float], distribution: bool = True) -> Tensor:
    """From what is known of a clip to its valence."""
    if distribution:
        return RatingMean(scale, [SHARPNESS], name="valence")(_distribution(x))
    x = keras.layers.Dense(1, name="linear")(_hidden(x))
    return keras.layers.Rescaling(1.0, offset=sum(scale) / 2, name="valence")(x)


def _distribution(x: Tensor) -> Tensor:
    """Probabilities of the classes."""
    return keras.layers.Dense(CLASSES, activation="softmax", name="distribution")(_hidden(x))


def _hidden(x: Tensor) -> Tensor:
    unscaled = {"center": False, "scale": False}  # only standardises
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name="standardise", **unscaled)(x)
    x = keras.layers.Dropout(0.2, name="dropout_0")(x)
    x = keras.layers.Dense(128, name="dense_1")(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name="normalise_1")(x)
    x = keras.layers.ReLU(name="relu_1")(x)
    return keras.layers.Dropout(0.5, name="dropout_1")(x)


# The recommended model: this network on these features, trained like this. Chosen on validation
# folds of RAVDESS in notebooks/06_improvements.ipynb.

#: Shorter windows than the report's and more of them: they follow how a voice moves. And its pitch.
RECOMMENDED_MEL = MelSettings(n_fft=512, hop_length=128, n_mels=64, pitch=True)

RECOMMENDED_TRAINING = {
    "batch_size": 32,
    "epochs": 30,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "loss": "distribution",
}

#: How much faster or slower its attention hears clips in training; its statistics hear them as
#: they are.
RECOMMENDED_SPEED = 0.15


def recommended(
    input_shape: tuple[int, ...], *, scale: tuple[float, float] = (1.0, 5.0)
) -> keras.Model:
    """The network that notebook 6 recommends; its features and training are the constants above.

    Three networks side by side, of which none knows of the others: `clip_statistics`, which hears
    what a clip and the parts of its phrase are like, and two of `attention_cnn`, which hear what
    happens in it, in training at random speeds, and err on different clips. Those two are of one
    kind and together count as much as the first. The answer is the mean of the product of what all
    three say, see `layers.RatingMean`.

    Args:
        input_shape: (rows, frames) of `RECOMMENDED_MEL`; other features are taken for mel bands
            without pitch
        scale: lowest and highest rating

    See: notebooks/06_improvements.ipynb
    """
    pitched = input_shape[0] == RECOMMENDED_MEL.rows
    tracks = RECOMMENDED_MEL.rows - RECOMMENDED_MEL.n_mels if pitched else 0
    inputs = keras.Input(input_shape, name="mel_spectrogram")
    bands = keras.layers.Cropping1D((0, tracks), name="bands")(inputs)
    statistics = ClipStatistics(tracks=tracks, name="clip_statistics")
    attention = functools.partial(_attended, speed=RECOMMENDED_SPEED)
    experts = [
        _expert(inputs, statistics, "statistics"),
        _expert(bands, attention, "attention_1"),
        _expert(bands, attention, "attention_2"),
    ]
    x = keras.layers.Concatenate(name="distributions")(experts)
    weights = SHARPNESS * np.array([2, 1, 1]) / 4
    x = RatingMean(scale, weights.tolist(), name="valence")(x)
    return keras.Model(inputs, x, name="recommended")


def _expert(inputs: Tensor, hear: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """The distribution that a network of its own makes of what it hears."""
    own = keras.Input(inputs.shape[1:], name=f"{name}_input")
    return keras.Model(own, _distribution(hear(own)), name=name)(inputs)


def _image(inputs: Tensor) -> Tensor:
    """Add the channel axis that convolutions want, unless it is there."""
    if len(inputs.shape) == 4:
        return inputs
    return keras.layers.Reshape((inputs.shape[1], inputs.shape[2] or -1, 1), name="channel")(inputs)


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Build models in this context without allocating their weights, to count and draw them.

    Examples:
        >>> with without_weights():
        ...     parallel_cnn((128, 94), pool="window").count_params()
        570362401

    See: notebooks/03_model.ipynb
    """
    state = keras.src.backend.common.global_state
    pending = list(state.get_global_attribute("uninitialized_variables", []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:  # else Keras would allocate them where the next such scope ends
        state.set_global_attribute("uninitialized_variables", pending)
