"""ConvMaxPool against the stock layers whose work it does, and against double precision."""

import json
import zipfile

import numpy as np
import pytest
import scipy.signal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import cli, models, training
from helpers.models import ConvMaxPool, conv_max_pool, keras
from helpers.splits import Split
from tests.stock import stock_parallel_cnn

ops = keras.ops

BACKEND = keras.backend.backend()

#: JAX compiles every case anew, for seconds.
EXAMPLES = 10 if BACKEND == "jax" else 60

#: Of sums of hundreds of products. Stock convolutions add them up in an order of their own.
ROUNDING = 1e-6 if BACKEND == "tensorflow" else 3e-6


def cells(positions: int, count: int) -> list[np.ndarray]:
    return np.array_split(np.arange(positions), count)


def stock(x, kernel, bias, grid):
    """Convolution, bias, ReLU, and the largest of each cell, by stock operations."""
    # Twice, since PyTorch's convolution of one small clip has no gradient.
    y = ops.conv(ops.concatenate([x, x]), kernel, 1, "valid")[: x.shape[0]]
    y = ops.relu(y + bias)
    rows = [
        [
            ops.max(y[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1], (1, 2))
            for c in cells(y.shape[2], grid[1])
        ]
        for r in cells(y.shape[1], grid[0])
    ]
    return ops.stack([ops.stack(row, 1) for row in rows], 1)


def outputs_and_gradients(function, x, layer, weights):
    """What the function gives, and the gradients of its weighted sum, on any backend.

    The function is of the input, the kernel and the bias; so are the gradients.
    """
    arguments = [ops.convert_to_tensor(each) for each in (x, *layer.get_weights())]
    weights = ops.convert_to_tensor(weights)

    def loss(*arguments):
        y = function(*arguments)
        return ops.sum(y * weights), y

    if BACKEND == "tensorflow":
        import tensorflow

        with tensorflow.GradientTape() as tape:
            tape.watch(arguments)
            total, y = loss(*arguments)
        gradients = tape.gradient(total, arguments)
    elif BACKEND == "jax":
        import jax

        (_, y), gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*arguments)
    else:
        import torch

        arguments = [each.detach().requires_grad_() for each in arguments]
        total, y = loss(*arguments)
        gradients = torch.autograd.grad(total, arguments)
    return [ops.convert_to_numpy(each) for each in (y, *gradients)]


def of(layer):
    """The layer as a function of its input, kernel and bias."""
    return lambda x, kernel, bias: layer.stateless_call([kernel, bias], [], x)[0]


def relative(found, expected) -> float:
    scale = np.abs(expected).max()
    return float(np.abs(found - expected).max() / scale) if scale else 0.0


@st.composite
def cases(draw):
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 20))
    grid = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return {
        "kernel_size": (height, width),
        "grid": grid,
        "size": (
            height - 1 + draw(st.integers(grid[0], 25)),
            width - 1 + draw(st.integers(grid[1], 30)),
        ),
        "channels": draw(st.integers(1, 3)),
        "filters": draw(st.integers(1, 5)),
        "batch": draw(st.integers(1, 4)),
        "seed": draw(st.integers(0, 2**16)),
    }


LARGE = {"kernel_size": (14, 20), "grid": (2, 2), "size": (39, 49), "channels": 1, "filters": 5,
         "batch": 4, "seed": 1}  # fmt: skip


