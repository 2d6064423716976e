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


def test_the_worst_clips_are_those_with_the_largest_errors_in_order():
    found = evaluation.worst(PREDICTED, 5)
    errors = np.abs(PREDICTION - TRUTH)
    assert found["error"].abs().tolist() == pytest.approx(sorted(errors)[:-6:-1])
    assert errors[found.index].tolist() == pytest.approx(found["error"].abs().tolist())
    assert len(evaluation.worst(PREDICTED, 1000)) == 80
    assert len(evaluation.worst(PREDICTED)) == 10
    all_right = PREDICTED.assign(prediction=TRUTH)
    assert evaluation.worst(all_right).index.tolist() == list(range(10))


def test_the_bias_of_a_part_of_the_scale_is_the_mean_error_there():
    table = evaluation.bias_by_rating(PREDICTED, (1, 5))
    low = TRUTH <= 2
    assert table["clips"].sum() == 80 and table.loc[0, "clips"] == low.sum()
    assert table.loc[0, "bias"] == pytest.approx((PREDICTION - TRUTH)[low].mean())
    assert table["from"].tolist() == [1, 2, 3, 4] and table["to"].tolist() == [2, 3, 4, 5]
    assert table.loc[0, "valence"] == pytest.approx(TRUTH[low].mean())
    assert table.loc[0, "prediction"] == pytest.approx(PREDICTION[low].mean())
    assert (table["low"] < table["bias"]).all() and (table["bias"] < table["high"]).all()


@pytest.mark.parametrize("seed", [0, 4])
def test_the_intervals_of_a_part_are_those_of_the_bootstrap(seed):
    error, low = PREDICTION - TRUTH, TRUTH <= 2
    seeds = {} if seed == 0 else {"seed": seed}
    table = evaluation.bias_by_rating(PREDICTED, (1, 5), **seeds)
    drawn = error[low][resamples(low.sum(), seed)].mean(axis=1)
    assert table.loc[0, ["low", "high"]].tolist() == ends(drawn, low.sum())
    table = evaluation.calibration(PREDICTED, **seeds)
    lowest = error[np.sort(PREDICTION)[19] >= PREDICTION]
    drawn = lowest[resamples(20, seed)]
    assert table.loc[0, ["low", "high"]].tolist() == ends(drawn.mean(axis=1), 20)


def test_a_rating_on_a_border_counts_once_and_one_clip_has_no_interval():
    few = pd.DataFrame({"valence": [1.0, 2.0, 2.0, 5.0], "prediction": [2.0, 2.0, 2.5, 4.0]})
    table = evaluation.bias_by_rating(few, (1, 5))
    assert table["clips"].tolist() == [3, 1] and table["from"].tolist() == [1, 4]
    assert table["low"].isna().tolist() == [False, True]
    two = evaluation.bias_by_rating(few[1:3], (1, 5))
    assert two["clips"].tolist() == [2] and two["low"].notna().all()


def test_groups_of_calibration_are_equally_large_and_a_constant_makes_one():
    assert evaluation.calibration(PREDICTED)["clips"].tolist() == [20] * 4
    constant = evaluation.calibration(PREDICTED.assign(prediction=3.0))
    assert constant["clips"].tolist() == [80]
    assert constant.loc[0, ["from", "to"]].tolist() == [3, 3]


def test_a_part_of_the_scale_draws_its_speakers_with_all_their_clips():
    speakers = np.repeat(np.arange(8), 10)
    predicted = PREDICTED.assign(prediction=PREDICTION + speakers / 4)
    error, low = (predicted["prediction"] - TRUTH).to_numpy(), TRUTH <= 2
    clips = [np.flatnonzero(low & (speakers == each)) for each in range(8)]
    clips = [each for each in clips if len(each)]
    drawn = [
        error[np.concatenate([clips[i] for i in row])].mean() for row in resamples(len(clips), 2)
    ]
    table = evaluation.bias_by_rating(predicted, (1, 5), groups=speakers, seed=2)
    assert table.loc[0, ["low", "high"]].tolist() == ends(drawn, len(clips))
    alone = evaluation.bias_by_rating(predicted, (1, 5), seed=2)
    assert table["bias"].equals(alone["bias"]) and not table["low"].equals(alone["low"])
    whole = evaluation.calibration(predicted.assign(prediction=3.0), groups=speakers)
    means = (3 - TRUTH).reshape(8, 10).mean(axis=1)
    assert whole.loc[0, ["low", "high"]].tolist() == ends(means[resamples(8, 0)].mean(axis=1), 8)


def test_a_part_of_the_scale_with_one_speaker_has_no_interval():
    speakers = np.where(TRUTH <= 2, "anna", np.where(np.arange(80) % 2, "ben", "carl"))
    table = evaluation.bias_by_rating(PREDICTED, (1, 5), groups=speakers)
    assert table[["low", "high"]].isna().to_numpy().tolist() == [[True] * 2] + [[False] * 2] * 3
    assert table["bias"].notna().all()
    alone = evaluation.slopes(PREDICTED, groups=np.full(80, "anna"))
    assert alone["value"].notna().all() and alone[["low", "high"]].isna().all(axis=None)


