import itertools

import numpy as np
import pytest

from helpers import models
from helpers.models import ConvMaxPool, keras


def test_the_network_of_the_original_study_has_its_number_of_parameters():
    assert models.parallel_cnn((128, 94)).count_params() == 1_882_401
    assert models.parallel_cnn_size((128, 94)).parameters == 1_882_401


def test_the_other_reading_of_the_pooling_is_counted_without_building_it():
    size = models.parallel_cnn_size((128, 94), pool="window")
    assert (size.parameters, size.features) == (570_362_401, 1_424_400)


def held(layer):
    """Values of a clip that a layer holds; ConvMaxPool holds those that it pools."""
    shape = layer.output.shape[1:]
    if isinstance(layer, ConvMaxPool):
        n_mels, frames = layer.input.shape[1:3]
        height, width = layer.kernel_size
        shape = (n_mels - height + 1, frames - width + 1, layer.filters)
    return np.prod(shape)


@pytest.mark.parametrize("pool", ["grid", "window"])
@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 1)])
@pytest.mark.parametrize(
    "options",
    [
        {"kernels": ((3, 4), (6, 9)), "units": (5, 4)},
        {"kernels": ((4, 4),), "units": (7,)},
        {"kernels": ((2, 2), (3, 3), (4, 5)), "units": (5, 4, 3)},
    ],
)
def test_the_size_is_that_of_the_network_that_is_built(pool, shape, options):
    model = models.parallel_cnn(shape, filters=2, pool=pool, **options)
    size = models.parallel_cnn_size(shape, filters=2, pool=pool, **options)
    assert size.parameters == model.count_params()
    assert size.features == model.get_layer("dense_1").input.shape[1]


@pytest.mark.parametrize("pool", ["grid", "window"])
def test_the_values_that_a_network_holds_are_estimated_within_a_few_percent(pool):
    options = {"filters": 40, "units": (20, 10), "pool": pool}
    model = models.parallel_cnn((128, 94), **options)
    values = models.parallel_cnn_size((128, 94), **options).values
    assert values == pytest.approx(sum(held(layer) for layer in model.layers), rel=0.03)


@pytest.mark.parametrize("build", [models.parallel_cnn, models.cnn_blstm])
@pytest.mark.parametrize("shape", [(128, 94), (128, 94, 1), (64, 63)])
def test_a_model_gives_one_number_a_clip(build, shape):
    options = {"kernels": ((6, 8), (9, 12)), "filters": 4} if build is models.parallel_cnn else {}
    model = build(shape, **options)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    found = keras.ops.convert_to_numpy(model(x))
    assert found.shape == (3, 1) and np.isfinite(found).all()
    assert model.get_layer("valence").activation is keras.activations.linear


def test_the_arguments_set_what_they_name():
    model = models.parallel_cnn(
        (128, 94), filters=3, kernels=((5, 7), (9, 11), (3, 3)), units=(20, 10, 5), dropout=0.3
    )
    convolutions = [layer for layer in model.layers if isinstance(layer, ConvMaxPool)]
    assert [layer.kernel_size for layer in convolutions] == [(5, 7), (9, 11), (3, 3)]
    assert {layer.filters for layer in convolutions} == {3}
    assert [model.get_layer(f"dense_{i}").units for i in (1, 2, 3)] == [20, 10, 5]
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.3, 0.3]  # between the dense layers only


def test_the_cnn_blstm_has_two_convolutions_and_two_bidirectional_lstms():
    kinds = [type(layer).__name__ for layer in models.cnn_blstm((128, 94)).layers]
    assert kinds.count("Conv2D") == 2 and kinds.count("Bidirectional") == 2


def test_a_pooling_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="pool is 'max': it is 'grid' or 'window'"):
        models.parallel_cnn((128, 94), pool="max")


@pytest.mark.parametrize("pool", ["grid", "window"])
def test_a_kernel_that_does_not_fit_is_named_with_how_to_fix_it(pool):
    with pytest.raises(
        models.KernelSizeError, match="24 x 32 is too large to .* input of 128 x 32: use longer"
    ):
        models.parallel_cnn((128, 32), pool=pool)


def test_the_recommended_network_joins_the_distributions_of_its_networks():
    model = models.recommended((66, 80), scale=(1, 5))
    x = np.random.default_rng(0).uniform(-2, 2, (3, 66, 80)).astype(np.float32)
    found = keras.ops.convert_to_numpy(model(x))
    assert found.shape == (3, 1 + models.RECOMMENDED_NETWORKS * 21)
    each = found[:, 1:].reshape(3, -1, 21)
    assert each.sum(axis=2) == pytest.approx(np.ones((3, models.RECOMMENDED_NETWORKS)), abs=1e-4)
    assert not np.allclose(each[:, 0], each[:, 1], atol=1e-3)  # their weights differ
    pooled = keras.ops.convert_to_numpy(models.RatingMedian((1, 5), 4)(found[:, 1:]))
    assert np.array_equal(pooled, found)


def test_each_of_three_views_depends_on_its_own_statistics():
    model = models.three_views((66, None))
    x = np.random.default_rng(0).uniform(-60, 0, (2, 66, 40)).astype(np.float32)
    rest = keras.Model(model.get_layer("statistics").output, model.output)
    statistics = model.get_layer("statistics")(x)
    before = keras.ops.convert_to_numpy(rest(statistics))[:, 1:].reshape(2, 3, 21)
    ends = (0, models.MELODY, models.MELODY + models.RHYTHM, statistics.shape[1])
    for view, (start, end) in enumerate(itertools.pairwise(ends)):
        changed = keras.ops.convert_to_numpy(statistics).copy()
        changed[:, start:end] += 3
        after = keras.ops.convert_to_numpy(rest(changed))[:, 1:].reshape(2, 3, 21)
        moved = np.abs(after - before).max(axis=(0, 2)) > 1e-6
        assert moved.tolist() == [number == view for number in range(3)]


@pytest.mark.parametrize(("pitch", "tracks"), [(True, 2), (False, 0)])
def test_whether_there_is_pitch_is_said_and_not_guessed_from_the_rows(pitch, tracks):
    model = models.recommended((66, 80), pitch=pitch)
    assert model.get_layer("statistics").tracks == tracks
    x = np.random.default_rng(0).uniform(-60, 0, (2, 66, 80)).astype(np.float32)
    assert np.isfinite(keras.ops.convert_to_numpy(model(x))).all()


def test_a_statistic_that_is_far_from_all_others_counts_as_six_deviations():
    model = models.statistics_network((3, 1))
    x = np.array([[[6.0], [0], [0]], [[1000], [0], [0]]], np.float32)
    near, far = keras.ops.convert_to_numpy(model(x))
    assert near == pytest.approx(far, abs=1e-4)
