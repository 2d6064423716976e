import functools
import hashlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from helpers import models, training
from helpers.models import keras
from helpers.splits import Split
from helpers.storage import PROJECT
from helpers.training import batches

RANDOM = np.random.default_rng(0)
RATINGS = RANDOM.uniform(1, 5, 48).astype(np.float32)
#: Louder in the upper half of the bands where the rating is higher: easy to learn.
FEATURES = RANDOM.normal(-20, 10, (48, 16, 12)).astype(np.float32)
FEATURES[:, 8:] += 10 * RATINGS[:, None, None]
SPLIT = Split(np.arange(0, 30), np.arange(30, 40), np.arange(40, 48))


def small():
    return models.parallel_cnn((16, 12), filters=4, kernels=((3, 3), (5, 4)), units=(8, 4))


def linear():
    inputs = keras.Input((16, 12))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))


def run(**options):
    # Batches of one size, since TensorFlow traces a network for a second size anew, for a second.
    defaults = {"epochs": 2, "batch_size": 10}
    return training.train(small(), FEATURES, RATINGS, SPLIT, **{**defaults, **options})


@functools.cache
def plain(seed=0):
    """The run without further options, for tests that leave it as it is."""
    return run(seed=seed)


def digest(run):
    weights = b"".join(np.asarray(weight).tobytes() for weight in run.model.get_weights())
    return hashlib.sha256(weights).hexdigest()


def test_the_same_seed_gives_the_same_bits_here_and_in_a_fresh_process():
    first, second = plain(7), run(seed=7)
    assert digest(first) == digest(second)
    assert first.history.equals(second.history)
    code = "from tests.training.test_run import *; print(digest(run(seed=7)))"
    fresh = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert fresh.stdout.strip() == digest(first)


def test_another_seed_gives_another_network():
    assert digest(plain(7)) != digest(plain(8))


def test_a_training_begins_where_another_ended():
    first = plain(7)
    mean, deviation = (first.settings[name] for name in ("mean", "deviation"))
    start = training.Start(first.model.get_weights(), mean, deviation)
    louder = training.train(
        small(), FEATURES + 5, RATINGS, SPLIT, start=start, epochs=1, learning_rate=1e-9
    )
    assert (louder.settings["mean"], louder.settings["deviation"]) == (mean, deviation)
    for mine, theirs in zip(
        louder.model.trainable_weights, first.model.trainable_weights, strict=True
    ):
        assert np.asarray(mine) == pytest.approx(np.asarray(theirs), abs=1e-6)


def test_the_model_that_was_passed_is_left_alone():
    model = small()
    before = [np.array(weight) for weight in model.get_weights()]
    trained = training.train(model, FEATURES, RATINGS, SPLIT, epochs=1)
    assert trained.model is not model
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_test_part_is_not_looked_at():
    spoilt, ratings = FEATURES.copy(), RATINGS.copy()
    spoilt[SPLIT.test], ratings[SPLIT.test] = np.nan, np.nan
    trained = training.train(small(), spoilt, ratings, SPLIT, epochs=2, batch_size=10)
    assert digest(trained) == digest(plain())


def test_features_are_standardised_with_the_training_part_alone():
    settings = plain().settings
    assert settings["mean"] == pytest.approx(FEATURES[:30].mean(dtype=float))
    assert settings["deviation"] == pytest.approx(FEATURES[:30].std(dtype=float))


def test_what_can_be_learnt_is_learnt():
    trained = run(epochs=60, learning_rate=1e-2)
    error = np.abs(training.predict(trained, FEATURES, SPLIT.test) - RATINGS[SPLIT.test]).mean()
    median = np.abs(np.median(RATINGS[SPLIT.train]) - RATINGS[SPLIT.test]).mean()
    assert error < 0.6 * median


def test_a_run_tells_its_history_scores_and_settings():
    trained = run(batch_size=8)
    assert trained.history["epoch"].tolist() == [1, 2]
    predicted = training.predict(trained, FEATURES, SPLIT.validation)
    mae = np.abs(predicted - RATINGS[SPLIT.validation]).mean()
    assert trained.scores["validation"] == pytest.approx(mae)
    assert trained.history["validation_mae"].iloc[-1] == pytest.approx(mae)
    assert trained.settings["batch_size"] == 8 and trained.settings["parameters"] > 0
    assert trained.seconds > 0


