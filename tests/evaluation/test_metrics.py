import audmetric
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


def test_scores_equal_their_definitions():
    found = evaluation.scores(TRUTH, PREDICTION)["value"]
    error = PREDICTION - TRUTH
    covariance = np.mean((PREDICTION - PREDICTION.mean()) * (TRUTH - TRUTH.mean()))
    distance = (PREDICTION.mean() - TRUTH.mean()) ** 2
    assert found["mae"] == pytest.approx(np.mean(np.abs(error)))
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    ccc = 2 * covariance / (PREDICTION.var() + TRUTH.var() + distance)
    assert found["ccc"] == pytest.approx(ccc)
    assert found["pearson"] == pytest.approx(np.corrcoef(PREDICTION, TRUTH)[0, 1])


def test_the_interval_of_the_mae_is_that_of_scipys_bootstrap():
    ours = evaluation.scores(TRUTH, PREDICTION).loc["mae"]
    theirs = scipy.stats.bootstrap(
        (np.abs(PREDICTION - TRUTH),), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours["low"] == pytest.approx(theirs.low, abs=0.01)
    assert ours["high"] == pytest.approx(theirs.high, abs=0.01)
    resampled = np.abs(PREDICTION - TRUTH)[resamples(len(TRUTH), 0)].mean(axis=1)
    assert ours[["low", "high"]].tolist() == ends(resampled, 80)


@pytest.mark.parametrize("constant", [3.0, 1.98, 0.1])  # the mean of eighty 1.98 is not 1.98
def test_a_constant_prediction_has_no_concordance_and_an_undefined_correlation(constant):
    found = evaluation.scores(TRUTH, np.full(80, constant))
    assert found.loc["ccc"].tolist() == [0, 0, 0]
    assert found.loc["pearson"].isna().all()


def test_ratings_of_any_kind_of_number_are_scored_in_double_precision():
    truth, prediction, middle = (
        each.astype(np.uint8) for each in (np.ceil(TRUTH), PREDICTION, np.full(80, 3))
    )
    assert (truth > prediction).any()  # where unsigned numbers have no difference
    plain = [each.astype(float) for each in (truth, prediction, middle)]
    assert evaluation.scores(truth, prediction).equals(evaluation.scores(*plain[:2]))
    gain = evaluation.mae_difference(truth, prediction, middle)
    assert gain.equals(evaluation.mae_difference(*plain))
    table = evaluation.compare(truth, {"m": prediction})
    assert table.equals(evaluation.compare(plain[0], {"m": plain[1]}))


def test_the_seed_decides_the_interval():
    again = [evaluation.scores(TRUTH, PREDICTION, seed=s) for s in (5, 5, 6)]
    assert again[0].equals(again[1]) and not again[0].equals(again[2])


def test_a_paired_difference_is_surer_than_two_separate_scores():
    slightly_better = PREDICTION - 0.1 * (PREDICTION - TRUTH)
    found = evaluation.mae_difference(TRUTH, slightly_better, PREDICTION)
    error = np.abs(PREDICTION - TRUTH).mean()
    assert found["value"] == pytest.approx(0.1 * error)
    assert 0 < found["low"] < found["value"] < found["high"]
    gains = 0.1 * np.abs(PREDICTION - TRUTH)
    drawn = gains[resamples(80, 0)].mean(axis=1)
    assert found[["low", "high"]].tolist() == ends(drawn, 80)
    drawn = gains[resamples(80, 9)].mean(axis=1)
    other = evaluation.mae_difference(TRUTH, slightly_better, PREDICTION, seed=9)
    assert other[["low", "high"]].tolist() == ends(drawn, 80)
    alone = evaluation.compare(TRUTH, {"a": slightly_better, "b": PREDICTION})["mae"]
    assert alone.loc["a", "high"] > alone.loc["b", "low"]
    assert evaluation.mae_difference(TRUTH, PREDICTION, PREDICTION).eq(0).all()


def test_the_errors_of_several_trainings_are_averaged_before_they_are_compared():
    several = np.stack([PREDICTION, PREDICTION + 0.2, PREDICTION - 0.4])
    found = evaluation.mae_difference(TRUTH, several, PREDICTION)
    errors = [np.abs(each - TRUTH).mean() for each in several]
    assert found["value"] == pytest.approx(errors[0] - np.mean(errors))
    assert evaluation.mae_difference(TRUTH, several, several).eq(0).all()


def test_drawn_trainings_widen_a_difference_by_what_seeds_vary():
    rows = np.arange(80)
    right, lucky, poor = TRUTH + 0.5, TRUTH + 0.1, TRUTH + 1.1  # the same error for all clips
    held = evaluation.mae_difference(TRUTH, np.stack([lucky, poor]), right)
    assert held.tolist() == pytest.approx([-0.1, -0.1, -0.1])
    found = evaluation.mae_difference(
        TRUTH, np.stack([lucky, poor]), right, draw_trainings=True, groups=rows % 8
    )
    twice = np.sqrt(2) * 0.5  # the poor one or the lucky, with the variance of n - 1 of two
    assert found.tolist() == pytest.approx([-0.1, -0.1 - twice, -0.1 + twice])
    swapped = evaluation.mae_difference(TRUTH, right, np.stack([lucky, poor]), draw_trainings=True)
    assert swapped.tolist() == pytest.approx([0.1, 0.1 - twice, 0.1 + twice])


def test_each_model_draws_its_own_trainings_and_both_share_the_clips():
    errors = np.array([0.1, 0.2, 0.4, 0.8])[:, None]
    several, options = TRUTH + errors, {"draw_trainings": True, "seed": 3}
    found = evaluation.mae_difference(TRUTH, several, several, **options)
    assert found["value"] == 0
    assert found["low"] < -0.3 and found["high"] > 0.3  # drawn as one, both would be 0
    spread = np.array([each.mean() for each in errors[resamples(4, 99)]]).std() * np.sqrt(2 * 4 / 3)
    assert (found["high"] - found["low"]) / (2 * 1.96 * spread) == pytest.approx(1, abs=0.1)
    one = evaluation.mae_difference(TRUTH, PREDICTION, PREDICTION, **options)
    assert one.eq(0).all()
    assert found.equals(evaluation.mae_difference(TRUTH, several, several, **options))


def test_one_speaker_alone_has_no_interval():
    found = evaluation.scores(TRUTH, PREDICTION, groups=np.full(80, "anna"))
    assert found["value"].notna().all() and found[["low", "high"]].isna().all(axis=None)
    options = {"groups": np.full(80, "anna"), "draw_trainings": True}
    gain = evaluation.mae_difference(TRUTH, PREDICTION[None].repeat(3, 0), TRUTH, **options)
    assert gain.isna().tolist() == [False, True, True]


def test_speakers_are_known_only_if_every_clip_has_one_and_there_are_two():
    def known(*names):
        found = evaluation.known_speakers(pd.DataFrame({"speaker": names}))
        return None if found is None else list(found)

    assert known("b", "a", "b") == ["b", "a", "b"]
    assert known(1, 2) == [1, 2]
    assert known("a", "a") is None and known("a", "b", None) is None
    assert known("a", "b", np.nan) is None and known() is None


def test_a_caption_says_what_its_intervals_draw():
    assert evaluation.drawn(np.repeat(["a", "b", "c", "d"], 9)) == (
        "95 % intervals: 4 speakers drawn anew, too few (below eight, such intervals are too "
        "narrow)."
    )
    assert "too few" in evaluation.drawn(np.arange(7))
    assert evaluation.drawn(np.arange(8)) == "95 % intervals: 8 speakers drawn anew."
    assert evaluation.drawn(None) == (
        "95 % intervals: clips drawn anew, as if each were a voice of its own (one "
        "speaker, or some unknown)."
    )


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [([1, 2], [1, 2, 3]), ([], []), ([[1, 2]], [[1, 2]]), ([1, np.nan], [1, 2]), ([1], [np.inf])],
)
def test_what_cannot_be_scored_is_refused(truth, prediction):
    sentence = "the same length.$|^A rating or a prediction is not a number.$"
    with pytest.raises(ValueError, match=sentence):
        evaluation.scores(truth, prediction)


