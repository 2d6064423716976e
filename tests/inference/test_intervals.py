import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers import inference, training
from helpers.inference import intervals

RANDOM = np.random.default_rng(0)


def test_the_margin_is_the_conformal_quantile():
    errors = np.abs(RANDOM.normal(size=99))
    assert inference.conformal_margin(errors) == np.sort(errors)[89]  # the 90th of 99
    assert inference.conformal_margin(errors[:8]) is None


def test_intervals_of_exchangeable_clips_hold_nine_in_ten_ratings():
    held = []
    for _ in range(2000):
        errors = np.abs(RANDOM.standard_t(3, size=40))
        held.append(errors[-1] <= inference.conformal_margin(errors[:-1]))
    assert 0.9 - 0.02 < np.mean(held) < 0.925 + 0.02  # between 1 - alpha and that + 1 / (n + 1)


def test_an_error_is_how_far_a_rating_is_outside_its_quantiles():
    quantiles = np.array([[2.0, 3.0], [2.0, 3.0], [2.0, 3.0], [4.0, 4.0]])
    scores = intervals.conformity(np.array([1.5, 3.25, 2.25, 3.0]), quantiles)
    assert scores.tolist() == [0.5, 0.25, -0.25, 1.0]


def test_an_interval_always_holds_the_prediction():
    quantiles = np.array([[2.0, 3.0], [2.0, 3.0]])
    low, high = intervals.extended(np.array([2.1, 2.5]), quantiles, np.array([-0.75, 0.25]))
    assert low.tolist() == [2.1, 1.75] and high.tolist() == [2.25, 3.25]


def test_ratings_are_counted_for_each_part_of_the_scale_and_each_speaker():
    truth = np.array([1.0, 3.0, 3.5, 5.0, 7.0, 7.0])  # 3 and 5 are on the borders
    low, high = np.array([0.0, 2, 4, 4, 6, 1]), np.array([2.0, 4, 6, 6, 8, 6])
    speakers = np.array(["a", "a", "b", "b", "c", "c"], dtype=object)
    found = intervals.count_held(truth, low, high, scale=(1.0, 7.0), speakers=speakers)
    assert (found["clips"], found["held"], found["speakers"]) == (6, 4, 3)
    assert found["parts"] == [
        {"from": 1.0, "to": 3.0, "clips": 2, "held": 2},
        {"from": 3.0, "to": 5.0, "clips": 2, "held": 1},
        {"from": 5.0, "to": 7.0, "clips": 2, "held": 1},
    ]
    assert found["width"] == pytest.approx((1 + 2 + 2 + 2 + 1 + 5) / 6)  # cut at 1 and at 7
    assert (found["worst_speaker"], found["best_speaker"]) == (0.5, 1.0)
    assert found["low"] == 0.5 <= found["high"] <= 1.0
    unknown = intervals.count_held(truth, low, high, scale=(1.0, 7.0), speakers=None)
    assert unknown == {name: found[name] for name in ("clips", "held", "width", "parts")}


def out_of_fold(run, corpus, width):
    """Made-up predictions for all clips but those of the test part, in three folds by speaker."""
    rows = np.union1d(run.split.train, run.split.validation)
    prediction = RANDOM.uniform(1, 5, len(rows))
    speaker = corpus.clips["speaker"].iloc[rows]
    table = pd.DataFrame({"fold": pd.factorize(speaker)[0] % 3, "prediction": prediction}, rows)
    low, high = width * RANDOM.uniform(0.5, 1, (2, len(rows)))
    return table.assign(low=prediction - low, high=prediction + high)


def by_hand(table, truth):
    """The margin of some clips, in the words of its definition."""
    outside = [max(each.low - truth[row], truth[row] - each.high) for row, each in table.iterrows()]
    return sorted(outside)[int(np.ceil(0.9 * (len(outside) + 1))) - 1]


