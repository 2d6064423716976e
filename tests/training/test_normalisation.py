import numpy as np
import pytest

from helpers import training
from helpers.models import keras
from helpers.splits import Split
from helpers.training import normalisation

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(3, 2, (100, 4)).astype(np.float32)


def network(dropout=0.0):
    inputs = keras.Input((4,))
    inner = keras.Input((4,))
    within = keras.Model(inner, keras.layers.BatchNormalization(momentum=0.9)(inner))
    x = keras.layers.Dropout(dropout)(within(inputs))
    x = keras.layers.Dense(3)(x)
    return keras.Model(inputs, keras.layers.BatchNormalization()(x))


def refit(model, rows, batch_size=10):
    statistics = normalisation.BatchStatistics(model)
    statistics.refit(lambda rows: INPUTS[rows], rows, batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [10, 7, 1000])
def test_the_statistics_are_those_of_the_clips_inside_a_network_too(batch_size):
    model = network()
    refit(model, np.arange(100), batch_size)
    inside = model.layers[1].layers[-1]
    np.testing.assert_allclose(inside.moving_mean, INPUTS.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(inside.moving_variance, INPUTS.var(axis=0), rtol=1e-4)


def test_one_batch_predicts_as_it_was_trained():
    model = network()
    refit(model, np.arange(100), batch_size=100)
    np.testing.assert_allclose(model(INPUTS), model(INPUTS, training=True), atol=1e-5)


def test_nothing_else_changes_and_the_same_clips_give_the_same_bits():
    model = network(dropout=0.5)
    fixed = [np.array(weight) for weight in model.trainable_weights]
    momenta = [model.layers[1].layers[-1].momentum, model.layers[-1].momentum]
    refit(model, np.arange(50))
    first = [np.array(weight) for weight in model.get_weights()]
    refit(model, np.arange(50))
    assert all(np.array_equal(a, b) for a, b in zip(first, model.get_weights(), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(fixed, model.trainable_weights, strict=True))
    assert [model.layers[1].layers[-1].momentum, model.layers[-1].momentum] == momenta


def test_no_more_clips_are_used_than_needed(monkeypatch):
    monkeypatch.setattr(normalisation, "CLIPS", 20)
    model = network()
    refit(model, np.arange(100))
    inside = model.layers[1].layers[-1]
    np.testing.assert_allclose(inside.moving_mean, INPUTS[:20].mean(axis=0), rtol=1e-5)


def test_a_network_without_batch_normalisation_is_left_alone():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    before = model.get_weights()
    refit(model, np.arange(100))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_it_mends_averages_that_lag_and_does_not_disturb_the_training():
    features = INPUTS[:, :, None] + np.zeros((1, 1, 3), np.float32)
    ratings = INPUTS.sum(axis=1)
    inputs = keras.Input((4, 3))
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(inputs))
    x = keras.layers.BatchNormalization(momentum=0.99)(keras.layers.Dense(8)(x))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    rows, none = np.arange(100), np.array([], int)
    runs = [
        training.train(model, features, ratings, Split(rows[:90], check, rows[90:]),
                       epochs=10, learning_rate=5e-2, refit_statistics=refit)
        for refit, check in ((False, none), (True, none), (True, rows[90:]))
    ]  # fmt: skip
    lagging, mended, watched = runs
    assert mended.scores["train"] < lagging.scores["train"]
    trained = [[np.array(w) for w in run.model.trainable_weights] for run in runs]
    for weights in trained[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(trained[0], weights, strict=True))
    assert watched.scores["train"] == mended.scores["train"]
    training.refit(lagging)
    error = np.abs(training.predict(lagging, features, rows[:90]) - ratings[:90]).mean()
    assert error == pytest.approx(mended.scores["train"])