def test_a_comparison_has_a_row_a_model_and_becomes_plain_numbers():
    table = evaluation.compare(TRUTH, {"median": np.full(80, 3.0), "model": PREDICTION})
    assert list(table.index) == ["median", "model"]
    alone = evaluation.scores(TRUTH, PREDICTION)
    assert table.index.name == "model" and table.columns.names == ["metric", None]
    assert alone.index.name == "metric"
    assert table.loc["model", ("mae", "high")] == alone.loc["mae", "high"]
    other = evaluation.compare(TRUTH, {"model": PREDICTION}, seed=7)
    theirs = evaluation.scores(TRUTH, PREDICTION, seed=7)
    assert other.loc["model", ("mae", "high")] == theirs.loc["mae", "high"]
    plain = evaluation.as_dict(table)
    assert plain["model"]["ccc"]["value"] == alone.loc["ccc", "value"]
    assert plain["median"]["pearson"]["value"] is None
    assert list(plain["median"]) == ["mae", "rmse", "ccc", "pearson"]
    gain = evaluation.as_dict(table, ["mae gain"])["model"]
    assert gain == {"mae gain": table.loc["model", "mae gain"].to_dict()}


def test_a_table_of_trainings_has_the_means_of_their_scores_and_paired_gains():
    several = np.stack([PREDICTION, PREDICTION + 0.2])
    found = evaluation.compare(TRUTH, {"median": np.full(80, 3.0), "model": several})
    each = [evaluation.scores(TRUTH, one)["value"] for one in several]
    for score in ("mae", "ccc", "pearson"):
        assert found.loc["model", (score, "value")] == pytest.approx(
            np.mean([one[score] for one in each])
        )
    slope = np.polyfit(TRUTH, PREDICTION - TRUTH, 1)[0]
    assert found.loc["model", ("bias", "value")] == pytest.approx(slope)
    assert found.loc["median", ("ccc", "value")] == 0
    assert found.loc["median", ("bias", "value")] == -1
    gain = found.loc["median", ("mae", "value")] - found.loc["model", ("mae", "value")]
    assert found.loc["model", ("mae gain", "value")] == pytest.approx(gain)
    alone = evaluation.mae_difference(TRUTH, several, np.full(80, 3.0))
    assert found.loc["model", "mae gain"].tolist() == pytest.approx(alone.tolist())