@pytest.mark.parametrize("width", [0, 0.5, 8])  # 8: all ratings are inside
def test_out_of_fold_errors_give_the_margin_and_those_of_other_folds_its_coverage(
    study, distribution, width
):
    corpus, run = study.corpus, distribution if width else study.run
    table, truth = out_of_fold(run, corpus, width), run.ratings.astype(float)
    found = intervals.calibrate(run, corpus, table)
    assert found.margin == pytest.approx(by_hand(table, truth), abs=1e-6)
    assert found.from_quantiles == bool(width)
    assert (width < 8) == (found.margin > 0)
    assert found.errors == {"clips": 32, "speakers": 8, "folds": 3, "by": "speaker"}
    held, ends = {}, {}
    for row, each in table.iterrows():
        margin = by_hand(table[table["fold"] != each["fold"]], truth)
        low = min(each["low"] - margin, each["prediction"])
        high = max(each["high"] + margin, each["prediction"])
        held[row] = low <= truth[row] <= high
        ends[row] = min(max(high, 1), 5) - min(max(low, 1), 5)
    shares = pd.Series(held).groupby(corpus.clips["speaker"]).mean()
    assert found.out_of_fold["held"] == sum(held.values()) < 32
    assert found.out_of_fold["worst_speaker"] == pytest.approx(shares.min())
    assert found.out_of_fold["width"] == pytest.approx(np.mean(list(ends.values())))


def test_without_out_of_fold_predictions_the_validation_part_gives_the_margin(study, distribution):
    for run in (study.run, distribution):
        valid = run.split.validation
        found = intervals.calibrate(run, study.corpus)
        predicted, quantiles = training.predict_with_quantiles(run, run.features, valid)
        table = pd.DataFrame(quantiles, valid, ["low", "high"])
        assert found.margin == pytest.approx(by_hand(table, run.ratings), abs=1e-6)
        assert found.errors == {"clips": 12, "speakers": 6} and found.out_of_fold == {}
        if run is study.run:  # the 11.7th of 12
            assert found.margin == np.sort(np.abs(predicted - run.ratings[valid]))[11]


def test_folds_that_divide_a_speaker_are_called_folds_by_clip(study):
    corpus, run = study.corpus, study.run
    table = out_of_fold(run, corpus, 0)
    by_clip = table.assign(fold=np.arange(len(table)) % 3)
    assert intervals.calibrate(run, corpus, by_clip).errors["by"] == "clip"
    clips = corpus.clips.assign(speaker=None)
    unknown = intervals.calibrate(run, dataclasses.replace(corpus, clips=clips), table)
    assert unknown.errors == {"clips": 32, "folds": 3, "by": "clip"}


def test_folds_that_are_corpora_are_called_folds_by_corpus(study):
    corpus, run = study.corpus, study.run
    table = out_of_fold(run, corpus, 0)
    several = corpus.clips.assign(corpus=pd.Series(table["fold"]).map("part {}".format))
    assert several["corpus"].nunique() == 3
    found = intervals.calibrate(run, dataclasses.replace(corpus, clips=several), table)
    assert found.errors == {"clips": 32, "speakers": 8, "folds": 3, "by": "corpus"}


def test_predictions_of_test_clips_or_of_another_network_are_refused(study, distribution):
    corpus, run = study.corpus, study.run
    table = out_of_fold(run, corpus, 0)
    tested = table.rename(index={table.index[0]: run.split.test[0]})
    with pytest.raises(ValueError, match="also of test clips"):
        intervals.calibrate(run, corpus, tested)
    with pytest.raises(ValueError, match="of another network"):
        intervals.calibrate(run, corpus, out_of_fold(run, corpus, 1))
    with pytest.raises(ValueError, match="of another network"):
        intervals.calibrate(distribution, corpus, table)


def test_too_few_errors_give_intervals_that_span_the_scale(study):
    corpus, run = study.corpus, study.run
    rows = run.split.train[:4]
    table = out_of_fold(run, corpus, 0).loc[rows]
    found = intervals.calibrate(run, corpus, table)
    assert found.margin is None
    assert found.out_of_fold["held"] == 4 and found.out_of_fold["width"] == 4
