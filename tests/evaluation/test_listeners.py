"""What a listener reaches, also where some of them judged few clips."""

import warnings

import audmetric
import numpy as np
import pandas as pd
import pytest

from helpers import evaluation

TRUTH = np.random.default_rng(0).uniform(1, 5, 60)


def regulars(count=3):
    noise = 0.3 * np.random.default_rng(1).standard_normal((60, count))
    return pd.DataFrame(TRUTH[:, None] + noise).rename(columns="r{}".format)


def crowd(clips_each):
    """A column for each of the people who judged a few clips, one after the other."""
    ratings = regulars(1)["r0"].to_numpy()
    columns = {
        f"guest{first}": np.where(np.arange(60) // clips_each == first, ratings, np.nan)
        for first in range(60 // clips_each)
    }
    return pd.DataFrame(columns)


def test_a_listener_is_the_mean_of_those_who_rated_all_clips():
    raters = regulars()
    found = evaluation.one_listener(raters)
    pairs = [(raters[name], raters.drop(columns=name).mean(axis=1)) for name in raters]
    ccc = [audmetric.concordance_cc(others, one) for one, others in pairs]
    assert found["ccc", "value"] == np.mean(ccc)
    assert found["mae", "value"] == np.mean([(one - others).abs().mean() for one, others in pairs])


def test_guests_of_one_clip_neither_ruin_the_scores_nor_warn():
    alone = evaluation.one_listener(regulars())
    guests = pd.DataFrame(np.where(np.eye(60, 10), TRUTH[:, None], np.nan)).add_prefix("guest")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluation.one_listener(regulars().join(guests))
    for score in ("mae", "ccc", "pearson"):
        assert found[score, "value"] == pytest.approx(alone[score, "value"], abs=0.03)
        assert found[score, "low"] == pytest.approx(alone[score, "low"], abs=0.03)
        assert found[score, "low"] < found[score, "value"] < found[score, "high"]


@pytest.mark.parametrize("clips_each", [1, 4])
def test_many_who_rated_few_clips_are_as_good_as_one_who_rated_all(clips_each):
    others = regulars(4).drop(columns="r0")
    whole = evaluation.one_listener(others.assign(r0=regulars(1)))
    assert evaluation.one_listener(others.join(crowd(clips_each))).equals(whole)


def test_raters_count_by_their_clips_in_each_resample():
    raters = regulars()
    raters.loc[40:, "r2"] = np.nan  # as if they had heard the first two of three speakers
    groups = np.repeat(["a", "b", "c"], 20)
    found = evaluation.one_listener(raters, groups=groups)
    errors = pd.concat([(raters[r] - raters.drop(columns=r).mean(axis=1)).dropna() for r in raters])
    assert found["mae", "value"] == pytest.approx(errors.abs().mean())
    drawn = evaluation.resamples(60, groups, seed=0).of(errors.index)
    expected = drawn.estimate(drawn.mean(errors.abs()))
    assert found["mae"].to_dict() == pytest.approx(expected)


def test_the_covered_share_of_a_crowd_is_against_those_who_rated_much():
    predictions = {"median": np.full(60, np.median(TRUTH)), "network": TRUTH + 0.2}
    raters = regulars()
    expected = evaluation.covered_share(TRUTH, predictions, raters)["value"]
    raters["guest"] = np.where(np.arange(60) == 7, TRUTH + 1.5, np.nan)
    found = evaluation.covered_share(TRUTH, predictions, raters)
    assert found["value"].tolist() == pytest.approx(expected.tolist(), abs=0.05)
    assert found.notna().all().all()


def test_a_share_without_bounds_has_no_ends():
    flat = np.full(60, 3.0)  # so the median predictor is nearly as good as a listener
    truth = flat + np.random.default_rng(2).normal(0, 0.36, 60)
    raters = pd.DataFrame({name: truth for name in "ab"}) + np.random.default_rng(3).normal(
        0, 0.23, (60, 2)
    )
    found = evaluation.covered_share(truth, {"median": flat, "network": truth}, raters).loc[
        "network"
    ]
    assert found["value"] > 0 and found[["low", "high"]].isna().all()
