from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers import comparison, corpora, evaluation

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, 80)
PREDICTION = 0.6 * TRUTH + 1 + RANDOM.normal(0, 0.5, 80)
PREDICTED = pd.DataFrame({"valence": TRUTH, "prediction": PREDICTION})


def ends(resampled):
    """Of the 95 % interval, as every function should have them."""
    return pytest.approx(list(np.percentile(resampled, [2.5, 97.5])))


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
    resampled = np.abs(PREDICTION - TRUTH)[evaluation.resamples(len(TRUTH), 0)].mean(axis=1)
    assert ours[["low", "high"]].tolist() == ends(resampled)


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
    table = evaluation.table(truth, {"m": prediction})
    assert table.equals(evaluation.table(plain[0], {"m": plain[1]}))


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
    drawn = gains[evaluation.resamples(80, 0)].mean(axis=1)
    assert found[["low", "high"]].tolist() == ends(drawn)
    drawn = gains[evaluation.resamples(80, 9)].mean(axis=1)
    other = evaluation.mae_difference(TRUTH, slightly_better, PREDICTION, seed=9)
    assert other[["low", "high"]].tolist() == ends(drawn)
    alone = evaluation.compare(TRUTH, {"a": slightly_better, "b": PREDICTION})["mae"]
    assert alone.loc["a", "high"] > alone.loc["b", "low"]
    assert evaluation.mae_difference(TRUTH, PREDICTION, PREDICTION).eq(0).all()


def test_the_errors_of_several_trainings_are_averaged_before_they_are_compared():
    several = np.stack([PREDICTION, PREDICTION + 0.2, PREDICTION - 0.4])
    found = evaluation.mae_difference(TRUTH, several, PREDICTION)
    errors = [np.abs(each - TRUTH).mean() for each in several]
    assert found["value"] == pytest.approx(errors[0] - np.mean(errors))
    assert evaluation.mae_difference(TRUTH, several, several).eq(0).all()


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
    table = evaluation.calibration(PREDICTED, bins=1, **seeds)
    drawn = error[evaluation.resamples(80, seed)].mean(axis=1)
    assert table.loc[0, ["low", "high"]].tolist() == ends(drawn)


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


def test_a_table_of_trainings_has_the_means_of_their_scores_and_paired_gains():
    several = np.stack([PREDICTION, PREDICTION + 0.2])
    found = evaluation.table(TRUTH, {"median": np.full(80, 3.0), "model": several})
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
    assert found.loc["model", ("mae gain", "low")] == pytest.approx(alone["low"], abs=0.03)


def test_speakers_that_differ_make_intervals_wide():
    speakers = np.repeat(np.arange(8), 10)
    prediction = TRUTH + np.repeat(np.arange(8) / 4, 10)  # each speaker with an error of its own
    by_clip = evaluation.table(TRUTH, {"m": prediction})["mae"].loc["m"]
    by_speaker = evaluation.table(TRUTH, {"m": prediction}, groups=speakers)["mae"].loc["m"]
    width = by_speaker["high"] - by_speaker["low"]
    assert by_clip["value"] == by_speaker["value"]
    assert width > 2 * (by_clip["high"] - by_clip["low"])


def test_weighted_scores_are_those_of_the_clips_that_were_drawn():
    speakers = np.repeat(np.arange(8), 10)
    truth = TRUTH + np.repeat(np.arange(8) / 2, 10)  # so that draws differ in their means
    prediction = PREDICTION + np.repeat(np.arange(8) / 3, 10)
    weights = evaluation._draws(speakers, seed=2)
    found = evaluation._weighted(weights, truth, prediction)
    for row in (1, 2, 3):
        drawn = np.repeat(np.arange(80), weights[row].astype(int))
        scores = evaluation.scores(truth[drawn], prediction[drawn])["value"]
        for score in ("mae", "ccc", "pearson"):
            assert found[score][row] == pytest.approx(scores[score])
        slope = scipy.stats.linregress(truth[drawn], prediction[drawn]).slope
        assert found["bias"][row] == pytest.approx(slope - 1)
    table = evaluation.table(truth, {"m": prediction}, groups=speakers, seed=2)
    for score, drawn in found.items():
        assert table.loc["m", (score, "value")] == drawn[0]
        assert table.loc["m", score][["low", "high"]].tolist() == ends(drawn[1:])


