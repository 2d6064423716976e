import numpy as np
import pytest

from helpers import models
from helpers.backend import keras
from helpers.layers import ConvMaxPool


def test_the_reports_network_has_the_reports_number_of_parameters():
    assert models.parallel_cnn((128, 94)).count_params() == 1_882_401


def test_the_other_reading_of_the_pooling_is_counted_without_its_weights():
    with models.without_weights():
        model = models.parallel_cnn((128, 94), pool="window")
    assert model.count_params() == 570_362_401
    assert model.get_layer("concatenate").output.shape == (None, 1_424_400)
    with keras.StatelessScope():
        pass
    assert all(weight._value is None for weight in model.weights)  # nothing was allocated


@pytest.mark.parametrize("build", [models.parallel_cnn, models.cnn_blstm])
@pytest.mark.parametrize("shape", [(128, 94), (128, 94, 1), (64, 63)])
def test_a_model_gives_one_number_a_clip(build, shape):
    kernels = {"kernels": ((6, 8), (9, 12))} if build is models.parallel_cnn else {}
    filters = {"filters": 4} if build is models.parallel_cnn else {"filters": (2, 3)}
    model = build(shape, **kernels, **filters)
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
    with pytest.raises(ValueError, match="use pool='grid'"):
        models.parallel_cnn((128, 94), pool="window", own_frames=True)


@pytest.mark.parametrize("pool", ["grid", "window"])
def test_in_bfloat16_weights_stay_in_float32_and_so_does_the_prediction(pool):
    size = {"filters": 24, "kernels": ((5, 7), (9, 11)), "units": (6, 4), "pool": pool}
    keras.utils.set_random_seed(0)
    model = models.parallel_cnn((32, 40), precision="bfloat16", **size)
    exact = models.parallel_cnn((32, 40), **size)
    exact.set_weights(model.get_weights())
    assert {weight.dtype for weight in model.weights} == {"float32"}
    x = np.random.default_rng(0).normal(size=(4, 32, 40)).astype(np.float32)
    found, expected = (keras.ops.convert_to_numpy(each(x)) for each in (model, exact))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_a_kernel_that_does_not_fit_is_named_with_the_mend():
    with pytest.raises(
        ValueError, match="24 x 32 is too large to .* input of 128 x 32: use longer"
    ):
        models.parallel_cnn((128, 32))


def test_the_recommended_network_answers_with_the_product_of_what_its_three_networks_say():
    model = models.recommended((66, 80), scale=(1, 5))
    x = np.random.default_rng(0).uniform(-2, 2, (3, 66, 80)).astype(np.float32)
    statistics, first, second = (
        keras.ops.convert_to_numpy(model.get_layer(name)(heard))
        for name, heard in [
            ("statistics", x),
            ("attention_1", x[:, :64]),
            ("attention_2", x[:, :64]),
        ]
    )
    assert not np.allclose(first, second, atol=1e-3)
    product = statistics * np.sqrt(first * second)
    product /= product.sum(axis=1, keepdims=True)
    found = keras.ops.convert_to_numpy(model(x))
    assert found[:, 0] == pytest.approx(product @ np.linspace(1, 5, 21), abs=1e-3)
    assert found[:, 1:] == pytest.approx(np.hstack([statistics, first, second]), abs=1e-5)
