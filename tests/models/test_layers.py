"""ConvMaxPool against the stock layers whose work it does, and against double precision."""

import keras
import numpy as np
import pytest
import scipy.fft
import scipy.signal
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import layers, models, training
from helpers.backend import fast_bfloat16
from helpers.layers import ConvMaxPool
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


@pytest.mark.parametrize("search", ["_correlate_by_taps", "_correlate_by_fourier"])
@pytest.mark.parametrize("frames", [47, 94])  # odd and even: the highest frequency differs
def test_both_searches_respond_as_a_correlation_does(search, frames):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 40, frames, 2)).astype(np.float32)
    kernel = rng.normal(size=(12, 16, 2, 3)).astype(np.float32)
    tensors = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    found = ops.convert_to_numpy(getattr(layers, search)(*tensors, "float32"))
    exact = [  # in double precision; filters, batch, rows, columns
        [scipy.signal.correlate(clip, each, "valid")[..., 0] for clip in x.astype(float)]
        for each in np.moveaxis(kernel, -1, 0).astype(float)
    ]
    expected = np.moveaxis(exact, -1, 0).reshape(found.shape)
    assert relative(found, expected) < 2e-6


def test_the_search_takes_the_cheaper_way(monkeypatch):
    taken = []
    for name in ("_correlate_by_taps", "_correlate_by_fourier"):
        function = getattr(layers, name)

        def noted(*arguments, name=name, function=function):
            taken.append(name)
            return function(*arguments)

        monkeypatch.setattr(layers, name, noted)
    x = np.zeros((1, 64, 94, 1), np.float32)
    for kernel_size in ((3, 3), (30, 40)):
        ConvMaxPool(2, kernel_size)(x)
    assert taken[0] == "_correlate_by_taps" and taken[-1] == "_correlate_by_fourier"


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


def test_in_bfloat16_only_the_position_is_approximate():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 64, 60, 1)).astype(np.float32)
    exact, fast = ConvMaxPool(8, (12, 16)), ConvMaxPool(8, (12, 16), precision="bfloat16")
    for layer in (exact, fast):
        layer.build(x.shape)
    fast.set_weights(exact.get_weights())
    expected, found = ops.convert_to_numpy(exact(x)), ops.convert_to_numpy(fast(x))
    assert found.dtype == np.float32
    shortfall = (expected - found) / expected.std()
    assert shortfall.min() > -1e-5  # never more than the maximum
    assert shortfall.max() < 0.1
    assert (shortfall < 1e-5).mean() > 0.5  # and mostly the maximum itself, to float32


def test_auto_is_what_the_machine_is_faster_in():
    expected = "bfloat16" if fast_bfloat16() else "float32"
    assert layers.convolution_dtype("auto") == expected


def test_a_precision_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="precision is 'float16': it is 'float32', 'bfloat16' or"):
        ConvMaxPool(1, (2, 2), precision="float16")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((8, 30), "kernel 9 x 3 is too large to be pooled to 2 x 2 on an input of 8 x 30: use"),
        ((9, 30), "too large to be pooled to 2 x 2 on an input of 9 x 30: use longer clips"),
        ((9, None), "needs an input of a fixed size"),
    ],
)
def test_an_input_that_does_not_fit_is_named_with_the_mend(size, message):
    with pytest.raises(ValueError, match=message):
        ConvMaxPool(1, (9, 3)).build((None, *size, 1))


@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 3)])
def test_the_output_has_the_shape_that_it_says(shape):
    layer = ConvMaxPool(3, (4, 5), grid=(2, 3))
    assert layer.compute_output_shape((None, *shape)) == (None, 2, 3, 3)
    assert layer(np.zeros((7, *shape), np.float32)).shape == (7, 2, 3, 3)


def test_a_saved_model_loads_in_safe_mode_and_predicts_the_same(tmp_path):
    inputs = keras.Input((32, 40))
    outputs = ConvMaxPool(3, (6, 8), grid=(2, 1), precision="auto")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(outputs)))
    x = np.random.default_rng(0).normal(size=(5, 32, 40)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    layer = loaded.layers[1]
    assert isinstance(layer, ConvMaxPool)
    assert (layer.grid, layer.kernel_size, layer.precision) == ((2, 1), (6, 8), "auto")
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


def test_clip_statistics_are_those_of_numpy_and_scipy():
    clips = np.random.default_rng(0).normal(size=(3, 12, 20)).astype("float32")
    found = ops.convert_to_numpy(layers.ClipStatistics(coefficients=5, groups=0, parts=0)(clips))
    cepstra = scipy.fft.dct(clips, axis=1, norm="ortho")[:, :5]
    both = np.concatenate([clips, cepstra], axis=1)
    expected = [both.mean(2), both.std(2), np.abs(np.diff(both, axis=2)).mean(2)]
    assert found == pytest.approx(np.concatenate(expected, axis=1), abs=1e-4)


def modulation(clips, **options):
    """Of each group and octave [clips, groups, octaves]; the slowest octave first."""
    layer = layers.ClipStatistics(coefficients=0, parts=0, **options)
    found = ops.convert_to_numpy(layer(clips))[:, 3 * clips.shape[1] :]
    return found.reshape(len(clips), -1, layer.octaves)


def test_the_modulation_spectrum_is_scipys():
    clips = np.random.default_rng(0).normal(size=(3, 12, 200)).astype("float32")
    levels = clips.reshape(3, 4, 3, 200).mean(axis=2)
    _, power = scipy.signal.periodogram(levels, nfft=512)
    octaves = np.split(power[:, :, :256] / 2, [8, 16, 32, 64, 128], axis=2)[1:]  # it is one-sided
    expected = np.stack([np.log(each.mean(axis=2) + 1e-4) for each in octaves], axis=2)
    assert modulation(clips, groups=4) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("frequency", "octave"), [(1 / 45, 0), (1 / 20, 1), (1 / 3, 4)])
