"""The layers of the improved networks against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import scipy.stats

from helpers import models
from helpers.models import keras

ops = keras.ops


def inferred(layer, clips):
    """The shape that a network has while it is built, when no clip is there yet."""
    return layer(keras.Input(clips.shape[1:])).shape


def test_clip_statistics_are_those_of_numpy_and_scipy():
    clips = np.random.default_rng(0).normal(size=(3, 12, 20)).astype("float32")
    found = ops.convert_to_numpy(models.ClipStatistics(coefficients=5, groups=0, parts=0)(clips))
    cepstra = scipy.fft.dct(clips, axis=1, norm="ortho")[:, :5]
    both = np.concatenate([clips, cepstra], axis=1)
    expected = [both.mean(2), both.std(2), np.abs(np.diff(both, axis=2)).mean(2)]
    assert found == pytest.approx(np.concatenate(expected, axis=1), abs=1e-4)


def modulation(clips, **options):
    """Of each group and octave [clips, groups, octaves]; the slowest octave first."""
    layer = models.ClipStatistics(coefficients=0, parts=0, **options)
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
    layer = models.ClipStatistics(groups=16, parts=0)
    assert layer(clips).shape == (2, 3 * 33 + 3 * 5)
    assert inferred(layer, clips) == (None, 3 * 33 + 3 * 5)


def test_parts_of_a_phrase_are_told_from_its_first_loud_frame_to_its_last():
    rng = np.random.default_rng(0)
    clips = rng.uniform(-60, -50, size=(2, 14, 30)).astype("float32")
    clips[:, :12, 4:12] += 40  # two parts of four loud frames each
    clips[:, :12, 20:28] += 40  # two more after a pause, which counts in the first of them
    clips[:, 12:] = -80
    clips[:, 12:, 6:10] = rng.normal(12, 3, size=(2, 2, 4))
    layer = models.ClipStatistics(coefficients=5, tracks=2, groups=0, parts=4)
    found = ops.convert_to_numpy(layer(clips))
    assert found.shape[1:] == inferred(layer, clips)[1:]
    cepstra = scipy.fft.dct(clips[:, :12], axis=1, norm="ortho")[:, :5]
    parts = [slice(4, 8), slice(8, 12), slice(12, 24), slice(24, 28)]
    expected = [f(cepstra[:, :, part], axis=2) for f in (np.mean, np.std) for part in parts]
    of_bands = found[:, 3 * 17 : 3 * 17 + 40]
    assert of_bands == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)
    tracks, voiced = clips[:, 12:], [slice(6, 8), slice(8, 10), slice(6, 10), slice(6, 10)]
    expected = [tracks[:, :, part].mean(axis=2) for part in voiced]  # of the clip, if of no part
    assert found[:, -8:] == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)


def test_a_clip_without_loud_frames_has_statistics():
    layer = models.ClipStatistics(coefficients=5, parts=3)
    assert np.isfinite(ops.convert_to_numpy(layer(np.full((1, 12, 20), -80, "float32")))).all()


def sweep():
    """Bands that rise by 1 in each of 50 frames, then padding."""
    clip = np.tile(np.arange(60, dtype="float32"), (4, 3, 1))
    clip[:, :, 50:] = -80
    return clip


def test_a_random_speed_is_another_for_each_clip_and_only_in_training():
    layer = models.RandomSpeed(0.2)
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
        found.append(ops.convert_to_numpy(models.RandomSpeed(0.2)(sweep(), training=True)))
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


def test_pitch_counts_only_where_there_is_a_voice():
    clips = np.random.default_rng(0).uniform(-60, 0, size=(2, 14, 20)).astype("float32")
    voiced = np.arange(5, 15)
    clips[:, 12:] = clips.min(axis=(1, 2), keepdims=True)
    clips[:, 12:, voiced] = np.random.default_rng(1).normal(12, 3, size=(2, 2, 10))
    clips[:, 13, :5] = -6  # where it sounds without a voice it has harmonicity and no pitch
    layer = models.ClipStatistics(5, tracks=2, parts=0)
    found = ops.convert_to_numpy(layer(clips))
    assert found.shape[1:] == inferred(layer, clips)[1:]
    assert found.shape == (2, 3 * (12 + 5 + 2) + 12 * 5 + 1)
    bands = ops.convert_to_numpy(models.ClipStatistics(5, parts=0)(clips[:, :12]))
    assert found[:, :-7] == pytest.approx(bands, abs=1e-4)
    tracks = clips[:, 12:, voiced]
    expected = [tracks.mean(2), tracks.std(2), np.abs(np.diff(tracks, axis=2)).mean(2)]
    assert found[:, -7:-1] == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)
    assert found[:, -1] == pytest.approx(10 / 15)


def without_pitch(shape):
    return models.recommended(shape, pitch=False)


@pytest.mark.parametrize("build", [without_pitch, models.attention_cnn])
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
    found = ops.convert_to_numpy(models.RatingMean((1, 5), [1])(probabilities))
    assert found[:, 0] == pytest.approx(probabilities @ np.linspace(1, 5, 21), abs=1e-4)
    assert np.array_equal(found[:, 1:], probabilities)
    sharper = ops.convert_to_numpy(models.RatingMean((1, 5), [2])(probabilities))
    squares = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)
    assert sharper[:, 0] == pytest.approx(squares @ np.linspace(1, 5, 21), abs=1e-4)


def test_several_distributions_answer_with_the_mean_of_their_product():
    each = np.random.default_rng(0).dirichlet(np.ones(7), size=(5, 3)).astype("float32")
    layer = models.RatingMean((1, 5), [1, 0.5, 0.5])
    found = ops.convert_to_numpy(layer(each.reshape(5, 21)))
    product = each[:, 0] * np.sqrt(each[:, 1] * each[:, 2])
    product /= product.sum(axis=1, keepdims=True)
    assert found[:, 0] == pytest.approx(product @ np.linspace(1, 5, 7), abs=1e-4)
    assert np.array_equal(found[:, 1:], each.reshape(5, 21))
    again = models.RatingMean.from_config(layer.get_config())
    assert np.array_equal(ops.convert_to_numpy(again(each.reshape(5, 21))), found)


@pytest.mark.parametrize("rating", [1.7, 3, 4.2])
def test_the_mean_of_a_distribution_around_a_rating_is_the_rating(rating):
    probabilities = scipy.stats.norm.pdf(np.linspace(1, 5, 21), rating, 0.2)[None].astype("float32")
    found = models.RatingMean((1, 5), [2])(probabilities / probabilities.sum())
    assert float(found[0, 0]) == pytest.approx(rating, abs=0.01)


@pytest.mark.parametrize(
    "layer",
    [
        models.ConvMaxPool(3, (4, 5), grid=(1, 2), name="a"),
        models.ClipStatistics(5, tracks=2, parts=3, name="a"),
        models.RandomSpeed(0.1, name="a"),
        models.RatingMean((1, 5), [1, 0.5], name="a"),
    ],
)
def test_a_layer_is_built_again_from_its_own_configuration(layer):
    saved = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(saved)
    assert type(again) is type(layer) and again.name == "a"
    assert keras.saving.serialize_keras_object(again) == saved