@given(cases())
@example(LARGE)
@settings(max_examples=EXAMPLES, deadline=None)
def test_values_and_gradients_are_those_of_the_stock_layers(case):
    rng = np.random.default_rng(case["seed"])
    x = rng.normal(size=(case["batch"], *case["size"], case["channels"])).astype(np.float32)
    layer = ConvMaxPool(case["filters"], case["kernel_size"], grid=case["grid"])
    layer.build(x.shape)
    layer.bias.assign(0.1 * rng.normal(size=case["filters"]))
    weights = rng.normal(size=(case["batch"], *case["grid"], case["filters"])).astype(np.float32)

    found = outputs_and_gradients(of(layer), x, layer, weights)
    expected = outputs_and_gradients(lambda *a: stock(*a, case["grid"]), x, layer, weights)
    assert relative(found[0], expected[0]) < ROUNDING
    assert relative(found[1], expected[1]) < 1e-5  # the input's
    # Of the larger gradient of both weights: in that of a single bias, terms may cancel each other.
    found, expected = (np.concatenate([g.ravel() for g in each[2:]]) for each in (found, expected))
    assert relative(found, expected) < 1e-5


def by_fourier(x, kernel):
    spectrum = conv_max_pool._spectrum(x, kernel.shape[0])
    return conv_max_pool._correlate_by_fourier(spectrum, kernel, x.shape[2])


@pytest.mark.parametrize("search", [conv_max_pool._correlate_by_taps, by_fourier])
@pytest.mark.parametrize("frames", [47, 94])  # odd and even: the highest frequency differs
def test_both_searches_respond_as_a_correlation_does(search, frames):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 40, frames, 2)).astype(np.float32)
    kernel = rng.normal(size=(12, 16, 2, 3)).astype(np.float32)
    tensors = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    found = ops.convert_to_numpy(search(*tensors))
    exact = [  # in double precision; filters, batch, rows, columns
        [scipy.signal.correlate(clip, each, "valid")[..., 0] for clip in x.astype(float)]
        for each in np.moveaxis(kernel, -1, 0).astype(float)
    ]
    expected = np.moveaxis(exact, -1, 0).reshape(found.shape)
    assert relative(found, expected) < 2e-6


def test_the_search_takes_the_cheaper_way(monkeypatch):
    taken = []
    for name in ("_correlate_by_taps", "_correlate_by_fourier"):
        function = getattr(conv_max_pool, name)

        def noted(*arguments, name=name, function=function):
            taken.append(name)
            return function(*arguments)

        monkeypatch.setattr(conv_max_pool, name, noted)
    x = np.zeros((1, 64, 94, 1), np.float32)
    for kernel_size in ((3, 3), (30, 40)):
        ConvMaxPool(2, kernel_size)(x)
    assert taken[0] == "_correlate_by_taps" and taken[-1] == "_correlate_by_fourier"


@pytest.mark.parametrize("frames", [47, 94])
def test_filters_searched_in_groups_are_found_where_all_at_once_are(monkeypatch, frames):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 64, frames)).astype(np.float32)
    layer = ConvMaxPool(15, (14, 20))
    layer.build(x.shape)
    weights = rng.normal(size=(3, 2, 2, 15)).astype(np.float32)
    at_once = outputs_and_gradients(of(layer), x, layer, weights)
    monkeypatch.setattr(conv_max_pool, "HELD", 5 * frames * 51)  # three groups of five
    assert conv_max_pool._groups(15, frames * 51) == 3
    in_groups = outputs_and_gradients(of(layer), x, layer, weights)
    assert all(np.array_equal(*each) for each in zip(at_once, in_groups, strict=True))


def test_a_tie_gives_the_gradient_to_one_of_the_positions_that_share_the_maximum():
    x = np.zeros((1, 6, 6, 1), np.float32)
    x[0, 1, 1], x[0, 4, 4] = 1, 1  # alike, and so is what is around them
    layer = ConvMaxPool(1, (3, 3), grid=(1, 1))
    layer.build(x.shape)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 2
    layer.kernel.assign(kernel)
    ones = np.ones((1, 1, 1, 1), np.float32)
    y, _, gradient, _ = outputs_and_gradients(of(layer), x, layer, ones)
    assert y.item() == 2
    assert np.array_equal(gradient, kernel / 2)  # the patch, once


