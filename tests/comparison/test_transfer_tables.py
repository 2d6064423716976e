"""Tables of what was predicted for corpora that were not trained on."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers import comparison
from helpers.comparison import FoldPredictions, Transfer
from helpers.corpora import Corpus

NO_COSTS = pd.DataFrame()


def three_corpora(gender=False):
    """Six clips of two speakers each, with ratings from 1 to 5."""
    clips = pd.DataFrame(
        {
            "corpus": np.repeat(["a", "b", "c"], 6),
            "speaker": np.repeat(["a1", "a2", "b1", "b2", "c1", "c2"], 3),
            "valence": [1.0, 2, 4, 2, 3, 5] * 3,
        }
    )
    if gender:
        clips["gender"] = ["female"] * 3 + ["male"] * 3 + [None] * 12
    return Corpus("a_b_c", (1, 5), clips, clips.iloc[:0])


def off_by(corpus, target, *errors):
    """Predictions for a corpus that are off by so much, one training after the other."""
    rows = np.flatnonzero(corpus.clips["corpus"] == target)
    truth = corpus.clips["valence"].to_numpy()[rows]
    return {"m": FoldPredictions(rows, truth + np.array(errors).reshape(len(errors), -1), NO_COSTS)}


def test_what_a_corpus_brings_is_the_difference_to_training_without_it():
    corpus = three_corpora()
    fits = {
        Transfer(("c",), "c"): off_by(corpus, "c", 0.1),
        Transfer(("a",), "c"): off_by(corpus, "c", 1.0),
        Transfer(("b",), "c"): off_by(corpus, "c", -0.4),
        Transfer(("a", "b"), "c"): off_by(corpus, "c", 0.5),
    }
    gains = comparison.gain_table(corpus, fits)
    assert gains.index.names == ["model", "tested on", "trained on", "added"]
    assert gains.index.tolist() == [("m", "c", "a", "b"), ("m", "c", "b", "a")]
    assert gains["mae", "value"].tolist() == pytest.approx([0.5, 0.5])
    gain = gains["mae gain"]
    assert gain["value"].tolist() == pytest.approx([0.5, -0.1])
    assert gain["low"].tolist() == pytest.approx([0.5, -0.1])  # it is the same for every speaker


def test_a_target_of_one_speaker_has_no_interval_for_it_says_nothing_about_others():
    corpus = three_corpora()
    fits = {Transfer(("a",), "c"): off_by(corpus, "c", np.arange(6.0))}
    assert comparison.transfer_table(corpus, fits).loc[("a", "c", "m"), ("mae", "low")] == 1
    corpus.clips["speaker"] = corpus.clips["corpus"]
    alone = comparison.transfer_table(corpus, fits).loc[("a", "c", "m")]
    assert alone["mae", "value"] == 2.5 and np.isnan(alone["mae", "low"])


def test_nothing_is_gained_where_nothing_was_trained_on_several():
    corpus = three_corpora()
    assert comparison.gain_table(corpus, {Transfer(("a",), "c"): off_by(corpus, "c", 1.0)}).empty


def test_mean_errors_are_of_each_third_of_the_scale_and_each_gender():
    corpus = three_corpora(gender=True)
    errors = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    fits = {
        Transfer(("b",), "a"): off_by(corpus, "a", np.zeros(6)),
        Transfer(("b", "c"), "a"): off_by(corpus, "a", errors - 0.2, errors + 0.2),
    }
    table = comparison.bias_table(corpus, fits)
    assert set(table.index.get_level_values("trained on")) == {"b + c"}  # the most corpora
    table = table.loc["b + c", "a", "m"]
    assert table["mean error", "value"].round(9).to_dict() == {
        "all": 0.35,
        "valence 1 to 2.33": pytest.approx((0.1 + 0.2 + 0.4) / 3),
        "valence 2.33 to 3.67": 0.5,
        "valence 3.67 to 5": pytest.approx((0.3 + 0.6) / 2),
        "female": 0.2,
        "male": 0.5,
    }
    assert table["size"].loc["female"].tolist() == [3, 1]
    assert table.loc[["female", "male"], ("mean error", "low")].isna().all()  # one speaker each
    # Two speakers drawn twice: both the first, both the second, or one of each.
    assert table.loc["all", ("mean error", "low")] == pytest.approx(0.2)
    assert table.loc["all", ("mean error", "high")] == pytest.approx(0.5)


def test_a_rating_between_two_thirds_counts_to_the_lower_one():
    corpus = three_corpora()
    corpus.clips["valence"] = [0.0, 1, 2, 3, 0.5, 2.5] * 3
    corpus = Corpus("a_b_c", (0, 3), corpus.clips, corpus.rejected)
    found = comparison.bias_table(corpus, {Transfer(("b",), "a"): off_by(corpus, "a", 0.0)})
    sizes = found.droplevel([0, 1, 2])["size", "clips"]
    assert sizes.to_dict() == {
        "all": 6, "valence 0 to 1": 3, "valence 1 to 2": 1, "valence 2 to 3": 2,
    }  # fmt: skip


def test_tables_are_the_same_after_a_results_file():
    corpus = three_corpora()
    fits = {
        Transfer(("c",), "c"): off_by(corpus, "c", 0.1),
        Transfer(("a",), "c"): off_by(corpus, "c", 1.0),
        Transfer(("b",), "c"): off_by(corpus, "c", [3, 2, 0, 2, 1, -1]),  # a constant has no r
        Transfer(("a", "b"), "c"): off_by(corpus, "c", 0.5),
    }
    tables = comparison.TransferTables.of(corpus, fits)
    assert np.isnan(tables.scores.loc[("b", "c", "m"), ("pearson", "value")])
    stored = json.loads(json.dumps(tables.as_records()))
    for table, again in zip(tables, comparison.TransferTables.from_records(stored), strict=True):
        pd.testing.assert_frame_equal(table, again, check_names=False)
        assert table.index.names == again.index.names
    assert comparison.from_records([]).empty


def test_own_folds_stand_beside_the_training_on_most_other_corpora():
    corpus = three_corpora()
    fits = {
        Transfer(("c",), "c"): off_by(corpus, "c", 0.1),
        Transfer(("a",), "c"): off_by(corpus, "c", 1.0),
        Transfer(("a", "b"), "c"): off_by(corpus, "c", 0.5),
        Transfer(("a",), "a"): off_by(corpus, "a", -0.2),
        Transfer(("b",), "a"): off_by(corpus, "a", -0.7),
    }
    scores = comparison.own_and_others(comparison.transfer_table(corpus, fits))
    assert scores.index.tolist() == ["c", "a"]
    assert scores.columns.tolist() == [("own folds", "m"), ("other voices", "m")]
    cells = scores.map(lambda text: text.split()[0])
    assert cells.to_numpy().tolist() == [["0.10", "0.50"], ["0.20", "0.70"]]  # MAE
    bias = comparison.own_and_others(comparison.bias_table(corpus, fits))
    assert bias.loc[("a", "all"), ("other voices", "m")].split()[0] == "-0.70"
    assert len(bias) == 8
