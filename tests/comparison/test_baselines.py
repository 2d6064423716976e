import numpy as np

from helpers import comparison


def test_the_median_looks_at_the_training_part_alone():
    ratings = np.array([1.0, 2.0, 5.0, 100.0])
    assert comparison.median(ratings, np.arange(3), np.array([3, 0])).tolist() == [2, 2]


def test_the_svr_learns_and_forgives_a_missing_functional():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    ratings = 3 + features[:, 0]
    features[7, 2] = np.nan
    rows = np.arange(60)
    predicted = comparison.svr(features, ratings, rows[:40], rows[40:])
    assert np.abs(predicted - ratings[40:]).mean() < 0.6 * np.abs(ratings[40:] - 3).mean()