def test_slopes_are_those_of_least_squares():
    found = evaluation.slopes(PREDICTED)
    for name, x, y in (
        ("prediction on rating", TRUTH, PREDICTION),
        ("rating on prediction", PREDICTION, TRUTH),
    ):
        row = found.loc[name]
        assert row["value"] == pytest.approx(scipy.stats.linregress(x, y).slope)
        assert row["low"] < row["value"] < row["high"]
        drawn = [scipy.stats.linregress(x[r], y[r]).slope for r in resamples(80, 0)]
        assert row[["low", "high"]].tolist() == ends(drawn, 80)
    again = evaluation.slopes(PREDICTED.assign(prediction=PREDICTION / 100), seed=3)
    assert not again["low"].equals(found["low"])
    assert again.loc["rating on prediction", "value"] == pytest.approx(100 * row["value"])
    assert evaluation.slopes(PREDICTED, seed=3).equals(evaluation.slopes(PREDICTED, seed=3))
    whole = pd.DataFrame({"valence": [250, 3, 128], "prediction": [1, 200, 90]}, dtype=np.uint8)
    assert evaluation.slopes(whole).equals(evaluation.slopes(whole.astype(float)))
    constant = evaluation.slopes(PREDICTED.assign(prediction=3.0))
    assert constant.isna().all(axis=1).tolist() == [False, True, True, False]
    assert constant.loc["prediction on rating"].tolist() == [0, 0, 0]


def test_a_slope_of_1_is_calibrated_only_with_an_intercept_of_0():
    steps = np.arange(80) / 20
    too_high = pd.DataFrame({"valence": steps + 1, "prediction": steps + 1.5})
    found = evaluation.slopes(too_high)
    assert found["value"].tolist() == pytest.approx([1, 1, -0.5, 0.5])
    assert found["high"].tolist() == pytest.approx([1, 1, -0.5, 0.5])
    found = evaluation.slopes(PREDICTED)
    line = scipy.stats.linregress(PREDICTION, TRUTH)
    rows = resamples(80, 0)
    drawn = [scipy.stats.linregress(PREDICTION[r], TRUTH[r]).intercept for r in rows]
    intercept = found.loc["intercept of rating on prediction"]
    assert intercept["value"] == pytest.approx(line.intercept)
    assert intercept[["low", "high"]].tolist() == ends(drawn, 80)
    error = PREDICTION - TRUTH
    assert found.loc["mean error", "value"] == pytest.approx(error.mean())
    assert found.loc["mean error", ["low", "high"]].tolist() == ends(error[rows].mean(axis=1), 80)


def test_slopes_draw_speakers_with_the_rows_of_all_trainings():
    speakers = np.repeat(np.arange(8), 10)
    trainings = [PREDICTED.assign(prediction=PREDICTION + step) for step in (0, 0.3)]
    both = pd.concat(trainings, ignore_index=True)
    found = evaluation.slopes(both, groups=np.tile(speakers, 2), seed=5)
    rating, prediction = both["valence"].to_numpy(), both["prediction"].to_numpy()
    clips = [np.arange(80).reshape(8, 10)[row].ravel() for row in resamples(8, 5)]
    drawn = [
        scipy.stats.linregress(rating[rows], prediction[rows]).slope
        for rows in (np.concatenate([each, each + 80]) for each in clips)
    ]
    assert found.loc["prediction on rating", ["low", "high"]].tolist() == ends(drawn, 8)


def test_without_speakers_a_clip_is_drawn_with_the_rows_of_all_trainings():
    once = PREDICTED.assign(file=[f"{number:02}.wav" for number in range(80)])
    thrice = pd.concat([once] * 3, ignore_index=True)
    of = ["clips", "bias", "low", "high"]
    for table in (lambda each: evaluation.bias_by_rating(each, (1, 5)), evaluation.calibration):
        pd.testing.assert_frame_equal(table(thrice)[of], table(once)[of])
    pd.testing.assert_frame_equal(evaluation.slopes(thrice), evaluation.slopes(once))
    speakers = once.assign(speaker=["a", "b"] * 40), thrice.assign(speaker=["a", "b"] * 120)
    assert evaluation.by_speaker(speakers[1])["clips"].tolist() == [40, 40]


def test_a_clip_has_one_error_however_many_trainings_predicted_it():
    rows = pd.DataFrame(
        {
            "file": ["a", "b", "a", "b"],
            "speaker": ["anna", "ben", "anna", "ben"],
            "valence": [2.0, 4.0, 2.0, 4.0],
            "prediction": [2.5, 4.0, 1.0, 3.0],
        },
        index=[5, 6, 7, 8],
    )
    found = evaluation.clip_errors(rows)
    assert found.to_dict("list") == {
        "file": ["a", "b"],
        "speaker": ["anna", "ben"],
        "valence": [2, 4],
        "error": [0.75, 0.5],
    }
    assert found.index.tolist() == [5, 6]
    copied = evaluation.clip_errors(rows.assign(speaker=["anna", "ben", "a.", "b."]))
    assert copied["file"].tolist() == ["a", "b"]
    without = evaluation.clip_errors(rows.drop(columns="file"))
    assert without["error"].tolist() == [0.5, 0, 1, 1]
