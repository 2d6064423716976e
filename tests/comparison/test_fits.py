import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from helpers import comparison, corpora, features, models, splits, workers
from helpers.cli import UserError
from helpers.comparison import fits
from helpers.storage import PROJECT, cache_folder
from tests.comparison.conftest import statistics


def fit(corpus, **options):
    compared = {
        "median": comparison.named("median"),
        "egemaps_svr": comparison.named("egemaps_svr"),
        "statistics": statistics(),
    }
    return comparison.fit_all(corpus, compared, **{"folds": 2, "seeds": 1, **options})


def files():
    return {p: p.stat().st_mtime_ns for p in sorted(cache_folder("comparisons").glob("*.json"))}


def test_every_clip_is_tested_once_by_each_seed(corpus):
    for name, found in fit(corpus, seeds=2).items():
        assert sorted(found.rows) == list(range(12))
        assert found.predictions.shape == (2 if name == "statistics" else 1, 12)
        assert list(found.costs) == ["seconds", "parameters", "milliseconds"]


@pytest.mark.parametrize("known", [True, False])
def test_the_svr_chooses_c_for_new_speakers_where_they_are_known(corpus, monkeypatch, known):
    asked = []

    def svr(features, ratings, train, test, **options):
        asked.append((train, options))
        return np.zeros(len(test))

    monkeypatch.setattr(fits.baselines, "svr", svr)
    if not known:
        corpus.clips["speaker"] = None
    compared = {"svr": comparison.named("egemaps_svr")}
    comparison.fit_all(corpus, compared, by="clip", folds=2)
    for train, options in asked:
        speakers = options.pop("speakers")
        machine = {"kernel": "rbf", "grid": (0.1, 1, 10), "folds": 3}
        assert options == {**machine, "scale": corpus.scale}
        assert (speakers is None) != known
        assert not known or speakers.tolist() == corpus.clips["speaker"].iloc[train].tolist()
    assert len(asked) == 2


def test_the_svr_predicts_the_same_in_other_units_of_the_rating_scale(corpus):
    wide = dataclasses.replace(
        corpus,
        scale=(0, 100),
        clips=corpus.clips.assign(valence=25 * (corpus.clips["valence"] - 1)),
    )
    compared = {"svr": comparison.named("egemaps_svr")}
    one, other = (
        comparison.fit_all(each, compared, folds=2)["svr"].predictions for each in (corpus, wide)
    )
    np.testing.assert_allclose(1 + other / 25, one, atol=1e-3)


def test_a_clip_too_short_for_functionals_is_as_the_mean_of_the_training_clips(
    corpus, monkeypatch, capsys
):
    values = np.random.default_rng(0).normal(5, 1, (12, 88)).astype(np.float32)
    values[5] = np.nan
    monkeypatch.setattr(features, "functionals", lambda corpus, **how: values)
    found = comparison.fit_all(corpus, {"": comparison.named("egemaps_svr")}, folds=2)[""]
    said = "1 of 12 clips are too short for functionals: these become the mean of the training"
    assert said in capsys.readouterr().out
    parts = splits.folds(corpus.clips, 2, by="speaker", seed=0)
    (part,) = (fits._parts(each, "test") for each in parts if 5 in each.test)
    filled = values.copy()
    filled[5] = values[part.train].mean(axis=0)
    ratings = corpus.clips["valence"].to_numpy(np.float32)
    speakers = corpus.clips["speaker"].to_numpy()[part.train]
    expected = comparison.svr(filled, ratings, part.train, part.test, speakers=speakers)
    assert found.predictions[0][np.isin(found.rows, part.test)] == pytest.approx(expected, abs=1e-5)
    network = fits.Fit.plan(corpus, comparison.named("egemaps_network"), part, 0)
    assert fits._filled_inputs(corpus, network) == pytest.approx(filled, abs=1e-5)


def test_what_was_fitted_is_not_fitted_again_and_a_torn_file_is(corpus):
    first = fit(corpus)
    stored = files()
    torn, *others = stored
    whole = torn.read_text()
    torn.write_text(whole[:50])
    again = fit(corpus)
    assert all(files()[path] == stored[path] for path in others)
    assert json.loads(torn.read_text())["prediction"] == json.loads(whole)["prediction"]
    for name in first:
        assert np.array_equal(first[name].predictions, again[name].predictions)


def test_the_number_of_processes_changes_no_bit(corpus_folder, tmp_path, monkeypatch):
    corpus = corpora.load(corpus_folder)
    contender, found = {"statistics": statistics()}, []
    for jobs in (1, 2):
        monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / str(jobs)))
        found.append(comparison.fit_all(corpus, contender, folds=2, jobs=jobs)["statistics"])
    assert np.array_equal(found[0].predictions, found[1].predictions)
    assert np.array_equal(found[0].quantiles, found[1].quantiles)


COMPARISON = """
import sys
from helpers import comparison, corpora
from tests.comparison.conftest import statistics
corpus = corpora.load(sys.argv[1])
found = comparison.fit_all(corpus, {"statistics": statistics()}, folds=2, jobs=1)
print(found["statistics"].costs["seconds"].tolist())
"""


def test_two_comparisons_at_once_share_the_work(corpus_folder):
    command = [sys.executable, "-c", COMPARISON, str(corpus_folder)]
    options = {"cwd": PROJECT, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **options) for _ in range(2)]
    shown = [process.communicate()[0] for process in both]
    # Had both done the same fit, each would have its own time for it.
    assert shown[0] == shown[1] != ""
    assert len(files()) == 2


def test_a_fit_whose_process_is_killed_says_what_to_do(corpus, monkeypatch):
    killed = workers.KilledError("Its process was killed.")
    monkeypatch.setattr(
        fits.workers, "each", lambda run, tasks, jobs: ((task, killed) for task in tasks)
    )
    with pytest.raises(comparison.ComparisonError, match="killed. Use fewer jobs"):
        fit(corpus)


