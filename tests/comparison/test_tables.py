import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers import comparison, evaluation, splits
from tests.comparison.conftest import statistics


def fit(corpus, **options):
    names = ("median", "egemaps_svr")
    compared = {name: comparison.named(name) for name in names} | {"statistics": statistics()}
    return comparison.fit_all(corpus, compared, folds=2, **options)


def test_the_table_has_intervals_gains_and_costs(corpus):
    fits = fit(corpus, seeds=2)
    table = comparison.score_table(corpus, fits, reference="egemaps_svr")
    assert list(dict.fromkeys(name for name, _ in table.columns)) == [
        "mae", "ccc", "pearson", "bias", "mae gain", "ccc gain", "cost",
    ]  # fmt: skip
    assert table.loc["egemaps_svr", ("mae gain", "value")] == 0
    assert (table["mae", "low"] <= table["mae", "value"]).all()
    assert table.loc["statistics", ("cost", "parameters")] > 1000
    truth = corpus.clips["valence"].to_numpy()[fits["median"].rows]
    alone = [evaluation.scores(truth, each)["value"] for each in fits["statistics"].predictions]
    found = table.loc["statistics"].xs("value", level=1)
    for score in ("mae", "ccc", "pearson"):
        assert found[score] == pytest.approx(np.mean([each[score] for each in alone]))


def test_an_idea_that_adds_to_another_is_compared_with_that_one(corpus):
    fits = fit(corpus)
    first, other, added = fits.values()
    table = comparison.ablation_table(
        corpus, {"a": first, "b": other, "b, c": added, "d, e": added}
    )
    gains = [name for name in table.columns if name[0].endswith("gain")]
    over_a = comparison.score_table(corpus, {"a": first, "b": other, "d, e": added})
    over_b = comparison.score_table(corpus, {"b": other, "b, c": added})
    assert table.loc[["a", "b", "d, e"], gains].equals(over_a[gains])
    assert table.loc[["b, c"], gains].equals(over_b.loc[["b, c"], gains])
    assert table.loc["b, c", ("mae gain", "value")] != table.loc["d, e", ("mae gain", "value")]
    assert table.loc["b, c", "mae"].equals(over_b.loc["b, c", "mae"])


def test_intervals_are_over_speakers_where_all_are_known(corpus):
    median = {"median": comparison.named("median")}
    fits = comparison.fit_all(corpus, median, by="clip", folds=2)
    truth, rows = corpus.clips["valence"].to_numpy(), fits["median"].rows
    speakers = corpus.clips["speaker"].to_numpy()[rows]
    predicted = {"median": fits["median"].predictions}
    over_speakers = evaluation.compare(truth[rows], predicted, groups=speakers)["mae"]
    over_clips = evaluation.compare(truth[rows], predicted, groups=rows)["mae"]
    assert not over_clips.equals(over_speakers)
    assert comparison.score_table(corpus, fits)["mae"].equals(over_speakers)
    corpus.clips.loc[0, "speaker"] = np.nan
    assert comparison.score_table(corpus, fits)["mae"].equals(over_clips)


def test_a_clip_of_several_validation_parts_is_one_voice_where_speakers_are_unknown(corpus):
    corpus.clips["speaker"] = None
    costs = pd.DataFrame({"seconds": [0]})

    def gain(rows):
        fits = {
            name: comparison.FoldPredictions(rows, prediction[None], costs)
            for name, prediction in (("median", 3.0 + 0 * rows), ("other", 2.0 + rows))
        }
        return comparison.score_table(corpus, fits)["mae gain"].loc["other"].tolist()

    assert gain(np.tile(np.arange(4), 20)) == pytest.approx(gain(np.arange(4)))


def test_one_listener_stands_beside_the_models_where_there_are_several(corpus):
    fits = comparison.fit_all(corpus, {"median": comparison.named("median")}, folds=2)
    assert list(comparison.score_table(corpus, fits, listener=True).index) == ["median"]
    valence = corpus.clips["valence"].to_numpy()
    ears = {"a": valence + 0.5, "b": valence - 0.5, "c": np.where(valence > 2, valence, np.nan)}
    heard = dataclasses.replace(corpus, raters=pd.DataFrame(ears, corpus.clips.index))
    table = comparison.score_table(heard, fits, listener=True)
    row, frame = table.loc["one_listener"], heard.raters
    errors = [(frame[name] - frame.drop(columns=name).mean(axis=1)).abs() for name in frame]
    assert row["mae", "value"] == pytest.approx(pd.concat(errors).mean())
    assert row["mae", "low"] <= row["mae", "value"] <= row["mae", "high"]
    assert row[["mae gain", "ccc gain", "cost"]].isna().all()
    assert (
        evaluation.readable(table).loc["one_listener", ["mae gain", "covered share"]].eq("–").all()
    )
    alone = np.where(np.arange(12)[:, None] % 2 == [0, 1], valence[:, None], np.nan)
    apart = dataclasses.replace(corpus, raters=pd.DataFrame(alone, corpus.clips.index))
    assert list(comparison.score_table(apart, fits, listener=True).index) == ["median"]
    with pytest.raises(ValueError, match="No clip was rated by two raters"):
        evaluation.one_listener(apart.raters)