def test_speakers_that_differ_make_intervals_wide():
    speakers = np.repeat(np.arange(8), 10)
    prediction = TRUTH + np.repeat(np.arange(8) / 4, 10)  # each speaker with an error of its own
    by_clip = evaluation.compare(TRUTH, {"m": prediction})["mae"].loc["m"]
    by_speaker = evaluation.compare(TRUTH, {"m": prediction}, groups=speakers)["mae"].loc["m"]
    width = by_speaker["high"] - by_speaker["low"]
    assert by_clip["value"] == by_speaker["value"]
    assert width > 2 * (by_clip["high"] - by_clip["low"])


def test_drawn_scores_are_those_of_audmetric_for_the_clips_of_the_drawn_speakers():
    speakers = np.repeat(np.arange(8), 10)
    truth = TRUTH + np.repeat(np.arange(8) / 2, 10)  # so that draws differ in their means
    prediction = PREDICTION + np.repeat(np.arange(8) / 3, 10)
    options = {"groups": speakers, "seed": 2}
    table = evaluation.compare(truth, {"m": prediction}, **options).loc["m"]
    clips = [np.arange(80).reshape(8, 10)[row].ravel() for row in resamples(8, 2)]
    metrics = {
        "mae": audmetric.mean_absolute_error,
        "rmse": lambda t, p: audmetric.mean_squared_error(t, p) ** 0.5,
        "ccc": audmetric.concordance_cc,
        "pearson": audmetric.pearson_cc,
        "bias": lambda t, p: scipy.stats.linregress(t, p).slope - 1,
    }
    for name, metric in metrics.items():
        assert table[name, "value"] == pytest.approx(metric(truth, prediction))
        drawn = [metric(truth[rows], prediction[rows]) for rows in clips]
        assert table[name][["low", "high"]].tolist() == ends(drawn, 8)
    alone = evaluation.scores(truth, prediction, **options)
    assert alone.loc["ccc"].tolist() == table["ccc"].tolist()
    gain = evaluation.mae_difference(truth, prediction, np.full(80, 3.0), **options)
    gains = np.abs(truth - 3) - np.abs(truth - prediction)
    assert gain[["low", "high"]].tolist() == ends([gains[rows].mean() for rows in clips], 8)


