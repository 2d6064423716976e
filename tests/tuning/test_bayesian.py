import numpy as np
import optuna
import pandas as pd
import pytest

from helpers import tuning
from helpers.tuning import Study, Training, TuningError, bayesian
from tests.tuning.conftest import files, numbers

FIXED = {"kernels": ((8, 6), (4, 10)), "batch_size": 6}
RANDOM = np.random.default_rng(0)


def test_a_search_is_the_same_however_it_is_cut_and_trained(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(bayesian, "STARTUP", 2)  # so that the next two may be stopped
    options = {"epochs": 2, "filters": 4, "seed": 1, **FIXED}
    begun = tuning.explore(corpus, cost=9, jobs=1, **options)
    assert len(begun) == 4 and begun["cost"].tolist() == [2] * 4  # a fifth would exceed 9
    before = files()
    table = tuning.explore(corpus, cost=12, jobs=1, **options)
    pd.testing.assert_frame_equal(table[:4], begun)
    assert before.items() <= files().items()
    pd.testing.assert_frame_equal(tuning.explore(corpus, cost=12, **options), table)
    with monkeypatch.context() as patch:
        patch.setenv("VALENCE_OUTPUT", str(tmp_path / "elsewhere"))
        again = tuning.explore(corpus, cost=9, jobs=2, **options)
    pd.testing.assert_frame_equal(numbers(again), numbers(begun), check_exact=True)

    assert 12 - 2 < table["cost"].sum() <= 12
    assert (table["pruned"] == table["validation_mae"].isna()).all() and table["error"].isna().all()
    assert table["filters"].between(1, 4).all() and table["dropout"].between(0, 0.7).all()
    assert table["units"].map(lambda units: units[0] // 2 == units[1]).all()
    assert set(table.columns) >= {"learning_rate", "weight_decay"} and "batch_size" not in table
    # A row is a combination for the other search, whose first seed is then done.
    winner, before = tuning.best(table), files()
    settings = tuning.settings_of(winner)
    confirmed = tuning.search(corpus, [settings], seeds=1, seed=1, **FIXED)
    assert confirmed["validation_mae"][0] == winner["mean"] and files() == before


def test_trials_are_stopped_where_optunas_median_pruner_stops_them():
    pruner = optuna.pruners.MedianPruner(n_startup_trials=bayesian.STARTUP)
    study = optuna.create_study(pruner=pruner)
    stops = []
    for _ in range(40):
        limits = bayesian._medians(study)
        maes = np.linspace(2, 1, 8) + RANDOM.normal(0, 0.3, 8) + RANDOM.normal(0, 0.2)
        trial, stopped = study.ask(), None
        for epoch, mae in enumerate(maes, start=1):
            trial.report(mae, epoch)
            if trial.should_prune():
                stopped = epoch
                break
        assert Training("", {}, 8, tuple(limits)).stopped(maes) == stopped
        study.tell(trial, None if stopped else maes[-1], state=(
            optuna.trial.TrialState.PRUNED if stopped else optuna.trial.TrialState.COMPLETE
        ))  # fmt: skip
        stops.append(stopped)
    assert stops[: bayesian.STARTUP] == [None] * bayesian.STARTUP
    assert 10 < sum(stop is not None for stop in stops) < 35


def test_a_trial_that_failed_costs_a_whole_one_and_is_reported_as_failed(corpus):
    proposals = optuna.create_study()
    trial = proposals.ask(tuning.space(24))
    training = Study.from_corpus(corpus).training({"epochs": 7}, seed=0)
    record = {
        "history": {"epoch": [1], "train_mae": [1.0], "validation_mae": [1.0]},
        "validation": [],
        "failure": {"epoch": 2, "reason": "the reason"},
        "seconds": 1.0,
    }
    row = bayesian._report(proposals, trial, training, record)
    assert (row["cost"], row["error"], row["pruned"]) == (7, "the reason", False)
    assert proposals.trials[0].state == optuna.trial.TrialState.FAIL


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cost": 19}, "19 training epochs are not enough for one trial of 20"),
        ({"cost": 20, "droput": 0.5}, "'droput' is not a hyperparameter"),
    ],
)
def test_a_search_that_cannot_begin_says_why(corpus, options, sentence):
    with pytest.raises(TuningError, match=sentence):
        tuning.explore(corpus, **options)
