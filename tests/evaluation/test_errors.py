import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers import evaluation

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, 80)
PREDICTION = 0.6 * TRUTH + 1 + RANDOM.normal(0, 0.5, 80)
PREDICTED = pd.DataFrame({"valence": TRUTH, "prediction": PREDICTION})


def ends(resampled):
    """Of the 95 % interval, as every function should have them."""
    return pytest.approx(list(np.percentile(resampled, [2.5, 97.5])))


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
def test_the_intervals_of_a_part_are_bootstrap_percentiles(seed):
    error, low = PREDICTION - TRUTH, TRUTH <= 2
    seeds = {} if seed == 0 else {"seed": seed}
    table = evaluation.bias_by_rating(PREDICTED, (1, 5), **seeds)
    drawn = error[low][evaluation.resamples(low.sum(), seed)].mean(axis=1)
    assert table.loc[0, ["low", "high"]].tolist() == ends(drawn)
    table = evaluation.calibration(PREDICTED, **seeds)
    lowest = error[np.sort(PREDICTION)[19] >= PREDICTION]
    drawn = lowest[evaluation.resamples(20, seed)]
    assert table.loc[0, ["low", "high"]].tolist() == ends(drawn.mean(axis=1))


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


def test_slopes_are_those_of_least_squares():
    found = evaluation.slopes(PREDICTED)
    for name, x, y in (
        ("prediction on rating", TRUTH, PREDICTION),
        ("rating on prediction", PREDICTION, TRUTH),
    ):
        row = found.loc[name]
        assert row["value"] == pytest.approx(scipy.stats.linregress(x, y).slope)
        assert row["low"] < row["value"] < row["high"]
        drawn = [scipy.stats.linregress(x[r], y[r]).slope for r in evaluation.resamples(80, 0)]
        assert row[["low", "high"]].tolist() == ends(drawn)
    again = evaluation.slopes(PREDICTED.assign(prediction=PREDICTION / 100), seed=3)
    assert not again["low"].equals(found["low"])
    assert again.loc["rating on prediction", "value"] == pytest.approx(100 * row["value"])
    assert evaluation.slopes(PREDICTED, seed=3).equals(evaluation.slopes(PREDICTED, seed=3))
    whole = pd.DataFrame({"valence": [250, 3, 128], "prediction": [1, 200, 90]}, dtype=np.uint8)
    assert evaluation.slopes(whole).equals(evaluation.slopes(whole.astype(float)))
    assert np.isnan(evaluation.slopes(PREDICTED.assign(prediction=3.0)).iloc[1]).all()