def test_draws_of_one_value_have_no_correlation_and_no_concordance():
    truth, prediction = np.array([1.98, 1.98, 2.5]), np.array([1.1, 1.1, 2.0])
    drawn = truth[resamples(3, 0)]
    assert 25 < (np.ptp(drawn, axis=1) == 0).sum() < 975  # draws of the first two clips only
    found = evaluation.scores(truth, prediction)
    assert found.loc["pearson"].tolist() == pytest.approx([1, 1, 1])
    assert found.loc["ccc", "low"] == 0


def test_gains_are_over_the_model_that_is_named_and_the_seed_is_0_unless_said():
    models = {"a": PREDICTION, "b": TRUTH + 0.1, "c": np.where(TRUTH > 3, 3.5, 2.5)}
    table = evaluation.compare(TRUTH, models, reference="b")
    assert table.index.name == "model"
    assert table.loc["b", ["mae gain", "ccc gain"]].eq(0).all()
    scores = {name: evaluation.scores(TRUTH, each)["value"] for name, each in models.items()}
    for name in "ac":
        gain = scores["b"]["mae"] - scores[name]["mae"]
        assert table.loc[name, ("mae gain", "value")] == pytest.approx(gain)
        gain = scores[name]["ccc"] - scores["b"]["ccc"]
        assert table.loc[name, ("ccc gain", "value")] == pytest.approx(gain)
    assert table.equals(evaluation.compare(TRUTH, models, reference="b", seed=0))
    assert not table.equals(evaluation.compare(TRUTH, models, reference="b", seed=1))
    same = evaluation.compare(np.full(80, 3.0), {"m": PREDICTION}).loc["m"]
    assert same["bias"].isna().all() and same["pearson"].isna().all()


def test_a_readable_table_leaves_costs_out_and_says_what_is_missing():
    table = evaluation.compare(TRUTH, {"median": np.full(80, 3.0)})
    costs = pd.DataFrame({("cost", "seconds"): [1.0]}, index=["median"])
    cells = evaluation.readable(table.join(costs)).loc["median"]
    assert "cost" not in cells and cells["pearson"] == "–"
    assert cells["ccc"] == "0.00 [0.00,\N{NO-BREAK SPACE}0.00]"
    alone = evaluation.compare(TRUTH, {"median": np.full(80, 3.0)}, groups=np.zeros(80))
    assert evaluation.readable(alone).loc["median", "ccc"] == "0.00"


def test_a_constant_has_no_concordance_even_where_it_is_right():
    right = np.full(6, 3.0)
    found = evaluation.compare(right, {"constant": right}, groups=np.array(list("aabbcc")))
    assert found.loc["constant", "ccc"].tolist() == [0, 0, 0]


def test_lists_of_different_lengths_are_refused_with_both_lengths():
    with pytest.raises(ValueError, match=r"^Ratings \(3,\) and predictions \(2,\) are not two"):
        evaluation.compare(np.zeros(3), {"model": np.zeros(2)})
