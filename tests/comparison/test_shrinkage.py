"""Normalisation by a few clips of each speaker."""

import numpy as np
import pandas as pd
import pytest

from helpers import comparison, features
from helpers.comparison.shrinkage import Spread, normalise_by_few

RANDOM = np.random.default_rng(0)
SPEAKERS = np.repeat([f"s{number:02}" for number in range(40)], RANDOM.integers(4, 16, 40))
_, PLACE = np.unique(SPEAKERS, return_inverse=True)


def voices(between=1.0, degrees=20):
    """Six numbers about each clip, and the mean and the variance of each speaker's."""
    random = np.random.default_rng(0)
    means = 5 + random.normal(0, np.sqrt(between), (40, 6))
    variances = degrees / random.chisquare(degrees, means.shape)
    noise = random.normal(size=(len(PLACE), 6))
    return means[PLACE] + np.sqrt(variances)[PLACE] * noise, means, variances


def test_with_all_clips_and_no_shrinkage_it_is_normalisation_by_speaker():
    values, *_ = voices()
    values[:, 0] = 1e6  # a functional that nobody changes
    expected = features.normalise_by_speaker(values, pd.Series(SPEAKERS))
    found = normalise_by_few(values, SPEAKERS, 99)
    assert found == pytest.approx(expected, abs=1e-5) and (found[:, 0] == 0).all()
    assert found.dtype == np.float32


def test_with_one_clip_shrunk_is_a_linear_map_and_not_shrunk_is_nothing():
    values, *_ = voices()
    spread = Spread.of(values, SPEAKERS)
    found = normalise_by_few(values, SPEAKERS, 1, spread=spread)
    slope = (1 - 1 / (1 + spread.clips)) / np.sqrt(spread.variance)
    assert found == pytest.approx(slope * (values - spread.centre), abs=1e-5)
    assert (normalise_by_few(values, SPEAKERS, 1) == 0).all()


def test_speakers_who_do_not_differ_are_all_normalised_alike():
    values = np.tile([[1.0], [3.0]], (40, 1))
    twins = np.repeat(np.arange(40), 2)
    spread = Spread.of(values, twins)
    assert np.isinf(spread.clips).all() and np.isinf(spread.degrees).all()
    found = normalise_by_few(values, twins, 2, spread=spread)
    assert found == pytest.approx((values - 2) / np.sqrt(2))  # 1 and 3 have the variance 2


def test_the_spread_of_the_speakers_is_recovered():
    many = np.repeat(np.arange(4000), 12)
    means, chance = RANDOM.normal(3, 0.5, 4000), 10 / RANDOM.chisquare(10, 4000)
    values = means[many] + np.sqrt(chance)[many] * RANDOM.normal(size=len(many))
    spread = Spread.of(values[:, None], many)
    assert spread.centre == pytest.approx(3, abs=0.05)
    assert spread.variance == pytest.approx(10 / 8, rel=0.1)  # the mean of 10 over chi-squared
    assert spread.clips == pytest.approx(10 / 8 / 0.25, rel=0.1)
    assert spread.degrees == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("count", [2, 3])
def test_shrunk_means_and_variances_are_nearer_to_the_speakers_than_those_of_few_clips(count):
    values, means, variances = voices(between=0.3)
    spread = Spread.of(values, SPEAKERS)
    first = np.array([np.flatnonzero(place == PLACE)[:count] for place in range(40)])
    mean, variance = values[first].mean(axis=1), values[first].var(axis=1)
    pulled, steady = spread.shrunk(mean, variance, np.full((40, 1), count))
    assert np.abs(pulled - means).mean() < 0.9 * np.abs(mean - means).mean()
    unbiased = variance * count / (count - 1)
    assert np.abs(steady - variances).mean() < 0.7 * np.abs(unbiased - variances).mean()


def test_a_clip_is_normalised_by_itself_and_allowed_clips_of_its_speaker():
    values, names = np.array([[0.0], [2.0], [10.0], [70.0]]), np.array(["a", "a", "a", "b"])
    allowed = np.array([False, True, False, True])
    found = normalise_by_few(values, names, 3, allowed=allowed)[:, 0]
    assert found.tolist() == [-1, 0, 1, 0]  # 0 and 2; 2 alone; 2 and 10; 70 alone


def test_a_variance_is_pulled_by_its_degrees_of_freedom():
    spread = Spread(*np.array([[0.0], [6.0], [2.0], [3.0]]))
    mean, variance = spread.shrunk(np.array([[3.0]]), np.array([[2.0]]), np.array([[4]]))
    # Four clips against two; 8 / 3 with three degrees of freedom against 6 with three.
    assert mean == pytest.approx(2) and variance == pytest.approx((8 / 3 + 6) / 2)


def test_draws_depend_on_the_seed_alone():
    values, *_ = voices()
    one, same, other = (normalise_by_few(values, SPEAKERS, 3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.allclose(one, other)


def test_without_two_speakers_of_several_clips_nothing_is_known_of_how_speakers_differ():
    with pytest.raises(comparison.ComparisonError, match="3 training speakers, 1 have two clips"):
        Spread.of(np.arange(4.0)[:, None], np.array(["a", "a", "b", "c"]))