def test_the_training_error_of_an_epoch_is_the_mean_over_its_clips():
    # With a learning rate of 0 the weights stay, so every batch is judged by the same network.
    trained = training.train(
        linear(), FEATURES, RATINGS, SPLIT, epochs=2, batch_size=7, learning_rate=0.0
    )
    np.testing.assert_allclose(trained.history["train_mae"], trained.scores["train"], rtol=1e-5)


@pytest.mark.parametrize("loss", ["mae+ccc", "distribution"])
def test_a_loss_that_is_no_mean_absolute_error_is_not_called_one(loss):
    network = linear() if loss == "mae+ccc" else models.clip_statistics((16, 12), scale=(1, 5))
    trained = training.train(network, FEATURES, RATINGS, SPLIT, epochs=1, loss=loss)
    assert list(trained.history) == ["epoch", "train_loss", "validation_mae"]


def test_without_a_validation_part_there_is_no_validation_error():
    everything = Split(np.arange(40), np.array([], int), SPLIT.test)
    trained = training.train(small(), FEATURES, RATINGS, everything, epochs=1)
    assert list(trained.scores) == ["train"] and "validation_mae" not in trained.history
    assert trained.validation is None


def test_the_predictions_after_each_epoch_are_kept_and_end_with_the_final_weights():
    trained = run(epochs=3)
    assert trained.validation.shape == (3, 10) and trained.validation.dtype == np.float32
    errors = np.abs(trained.validation - RATINGS[SPLIT.validation]).mean(axis=1)
    np.testing.assert_array_equal(errors, trained.history["validation_mae"])
    last = training.predict(trained, FEATURES, SPLIT.validation)
    np.testing.assert_array_equal(trained.validation[-1], last)


def test_a_linear_unit_predicts_the_median_of_the_training_ratings_before_the_first_step():
    ratings = RATINGS + np.where(np.arange(48) < 30, 0, 10).astype(np.float32)
    started = [
        training.train(
            linear(), FEATURES, ratings, SPLIT, epochs=1, learning_rate=0.0, start_at_median=start
        )
        for start in (True, False)
    ]
    median, keras_start = (training.predict(each, FEATURES, np.arange(48)) for each in started)
    np.testing.assert_array_equal(median, np.median(ratings[:30]))
    assert np.std(keras_start) > 0 and started[1].model.layers[-1].bias.numpy() == 0


def test_a_unit_that_counts_in_quarters_of_the_scale_begins_at_the_median_too():
    network = models.clip_statistics((16, 12), output="rating", scale=(0, 100))
    trained = training.train(network, FEATURES, RATINGS, SPLIT, epochs=1, learning_rate=0.0)
    predicted = training.predict(trained, FEATURES, np.arange(48))
    np.testing.assert_allclose(predicted, np.median(RATINGS[:30]), rtol=1e-5)


@pytest.mark.parametrize("scale", [(0, 100), (-1, 1)])
def test_other_units_of_the_rating_scale_give_the_same_predictions(scale):
    low, high = scale
    ratings = low + (high - low) * (RATINGS - 1) / 4
    shape = {"filters": 4, "kernels": ((3, 3), (5, 4)), "units": (8, 4)}
    other = training.train(
        models.parallel_cnn((16, 12), scale=scale, **shape),
        FEATURES,
        ratings,
        SPLIT,
        batch_size=10,
        epochs=2,
    )
    found = 1 + 4 * (training.predict(other, FEATURES, np.arange(48)) - low) / (high - low)
    expected = training.predict(plain(), FEATURES, np.arange(48))
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_a_longer_training_begins_with_the_shorter_one_to_the_bit():
    short, long = plain(), run(epochs=4)
    assert long.history[:2].equals(short.history)
    np.testing.assert_array_equal(long.validation[:2], short.validation)


def test_weight_decay_takes_its_share_of_each_weight_in_a_step():
    # One step: Adam's own part is the same with and without, so that only the decay is left.
    one = {"epochs": 1, "batch_size": 30, "seed": 3}
    initial, plain, decayed = (
        run(**one, learning_rate=rate, weight_decay=decay)
        .model.get_layer("dense_1")
        .get_weights()[0]
        for rate, decay in ((0.0, 0.0), (0.01, 0.0), (0.01, 5.0))
    )
    np.testing.assert_allclose(plain - decayed, 0.01 * 5.0 * initial, atol=1e-6)


