import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from helpers import comparison, corpora, evaluation, models, splits, workers
from helpers.features import MelSettings
from helpers.settings import cache_folder

FAST = {"epochs": 2}


@pytest.fixture
def corpus(corpus_folder, monkeypatch):
    """A corpus whose models are fitted in this process: TensorFlow takes seconds to start."""
    monkeypatch.setattr(
        comparison.workers, "each", lambda run, fits, jobs: ((each, run(each)) for each in fits)
    )
    monkeypatch.setattr(comparison.backend, "limit_threads", lambda number: None)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(comparison, "_known", {})
    return corpora.load(corpus_folder)


def fit(corpus, **options):
    compared = {
        "median": comparison.named("median"),
        "egemaps_svr": comparison.named("egemaps_svr"),
        "statistics": comparison.statistics(**FAST),
    }
    return comparison.fit_all(corpus, compared, **{"folds": 2, "seeds": 1, **options})


def test_every_clip_is_tested_once_and_the_table_has_intervals_and_costs(corpus):
    fits = fit(corpus, seeds=2)
    for name, found in fits.items():
        assert sorted(found.rows) == list(range(12))
        assert found.predictions.shape == (2 if name == "statistics" else 1, 12)
    table = comparison.table(corpus, fits, reference="egemaps_svr")
    assert table.loc["egemaps_svr", ("mae gain", "value")] == 0
    assert (table["mae", "low"] <= table["mae", "value"]).all()
    assert table.loc["statistics", ("cost", "parameters")] > 1000
    truth = corpus.clips["valence"].to_numpy()[fits["median"].rows]
    alone = [evaluation.scores(truth, each)["value"] for each in fits["statistics"].predictions]
    found = table.loc["statistics"].xs("value", level=1)
    for score in ("mae", "ccc", "pearson"):
        assert found[score] == pytest.approx(np.mean([each[score] for each in alone]))


def test_what_was_fitted_is_not_fitted_again_and_a_torn_file_is(corpus):
    first = fit(corpus)
    stored = sorted(cache_folder("comparisons").glob("*.json"))
    whole, when = stored[0].read_text(), [path.stat().st_mtime_ns for path in stored]
    stored[0].write_text(whole[:50])
    again = fit(corpus)
    assert [path.stat().st_mtime_ns for path in stored][1:] == when[1:]
    assert json.loads(stored[0].read_text())["prediction"] == json.loads(whole)["prediction"]
    for name in first:
        assert np.array_equal(first[name].predictions, again[name].predictions)


def test_the_number_of_processes_changes_no_bit(corpus_folder, tmp_path, monkeypatch):
    corpus = corpora.load(corpus_folder)
    model, found = {"statistics": comparison.statistics(**FAST)}, []
    for jobs in (1, 2):
        monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / str(jobs)))
        found.append(comparison.fit_all(corpus, model, folds=2, jobs=jobs)["statistics"])
    assert np.array_equal(found[0].predictions, found[1].predictions)


def test_what_cannot_be_fitted_says_why(corpus_folder):
    wrong = {"wrong": comparison.statistics(loss="mape")}
    with pytest.raises(ValueError, match="loss is 'mape'"):
        comparison.fit_all(corpora.load(corpus_folder), wrong, folds=2, jobs=1)


def test_a_fit_whose_process_is_killed_says_what_to_do(corpus, monkeypatch):
    killed = workers.KilledError("Its process was killed.")
    monkeypatch.setattr(
        comparison.workers, "each", lambda run, fits, jobs: ((each, killed) for each in fits)
    )
    with pytest.raises(ValueError, match="killed. Use fewer jobs"):
        fit(corpus)


@pytest.mark.parametrize(
    ("what", "spoilt"),
    [
        ('"seconds"', '"secunds"'),
        ('"prediction": [', '"prediction": ["?", '),
        ('"milliseconds": 0.0', '"milliseconds": "0.0"'),
    ],
)
def test_a_stored_fit_that_is_spoilt_is_made_anew(corpus, what, spoilt):
    median = {"median": comparison.named("median")}
    expected = comparison.fit_all(corpus, median, folds=2)["median"]
    path = next(cache_folder("comparisons").glob("*.json"))
    whole = path.read_text()
    path.write_text(whole.replace(what, spoilt))
    found = comparison.fit_all(corpus, median, folds=2)["median"]
    assert np.array_equal(found.predictions, expected.predictions)
    assert path.read_text() == whole


def test_keys_say_nothing_about_where_things_are(corpus):
    compared = {name: comparison.named(name) for name in ("median", "egemaps_network")}
    comparison.fit_all(corpus, compared, folds=2)
    records = [json.loads(p.read_text()) for p in cache_folder("comparisons").glob("*.json")]
    assert records and not any("/" in json.dumps(each["made_by"]) for each in records)


