"""Searches whose trainings are made up: `test_execution` has the real ones."""

from types import SimpleNamespace
from unittest.mock import MagicMock, call

import numpy as np
import pandas as pd
import pytest

from helpers import corpora, features, splits, tuning
from helpers.cli import UserError, run
from helpers.features import MelSettings
from helpers.settings import PROFILES
from helpers.storage import cache_folder
from helpers.tuning import Study, TuningError, grid_search, trials
from tests.conftest import write_corpus

GRID = {"dropout": [0.0, 0.5], "epochs": [1, 3]}
VALIDATION_CLIPS = 6


@pytest.fixture
def corpus(tmp_path, output):
    write_corpus(tmp_path / "corpus", clips=24, speakers=8)
    return corpora.load(tmp_path / "corpus")


def errors_of(training):
    """By epoch: that of dropout 0.5 is larger, and no two seeds have the same."""
    first = 1 + training.settings["dropout"] + training.settings["seed"] / 100
    return [first / epoch for epoch in range(1, training.epochs + 1)]


def record_of(training):
    errors = errors_of(training)
    return {
        "history": {
            "epoch": list(range(1, len(errors) + 1)),
            "train_mae": [error / 2 for error in errors],
            "validation_mae": errors,
        },
        "validation": [[error] * VALIDATION_CLIPS for error in errors],
        "failure": None,
        "seconds": 7.0,
        "made_by": training.made_by,
    }


@pytest.fixture
def asked(monkeypatch):
    """The trainings that a search asks for, which end in another order, as `record_of` has them."""
    calls = []

    def carry_out(study, trainings, *, jobs, scheduler):
        calls.append(SimpleNamespace(trainings=trainings, jobs=jobs, scheduler=scheduler))
        for running, each in reversed(list(enumerate(trainings))):
            yield each, study.store.once(each, lambda each=each: record_of(each)), running

    monkeypatch.setattr(grid_search, "carry_out", carry_out)
    return calls


def files():
    return list(cache_folder("trials").glob("*.json"))


# What a grid is


def test_the_grid_is_the_table_of_the_original_study_in_its_order():
    settings = ["dropout", "batch_size", "epochs"]
    assert tuning.grid(tuning.GRID) == (
        tuning.REPORTED[settings].drop_duplicates().to_dict("records")
    )


