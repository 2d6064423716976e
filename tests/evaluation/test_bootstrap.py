import numpy as np
import pytest
import scipy.stats

from helpers import evaluation

NAMES = np.array(["ben", "anna", "ben", "carl", "anna", "ben"])
X = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])


def test_a_resample_draws_speakers_with_all_their_clips_after_the_sample_itself():
    drawn = evaluation.resamples(6, NAMES, seed=1)
    assert drawn.times.shape == (10_001, 3)
    assert (drawn.times.sum(axis=1) == 3).all() and drawn.times[0].tolist() == [1, 1, 1]
    speakers = [X[name == NAMES] for name in ("anna", "ben", "carl")]
    for times, total, clips, mean in zip(
        drawn.times.astype(int), drawn.sum(X), drawn.clips(), drawn.mean(X), strict=True
    ):
        rows = np.concatenate([np.tile(x, n) for x, n in zip(speakers, times, strict=True)])
        assert total == rows.sum() and clips == len(rows)
        assert mean == pytest.approx(rows.mean())
    assert drawn.times[1:].mean(axis=0).tolist() == pytest.approx([1, 1, 1], abs=0.03)


def test_some_clips_are_looked_at_with_the_same_draws():
    drawn = evaluation.resamples(6, NAMES, seed=1)
    some = drawn.of(np.array([0, 3]))
    assert some.mean(X[[0, 3]])[0] == 4.5
    neither = (drawn.times[:, 1:] == 0).all(axis=1)  # of ben and carl
    assert neither.any() and np.array_equal(np.isnan(some.mean(X[[0, 3]])), neither)


def test_a_resample_is_constant_if_all_its_clips_have_one_value():
    drawn = evaluation.resamples(6, NAMES, seed=1)
    found = drawn.constant(np.where(NAMES == "anna", 0.1, X))
    anna, _, carl = drawn.times.T
    assert np.array_equal(found, (anna == 3) | (carl == 3))
    assert found.sum() > 300 and not found[0]


@pytest.mark.parametrize("count", [5, 12, 60])
def test_the_interval_of_a_mean_is_about_that_of_students_t(count):
    x = np.random.default_rng(0).normal(size=count)
    drawn = evaluation.resamples(count, seed=0)
    found = drawn.estimate(drawn.mean(x))
    theirs = scipy.stats.ttest_1samp(x, 0).confidence_interval()
    assert found["value"] == pytest.approx(x.mean())
    assert found["low"] == pytest.approx(theirs.low, abs=0.15 * (theirs.high - theirs.low))
    ratio = (found["high"] - found["low"]) / (theirs.high - theirs.low)
    plain = np.ptp(np.percentile(drawn.mean(x)[1:], [2.5, 97.5])) / (theirs.high - theirs.low)
    assert plain < ratio < 1.05 and ratio > 0.85


def test_seeds_hardly_move_an_interval_of_nine_speakers():
    x = np.random.default_rng(0).normal(size=9)
    several = [evaluation.resamples(9, seed=seed) for seed in range(10)]
    lows = [drawn.estimate(drawn.mean(x))["low"] for drawn in several]
    assert 0 < np.ptp(lows) < 0.1 * x.std()


def test_many_clips_are_drawn_less_often_so_that_they_fit_into_memory(monkeypatch):
    monkeypatch.setattr("helpers.evaluation.bootstrap.MOST", 1e4)
    sizes = {count: len(evaluation.resamples(count, seed=0).times) - 1 for count in (1, 2, 5, 50)}
    assert sizes == {1: 0, 2: 5000, 5: 2000, 50: 1000}