def test_choices_are_made_without_the_test_part(corpus):
    median = {"median": comparison.named("median")}
    found = comparison.fit_all(corpus, median, folds=2, part="validation", which=[1])["median"]
    split = splits.folds(corpus.clips, 2, seed=0)[1]
    assert np.array_equal(found.rows, split.validation)
    middle = corpus.clips["valence"].iloc[split.train].median()
    assert found.predictions == pytest.approx(middle * np.ones((1, len(found.rows))))


@pytest.mark.parametrize("by_speaker", [False, True])
def test_statistics_and_functionals_stand_side_by_side(corpus, by_speaker):
    _, (_, model) = comparison.named("fusion", by_speaker=by_speaker)
    both = comparison._Inputs(corpus).of(model)
    assert both.shape == (12, 3 * (64 + 30 + 2) + 16 * 5 + 5 * (2 * 13 + 2) + 1 + 88)
    if by_speaker:
        mine = both[corpus.clips["speaker"] == "s0"]
        assert mine.mean(axis=0) == pytest.approx(np.zeros(both.shape[1]), abs=1e-4)
    fitted = dataclasses.replace(model, training={**model.training, **FAST})
    found = comparison.fit_all(corpus, {"fusion": fitted}, folds=2)["fusion"]
    assert np.isfinite(found.predictions).all()


def test_what_was_learnt_from_the_demo_corpus_is_begun_with(corpus, monkeypatch):
    begun = []
    weights = [np.ones(3)]
    monkeypatch.setattr(comparison, "_learnt_from_demo", lambda model, seed: weights)
    monkeypatch.setattr(
        comparison.training, "train", lambda *a, weights, **b: begun.append(weights) or 1 / 0
    )
    split = splits.folds(corpus.clips, 2, seed=0)[0]
    for transfer in (False, True):
        model = dataclasses.replace(comparison.statistics(**FAST), transfer=transfer)
        with pytest.raises(ZeroDivisionError):
            comparison._fit(corpus, model, split, 0, comparison._Inputs(corpus))
    assert begun == [None, weights]


def test_the_demo_corpus_teaches_a_network_of_the_same_shape():
    model = comparison.statistics(mel=MelSettings(n_mels=8), epochs=1)
    weights = comparison._learnt_from_demo(model, 0)
    expected = models.clip_statistics((8, 94)).get_weights()
    assert [each.shape for each in weights] == [each.shape for each in expected]


@pytest.mark.parametrize("idea", ["no pitch, PCEN", "attention_cnn instead"])
def test_ideas_that_are_no_arguments_of_the_recommended_model_can_be_fitted(corpus, idea):
    model = comparison.ablation()[idea]
    fitted = dataclasses.replace(model, training={**model.training, **FAST})
    found = comparison.fit_all(corpus, {idea: fitted}, folds=2, which=[1])[idea]
    assert np.isfinite(found.predictions).all()


def test_seeds_can_be_averaged_to_one_model(corpus):
    model = {"statistics": comparison.statistics(**FAST)}
    fits = comparison.fit_all(corpus, model, folds=2, seeds=3)["statistics"]
    mean = comparison.averaged(fits)
    assert mean.predictions == pytest.approx(fits.predictions.mean(axis=0, keepdims=True))
    assert mean.costs["parameters"].mean() == 3 * fits.costs["parameters"].mean()


@pytest.mark.parametrize("name", ["recommended", "fusion"])
def test_several_models_count_as_one_with_their_mean_and_all_their_costs(corpus, name):
    mine, other = (
        dataclasses.replace(each, training={**each.training, **FAST})
        for _, each in comparison.named(name, by_speaker=True)
    )
    alone = comparison.fit_all(corpus, {"a": mine, "b": other}, folds=2)
    found = comparison.fit_all(corpus, {name: ((2, mine), (1, other))}, folds=2)[name]
    mean = (2 * alone["a"].predictions + alone["b"].predictions) / 3
    assert found.predictions == pytest.approx(mean)
    assert np.array_equal(found.costs, alone["a"].costs + alone["b"].costs)


def test_every_idea_of_the_ablation_is_another_model():
    ideas = comparison.ablation()
    assert len({str(each) for each in ideas.values()}) == len(ideas)


def test_the_command_prints_the_table_and_writes_it(corpus_folder, tmp_path, capsys):
    out = tmp_path / "table.csv"
    arguments = [str(corpus_folder), "--models", "median,egemaps_svr", "--folds", "2"]
    assert evaluation.main([*arguments, "--csv", str(out)]) == 0
    assert "egemaps_svr" in capsys.readouterr().out
    assert list(pd.read_csv(out)["model"]) == ["median", "egemaps_svr"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--models", "crystal_ball"], "no model"), (["--folds", "50"], "50")],
)
def test_the_command_says_what_cannot_be_done(corpus_folder, capsys, arguments, sentence):
    assert evaluation.main([str(corpus_folder), *arguments]) == 2
    assert sentence in capsys.readouterr().err
