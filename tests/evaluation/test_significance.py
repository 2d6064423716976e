import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers import evaluation
from tests.evaluation.conftest import ends, resamples

pytestmark = pytest.mark.usefixtures("few_draws")

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


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_nothing_is_shown_where_one_side_has_a_clip_at_most(count):
    facts = pd.DataFrame({"x": np.arange(4.0)})
    table = evaluation.worst_against_rest(facts, np.arange(4) < count)
    assert (table.loc["x", "p"] < 1) == (count == 2)
    assert table.loc["x", "worst"] == np.arange(count).mean()
    assert np.isnan(table.loc["x", "difference"]) == (count == 4)


def test_the_seed_decides_p_and_is_0_unless_said():
    noise = np.random.default_rng(1).normal(size=(80, 2))
    facts = pd.DataFrame(noise, columns=["a", "b"])
    by_speaker = PREDICTED.assign(speaker=np.arange(80) % 5)
    for function, *arguments in (
        (evaluation.worst_against_rest, facts, np.arange(80) < 10),
        (evaluation.error_against, facts, noise[:, 0] ** 2, TRUTH),
        (evaluation.speakers_differ, by_speaker),
    ):
        found = function(*arguments)
        assert found.equals(function(*arguments, seed=0))
        assert not found.equals(function(*arguments, seed=1))


def least_squares_leave(y, rating, speakers):
    typical = np.abs(rating - np.median(rating))
    means = [speakers == each for each in np.unique(speakers)]
    held = np.column_stack([*means, *map(scipy.stats.rankdata, (rating, typical))])
    return y - held @ np.linalg.lstsq(held, y)[0]


def partial(x, y, rating, speakers):
    """The rank correlation of two variables, controlled for rating and speaker, and the parts."""
    ranks = scipy.stats.rankdata(x), scipy.stats.rankdata(y)
    rests = [least_squares_leave(each, rating, speakers) for each in ranks]
    return np.corrcoef(rests)[0, 1], rests


def test_what_goes_with_the_error_is_a_rank_correlation_beyond_the_rating():
    random = np.random.default_rng(3)
    level = random.normal(size=80) + TRUTH
    error = np.abs(PREDICTION - TRUTH) + 0.3 * np.abs(level)
    facts = pd.DataFrame({"level": level, "noise": random.normal(size=80), "constant": 1.0})
    speakers = np.repeat(np.arange(8), 10)
    table = evaluation.error_against(facts, error, TRUTH, speakers=speakers, seed=2)
    assert list(table.index) == ["level", "noise"]
    typical = np.abs(TRUTH - np.median(TRUTH))
    for name, row in table.iterrows():
        x = facts[name].to_numpy()
        assert row["raw"] == pytest.approx(scipy.stats.spearmanr(x, error).statistic)
        assert row["constant"] == pytest.approx(scipy.stats.spearmanr(x, typical).statistic)
        value, rests = partial(x, error, TRUTH, speakers)
        assert row["value"] == pytest.approx(value)
        clips = [np.arange(80).reshape(8, 10)[drawn].ravel() for drawn in resamples(8, 2)]
        drawn = [np.corrcoef(*(rest[rows] for rest in rests))[0, 1] for rows in clips]
        assert row[["low", "high"]].tolist() == ends(drawn, 8)
    scaled = evaluation.error_against(facts / 1e3, error, TRUTH, speakers=speakers, seed=2)
    assert scaled["value"].tolist() == pytest.approx(table["value"].tolist())
    nothing = evaluation.error_against(facts[["constant"]], error, TRUTH)
    columns = ["raw", "constant", "value", "low", "high", "p", "corrected"]
    assert nothing.empty and list(nothing) == list(table) == columns


def clips_of(speakers, count, seed):
    """Speakers, ratings of their clips, and a fact that goes with the rating."""
    random = np.random.default_rng(seed)
    rating = random.uniform(1, 5, speakers * count)
    fact = np.abs(rating - 3) + random.normal(0, 0.2, len(rating))
    return np.repeat(np.arange(speakers), count), rating, fact


def test_a_predictor_that_always_says_the_median_is_no_finding():
    speakers, rating, fact = clips_of(12, 20, seed=0)
    facts = pd.DataFrame({"fact": fact, "noise": np.random.default_rng(1).normal(size=240)})
    error = np.abs(rating - np.median(rating))
    found = evaluation.error_against(facts, error, rating, speakers=speakers).loc["fact"]
    assert found["raw"] > 0.8 and found["raw"] == found["constant"]
    assert found[["value", "low", "high"]].isna().all()
    assert found["p"] == found["corrected"] == 1
    same = evaluation.error_against(facts, np.full(240, 0.5), rating, speakers=speakers)
    assert same[["raw", "value", "low", "high"]].isna().all(axis=None) and same["p"].eq(1).all()


