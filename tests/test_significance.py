import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers import evaluation, significance

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, 80)
PREDICTION = 0.6 * TRUTH + 1 + RANDOM.normal(0, 0.5, 80)
PREDICTED = pd.DataFrame({"valence": TRUTH, "prediction": PREDICTION})


def test_a_fact_that_marks_the_worst_is_found_and_noise_is_not():
    is_worst = np.arange(80) < 10
    noise = np.random.default_rng(1).normal(size=80)
    facts = pd.DataFrame({"marked": noise + 3 * is_worst, "noise": noise})
    table = significance.worst_against_rest(facts, is_worst)
    by_hand = facts["marked"][is_worst].mean() - facts["marked"][~is_worst].mean()
    assert table.loc["marked", "difference"] == pytest.approx(by_hand)
    assert table["corrected"]["marked"] < 0.01 < 0.05 < table["corrected"]["noise"]


def test_a_permutation_p_is_exact_where_all_permutations_can_be_counted():
    facts = pd.DataFrame({"x": [5.0, 6.0, 1.0, 2.0, 3.0]})
    table = significance.worst_against_rest(facts, np.array([True, True, False, False, False]))
    assert table.loc["x", "p"] == pytest.approx(2 / 10)  # the largest of 10 choices, both sides


def test_what_goes_with_the_error_is_spearmans_correlation():
    error = np.abs(PREDICTION - TRUTH)
    facts = pd.DataFrame({"same": error**2, "noise": RANDOM.normal(size=80), "constant": 1.0})
    table = significance.error_against(facts, error)
    assert list(table.index) == ["same", "noise"]
    assert table.loc["same", ["value", "low", "high"]].tolist() == pytest.approx([1, 1, 1])
    theirs = scipy.stats.spearmanr(facts["noise"], error)
    assert table.loc["noise", "value"] == pytest.approx(theirs.statistic)
    assert table.loc["noise", "p"] == pytest.approx(theirs.pvalue, abs=0.03)


def test_holms_correction_is_that_of_the_textbook():
    table = pd.DataFrame({"p": [0.01, 0.04, 0.03, 0.005]})
    corrected = significance._corrected(table)["corrected"]
    assert corrected.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_speakers_that_differ_are_told_from_those_that_do_not():
    speaker = pd.Series(np.repeat(["a", "b", "c", None], 20))
    found = PREDICTED.assign(speaker=speaker)
    table = evaluation.by_speaker(found)
    errors = np.abs(PREDICTION - TRUTH)
    assert table["clips"].sum() == 60 and table["mae"].is_monotonic_decreasing
    assert table.loc["b", "mae"] == pytest.approx(errors[20:40].mean())
    alike = significance.speakers_differ(found)
    found.loc[:19, "prediction"] += 3
    different = significance.speakers_differ(found)
    assert different["share"] > alike["share"] and different["p"] < 0.001 < alike["p"]
    assert significance.speakers_differ(found.assign(speaker=None)).isna().all()


@pytest.mark.parametrize(("sign", "holds"), [(1, True), (-1, False)])
def test_a_claim_holds_only_in_the_direction_that_it_names(sign, holds):
    spectral = pd.DataFrame(
        {"difference": [0.2 * sign, 300 * sign], "corrected": [0.01, 0.01]},
        index=["low share", "spread"],
    )
    bias = pd.DataFrame({"bias": [0.5, -0.5], "low": [0.3, -0.7], "high": [0.7, -0.3]}) * sign
    if sign < 0:
        bias[["low", "high"]] = bias[["high", "low"]].to_numpy()
    assert significance.claims(spectral, bias)["holds"].tolist() == [holds] * 4
    doubtful = significance.claims(spectral.assign(corrected=0.2), bias.assign(low=-1, high=1))
    assert not doubtful["holds"].any()
