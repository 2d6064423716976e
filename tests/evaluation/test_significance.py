import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers import evaluation

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, 80)
PREDICTION = 0.6 * TRUTH + 1 + RANDOM.normal(0, 0.5, 80)
PREDICTED = pd.DataFrame({"valence": TRUTH, "prediction": PREDICTION})


def test_a_fact_that_marks_the_worst_is_found_and_noise_is_not():
    is_worst = np.arange(80) < 10
    noise = np.random.default_rng(1).normal(size=80)
    facts = pd.DataFrame({"marked": noise + 3 * is_worst, "noise": noise})
    table = evaluation.worst_against_rest(facts, is_worst)
    by_hand = facts["marked"][is_worst].mean() - facts["marked"][~is_worst].mean()
    assert table.loc["marked", "difference"] == pytest.approx(by_hand)
    assert table.loc["marked", "worst"] == facts["marked"][is_worst].mean()
    assert table.loc["marked", "rest"] == facts["marked"][~is_worst].mean()
    assert table["corrected"]["marked"] < 0.01 < 0.05 < table["corrected"]["noise"]


@pytest.mark.parametrize("worst", [(0, 1), (2, 5), (3, 4)])
def test_a_permutation_p_is_exact_where_all_permutations_can_be_counted(worst):
    x = np.array([5.0, 6.0, 1.0, 2.0, 3.0, 4.5])

    def difference(chosen):
        rest = [i for i in range(6) if i not in chosen]
        return x[list(chosen)].mean() - x[rest].mean()

    all_choices = np.array([difference(each) for each in itertools.combinations(range(6), 2)])
    found = difference(worst)
    as_high, as_low = (all_choices >= found - 1e-9).sum(), (all_choices <= found + 1e-9).sum()
    expected = min(1, 2 * min(as_high, as_low) / len(all_choices))
    table = evaluation.worst_against_rest(pd.DataFrame({"x": x}), np.isin(range(6), worst))
    assert table.loc["x", "p"] == pytest.approx(expected)


def test_the_seed_decides_p_and_is_0_unless_said():
    noise = np.random.default_rng(1).normal(size=(80, 2))
    facts = pd.DataFrame(noise, columns=["a", "b"])
    by_speaker = PREDICTED.assign(speaker=np.arange(80) % 5)
    for function, *arguments in (
        (evaluation.worst_against_rest, facts, np.arange(80) < 10),
        (evaluation.error_against, facts, noise[:, 0] ** 2),
        (evaluation.speakers_differ, by_speaker),
    ):
        found = function(*arguments)
        assert found.equals(function(*arguments, seed=0))
        assert not found.equals(function(*arguments, seed=1))


def test_what_goes_with_the_error_is_spearmans_correlation():
    error = np.abs(PREDICTION - TRUTH)
    facts = pd.DataFrame({"same": error**2, "noise": RANDOM.normal(size=80), "constant": 1.0})
    table = evaluation.error_against(facts, error)
    assert list(table.index) == ["same", "noise"]
    assert table.loc["same", ["value", "low", "high"]].tolist() == pytest.approx([1, 1, 1])
    theirs = scipy.stats.spearmanr(facts["noise"], error)
    assert table.loc["noise", "value"] == pytest.approx(theirs.statistic)
    assert table.loc["noise", "p"] == pytest.approx(theirs.pvalue, abs=0.03)
    rows = evaluation.resamples(80, 0)
    drawn = [scipy.stats.spearmanr(facts["noise"][row], error[row]).statistic for row in rows]
    ends = list(np.percentile(drawn, [2.5, 97.5]))
    assert table.loc["noise", ["low", "high"]].tolist() == pytest.approx(ends)
    small = evaluation.error_against(facts / 1e3, error)
    assert small.loc["noise", "value"] == pytest.approx(theirs.statistic)
    nothing = evaluation.error_against(facts[["constant"]], error)
    assert nothing.empty and list(nothing) == ["value", "low", "high", "p", "corrected"]