def test_epochs_cost_only_the_longest_training():
    assert tuning.cost(tuning.GRID) == 6 * 3 * 20
    assert tuning.cost({**tuning.GRID, "epochs": [15]}, seeds=1) == 6 * 15
    assert tuning.cost({"dropout": [0.1, 0.2]}, seeds=5, epochs=3) == 2 * 5 * 3
    assert tuning.cost([{"dropout": 0.1}, {"dropout": 0.2, "epochs": 4}], seeds=1) == 20 + 4
    assert tuning.cost({"epochs": [5, 2], "dropout": [0.1, 0.2]}, seeds=1) == 2 * 5
    with pytest.raises(TuningError, match="'droput' is not a hyperparameter"):
        tuning.cost(tuning.GRID, droput=0.5)


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (
            {"droput": [0.5]},
            "'droput' is not a hyperparameter: choose from filters, .*decay",
        ),
        ({"dropout": 0.5}, "dropout is 0.5: give the values to try as a list"),
        ({"dropout": []}, r"dropout is \[\]: give the values"),
        ({"pool": "grid"}, "pool is 'grid': give the values"),
        ([{"seed": 3}], "'seed' is not a hyperparameter"),
        ({}, "The grid is empty"),
        ({"epochs": [0]}, "at least one epoch, not 0"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_anything_is_trained(corpus, asked, grid, sentence):
    with pytest.raises(UserError, match=sentence):
        tuning.search(corpus, grid)
    assert not asked and not files()


# What a search does


def test_a_search_has_a_row_a_trial_combination_by_combination(corpus, asked):
    table = tuning.search(corpus, GRID, seeds=2, seed=5, filters=2, batch_size=8)
    assert list(table.columns) == [
        "dropout", "epochs", "seed", "validation_mae", "train_mae", "seconds", "error", "key",
    ]  # fmt: skip
    expected = [(d, e, s) for d in GRID["dropout"] for e in GRID["epochs"] for s in (5, 6)]
    assert list(table[["dropout", "epochs", "seed"]].itertuples(index=False, name=None)) == expected
    maes = [(1 + dropout + seed / 100) / epochs for dropout, epochs, seed in expected]
    np.testing.assert_allclose(table["validation_mae"], maes)
    np.testing.assert_allclose(table["train_mae"], np.array(maes) / 2)
    assert table["seconds"].eq(7).all() and table["error"].isna().all()


def test_combinations_that_differ_in_epochs_are_one_training(corpus, asked):
    table = tuning.search(corpus, GRID, seeds=2, jobs=3, scheduler="tcp://here:1", filters=2)
    (found,) = asked
    assert (found.jobs, found.scheduler) == (3, "tcp://here:1")
    assert [each.epochs for each in found.trainings] == [3] * 4
    assert [each.key for each in found.trainings] == table["key"].drop_duplicates().tolist()
    chosen = [each.settings for each in found.trainings]
    assert [(each["dropout"], each["seed"]) for each in chosen] == [
        (0.0, 0), (0.0, 1), (0.5, 0), (0.5, 1),
    ]  # fmt: skip
    assert all(each["filters"] == 2 for each in chosen)
    assert all(each["batch_size"] == tuning.HYPERPARAMETERS["batch_size"] for each in chosen)
    study = Study.from_corpus(corpus)
    assert found.trainings[0].made_by["split"] == study.made_by["split"]


def test_three_seeds_and_all_cores_unless_other_numbers_are_asked_for(corpus, asked):
    table = tuning.search(corpus, {"dropout": [0.5]})
    assert table["seed"].tolist() == [0, 1, 2] and table["epochs"].tolist() == [20] * 3
    assert (asked[0].jobs, asked[0].scheduler) == (-1, None)
    assert tuning.cost({"dropout": [0.5]}) == 3 * 20


def test_the_seed_decides_the_split_that_all_trials_share(corpus, asked):
    tuning.search(corpus, {"dropout": [0.5]}, seeds=2, seed=4)
    shares = {each.made_by["split"] for each in asked[0].trainings}
    assert shares == {Study.from_corpus(corpus, seed=4).made_by["split"]}
    assert shares != {Study.from_corpus(corpus, seed=0).made_by["split"]}


def test_what_is_stored_is_read_and_the_rest_is_trained(corpus, asked, monkeypatch):
    begun = tuning.search(corpus, {"dropout": [0.5], "epochs": [3]}, seeds=1)
    bar = MagicMock()
    monkeypatch.setattr(grid_search, "bar", bar)
    table = tuning.search(corpus, GRID, seeds=2)
    assert begun["key"][0] not in [each.key for each in asked[1].trainings]
    assert len(asked[1].trainings) == 3 and len(files()) == 4
    bar.assert_called_once_with(total=4, initial=1, desc="tuning", unit="training")
    shown = bar().__enter__()
    assert shown.set_postfix.call_args_list == [
        # Dropout 0.5 with seed 0 is there, seed 1 ends next, and at last dropout 0 with seed 0.
        call(running=2, best="0.500", refresh=False),
        call(running=1, best="0.337", refresh=False),
        call(running=0, best="0.333", refresh=False),
    ]
    assert shown.update.call_args_list == [call()] * 3
    again = tuning.search(corpus, tuning.grid(GRID), seeds=2)
    assert asked[2].trainings == []
    pd.testing.assert_frame_equal(again, table)


def test_a_combination_has_the_common_value_of_what_it_does_not_name(corpus, asked):
    combinations = [{"dropout": 0.1, "epochs": 1}, {"units": [8, [4]], "epochs": 2}]
    table = tuning.search(corpus, combinations, seeds=1, dropout=0.4)
    assert table["dropout"].tolist() == [0.1, 0.4]
    assert table["units"].tolist() == [tuning.HYPERPARAMETERS["units"], (8, (4,))]
    assert [each.settings["dropout"] for each in asked[0].trainings] == [0.1, 0.4]


def test_the_progress_says_no_best_before_there_is_one():
    assert grid_search._best([]) == "nan"
    assert grid_search._best([{"history": {"validation_mae": []}}]) == "nan"


def test_predictions_are_those_after_the_trials_last_epoch(corpus, asked):
    table = tuning.search(corpus, GRID, seeds=2)
    table.loc[2, "validation_mae"] = np.nan  # it failed
    found = tuning.predictions(table)
    assert found.dtype == np.float32 and found.shape == (8, VALIDATION_CLIPS)
    expected = np.broadcast_to(table["validation_mae"].to_numpy()[:, None], found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_curves_of_the_best_and_the_worst_are_means_over_their_seeds(corpus, asked):
    curves = tuning.learning_curves(tuning.search(corpus, {**GRID, "batch_size": [8]}, seeds=2))
    best, worst = curves
    assert best == "best: dropout 0.0, epochs 3, batch size 8"
    assert worst == "worst: dropout 0.5, epochs 1, batch size 8"
    expected = {"epoch": 1, "train_mae": 1.505 / 2, "validation_mae": 1.505}
    assert len(curves[worst]) == 1 and curves[worst].loc[0].to_dict() == pytest.approx(expected)
    assert curves[best]["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(curves[best]["validation_mae"], 1.005 / np.array([1, 2, 3]))


# What the trials say


def made_up(*maes, units=((8, 4), (4, 2), (2, 1))):
    """Trials of combinations that differ in their units, with these errors for three seeds."""
    return pd.DataFrame(
        [
            {"units": unit, "epochs": 5, "seed": seed, "validation_mae": mae, "error": None}
            for unit, each in zip(units, maes, strict=False)
            for seed, mae in enumerate(each)
        ]
    )


def test_the_table_has_a_row_a_combination_in_the_order_of_the_grid():
    table = tuning.trial_table(made_up((0.5, 0.7, 0.9), (0.3, 0.3, 0.6)))
    assert table["units"].tolist() == [(8, 4), (4, 2)]
    assert table["trial 3"].tolist() == [0.9, 0.6]
    np.testing.assert_allclose(table["mean"], [0.7, 0.4])
    np.testing.assert_allclose(table["standard deviation"], [0.2, np.sqrt(0.03)])


def test_a_combination_that_failed_once_is_never_the_best():
    found = made_up((0.5, 0.7, 0.9), (0.1, np.nan, 0.1))
    assert tuning.trial_table(found)["mean"].isna().tolist() == [False, True]
    winner = tuning.best(found)
    assert winner["units"] == (8, 4) and winner["standard deviation"] == pytest.approx(0.2)
    found = made_up((0.5, np.nan, 0.9)).assign(error=[None, "out of memory", None])
    with pytest.raises(TuningError, match="^No combination finished all its trials: out of memory"):
        tuning.best(found)


def test_the_settings_of_a_row_are_pythons_own_numbers():
    settings = tuning.settings_of({"dropout": np.float64(0.5), "units": (8, 4), "mean": 0.7})
    assert settings == {"dropout": 0.5, "units": (8, 4)} and type(settings["dropout"]) is float


def test_the_best_row_of_the_original_study_is_the_one_that_it_names():
    winner = tuning.best(tuning.REPORTED)
    assert winner[["dropout", "batch_size", "epochs"]].tolist() == [0.5, 16, 20]
    assert tuning.REPORTED["validation_mae"].min() == 0.5532 == winner["trial 2"]


def test_a_combination_as_good_as_the_best_differs_from_one_that_is_worse():
    random = np.random.default_rng(0)
    truth = random.uniform(1, 5, 100)
    errors = random.normal(0, 0.5, (9, 100))
    errors[3:6] = errors[:3] + random.normal(0, 0.05, (3, 100))
    errors[6:] += 1
    maes = np.abs(errors).mean(axis=1).reshape(3, 3)
    table = tuning.against_best(made_up(*maes), truth, truth + errors)
    order = maes.mean(axis=1).argmin()
    np.testing.assert_allclose(table["mean"], maes.mean(axis=1))
    np.testing.assert_allclose(table["behind"], maes.mean(axis=1) - maes.mean(axis=1).min())
    assert table.loc[order, ["behind", "low", "high"]].eq(0).all()
    assert table["as good"].tolist() == [True, True, False]
    first, other = (
        tuning.against_best(made_up(*maes), truth, truth + errors, seed=seed) for seed in (0, 1)
    )
    pd.testing.assert_frame_equal(first, table)
    assert other["behind"].equals(table["behind"]) and not other["low"].equals(table["low"])


def test_rows_draw_trainings_of_their_own_and_share_the_speakers():
    speakers = np.repeat(np.arange(10), 4)
    hard = np.repeat(np.linspace(0, 2, 10), 4)  # for both rows, so their difference does not vary
    truth, luck = np.full(40, 3.0), np.array([0.1, 0.3, 0.5])
    errors = hard + np.concatenate([luck, luck + 0.1])[:, None]
    maes = errors.mean(axis=1).reshape(2, 3)
    table = tuning.against_best(made_up(*maes), truth, truth + errors, groups=speakers)
    assert table.loc[0, ["behind", "low", "high"]].tolist() == [0, 0, 0]
    assert table.loc[1, "behind"] == pytest.approx(0.1)
    # With seeds shared between rows, all would be 0.1. Two means of three draws each differ by:
    deviation = np.sqrt(2 * luck.var(ddof=1) / 3)
    reach = 2.38 * deviation  # as far as Student's t goes for ten speakers
    expected = [0.1 - reach, 0.1 + reach]
    assert table.loc[1, ["low", "high"]].tolist() == pytest.approx(expected, abs=0.03)
    assert table["as good"].tolist() == [True, True]


def test_errors_of_one_speaker_are_not_taken_for_those_of_many_clips():
    speakers = np.repeat(np.arange(10), 20)
    random = np.random.default_rng(0)
    truth, difference = np.full(200, 3.0), np.repeat(random.normal(0.1, 0.3, 10), 20)
    errors = np.stack([np.full(200, 1.0)] * 3 + [1 + difference] * 3)
    maes = errors.mean(axis=1).reshape(2, 3)
    by_clip, by_speaker = (
        tuning.against_best(made_up(*maes), truth, truth + errors, groups=groups)
        for groups in (None, speakers)
    )
    assert by_clip["behind"].equals(by_speaker["behind"])
    assert by_clip["as good"].sum() == 1 and by_speaker["as good"].sum() == 2


def test_a_combination_that_failed_is_not_as_good_as_the_best():
    truth = np.array([1.0, 3.0, 5.0])
    errors = np.array([0.5, 0.6, 0.7, 0.1, np.nan, 0.1])[:, None].repeat(3, axis=1)
    trials = made_up((0.5, 0.6, 0.7), (0.1, np.nan, 0.1))
    table = tuning.against_best(trials, truth, truth + errors)
    assert table["as good"].tolist() == [True, False]
    assert table.loc[1, ["behind", "low", "high"]].isna().all()


@pytest.mark.parametrize("seed", [0, 3])
def test_the_winner_learns_from_all_but_the_test_part(corpus, monkeypatch, seed):
    network, train, predict = MagicMock(), MagicMock(), MagicMock()
    network.__name__ = "parallel_cnn"
    monkeypatch.setattr(trials, "NETWORK", network)
    monkeypatch.setattr(trials, "train", train)
    monkeypatch.setattr(grid_search, "predict", predict)
    split = splits.main_split(corpus.clips, seed=seed)
    predict.return_value = np.arange(len(split.test)) / 10
    winner = pd.Series({"dropout": 0.2, "epochs": 4, "trial 1": 0.7, "mean": 0.7})
    options = {"seed": 3} if seed else {}
    run, tested = tuning.final(corpus, winner, **options, filters=2, batch_size=8)

    assert run is train.return_value
    matrix = features.extract(corpus, MelSettings(), duration=3)
    expected = {**trials.NETWORK_HYPERPARAMETERS, "dropout": 0.2, "filters": 2, "units": [400, 200]}
    expected["kernels"] = [list(kernel) for kernel in expected["kernels"]]  # as JSON has them
    network.assert_called_once_with(matrix.shape[1:], scale=corpus.scale, **expected)
    (model, data, ratings, parts), chosen = train.call_args
    assert model is network.return_value
    np.testing.assert_array_equal(data, matrix)
    assert ratings.tolist() == corpus.clips["valence"].astype(np.float32).tolist()
    assert parts.train.tolist() == sorted([*split.train, *split.validation])
    assert parts.validation.tolist() == [] and parts.validation.dtype.kind == "i"
    assert parts.test.tolist() == split.test.tolist()
    others = trials.TRAINING_HYPERPARAMETERS
    assert chosen == others | {"epochs": 4, "batch_size": 8, "seed": seed}

    asked_run, asked_data, asked_rows = predict.call_args.args
    assert (
        asked_run is run
        and asked_data is run.features
        and asked_rows.tolist() == split.test.tolist()
    )
    assert tested.columns.tolist() == ["file", "speaker", "valence", "prediction"]
    assert tested.index.tolist() == split.test.tolist()
    assert tested["file"].tolist() == corpus.clips["file"].iloc[split.test].tolist()
    assert tested["prediction"].tolist() == predict.return_value.tolist()


# From a terminal


@pytest.mark.parametrize("where", ["nowhere", "command", "environment"])
def test_the_command_prints_the_table_the_best_row_and_the_store(
    corpus, tmp_path, monkeypatch, capsys, where
):
    profile = "quick" if where == "nowhere" else "full"
    found = made_up((0.5, 0.70004, 0.9), (0.3, np.nan, 0.6)).rename(columns={"units": "dropout"})
    found.insert(1, "batch_size", 16)
    found["key"] = list("abcdef")
    found.loc[4, "error"] = "out of memory"
    search = MagicMock(return_value=found)
    monkeypatch.setattr(grid_search, "search", search)
    arguments = [str(tmp_path / "corpus")]
    if where == "command":
        arguments += ["--profile", "full", "--jobs", "3", "--scheduler", "tcp://here:1"]
    if where == "environment":
        monkeypatch.setenv("VALENCE_PROFILE", "full")
    assert tuning.main(arguments) == 0

    (loaded, grid), options = search.call_args
    assert loaded.fingerprint == corpus.fingerprint
    fixed = dict(PROFILES[profile]["search"])
    assert grid == {**tuning.GRID, "epochs": fixed.pop("epochs")}
    jobs, scheduler = (3, "tcp://here:1") if where == "command" else (-1, None)
    assert options == {"jobs": jobs, "scheduler": scheduler, **fixed}
    what, header, *rows, failed, winner, store = capsys.readouterr().out.splitlines()
    assert what == f"corpus: {len(corpus.clips)} clips, valence from 1 to 5, {profile} profile"
    assert header.split()[:5] == ["dropout", "batch_size", "epochs", "trial", "1"]
    assert [row.split() for row in rows] == [
        ["(8,", "4)", "16", "5", "0.5", "0.7", "0.9", "0.7", "0.2"],
        ["(4,", "2)", "16", "5", "0.3", "NaN", "0.6", "NaN", "NaN"],
    ]
    assert failed == "failed: e: out of memory"
    assert winner == "best: dropout (8, 4), batch size 16, 5 epochs: MAE 0.7000 ± 0.2000"
    assert store == f"trials: {cache_folder('trials')}"


def test_what_cannot_be_searched_ends_with_one_sentence(output, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(features.extraction, "SHORTEST_INPUT", 1)
    assert run(tuning.main, [str(tmp_path / "nowhere")]) == 2
    assert run(tuning.main, ["--scheduler", "nonsense"]) == 2
    missing, address = capsys.readouterr().err.splitlines()
    assert "nowhere does not exist: name a folder or a zip file of rated speech" in missing
    assert address.startswith(("No Dask scheduler answers at nonsense", "A scheduler needs Dask"))
    write_corpus(tmp_path / "few", clips=2, speakers=2)
    write_corpus(tmp_path / "short", clips=12, seconds=0.2)
    for arguments in (["few"], ["short", "--profile", "full"], ["--jobs", "0"]):
        paths = [str(tmp_path / name) if name in ("few", "short") else name for name in arguments]
        assert run(tuning.main, paths) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(SystemExit, match="2"):
        tuning.main(["--profile", "huge"])
    assert not files()


def test_a_bug_is_not_turned_into_a_sentence(monkeypatch, output):
    monkeypatch.setattr(grid_search, "search", lambda *a, **b: [].index(1))
    with pytest.raises(ValueError, match="not in list"):
        run(tuning.main, [])
