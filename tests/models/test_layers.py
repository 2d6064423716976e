"""The layers of the improved networks against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.fft
import scipy.stats

from helpers import models
from helpers.models import keras

ops = keras.ops


def inferred(layer, clips):
    """The shape that a network has while it is built, when no clip is there yet."""
    return layer(keras.Input(clips.shape[1:])).shape


def speech_like(seed=0):
    """Two clips of 24 bands, with a pitch in some frames and a harmonicity in some more."""
    rng = np.random.default_rng(seed)
    clips = rng.uniform(-60, 0, size=(2, 26, 40)).astype("float32")
    clips[:, 24:] = clips.min(axis=(1, 2), keepdims=True)
    clips[:, 24, 10:30] = rng.normal(12, 3, size=(2, 20))
    clips[:, 25, 5:35] = rng.normal(5, 3, size=(2, 30))
    return clips


VOICED, UNVOICED, ACTIVE = np.arange(10, 30), [*range(5, 10), *range(30, 35)], np.arange(5, 35)


def of_track(track):
    """Functionals of a track [clips, frames]."""
    mean = track.mean(axis=1, keepdims=True)
    shares = (10, 20, 50, 80, 90)
    percentiles = np.percentile(track - mean, shares, axis=1, method="nearest").T
    time = np.arange(track.shape[1])
    slope = [[scipy.stats.linregress(time, each).slope] for each in track]
    change = np.percentile(np.diff(track), shares, axis=1, method="nearest").T
    return np.hstack([percentiles, track.std(axis=1, keepdims=True), slope, change])


def test_clip_statistics_are_those_of_numpy_and_scipy():
    clips = speech_like()
    layer = models.ClipStatistics(tracks=2, parts=0)
    found = ops.convert_to_numpy(layer(clips))
    assert found.shape[1:] == inferred(layer, clips)[1:]
    bands = clips[:, :24]
    cepstra = scipy.fft.dct(bands, axis=1, norm="ortho")
    low, high = (
        np.apply_along_axis(lambda y: scipy.stats.linregress(np.arange(len(y)), y).slope, 1, part)
        for part in (bands[:, :6], bands[:, 6:])
    )
    balance = bands[:, :12].mean(axis=1) - bands[:, 12:].mean(axis=1)
    slopes = np.stack([low, high, balance], axis=1)
    timbre = np.concatenate([slopes, clips[:, 24:], cepstra[:, 1:20]], axis=1)[:, :, VOICED]
    expected = [
        of_track(bands.max(axis=1)[:, ACTIVE]),
        of_track(clips[:, 24, VOICED]),
        timbre.mean(axis=2),
        timbre.std(axis=2),
        cepstra[:, 1:14][:, :, UNVOICED].mean(axis=2),
    ]
    assert found == pytest.approx(np.hstack(expected), abs=2e-3)


def test_rhythm_is_counted_from_the_first_active_frame_to_the_last():
    clip = speech_like()[:1]
    lowest = clip.min()
    clip[:, 24, 18:22] = lowest  # two stretches of voice, of 8 frames each
    layer = models.ClipStatistics(tracks=2, parts=0, rhythm=True)
    found = ops.convert_to_numpy(layer(clip))
    assert found.shape[1:] == inferred(layer, clip)[1:]
    change = np.abs(np.diff(clip[0, :24])).mean(axis=0)
    voiced = clip[0, 24] > lowest
    both, without = voiced[1:] & voiced[:-1], np.zeros(39, bool)
    without[4:34] = ~voiced[5:35]
    rise = np.diff(clip[0, 24])
    jump = 10 * np.percentile(np.abs(rise[both]), 50, method="nearest")
    steady = both & (np.abs(rise) <= jump)
    groups = [change[both], change[without], rise[steady & (rise > 0)], rise[steady & (rise < 0)]]
    expected = [2 / 30, 16 / 2, 14 / 2, *(f(each) for each in groups for f in (np.mean, np.std))]
    melody, rhythm = models.MELODY, models.RHYTHM
    assert found[0, melody : melody + rhythm] == pytest.approx(expected, abs=2e-3)
    plain = ops.convert_to_numpy(models.ClipStatistics(tracks=2, parts=0)(clip))
    assert np.array_equal(np.delete(found, np.s_[melody : melody + rhythm], axis=1), plain)


def test_without_pitch_all_frames_but_padding_count():
    clips = np.random.default_rng(0).uniform(-60, 0, size=(2, 24, 40)).astype("float32")
    clips[:, :, 30:] = -80
    found = ops.convert_to_numpy(models.ClipStatistics(parts=0)(clips))
    cepstra = scipy.fft.dct(clips, axis=1, norm="ortho")[:, :, :30]
    assert found[:, :12] == pytest.approx(of_track(clips.max(axis=1)[:, :30]), abs=2e-3)
    assert found[:, -13:] == pytest.approx(cepstra[:, 1:14].mean(axis=2), abs=1e-3)


def test_parts_of_a_phrase_are_told_from_its_first_loud_frame_to_its_last():
    rng = np.random.default_rng(0)
    clips = rng.uniform(-60, -50, size=(2, 26, 30)).astype("float32")
    clips[:, :24, 4:12] += 40  # two parts of four loud frames each
    clips[:, :24, 20:28] += 40  # two more after a pause, which counts in the first of them
    clips[:, 24:] = -80
    clips[:, 24:, 6:10] = rng.normal(12, 3, size=(2, 2, 4))
    layer = models.ClipStatistics(tracks=2, parts=4)
    found = ops.convert_to_numpy(layer(clips))
    assert found.shape[1:] == inferred(layer, clips)[1:]
    cepstra = scipy.fft.dct(clips[:, :24], axis=1, norm="ortho")[:, :7]
    parts = [slice(4, 8), slice(8, 12), slice(12, 24), slice(24, 28)]
    mean = cepstra.mean(axis=2)
    expected = [
        *(cepstra[:, :, part].mean(axis=2) - mean for part in parts),
        *(cepstra[:, :, part].std(axis=2) for part in parts),
    ]
    assert found[:, -64:-8] == pytest.approx(np.concatenate(expected, axis=1), abs=3e-3)
    tracks, mean = clips[:, 24:], clips[:, 24:, 6:10].mean(axis=2)
    voiced = [slice(6, 8), slice(8, 10)]
    expected = [tracks[:, :, part].mean(axis=2) - mean for part in voiced]
    expected += [np.zeros((2, 4))]  # no voice in the other two parts
    assert found[:, -8:] == pytest.approx(np.concatenate(expected, axis=1), abs=1e-3)


@pytest.mark.parametrize("tracks", [0, 2])
def test_a_clip_without_a_sound_has_statistics(tracks):
    layer = models.ClipStatistics(tracks=tracks)
    assert np.isfinite(ops.convert_to_numpy(layer(np.full((1, 26, 20), -80, "float32")))).all()


def test_a_jump_of_the_pitch_by_an_octave_moves_no_percentile_of_its_change():
    clips = speech_like()
    clips[:, 24, 10:30] = np.linspace(10, 12, 20)
    found = []
    for jump in (0, 12):
        clips[:, 24, 20:22] += jump
        found.append(
            ops.convert_to_numpy(models.ClipStatistics(tracks=2, parts=0)(clips))[:, 19:24]
        )
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def without_pitch(shape):
    return models.recommended(shape, pitch=False)


@pytest.mark.parametrize("build", [without_pitch, models.attention_cnn])
@pytest.mark.parametrize("more", [1, 2, 7])
def test_padding_a_clip_further_does_not_change_what_is_predicted(build, more):
    clip = np.random.default_rng(0).uniform(-60, 0, (2, 24, 40)).astype("float32")
    clip[:, :, -3:] = -80
    padded = np.pad(clip, ((0, 0), (0, 0), (0, more)), constant_values=-80)
    model, larger = build((24, 40)), build((24, 40 + more))
    larger.set_weights(model.get_weights())
    found, expected = (ops.convert_to_numpy(f(x)) for f, x in ((larger, padded), (model, clip)))
    assert found == pytest.approx(expected, abs=1e-5)


def median(probabilities):
    """Of a distribution over 21 ratings from 1 to 5, each a bar as wide as a step."""
    edges = np.linspace(0.9, 5.1, 22)
    below = np.concatenate([[0], np.cumsum(probabilities)])
    return np.interp(0.5, below, edges)


def test_a_distribution_answers_with_its_median():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(21), size=50).astype("float32")
    found = ops.convert_to_numpy(models.RatingMedian((1, 5))(probabilities))
    assert found[:, 0] == pytest.approx([median(each) for each in probabilities], abs=1e-3)
    assert np.array_equal(found[:, 1:], probabilities)


def test_several_distributions_answer_with_the_mean_of_their_medians():
    each = np.random.default_rng(0).dirichlet(np.ones(21), size=(5, 3)).astype("float32")
    layer = models.RatingMedian((1, 5), 3)
    found = ops.convert_to_numpy(layer(each.reshape(5, 63)))
    expected = [np.mean([median(one) for one in clip]) for clip in each]
    assert found[:, 0] == pytest.approx(expected, abs=1e-3)
    assert np.array_equal(found[:, 1:], each.reshape(5, 63))
    again = models.RatingMedian.from_config(layer.get_config())
    assert np.array_equal(ops.convert_to_numpy(again(each.reshape(5, 63))), found)


def test_an_answer_can_be_stretched_away_from_the_middle_but_not_off_the_scale():
    each = scipy.stats.norm.pdf(np.linspace(1, 5, 21), [[2.7], [4.4]], 0.2).astype("float32")
    each /= each.sum(axis=1, keepdims=True)
    found = ops.convert_to_numpy(models.RatingMedian((1, 5), stretch=2)(each))
    assert found[:, 0] == pytest.approx([2.4, 5], abs=0.01)


def test_quantiles_are_the_mean_of_those_of_each_distribution():
    each = np.random.default_rng(1).dirichlet(np.ones(21), size=(5, 3)).astype("float32")
    layer = models.RatingMedian((1, 5), 3)
    outputs = ops.convert_to_numpy(layer(each.reshape(5, 63)))
    found = layer.quantiles(outputs, (0.05, 0.5, 0.95))
    assert found[:, 1] == pytest.approx(outputs[:, 0], abs=1e-3)
    drawn, ends = np.random.default_rng(2), []
    for own in each.reshape(15, 21).astype(float):
        ratings = drawn.choice(np.linspace(1, 5, 21), 40_000, p=own / own.sum())
        ratings = np.clip(ratings + drawn.uniform(-0.1, 0.1, len(ratings)), 1, 5)
        ends.append(np.quantile(ratings, (0.05, 0.95)))
    expected = np.reshape(ends, (5, 3, 2)).mean(axis=1)
    assert found[:, [0, 2]] == pytest.approx(expected, abs=0.02)
    wide = models.RatingMedian((1, 5), 3, stretch=1.2).quantiles(outputs, (0.05, 0.5, 0.95))
    assert np.array_equal(wide, found)  # only the answer is stretched


def test_only_a_network_with_a_distribution_has_quantiles_that_differ():
    shape, clips = (24, 40), np.random.default_rng(0).uniform(-60, 0, (3, 24, 40))
    certain = models.parallel_cnn(shape, filters=2, kernels=((3, 3),), units=(4, 3))
    outputs = certain.predict_on_batch(clips)
    assert np.array_equal(models.quantiles(certain, outputs), outputs[:, [0, 0]])
    network = without_pitch(shape)
    outputs = network.predict_on_batch(clips)
    low, high = models.quantiles(network, outputs).T
    assert (low < outputs[:, 0]).all() and (outputs[:, 0] < high).all()


@pytest.mark.parametrize("rating", [1.7, 3, 4.2])
def test_the_median_of_a_distribution_around_a_rating_is_the_rating(rating):
    probabilities = scipy.stats.norm.pdf(np.linspace(1, 5, 21), rating, 0.2)[None].astype("float32")
    found = models.RatingMedian((1, 5))(probabilities / probabilities.sum())
    assert float(found[0, 0]) == pytest.approx(rating, abs=0.01)


@pytest.mark.parametrize(("place", "rating"), [(0, 1), (20, 5)])
def test_an_answer_is_on_the_scale(place, rating):
    sure = np.eye(21, dtype="float32")[place : place + 1]
    assert float(models.RatingMedian((1, 5))(sure)[0, 0]) == pytest.approx(rating, abs=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        models.ConvMaxPool(3, (4, 5), grid=(1, 2), name="a"),
        models.ClipStatistics(tracks=2, parts=4, name="a"),
        models.ClipStatistics(tracks=2, parts=0, rhythm=True, name="a"),
        models.RatingMedian((1, 5), 2, stretch=1.5, name="a"),
    ],
)
def test_a_layer_is_built_again_from_its_own_configuration(layer):
    saved = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(saved)
    assert type(again) is type(layer) and again.name == "a"
    assert keras.saving.serialize_keras_object(again) == saved