def test_padding_that_ties_everywhere_has_the_stock_gradient():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 30, 40, 1)).astype(np.float32)
    x[:, :, 20:] = -2.5  # as silence at the end of a clip, after decibels
    layer = ConvMaxPool(4, (6, 8))
    layer.build(x.shape)
    weights = rng.normal(size=(3, 2, 2, 4)).astype(np.float32)
    found = outputs_and_gradients(of(layer), x, layer, weights)
    expected = outputs_and_gradients(lambda *a: stock(*a, (2, 2)), x, layer, weights)
    assert relative(found[0], expected[0]) < ROUNDING
    assert relative(found[3], expected[3]) < 1e-5  # the bias's


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((8, 30), "kernel 9 x 3 is too large to be pooled to 2 x 2 on an input of 8 x 30: use"),
        ((9, 30), "too large to be pooled to 2 x 2 on an input of 9 x 30: use longer clips"),
    ],
)
def test_an_input_that_does_not_fit_is_named_with_how_to_fix_it(size, message):
    with pytest.raises(models.KernelSizeError, match=message) as raised:
        ConvMaxPool(1, (9, 3)).build((None, *size, 1))
    assert isinstance(raised.value, cli.UserError)


def test_an_input_of_any_length_is_refused():
    with pytest.raises(ValueError, match="needs an input of a fixed size, not 9 x None"):
        ConvMaxPool(1, (9, 3)).build((None, 9, None, 1))


@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 3)])
def test_the_output_has_the_shape_that_it_says(shape):
    layer = ConvMaxPool(3, (4, 5), grid=(2, 3))
    assert layer.compute_output_shape((None, *shape)) == (None, 2, 3, 3)
    assert layer(np.zeros((7, *shape), np.float32)).shape == (7, 2, 3, 3)


def test_a_saved_model_loads_in_safe_mode_and_predicts_the_same(tmp_path):
    inputs = keras.Input((32, 40))
    outputs = ConvMaxPool(3, (6, 8), grid=(2, 1))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(outputs)))
    x = np.random.default_rng(0).normal(size=(5, 32, 40)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    layer = loaded.layers[1]
    assert isinstance(layer, ConvMaxPool)
    assert (layer.grid, layer.kernel_size) == ((2, 1), (6, 8))
    assert np.array_equal(loaded.predict(x, verbose=0), expected)


def test_a_whole_training_ends_where_stock_layers_end():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 40, 47)).astype(np.float32)
    ratings = 3 + features[:, :20].mean(axis=(1, 2)) * 20
    split = Split(np.arange(32), np.arange(32, 40), np.arange(0))
    size = {"filters": 6, "kernels": ((6, 8), (14, 20)), "units": (20, 10), "dropout": 0.3}
    runs = [
        training.train(build((40, 47), **size), features, ratings, split, epochs=3, seed=1)
        for build in (models.parallel_cnn, stock_parallel_cnn)
    ]
    columns = ["train_mae", "validation_mae"]
    ours, theirs = (run.history[columns].to_numpy() for run in runs)
    assert np.abs(ours / theirs - 1).max() < 1e-4


def as_saved_before(path, old):
    """The same file as versions wrote it that had one module `layers`, and two options more."""
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(old, "w") as written:
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                for layer in config["config"]["layers"]:
                    if layer["registered_name"] == "valence>ConvMaxPool":
                        layer["module"] = "helpers.layers"
                        layer["config"] |= {"precision": "float32", "own_frames": False}
                content = json.dumps(config)
                assert content.count("own_frames") == 2
            written.writestr(name, content)


def test_a_file_of_an_older_version_still_loads(tmp_path):
    model = models.parallel_cnn((24, 30), filters=3, kernels=((3, 4), (6, 8)), units=(5, 4))
    x = np.random.default_rng(0).normal(size=(5, 24, 30)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "new.keras")
    as_saved_before(tmp_path / "new.keras", tmp_path / "old.keras")
    loaded = keras.models.load_model(tmp_path / "old.keras", safe_mode=True)
    assert np.array_equal(loaded.predict(x, verbose=0), expected)
