from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import evaluation
from helpers.models import keras
from helpers.splits import Split
from helpers.training import Run


def run_on(bands, frames):
    """A network that adds up the standardised levels of one region and nothing else."""
    weights = np.zeros((bands, frames))
    weights[6:12, 8:16] = 0.01
    inputs = keras.Input((bands, frames))
    outputs = keras.layers.Dense(1, name="valence")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    model.get_layer("valence").set_weights([weights.reshape(-1, 1), np.array([3.0])])
    settings = {"batch_size": 8, "mean": -10.0, "deviation": 5.0}
    rows = np.array([], dtype=int)
    levels, ratings, split = np.empty((0, bands, frames)), np.empty(0), Split(rows, rows, rows)
    return Run(model, pd.DataFrame(), {}, settings, 0.0, None, levels, ratings, split)


@pytest.fixture(scope="module")
def run():
    return run_on(24, 32)


#: Effect where the region is one deviation above the mean. Patches begin at bands 0, 6 and 12 and
#: at frames 0, 8 and 16; those at band 12 and at frame 16 do not reach the region.
EXPECTED = (
    0.01
    * 6
    * 8
    * np.outer(
        np.repeat([1, 1, 1 / 2, 0], 6),
        np.repeat([1, 1, 1 / 2, 0], 8),
    )
)


def test_only_what_the_network_reads_has_an_effect_with_its_sign(run):
    levels = np.full((24, 32), -5.0, np.float32)
    found = evaluation.occlusion(run, levels)
    assert found == pytest.approx(EXPECTED, abs=1e-5)
    assert evaluation.occlusion(run, levels - 10) == pytest.approx(-EXPECTED, abs=1e-5)


def test_a_clip_at_the_mean_level_has_no_effect_anywhere_and_stays_as_it_is(run):
    levels = np.full((24, 32), -10.0, np.float32)
    assert evaluation.occlusion(run, levels) == pytest.approx(0, abs=1e-6)
    assert (levels == -10).all()


def test_a_patch_is_covered_with_the_mean_of_each_band_where_bands_have_their_own(run):
    means = np.linspace(-20, 0, 24)[:, None]
    settings = {**run.settings, "mean": means.tolist(), "deviation": np.full((24, 1), 5.0).tolist()}
    run = replace(run, settings=settings)
    at_the_mean = np.repeat(means, 32, axis=1).astype(np.float32)
    assert evaluation.occlusion(run, at_the_mean) == pytest.approx(0, abs=1e-5)
    assert evaluation.occlusion(run, at_the_mean + 5) == pytest.approx(EXPECTED, abs=1e-5)


def test_every_place_is_covered_where_the_stride_does_not_divide_the_clip():
    found = evaluation.occlusion(run_on(25, 35), np.zeros((25, 35), np.float32))
    assert np.isfinite(found).all()


def test_a_clip_smaller_than_a_patch_is_covered_as_a_whole():
    found = evaluation.occlusion(run_on(12, 16), np.full((12, 16), -5.0, np.float32))
    assert found == pytest.approx(0.01 * 6 * 8)
    small = run_on(12, 10)  # of the region, only two frames are left
    found = evaluation.occlusion(small, np.full((12, 10), -5.0, np.float32))
    assert found == pytest.approx(0.01 * 6 * 2)
