from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import explanation
from helpers.backend import keras
from helpers.splits import Split
from helpers.training import Run


@pytest.fixture(scope="module")
def run():
    """A network that adds up the standardised levels of one region and nothing else."""
    weights = np.zeros((24, 32))
    weights[6:12, 8:16] = 0.01
    inputs = keras.Input((24, 32))
    outputs = keras.layers.Dense(1, name="valence")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    model.get_layer("valence").set_weights([weights.reshape(-1, 1), np.array([3.0])])
    settings = {"batch_size": 8, "mean": -10.0, "deviation": 5.0}
    rows = np.array([], dtype=int)
    levels, ratings, split = np.empty((0, 24, 32)), np.empty(0), Split(rows, rows, rows)
    return Run(model, pd.DataFrame(), {}, settings, 0.0, None, levels, ratings, split)


def test_only_what_the_network_reads_has_an_effect_with_its_sign(run):
    levels = np.full((24, 32), -5.0, np.float32)  # one deviation above the mean
    options = {"patch": (6, 8), "stride": (6, 8)}
    found = explanation.occlusion(run, levels, **options)
    expected = np.zeros((24, 32))
    expected[6:12, 8:16] = 0.01 * 6 * 8
    assert found == pytest.approx(expected, abs=1e-5)
    assert explanation.occlusion(run, levels - 10, **options) == pytest.approx(-expected, abs=1e-5)


def test_a_clip_at_the_mean_level_has_no_effect_anywhere_and_stays_as_it_is(run):
    levels = np.full((24, 32), -10.0, np.float32)
    assert explanation.occlusion(run, levels) == pytest.approx(0, abs=1e-6)
    assert (levels == -10).all()


def test_a_patch_is_covered_with_the_mean_of_each_band_where_bands_have_their_own(run):
    means = np.linspace(-20, 0, 24)[:, None]
    settings = {**run.settings, "mean": means.tolist(), "deviation": np.full((24, 1), 5.0).tolist()}
    run = replace(run, settings=settings)
    options = {"patch": (6, 8), "stride": (6, 8)}
    at_the_mean = np.repeat(means, 32, axis=1).astype(np.float32)
    assert explanation.occlusion(run, at_the_mean, **options) == pytest.approx(0, abs=1e-5)
    expected = np.zeros((24, 32))
    expected[6:12, 8:16] = 0.01 * 6 * 8
    found = explanation.occlusion(run, at_the_mean + 5, **options)
    assert found == pytest.approx(expected, abs=1e-5)


def test_every_place_is_covered_where_the_stride_does_not_divide_the_clip(run):
    found = explanation.occlusion(run, np.zeros((24, 32), np.float32), patch=(7, 9), stride=(5, 7))
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("patch", "stride", "message"),
    [((25, 4), (4, 4), "does not fit"), ((4, 4), (5, 4), "uncovered"), ((4, 4), (0, 4), "uncover")],
)
def test_patches_that_cannot_cover_a_clip_are_refused(run, patch, stride, message):
    with pytest.raises(ValueError, match=message):
        explanation.occlusion(run, np.zeros((24, 32), np.float32), patch=patch, stride=stride)
