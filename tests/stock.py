"""`models.parallel_cnn` in stock layers, to test and time `models.ConvMaxPool` against."""

from collections.abc import Sequence

from helpers.models import KERNELS, MOMENTUM, keras


def stock_parallel_cnn(
    input_shape: tuple[int, int],
    *,
    filters: int = 200,
    kernels: Sequence[tuple[int, int]] = KERNELS,
    units: Sequence[int] = (400, 200),
    dropout: float = 0.5,
) -> keras.Model:
    """Conv2D and MaxPooling2D instead of ConvMaxPool."""
    layers = keras.layers
    inputs = keras.Input(input_shape)
    image = layers.Reshape((*input_shape, 1))(inputs)
    branches = []
    for kernel in kernels:
        x = layers.Conv2D(filters, kernel, activation="relu")(image)
        cell = tuple(-(-size // 2) for size in x.shape[1:3])
        x = layers.MaxPooling2D(cell, padding="same")(x)
        branches.append(layers.Flatten()(x))
    x = layers.Concatenate()(branches)
    for i, width in enumerate(units, start=1):
        x = layers.Dense(width)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
        x = layers.ReLU()(x)
        if i < len(units):
            x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(1)(x))