def test_what_emotions_do_to_a_constant_prediction_is_no_finding():
    random = np.random.default_rng(0)
    label = np.tile([1.6, 1.9, 2.3, 4.4], 60)  # four emotions of one valence each, six speakers
    speakers = np.repeat(np.arange(6), 40)
    of_emotion = random.normal(size=(101, 4))  # which need not rise or fall with the valence
    facts = of_emotion[:, np.arange(240) % 4] + random.normal(size=(101, 240))
    facts = pd.DataFrame(facts.T)
    found = evaluation.error_against(facts, np.abs(3.0 - label), label, speakers=speakers)
    assert found["raw"].abs().mean() > 0.2
    assert found[["value", "low", "high"]].isna().all(axis=None) and found["p"].eq(1).all()
    # What each speaker does with an emotion is in error and facts, and no finding, either.
    acted = 2 * random.normal(size=(101, 6, 4))[:, speakers, np.arange(240) % 4]
    error, *facts = acted + of_emotion[:, np.arange(240) % 4] + random.normal(size=(101, 240))
    found = evaluation.error_against(pd.DataFrame(facts).T, error, label, speakers=speakers)
    assert found["raw"].abs().max() > 0.4 and found["value"].abs().max() < 0.25
    assert 0.01 < (found["p"] < 0.05).mean() < 0.1


def test_an_error_that_grows_with_a_fact_beyond_the_rating_is_found():
    speakers, rating, fact = clips_of(12, 20, seed=0)
    noise = np.random.default_rng(1).exponential(0.5, size=240)
    facts = pd.DataFrame({"with the rating": fact, "of its own": noise})
    luck = np.random.default_rng(2).normal(0, 0.3, 240)
    error = np.abs(rating - 3) + noise + np.abs(luck)
    table = evaluation.error_against(facts, error, rating, speakers=speakers)
    assert table.loc["of its own", "corrected"] < 0.001 and table.loc["of its own", "low"] > 0.3
    assert table.loc["with the rating", "raw"] > 0.5
    assert table.loc["with the rating", "corrected"] > 0.05


def test_what_differs_between_speakers_only_is_no_finding():
    speakers, rating, _ = clips_of(12, 20, seed=0)
    random = np.random.default_rng(4)
    room = np.repeat(random.normal(size=12), 20)
    error = np.abs(3 + room + random.normal(0, 0.2, 240))
    facts = pd.DataFrame({"room": room, "close": room + random.normal(0, 0.1, 240)})
    within = evaluation.error_against(facts, error, rating, speakers=speakers)
    assert within["raw"].gt(0.8).all() and within["p"].gt(0.1).all()
    assert np.isnan(within.loc["room", "value"]) and within.loc["room", "p"] == 1
    anywhere = evaluation.error_against(facts, error, rating)
    assert anywhere["p"].eq(1 / 10000).all()


@pytest.mark.parametrize("speakers_are_known", [True, False])
def test_five_in_a_hundred_facts_that_say_nothing_are_found(speakers_are_known):
    speakers, rating, _ = clips_of(6, 15, seed=0)
    random = np.random.default_rng(5)
    room = random.normal(size=(6, 301)).repeat(15, axis=0) * speakers_are_known
    with_rating = np.abs(rating - 3) + 0.3 * rating
    error, *facts = (with_rating[:, None] + room + random.normal(size=room.shape)).T
    known = speakers if speakers_are_known else None
    found = evaluation.error_against(pd.DataFrame(facts).T, error, rating, speakers=known)
    assert found["raw"].abs().mean() > 0.2
    assert 0.02 < (found["p"] < 0.05).mean() < 0.09


def test_the_p_of_a_partial_correlation_is_that_of_counting():
    rating = np.array([1.0, 2.0, 3.5, 4.0, 5.0, 2.5, 1.5, 4.5])
    fact = np.array([0.3, 0.1, 0.8, 0.2, 0.6, 0.9, 0.4, 0.7])
    error = np.array([0.2, 0.5, 0.9, 0.1, 0.8, 0.3, 0.7, 0.6])
    speakers = np.array([0, 1, 0, 1, 0, 0, 1, 1])
    value, (rest, of_fact) = partial(error, fact, rating, speakers)
    found = []
    first, second = np.flatnonzero(speakers == 0), np.flatnonzero(speakers == 1)
    for a in itertools.permutations(first):
        for b in itertools.permutations(second):
            drawn = rest.copy()
            drawn[first], drawn[second] = rest[list(a)], rest[list(b)]
            left = least_squares_leave(drawn, rating, speakers)
            found.append(np.corrcoef(left, of_fact)[0, 1])
    expected = np.mean(np.abs(found) >= abs(value) - 1e-9)
    table = evaluation.error_against(pd.DataFrame({"f": fact}), error, rating, speakers=speakers)
    assert 0.05 < expected < 0.95
    assert table.loc["f", "p"] == pytest.approx(expected, abs=0.02)