def test_a_caller_sees_each_epoch_and_can_end_the_training():
    seen = []

    def second_is_enough(epoch, losses):
        seen.append({"epoch": epoch, **losses})
        if epoch == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        run(epochs=5, on_epoch=second_is_enough)
    pd.testing.assert_frame_equal(pd.DataFrame(seen), plain().history)


def test_predictions_do_not_depend_on_the_clips_beside_them():
    trained = plain()
    together = training.predict(trained, FEATURES, np.arange(48))
    alone = [training.predict(trained, FEATURES, np.array([i]))[0] for i in range(48)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_memory_mapped_features_are_as_good_as_an_array(tmp_path):
    np.save(tmp_path / "x.npy", FEATURES)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    trained = training.train(small(), mapped, RATINGS, SPLIT, epochs=2, batch_size=10)
    assert digest(trained) == digest(plain())


def test_a_loss_that_is_no_number_stops_the_run_with_a_sentence():
    with pytest.raises(FloatingPointError, match=r"no longer a number in epoch \d+: lower the"):
        run(learning_rate=1e30, epochs=5)


@pytest.mark.parametrize(
    ("ratings", "split", "sentence"),
    [
        (RATINGS[:-1], SPLIT, r"one of the ratings for each of 48 clips: their shape is \(47,\)"),
        (RATINGS[:, None], SPLIT, r"their shape is \(48, 1\)"),
        (np.where(RATINGS > 0, np.nan, RATINGS), SPLIT, "Ratings must be numbers"),
        (RATINGS, SPLIT._replace(train=np.array([], int)), "training part of the split is empty"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(ratings, split, sentence):
    with pytest.raises(ValueError, match=sentence):
        training.train(small(), FEATURES, ratings, split)


def test_weights_must_be_one_for_each_clip():
    with pytest.raises(ValueError, match="one of the weights for each of 48 clips"):
        run(sample_weight=np.ones(30))


def test_constant_features_cannot_be_standardised():
    with pytest.raises(ValueError, match="constant"):
        training.train(small(), np.zeros_like(FEATURES), RATINGS, SPLIT)


EXTRAS = {
    "loss": "mae+ccc",
    "sample_weight": training.rarity(RATINGS, SPLIT.train),
    "schedule": "cosine",
    "per_band": True,
    "transform": functools.partial(
        training.augment, amounts=training.Augmentation(masks=1, noise=0.5), fill=-20
    ),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_each_improvement_follows_the_seed_and_changes_the_network(name):
    changed, again = run(**{name: EXTRAS[name]}), run(**{name: EXTRAS[name]})
    assert digest(changed) == digest(again) != digest(plain())
    assert changed.settings[name]


def test_a_weight_multiplies_the_error_of_its_clip():
    weights = np.random.default_rng(1).uniform(0, 2, 48)
    # With a learning rate of 0, all batches are judged by the same network.
    options = {"epochs": 1, "learning_rate": 0.0, "sample_weight": weights}
    trained = training.train(linear(), FEATURES, RATINGS, SPLIT, **options)
    errors = np.abs(training.predict(trained, FEATURES, SPLIT.train) - RATINGS[SPLIT.train])
    expected = np.average(weights[SPLIT.train] * errors)
    assert trained.history["train_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_a_transform_changes_decibels_and_ratings_of_training_batches_only():
    given, numbers = [], []

    def louder(clips, ratings, *, rng):
        given.extend(zip(clips, ratings, strict=True))
        numbers.append(rng.random())
        return clips + 10, ratings + 1

    options = {"epochs": 1, "learning_rate": 0.0, "seed": 5}
    trained = training.train(linear(), FEATURES, RATINGS, SPLIT, **options, transform=louder)
    assert numbers == np.random.default_rng([5, 1]).random(2).tolist()
    rows = [RATINGS.tolist().index(rating) for _, rating in given]
    assert sorted(rows) == list(range(30))
    assert all(
        np.array_equal(clip, FEATURES[row]) for row, (clip, _) in zip(rows, given, strict=True)
    )
    alike = training.train(linear(), FEATURES, RATINGS, SPLIT, **options)
    assert trained.history["validation_mae"].equals(alike.history["validation_mae"])
    predicted = training.predict(alike, FEATURES + 10, SPLIT.train)
    expected = np.abs(predicted - RATINGS[SPLIT.train] - 1).mean()
    assert trained.history["train_mae"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrong", [{"loss": "mape"}, {"schedule": "sudden"}])
def test_a_recipe_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match="is '(mape|sudden)'"):
        run(**wrong)


def test_the_recommended_recipe_learns_the_easy_task():
    model = models.recommended((32, 24), pitch=False)
    recipe = {**models.RECOMMENDED_TRAINING, "batch_size": 8, "epochs": 20}
    found = training.train(model, np.tile(FEATURES, (1, 2, 2)), RATINGS, SPLIT, **recipe)
    guess = np.abs(RATINGS[SPLIT.validation] - np.median(RATINGS[SPLIT.train])).mean()
    assert found.scores["validation"] < 0.8 * guess


def test_statistics_of_bands_are_numpys():
    mean, deviation = training.band_statistics(FEATURES, SPLIT.train)
    bands = FEATURES[SPLIT.train].transpose(1, 0, 2).reshape(16, -1)
    assert np.array(mean)[:, 0] == pytest.approx(bands.mean(axis=1), abs=1e-4)
    assert np.array(deviation)[:, 0] == pytest.approx(bands.std(axis=1), abs=1e-4)


def padded(features, lengths):
    """The same clips with padding from these frames on."""
    features = features.copy()
    for clip, length in zip(features, lengths, strict=True):
        clip[:, length:] = clip.min() - 1
    return features


def test_batches_by_length_hold_every_clip_and_little_padding():
    lengths = RANDOM.integers(10, 120, 48)
    features = padded(RANDOM.normal(-20, 10, (48, 20, 120)).astype(np.float32), lengths)
    seen = []

    def remember(clips, ratings, *, rng):
        seen.append((clips, ratings))
        return clips, ratings

    network = models.clip_statistics((20, None))
    training.train(
        network,
        features,
        RATINGS,
        SPLIT,
        bucket_by_length=True,
        epochs=2,
        batch_size=4,
        loss="distribution",
        transform=remember,
    )
    epochs = seen[:8], seen[8:]
    for epoch in epochs:
        ratings = np.concatenate([part for _, part in epoch])
        assert sorted(ratings) == sorted(RATINGS[:30])
        for clips, part in epoch:
            longest = lengths[[RATINGS.tolist().index(each) for each in part]].max()
            assert longest <= clips.shape[2] < longest + batches.FRAMES
        assert sum(clips.shape[2] * len(clips) for clips, _ in epoch) < 0.8 * 30 * 120
    assert [part.tolist() for _, part in epochs[0]] != [part.tolist() for _, part in epochs[1]]


def test_batches_by_length_follow_the_seed():
    features = padded(np.tile(FEATURES, (1, 2, 4)), RANDOM.integers(10, 49, 48))
    options = {"epochs": 2, "batch_size": 4, "bucket_by_length": True}
    first, second = (
        training.train(
            models.clip_statistics((32, None), output="rating"),
            features,
            RATINGS,
            SPLIT,
            **options,
        )
        for _ in range(2)
    )
    assert digest(first) == digest(second)


def test_statistics_of_batches_by_length_are_those_of_clips_without_their_padding():
    network, options = models.attention_cnn((20, None)), {"loss": "distribution", "epochs": 1}
    features = padded(RANDOM.normal(-20, 10, (48, 20, 96)).astype(np.float32), np.full(48, 64))
    start = training.Start(network.get_weights(), -20.0, 10.0)
    options |= {"start": start, "learning_rate": 0.0, "batch_size": 10, "bucket_by_length": True}
    long, cut = (
        training.train(network, each, RATINGS, SPLIT, **options)
        for each in (features, features[:, :, :64])
    )
    assert digest(long) == digest(cut)


def test_batches_by_length_need_a_network_that_takes_any_length():
    with pytest.raises(ValueError, match=r"clips of 12 frames only: build it for \(16, None\)"):
        run(bucket_by_length=True)