def test_what_rises_and_falls_is_found_in_its_octave_and_its_group(frequency, octave):
    clips = np.random.default_rng(0).normal(0, 0.01, (1, 12, 200)).astype("float32")
    clips[:, 6:9] += np.cos(2 * np.pi * frequency * np.arange(200))
    found = modulation(clips, groups=4)[0]
    assert np.unravel_index(found.argmax(), found.shape) == (2, octave)


def test_groups_are_no_more_than_bands():
    clips = np.random.default_rng(0).normal(size=(2, 3, 20)).astype("float32")
    layer = layers.ClipStatistics(groups=16, parts=0)
    assert layer(clips).shape == layer.compute_output_shape(clips.shape) == (2, 3 * 33 + 3 * 5)


def test_parts_of_a_phrase_are_told_from_its_first_loud_frame_to_its_last():
    rng = np.random.default_rng(0)
    clips = rng.uniform(-60, -50, size=(2, 14, 30)).astype("float32")
    clips[:, :12, 4:12] += 40  # two parts of four loud frames each
    clips[:, :12, 20:28] += 40  # two more after a pause, which counts in the first of them
    clips[:, 12:] = -80
    clips[:, 12:, 6:10] = rng.normal(12, 3, size=(2, 2, 4))
    layer = layers.ClipStatistics(coefficients=5, tracks=2, groups=0, parts=4)
    found = ops.convert_to_numpy(layer(clips))
    assert found.shape == layer.compute_output_shape(clips.shape)
    cepstra = scipy.fft.dct(clips[:, :12], axis=1, norm="ortho")[:, :5]
    parts = [slice(4, 8), slice(8, 12), slice(12, 24), slice(24, 28)]
    expected = [f(cepstra[:, :, part], axis=2) for f in (np.mean, np.std) for part in parts]
    of_bands = found[:, 3 * 17 : 3 * 17 + 40]
    assert of_bands == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)
    tracks, voiced = clips[:, 12:], [slice(6, 8), slice(8, 10), slice(6, 10), slice(6, 10)]
    expected = [tracks[:, :, part].mean(axis=2) for part in voiced]  # of the clip, if of no part
    assert found[:, -8:] == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)


def test_a_clip_without_loud_frames_has_statistics():
    layer = layers.ClipStatistics(coefficients=5, parts=3)
    assert np.isfinite(ops.convert_to_numpy(layer(np.full((1, 12, 20), -80, "float32")))).all()


def sweep():
    """Bands that rise by 1 in each of 50 frames, then padding."""
    clip = np.tile(np.arange(60, dtype="float32"), (4, 3, 1))
    clip[:, :, 50:] = -80
    return clip


def test_a_random_speed_is_another_for_each_clip_and_only_in_training():
    layer = layers.RandomSpeed(0.2)
    clips = sweep()
    assert np.array_equal(ops.convert_to_numpy(layer(clips)), clips)
    found = ops.convert_to_numpy(layer(clips, training=True))
    speeds = found[:, 0, 1]  # the first frame stays, the second is what was there at that time
    assert len(set(speeds)) == 4 and (np.abs(speeds - 1) < 0.2).all()
    for clip, speed in zip(found, speeds, strict=True):
        position = np.arange(60) * speed
        sounds = position < 49
        assert clip[1][sounds] == pytest.approx(position[sounds], abs=1e-3)
        assert (clip[:, position > 50] == -80).all()


def test_a_random_speed_follows_the_seed():
    found = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        found.append(ops.convert_to_numpy(layers.RandomSpeed(0.2)(sweep(), training=True)))
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