def test_draws_in_which_a_fact_is_the_same_for_all_clips_are_left_out_of_the_interval():
    rating = np.tile([1.0, 2.0, 4.0, 5.0], 2)
    facts = pd.DataFrame({"rare": [1, 0, 0, 1, 0, 1, 1, 0]})
    error = np.array([0.4, 0.2, 0.1, 0.3, 0.9, 0.5, 0.6, 0.7])
    found = evaluation.error_against(facts, error, rating).loc["rare"]
    _, rests = partial(error, facts["rare"], rating, np.zeros(8))
    drawn = [[rest[rows] for rest in rests] for rows in resamples(8, 0)]
    known = [np.corrcoef(*each)[0, 1] for each in drawn if np.ptp(each, axis=1).min() > 1e-9]
    assert found[["low", "high"]].tolist() == ends(known, 8)


def test_the_errors_of_a_clip_are_one_when_speakers_are_compared():
    speaker = np.repeat(["a", "b", "c", "d"], 20)
    clips = PREDICTED.assign(speaker=speaker, file=np.arange(80).astype(str))
    clips.loc[:19, "prediction"] += 0.4
    thrice = pd.concat([clips] * 3, ignore_index=True)
    once = evaluation.speakers_differ(clips)
    assert evaluation.speakers_differ(thrice).equals(once)
    as_clips = evaluation.speakers_differ(thrice.drop(columns="file"))
    assert as_clips["p"] < once["p"]


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
    assert table.loc["b", "bias"] == pytest.approx((PREDICTION - TRUTH)[20:40].mean())
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


def test_speakers_whose_errors_are_all_the_same_cannot_differ():
    predicted = pd.DataFrame({"file": list("abcd"), "valence": [1, 5, 1, 5], "prediction": 3.0})
    assert evaluation.speakers_differ(predicted.assign(speaker=list("xxyy"))).isna().all()


@pytest.mark.parametrize(("sign", "holds"), [(1, True), (-1, False)])
def test_a_claim_holds_only_in_the_direction_that_it_names(sign, holds):
    spectral = pd.DataFrame(
        {"difference": [0.2 * sign, 300 * sign], "corrected": [0.01, 0.01]},
        index=["low share", "spread"],
    )
    bias = pd.DataFrame(
        {"bias": [0.5, 0.0, -0.5], "low": [0.3, -0.1, -0.7], "high": [0.7, 0.1, -0.3]}
    )
    bias = (sign * bias).assign(speakers=[8, 20, 8])
    if sign < 0:
        bias[["low", "high"]] = bias[["high", "low"]].to_numpy()
    table = evaluation.claims(spectral, bias)
    assert table.index.name == "claim" and list(table) == ["value", "verdict", "holds"]
    assert table["holds"].dtype == bool
    assert table["value"].to_dict() == {
        "more energy at low frequencies": 0.2 * sign,
        "broader spectrum": 300 * sign,
        "low ratings predicted too high": 0.5 * sign,
        "high ratings predicted too low": -0.5 * sign,
    }
    assert table["holds"].tolist() == [holds] * 4
    verdict = "yes" if holds else "no"
    assert table["verdict"].tolist() == [verdict] * 4
    for speakers in (7, np.nan):  # too few, or unknown
        few = evaluation.claims(spectral, bias.assign(speakers=speakers))
        assert few["verdict"].tolist() == [verdict, verdict, "not shown", "not shown"]
    touching = evaluation.claims(spectral, bias.assign(low=0.0, high=0.0))
    assert touching["verdict"].tolist() == [verdict] * 2 + ["not shown"] * 2
    doubtful = evaluation.claims(spectral.assign(corrected=0.2), bias.assign(low=-1, high=1))
    assert doubtful["verdict"].eq("not shown").all() and not doubtful["holds"].any()
    unknown = evaluation.claims(spectral, bias.assign(low=np.nan, high=np.nan))
    assert unknown["verdict"].tolist() == [verdict] * 2 + ["not shown"] * 2