def test_the_covered_share_is_how_far_a_model_is_from_the_median_to_a_listener(corpus):
    compared = {name: comparison.named(name) for name in ("median", "egemaps_svr")}
    fits = comparison.fit_all(corpus, compared, folds=2)
    valence = corpus.clips["valence"]
    ears = pd.DataFrame({"a": valence + 0.25, "b": valence - 0.25})
    heard = dataclasses.replace(corpus, raters=ears)
    table = comparison.score_table(heard, fits, listener=True)
    share, mae = table["covered share"], table["mae", "value"]
    expected = (mae["median"] - mae["egemaps_svr"]) / (mae["median"] - 0.5)
    assert share.loc["egemaps_svr", "value"] == pytest.approx(expected)
    assert share.loc["egemaps_svr", "low"] < expected < share.loc["egemaps_svr", "high"]
    assert share.loc["median"].tolist() == [0, 0, 0] and share.loc["one_listener"].isna().all()
    deaf = dataclasses.replace(corpus, raters=pd.DataFrame({"a": valence, "b": 6 - valence}))
    table = comparison.score_table(deaf, fits, listener=True)
    assert table.loc["one_listener", ("mae", "value")] > table.loc["median", ("mae", "value")]
    assert table["covered share", "value"].isna().all()
    without = comparison.score_table(heard, {"egemaps_svr": fits["egemaps_svr"]}, listener=True)
    assert "covered share" not in without


def test_predictions_are_listed_by_clip(corpus):
    compared = {"median": comparison.named("median"), "statistics": statistics()}
    fits = comparison.fit_all(corpus, compared, folds=2, seeds=2)
    listed = comparison.out_of_fold(corpus, fits)
    assert list(listed) == ["file", "speaker", "valence", "median", "statistics 1", "statistics 2"]
    assert listed[["file", "speaker", "valence"]].equals(corpus.clips[list(listed)[:3]])
    rows, predictions = fits["statistics"].rows, fits["statistics"].predictions
    assert listed["statistics 2"].to_numpy()[rows] == pytest.approx(predictions[1])


def test_out_of_fold_predictions_are_of_no_test_clip_and_of_no_speaker_of_their_training(corpus):
    split = splits.main_split(corpus.clips, seed=0)
    table = comparison.cross_val_predict(corpus, comparison.named("median"), split, folds=2)
    assert table.index.tolist() == sorted([*split.train, *split.validation])
    own = corpus.clips.loc[table.index]
    assert (table["fold"].groupby(own["speaker"]).nunique() == 1).all()
    for fold in (0, 1):
        others = own["valence"][table["fold"] != fold].median()
        columns = table.loc[table["fold"] == fold, ["prediction", "low", "high"]]
        assert len(columns) and columns.to_numpy() == pytest.approx(np.full(columns.shape, others))


def test_a_distribution_has_out_of_fold_quantiles(corpus):
    split = splits.main_split(corpus.clips, seed=0)
    table = comparison.cross_val_predict(corpus, statistics(), split)
    assert table["fold"].nunique() == corpus.clips.loc[table.index, "speaker"].nunique() < 6
    assert (table["low"] < table["prediction"]).all()
    assert (table["prediction"] < table["high"]).all()


def test_a_table_becomes_plain_numbers_for_a_results_file(corpus):
    median = comparison.fit_all(corpus, {"median": comparison.named("median")}, folds=2)["median"]
    constant = median._replace(predictions=np.full((1, 12), 3.0))
    table = comparison.score_table(corpus, {"median": median, "constant": constant})
    found = comparison.as_dict(table)
    assert list(found) == ["median", "constant"]
    assert found["constant"]["pearson"] == {"value": None, "low": None, "high": None}
    assert list(found["median"]["cost"]) == ["seconds", "parameters", "milliseconds"]
    for model, scores in found.items():
        for score, parts in scores.items():
            for part, number in parts.items():
                assert number is None or number == table.loc[model, (score, part)]


def test_seeds_can_be_averaged_to_one_contender(corpus):
    contender = {"statistics": statistics()}
    fits = comparison.fit_all(corpus, contender, folds=2, seeds=3)["statistics"]
    mean = comparison.averaged(fits)
    assert mean.predictions == pytest.approx(fits.predictions.mean(axis=0, keepdims=True))
    assert mean.costs["parameters"].mean() == 3 * fits.costs["parameters"].mean()