@pytest.mark.parametrize(
    ("what", "spoilt"),
    [
        ('"seconds"', '"secunds"'),
        ('"prediction": [', '"prediction": ["?", '),
        ('"prediction": [', '"prediction": [3.0, '),
        ('"milliseconds": 0.0', '"milliseconds": "0.0"'),
        ('"comparison"', '"comparisons"'),
    ],
)
def test_a_stored_fit_that_is_spoilt_is_made_anew(corpus, what, spoilt):
    median = {"median": comparison.named("median")}
    expected = comparison.fit_all(corpus, median, folds=2)["median"]
    path = next(iter(files()))
    whole = path.read_text()
    assert what in whole
    path.write_text(whole.replace(what, spoilt))
    found = comparison.fit_all(corpus, median, folds=2)["median"]
    assert np.array_equal(found.predictions, expected.predictions)
    assert path.read_text() == whole


def test_a_stored_fit_without_its_quantiles_is_made_anew(corpus, monkeypatch):
    contender = {"statistics": statistics()}
    expected = comparison.fit_all(corpus, contender, folds=2)["statistics"]
    assert expected.quantiles.shape == (1, 12, 2)
    path = next(iter(files()))
    whole = json.loads(path.read_text())
    made = []
    monkeypatch.setattr(fits, "_fit", lambda corpus, fit: made.append(fit) or whole)
    for spoilt in ([], whole["quantiles"][1:], [["?", 1.0], *whole["quantiles"][1:]]):
        path.write_text(json.dumps({**whole, "quantiles": spoilt}))
        found = comparison.fit_all(corpus, contender, folds=2)["statistics"]
        assert np.array_equal(found.quantiles, expected.quantiles)
    assert [each.key for each in made] == 3 * [path.stem]


def test_the_median_has_no_quantiles(corpus):
    median = {"median": comparison.named("median")}
    assert comparison.fit_all(corpus, median, folds=2)["median"].quantiles is None


def test_keys_say_nothing_about_where_things_are(corpus):
    comparison.fit_all(corpus, {"median": comparison.named("median")}, folds=2)
    known = [json.loads(path.read_text())["made_by"] for path in files()]
    part = splits.folds(corpus.clips, 2, seed=0)[0]
    known.append(fits.Fit.plan(corpus, comparison.named("egemaps_network"), part, 0).made_by)
    assert len(known) == 3 and not any("/" in json.dumps(each) for each in known)


def test_choices_are_made_without_the_test_part(corpus):
    median = {"median": comparison.named("median")}
    found = comparison.fit_all(corpus, median, folds=2, part="validation", which=[1])["median"]
    split = splits.folds(corpus.clips, 2, seed=0)[1]
    assert np.array_equal(found.rows, split.validation)
    middle = corpus.clips["valence"].iloc[split.train].median()
    assert found.predictions == pytest.approx(middle * np.ones((1, len(found.rows))))


@pytest.mark.parametrize("nothing", [{"which": []}, {"seeds": 0}])
def test_an_empty_choice_is_refused(corpus, nothing):
    with pytest.raises(comparison.ComparisonError, match="nothing to fit: name at least one"):
        fit(corpus, **nothing)


def test_what_cannot_be_fitted_says_why(corpus, corpus_folder):
    with pytest.raises(ValueError, match="loss is 'mape'"):
        comparison.fit_all(corpus, {"wrong": statistics(loss="mape")}, folds=2)
    labels = corpus_folder / "labels.csv"
    labels.write_text(labels.read_text().replace(",s0", ","))
    unknown = corpora.load(corpus_folder)
    with pytest.raises(UserError, match="have no speaker"):
        fit(unknown)
    median = {"median": comparison.named("egemaps_svr", by_speaker=True)}
    with pytest.raises(UserError, match="have no speaker"):
        comparison.fit_all(unknown, median, by="clip", folds=2)


def test_an_official_split_is_the_only_one_and_its_validation_part_is_trained_on(corpus):
    parts = np.array(["train"] * 6 + ["validation"] * 3 + ["test"] * 3)
    official = dataclasses.replace(corpus, clips=corpus.clips.assign(split=parts))
    contenders = {"median": comparison.named("median")}
    parts = [splits.official_split(official.clips, seed=0)]
    tested = comparison.fit_all(official, contenders, parts=parts)["median"]
    assert tested.rows.tolist() == [9, 10, 11]
    valence = corpus.clips["valence"].to_numpy()
    assert (tested.predictions == np.float32(np.median(valence[:9]))).all()
    chosen = comparison.fit_all(official, contenders, parts=parts, part="validation")["median"]
    assert chosen.rows.tolist() == [6, 7, 8]
    assert (chosen.predictions == np.float32(np.median(valence[:6]))).all()


def test_a_network_that_takes_no_scale_is_trained(corpus, monkeypatch):
    def tiny(input_shape, *, units=4):
        inputs = models.keras.Input(input_shape)
        x = models.keras.layers.Dense(units)(models.keras.layers.Flatten()(inputs))
        return models.keras.Model(inputs, models.keras.layers.Dense(1)(x), name="tiny")

    monkeypatch.setattr(models, "tiny", tiny, raising=False)
    contender = comparison.Contender(network="tiny", options={"units": 3}, training={"epochs": 1})
    planned = fits.Fit.plan(corpus, contender, splits.random_split(corpus.clips, seed=0), 0)
    matrix = features.extract(corpus, contender.mel, duration=2)
    ratings = corpus.clips["valence"].to_numpy(np.float32)
    assert fits._train(planned, matrix, ratings, corpus.scale).model.name == "tiny"