def test_draws_in_which_a_fact_is_the_same_for_all_clips_are_left_out_of_the_interval():
    rare = pd.DataFrame({"rare": np.arange(80) == 3})
    error = np.abs(PREDICTION - TRUTH)
    rows = [row for row in evaluation.resamples(80, 0) if 3 in row]
    assert 500 < len(rows) < 750
    drawn = [scipy.stats.spearmanr(rare["rare"][row], error[row]).statistic for row in rows]
    found = evaluation.error_against(rare, error).loc["rare", ["low", "high"]]
    assert found.tolist() == pytest.approx(list(np.percentile(drawn, [2.5, 97.5])))


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.51, 0.54, 0.53, 0.505], [1, 1, 1, 1]),
    ],
)
def test_holms_correction_is_that_of_the_textbook(monkeypatch, p, corrected):
    found = (SimpleNamespace(pvalue=each) for each in p)
    monkeypatch.setattr(scipy.stats, "permutation_test", lambda *_, **__: next(found))
    facts = pd.DataFrame(RANDOM.normal(size=(80, 4)))
    table = evaluation.worst_against_rest(facts, np.arange(80) < 10)
    assert table["p"].tolist() == p
    assert table["corrected"].tolist() == pytest.approx(corrected)


def test_speakers_that_differ_are_told_from_those_that_do_not():
    speaker = pd.Series(np.repeat(["a", "b", "c", None], 20))
    found = PREDICTED.assign(speaker=speaker)
    table = evaluation.by_speaker(found)
    errors = np.abs(PREDICTION - TRUTH)
    assert table["clips"].sum() == 60 and table["mae"].is_monotonic_decreasing
    assert table.loc["b", "mae"] == pytest.approx(errors[20:40].mean())
    alike = evaluation.speakers_differ(found)
    found.loc[:19, "prediction"] += 3
    different = evaluation.speakers_differ(found)
    assert different["share"] > alike["share"] and different["p"] < 0.001 < alike["p"]


def test_the_share_between_speakers_and_its_p_are_those_of_counting():
    found = pd.DataFrame({"valence": 3.0, "speaker": [*"aaabbb", None]})
    found["prediction"] = [3.1, 2.6, 3.3, 1.2, 4.9, 3.7, 1.0]
    error = np.array([0.1, 0.4, 0.3, 1.8, 1.9, 0.7])

    def share(errors):
        means = errors[:3].mean(), errors[3:].mean()
        return ((means - errors.mean()) ** 2).mean() / errors.var()

    shares = np.array([share(error[list(each)]) for each in itertools.permutations(range(6))])
    table = evaluation.speakers_differ(found)
    assert table["share"] == pytest.approx(share(error))
    assert table["p"] == pytest.approx((shares >= share(error) - 1e-9).mean())
    unequal = evaluation.speakers_differ(found.assign(speaker=list("aabbbbb")))
    everyone = np.append(error, 2.0)
    groups = (everyone[:2], everyone[2:])
    between = sum(len(g) * (g.mean() - everyone.mean()) ** 2 for g in groups) / 7
    assert unequal["share"] == pytest.approx(between / everyone.var())


@pytest.mark.parametrize("speaker", [None, "a"])
def test_one_speaker_or_none_cannot_differ(speaker):
    found = evaluation.speakers_differ(PREDICTED.assign(speaker=speaker))
    assert list(found.index) == ["share", "p"] and found.isna().all()


@pytest.mark.parametrize(("sign", "holds"), [(1, True), (-1, False)])
def test_a_claim_holds_only_in_the_direction_that_it_names(sign, holds):
    spectral = pd.DataFrame(
        {"difference": [0.2 * sign, 300 * sign], "corrected": [0.01, 0.01]},
        index=["low share", "spread"],
    )
    bias = pd.DataFrame(
        {"bias": [0.5, 0.0, -0.5], "low": [0.3, -0.1, -0.7], "high": [0.7, 0.1, -0.3]}
    )
    bias *= sign
    if sign < 0:
        bias[["low", "high"]] = bias[["high", "low"]].to_numpy()
    table = evaluation.claims(spectral, bias)
    assert table.index.name == "claim" and table.dtypes.tolist() == [float, bool]
    assert table["value"].to_dict() == {
        "more energy at low frequencies": 0.2 * sign,
        "broader spectrum": 300 * sign,
        "low ratings predicted too high": 0.5 * sign,
        "high ratings predicted too low": -0.5 * sign,
    }
    assert table["holds"].tolist() == [holds] * 4
    touching = bias.assign(low=bias["low"].where(bias.index > 0, 0), high=0.0)
    assert evaluation.claims(spectral, touching)["holds"].tolist() == [holds] * 2 + [False] * 2
    doubtful = evaluation.claims(spectral.assign(corrected=0.2), bias.assign(low=-1, high=1))
    assert not doubtful["holds"].any()
