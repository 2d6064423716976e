"""Training on some corpora and testing on another one."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import cli, comparison, corpora
from tests.comparison.conftest import fast
from tests.conftest import voice


def other_corpus(folder, name):
    """A copy of a corpus with other sounds and lower ratings, still from 1 to 5."""
    other = shutil.copytree(folder, folder.with_name(name))
    labels = pd.read_csv(other / "labels.csv")
    labels["valence"] = 1 + (labels["valence"] - 1) ** 2 / 4  # lower, still from 1 to 5
    labels.to_csv(other / "labels.csv", index=False)
    for number, path in enumerate(sorted(other.rglob("*.wav"))):
        soundfile.write(path, voice(0.9, seed=100 * len(name) + number), 16000)
    return other


@pytest.fixture
def folders(corpus_folder):
    return [corpus_folder, other_corpus(corpus_folder, "b"), other_corpus(corpus_folder, "cc")]


def test_every_corpus_is_a_target_of_each_other_one_and_of_all_others(folders):
    whole = corpora.together([corpora.load(each) for each in folders])
    found = comparison.transfers(whole)
    assert len(found) == len(set(found)) == 12
    assert comparison.Transfer(("b", "cc"), "my_corpus") in found
    assert comparison.Transfer(("b",), "cc") in found
    assert comparison.Transfer(("b",), "b") in found


def test_a_transfer_trains_on_whole_corpora_and_tests_on_another_one(folders):
    whole = corpora.together([corpora.load(each) for each in folders])
    split = comparison.onto(whole, "b")
    assert set(whole.clips["corpus"].iloc[split.train]) == {"my_corpus", "cc"}
    assert whole.clips["corpus"].eq("b").sum() == len(split.test)
    with pytest.raises(comparison.ComparisonError, match="cannot be tested on 'd': name at least"):
        comparison.onto(whole, "d")


def test_what_is_predicted_for_a_corpus_comes_from_those_that_were_trained_on(corpus, folders):
    whole = corpora.together([corpora.load(each) for each in folders])
    fits = comparison.fit_transfers(
        whole, {"median": comparison.named("median")}, comparison.transfers(whole), folds=2
    )
    ratings = whole.clips.groupby("corpus")["valence"]
    for each in comparison.transfers(whole):
        found = fits[each]["median"]
        if each.tested_on in each.trained_on:
            continue
        assert set(whole.clips["corpus"].iloc[found.rows]) == {each.tested_on}
        expected = whole.clips.loc[whole.clips["corpus"].isin(each.trained_on), "valence"].median()
        assert np.allclose(found.predictions, expected)
    within = fits[comparison.Transfer(("b",), "b")]["median"]
    assert sorted(within.rows) == np.flatnonzero(whole.clips["corpus"] == "b").tolist()
    table = comparison.transfer_table(whole, fits)
    row = table.loc[("my_corpus", "b", "median")]
    median = ratings.median()["my_corpus"]
    truth = whole.clips.loc[whole.clips["corpus"] == "b", "valence"]
    assert row["mae", "value"] == pytest.approx((truth - median).abs().mean())
    assert row["shifted mae", "value"] == pytest.approx((truth - truth.mean()).abs().mean())
    gains = table["mae gain", "value"].unstack("model")
    errors = table["mae", "value"].unstack("model")
    assert np.allclose(gains, errors[["median"]].to_numpy() - errors)


def test_three_views_predict_a_corpus_that_they_were_not_trained_on(corpus, folders):
    whole = corpora.together([corpora.load(each) for each in folders[:2]])
    network = {"three_views": fast(comparison.named("three_views"))}
    fits = comparison.fit_all(whole, network, parts=[comparison.onto(whole, "b")])
    predictions = fits["three_views"].predictions
    assert predictions.shape == (1, whole.clips["corpus"].eq("b").sum())
    assert ((predictions >= 1) & (predictions <= 5)).all()
    moved = comparison.shifted(whole, fits)["three_views"].predictions
    truth = whole.clips["valence"].to_numpy()[fits["three_views"].rows]
    assert moved.mean() == pytest.approx(truth.mean())
    assert np.ptp(moved) == pytest.approx(np.ptp(predictions))


def test_the_command_trains_on_some_corpora_and_tests_on_another(corpus, folders, capsys):
    paths = [str(folder) for folder in folders]
    assert comparison.main([*paths[:2], "--on", paths[2], "--models", "median,egemaps_svr"]) == 0
    out = capsys.readouterr().out
    assert "trained on all corpora but cc, tested on all of it" in out
    assert "after shifting each model's predictions to the mean rating of cc" in out


def test_the_command_says_what_joining_corpora_did_to_ratings_and_clips(corpus, folders, capsys):
    labels = pd.read_csv(folders[1] / "labels.csv")
    labels["valence"] = 2 * labels["valence"] - 1  # from 1 to 9
    labels.to_csv(folders[1] / "labels.csv", index=False)
    shared = sorted(folders[0].rglob("*.wav"))[0]
    shutil.copy(shared, sorted(folders[1].rglob("*.wav"))[0])
    arguments = [str(folders[0]), "--on", str(folders[1]), "--models", "median"]
    assert comparison.main(arguments) == 0
    out = capsys.readouterr().out
    assert "b: its ratings from 1 to 9 are mapped to 1 to 5" in out
    assert "1 of 24 clips are in an earlier corpus, too, and count once" in out


def test_a_scale_is_that_of_each_corpus_whose_own_is_not_clear_also_of_the_target(
    corpus, folders, capsys
):
    for folder in folders[1:]:
        labels = pd.read_csv(folder / "labels.csv")
        labels["valence"] = 2 * labels["valence"] - 0.5  # from 1.5 to 9.5
        labels.to_csv(folder / "labels.csv", index=False)
    paths = [str(folder) for folder in folders]
    arguments = ["--on", paths[2], "--models", "median", "--scale", "1", "11"]
    for trained in (paths[:1], paths[:2]):
        assert comparison.main([*trained, *arguments]) == 0
        out = capsys.readouterr().out
        assert "cc: its scale is taken to be 1 to 11, since it is not clear by itself" in out
        assert ("b: its scale is taken to be 1 to 11" in out) == (len(trained) > 1)
        assert "my_corpus: its ratings from 1 to 5 are mapped to 1 to 11" in out
    assert cli.run(comparison.main, [paths[0], *arguments[:4]]) == 2
    assert "say which scale it is, as --scale LOW HIGH" in capsys.readouterr().err


def test_folds_of_a_target_are_refused(folders, capsys):
    with pytest.raises(SystemExit):
        comparison.main([str(folders[0]), "--on", str(folders[1]), "--by", "clip"])
    assert "without folds: leave --by and --folds out" in capsys.readouterr().err