def test_pitch_counts_only_where_there_is_a_voice():
    clips = np.random.default_rng(0).uniform(-60, 0, size=(2, 14, 20)).astype("float32")
    voiced = np.arange(5, 15)
    clips[:, 12:] = clips.min(axis=(1, 2), keepdims=True)
    clips[:, 12:, voiced] = np.random.default_rng(1).normal(12, 3, size=(2, 2, 10))
    clips[:, 13, :5] = -6  # where it sounds without a voice it has harmonicity and no pitch
    layer = layers.ClipStatistics(5, tracks=2, parts=0)
    found = ops.convert_to_numpy(layer(clips))
    assert found.shape == layer.compute_output_shape(clips.shape)
    assert found.shape == (2, 3 * (12 + 5 + 2) + 12 * 5 + 1)
    bands = ops.convert_to_numpy(layers.ClipStatistics(5, parts=0)(clips[:, :12]))
    assert found[:, :-7] == pytest.approx(bands, abs=1e-4)
    tracks = clips[:, 12:, voiced]
    expected = [tracks.mean(2), tracks.std(2), np.abs(np.diff(tracks, axis=2)).mean(2)]
    assert found[:, -7:-1] == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)
    assert found[:, -1] == pytest.approx(10 / 15)


@pytest.mark.parametrize("kernel_size", [(3, 4), (14, 20)])  # by taps, by Fourier transform
def test_the_grid_divides_each_clips_own_frames(kernel_size):
    clips = np.random.default_rng(0).uniform(-60, 0, (5, 39, 60)).astype("float32")
    lengths = [60, 59, 40, 31, 22]
    for clip, length in zip(clips, lengths, strict=True):
        clip[:, length:] = -80
        clip[3, 5] = -80  # as quiet as padding, for a moment
    layer = ConvMaxPool(4, kernel_size, grid=(2, 3), own_frames=True)
    found = ops.convert_to_numpy(layer(clips))
    for clip, length, pooled in zip(clips, lengths, found, strict=True):
        alone = ConvMaxPool(4, kernel_size, grid=(2, 3))
        alone.build((1, 39, length))
        alone.set_weights(layer.get_weights())
        expected = ops.convert_to_numpy(alone(clip[None, :, :length]))[0]
        assert pooled == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert ConvMaxPool.from_config(layer.get_config()).own_frames


def test_a_clip_too_short_for_the_grid_is_still_given_a_value():
    clip = np.full((1, 12, 30), -80, "float32")
    clip[:, :, :3] = 0
    found = ops.convert_to_numpy(ConvMaxPool(2, (4, 5), own_frames=True)(clip))
    assert np.isfinite(found).all()


def own_frames(shape):
    return models.parallel_cnn(shape, filters=3, kernels=((4, 5), (6, 8)), own_frames=True)


@pytest.mark.parametrize("build", [models.recommended, models.attention_cnn, own_frames])
@pytest.mark.parametrize("more", [1, 2, 7])
def test_padding_a_clip_further_does_not_change_what_is_predicted(build, more):
    clip = np.random.default_rng(0).uniform(-60, 0, (2, 12, 40)).astype("float32")
    clip[:, :, -3:] = -80
    padded = np.pad(clip, ((0, 0), (0, 0), (0, more)), constant_values=-80)
    model, larger = build((12, 40)), build((12, 40 + more))
    larger.set_weights(model.get_weights())
    found, expected = (ops.convert_to_numpy(f(x)) for f, x in ((larger, padded), (model, clip)))
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_distribution_answers_with_its_mean():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(21), size=50).astype("float32")
    found = ops.convert_to_numpy(layers.RatingMean((1, 5), [1])(probabilities))
    assert found[:, 0] == pytest.approx(probabilities @ np.linspace(1, 5, 21), abs=1e-4)
    assert np.array_equal(found[:, 1:], probabilities)
    sharper = ops.convert_to_numpy(layers.RatingMean((1, 5), [2])(probabilities))
    squares = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)
    assert sharper[:, 0] == pytest.approx(squares @ np.linspace(1, 5, 21), abs=1e-4)


def test_several_distributions_answer_with_the_mean_of_their_product():
    each = np.random.default_rng(0).dirichlet(np.ones(7), size=(5, 3)).astype("float32")
    layer = layers.RatingMean((1, 5), [1, 0.5, 0.5])
    found = ops.convert_to_numpy(layer(each.reshape(5, 21)))
    product = each[:, 0] * np.sqrt(each[:, 1] * each[:, 2])
    product /= product.sum(axis=1, keepdims=True)
    assert found[:, 0] == pytest.approx(product @ np.linspace(1, 5, 7), abs=1e-4)
    assert np.array_equal(found[:, 1:], each.reshape(5, 21))
    again = layers.RatingMean.from_config(layer.get_config())
    assert np.array_equal(ops.convert_to_numpy(again(each.reshape(5, 21))), found)


@pytest.mark.parametrize("rating", [1.7, 3, 4.2])
def test_the_mean_of_a_distribution_around_a_rating_is_the_rating(rating):
    probabilities = scipy.stats.norm.pdf(np.linspace(1, 5, 21), rating, 0.2)[None].astype("float32")
    found = layers.RatingMean((1, 5), [2])(probabilities / probabilities.sum())
    assert float(found[0, 0]) == pytest.approx(rating, abs=0.01)