def test_gains_are_over_the_model_that_is_named_and_the_seed_is_0_unless_said():
    models = {"a": PREDICTION, "b": TRUTH + 0.1, "c": np.where(TRUTH > 3, 3.5, 2.5)}
    table = evaluation.table(TRUTH, models, reference="b")
    assert table.index.name == "model"
    assert table.loc["b", ["mae gain", "ccc gain"]].eq(0).all()
    scores = {name: evaluation.scores(TRUTH, each)["value"] for name, each in models.items()}
    for name in "ac":
        gain = scores["b"]["mae"] - scores[name]["mae"]
        assert table.loc[name, ("mae gain", "value")] == pytest.approx(gain)
        gain = scores[name]["ccc"] - scores["b"]["ccc"]
        assert table.loc[name, ("ccc gain", "value")] == pytest.approx(gain)
    assert table.equals(evaluation.table(TRUTH, models, reference="b", seed=0))
    assert not table.equals(evaluation.table(TRUTH, models, reference="b", seed=1))
    same = evaluation.table(np.full(80, 3.0), {"m": PREDICTION}).loc["m"]
    assert same["bias"].isna().all() and same["pearson"].isna().all()


def test_a_readable_table_leaves_costs_out_and_says_what_is_missing():
    table = evaluation.table(TRUTH, {"median": np.full(80, 3.0)})
    costs = pd.DataFrame({("cost", "seconds"): [1.0]}, index=["median"])
    cells = evaluation.readable(table.join(costs)).loc["median"]
    assert "cost" not in cells and cells["pearson"] == "–"
    assert cells["ccc"] == "0.00\N{NO-BREAK SPACE}[0.00,\N{NO-BREAK SPACE}0.00]"


@pytest.mark.parametrize("more", [False, True])
def test_the_command_compares_what_it_was_asked_to(
    corpus_folder, tmp_path, monkeypatch, capsys, more
):
    fit_all, table = MagicMock(), MagicMock()
    monkeypatch.setattr(comparison, "fit_all", fit_all)
    monkeypatch.setattr(comparison, "table", table)
    scores = evaluation.table(TRUTH, {"a model": PREDICTION})
    scores["cost", "seconds"] = 1.239
    table.return_value = scores
    out = tmp_path / "table.csv"
    arguments = [str(corpus_folder)]
    if more:
        arguments += ["--models", "cnn_blstm,median", "--by", "clip", "--folds", "3"]
        arguments += ["--seeds", "2", "--jobs", "4", "--normalise", "--csv", str(out)]
    assert evaluation.main(arguments) == 0

    (corpus, models), options = fit_all.call_args
    names = ["cnn_blstm", "median"] if more else ["recommended", "egemaps_svr", "median"]
    assert corpus.fingerprint == corpora.load(corpus_folder).fingerprint
    assert models == {name: comparison.named(name, by_speaker=more) for name in names}
    asked = {"by": "clip", "folds": 3, "seeds": 2, "jobs": 4}
    default = {"by": "speaker", "folds": 6, "seeds": 1, "jobs": -1}
    assert options == (asked if more else default)
    reference = "cnn_blstm" if more else "egemaps_svr"
    table.assert_called_once_with(corpus, fit_all.return_value, reference=reference)

    title, *tables = capsys.readouterr().out.split("\n\n")
    sizes = (
        "3 folds by clip, networks trained 2" if more else "6 folds by speaker, networks trained 1"
    )
    assert title == (
        f"{corpus.name}: {sizes} times in each; gains are over {reference}, intervals 95 %"
    )
    cost = scores["cost"].round(2).to_string()
    assert "1.24" in cost and tables == [evaluation.readable(scores).to_string(), f"{cost}\n"]
    assert out.exists() == more
    if more:
        written = pd.read_csv(out, index_col="model")
        assert list(written.columns[:3]) == ["mae value", "mae low", "mae high"]
        found = written.loc["a model"].tolist()
        assert found == pytest.approx(scores.loc["a model"].tolist(), nan_ok=True)
    assert evaluation.main([*arguments, "--by", "speaker"]) == 0  # what is asked last counts


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["--models", "crystal_ball"], ["--csv", "no/such/folder/out.csv"]]
)
def test_the_command_says_in_one_sentence_what_cannot_be_done(monkeypatch, capsys, arguments):
    monkeypatch.setattr(comparison, "fit_all", MagicMock())
    scores = MagicMock(return_value=evaluation.table(TRUTH, {"a model": PREDICTION}))
    monkeypatch.setattr(comparison, "table", scores)
    assert evaluation.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert arguments[-1].split("/")[0] in said.err


@pytest.mark.parametrize("arguments", [["--by", "day"], ["--folds", "few"], ["--seeds", "x"]])
def test_the_command_says_which_choices_there_are(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        evaluation.main(arguments)
    assert arguments[0] in capsys.readouterr().err
