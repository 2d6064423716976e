"""Trainings that are really done, stored and disturbed."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest

from helpers import corpora, splits, training, trials, tuning
from helpers.settings import PROJECT
from helpers.trials import Study, TuningError
from helpers.workers import side_by_side
from tests.conftest import write_corpus

#: A network that trains in a second.
SMALL = {"filters": 2, "kernels": ((8, 6), (4, 10)), "units": (8, 4), "batch_size": 8}
GRID = {"dropout": [0.0, 0.5], "epochs": [1, 3]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A corpus, an output folder with its features, and a search that was not disturbed."""
    folder = tmp_path_factory.mktemp("tuning")
    write_corpus(folder / "corpus", clips=24, speakers=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALENCE_OUTPUT", str(folder / "output"))
        corpus = corpora.load(folder / "corpus")
        table = tuning.search(corpus, GRID, seeds=2, jobs=2, **SMALL)
    return folder, corpus, table


@pytest.fixture
def corpus(shared, output):
    """The same corpus, and an output folder in which nothing is trained yet."""
    return shared[1]


@pytest.fixture
def searched(shared, monkeypatch):
    """The corpus and the trials of the undisturbed search, with its store."""
    folder, corpus, table = shared
    monkeypatch.setenv("VALENCE_OUTPUT", str(folder / "output"))
    return corpus, table


def files(study=None):
    store = study.store if study else tuning.cache_folder("trials")
    return {path.name: path.stat().st_mtime_ns for path in store.glob("*.json")}


def numbers(table):
    return table.drop(columns="seconds")


SEARCH = """
from tests.test_trials import *
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs without
corpus = corpora.load({source!r})
table = tuning.search(corpus, GRID, seeds=1, jobs=1, **SMALL)
table.to_json({target!r})
"""


def searching(shared, target):
    """The search with one seed, in a process of its own, which writes its table to a file."""
    code = SEARCH.format(source=str(shared[0] / "corpus"), target=str(target))
    return subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, start_new_session=True)


def of_the_first_seed(table):
    return numbers(table.query("seed == 0").reset_index(drop=True))


def until(condition, process):
    while not condition():
        assert process.poll() is None, "the search ended before it could be disturbed"
        time.sleep(0.01)


# What a training is


def test_a_trial_is_the_training_that_its_row_names(searched):
    corpus, table = searched
    row = table.query("dropout == 0.5 and epochs == 3 and seed == 1").iloc[0]
    code = f"""
from tests.test_trials import *
from helpers import backend, features, models
backend.limit_threads(1)
corpus = corpora.load({str(corpus.clips["path"][0])!r}.rsplit("/audio", 1)[0])
matrix = features.extract(corpus, features.MelSettings(), duration=2)
small = {{name: SMALL[name] for name in ("filters", "kernels", "units")}}
run = training.train(
    models.parallel_cnn(matrix.shape[1:], dropout=0.5, **small), matrix, corpus.clips["valence"],
    splits.speaker_split(corpus.clips, seed=0), batch_size=8, epochs=3, seed=1,
)
print(json.dumps([run.scores["validation"], run.validation[-1].tolist()]))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    mae, predicted = json.loads(found.stdout.splitlines()[-1])
    assert row["validation_mae"] == mae
    np.testing.assert_array_equal(tuning.predictions(table)[row.name], np.float32(predicted))


def test_combinations_that_differ_in_epochs_share_one_training_to_the_bit(searched, monkeypatch):
    corpus, table = searched
    assert len(table) == 8 and len(files()) == 4
    monkeypatch.setenv("VALENCE_OUTPUT", str(tuning.cache_folder("trials").parents[2] / "separate"))
    alone = tuning.search(corpus, {"dropout": [0.5], "epochs": [1]}, seeds=1, jobs=1, **SMALL)
    same = of_the_first_seed(table.query("dropout == 0.5 and epochs == 1"))
    pd.testing.assert_frame_equal(numbers(alone), same, check_exact=True)


def test_a_search_that_was_done_is_only_read(searched):
    corpus, table = searched
    before = files()
    again = tuning.search(corpus, tuning.grid(GRID), seeds=2, **SMALL)
    pd.testing.assert_frame_equal(again, table)
    assert files() == before
    longer = Study.of(corpus).training({**SMALL, "dropout": 0.5, "epochs": 4}, seed=0)
    assert longer.key == table["key"].iloc[-2] and Study.of(corpus).stored(longer) is None


def test_a_network_that_cannot_be_is_refused_before_anything_is_trained(corpus):
    with pytest.raises(ValueError, match="too large to be pooled to 2 x 2 on an input of 128 x 32"):
        tuning.search(corpus, {"kernels": [((8, 8), (30, 40))]})
    assert not files()


# What is stored


def test_whatever_decides_the_numbers_gives_another_file(corpus, monkeypatch):
    study = Study.of(corpus)
    settings = {**SMALL, "dropout": 0.1, "learning_rate": 1e-2}
    reference = study.training(settings, seed=0)
    assert study.training(dict(reversed(settings.items())), seed=0).key == reference.key
    assert study.training({**settings, "epochs": 3}, seed=0).key == reference.key
    other = corpora.Corpus(corpus.name, corpus.scale, corpus.clips.copy(), corpus.rejected)
    other.clips.loc[0, "valence"] = 2.0
    keys = {
        reference.key,
        study.training(settings, seed=1).key,
        Study.of(corpus, seed=1).training(settings, seed=0).key,
        Study.of(other).training(settings, seed=0).key,
    }
    for name in ("filters", "batch_size", "dropout", "learning_rate", "weight_decay"):
        keys.add(study.training({**settings, name: settings.get(name, 0) + 1}, seed=0).key)
    for name in ("kernels", "units"):
        keys.add(study.training({**settings, name: settings[name][:1]}, seed=0).key)
    for module, name in ((trials, "VERSION"), (tuning.features, "VERSION"), (trials, "THREADS")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 99)
            keys.add(Study.of(corpus).training(settings, seed=0).key)
    assert len(keys) == 1 + 3 + 5 + 2 + 3


def test_a_torn_or_foreign_file_counts_as_missing(searched, tmp_path):
    study = Study.of(searched[0])
    training = study.training({**SMALL, "dropout": 0.5, "epochs": 3}, seed=0)
    whole = study.path(training).read_bytes()
    other = study.path(study.training({**SMALL, "dropout": 0.5}, seed=1)).read_bytes()
    assert study.stored(training)["made_by"]["settings"]["dropout"] == 0.5
    elsewhere = dataclasses.replace(study, store=tmp_path)
    assert elsewhere.stored(training) is None
    for content in (b"", whole[: len(whole) // 2], other, b"[]", b"null", b"{}", b"\xff\x00"):
        elsewhere.path(training).write_bytes(content)
        assert elsewhere.stored(training) is None
    elsewhere.path(training).write_bytes(whole)
    assert elsewhere.stored(training) == study.stored(training)


# What may befall a search


def test_a_killed_search_goes_on_with_what_is_missing(shared, corpus, tmp_path):
    process = searching(shared, tmp_path / "never")
    until(files, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = files()
    assert len(kept) == 1
    table = tuning.search(corpus, GRID, seeds=1, jobs=1, **SMALL)
    pd.testing.assert_frame_equal(numbers(table), of_the_first_seed(shared[2]), check_exact=True)
    assert kept.items() <= files().items()


def test_two_searches_at_once_share_the_work(shared, corpus, tmp_path):
    targets = [tmp_path / "first.json", tmp_path / "second.json"]
    both = [searching(shared, target) for target in targets]
    assert [process.wait() for process in both] == [0, 0]
    first, second = (pd.read_json(target) for target in targets)
    # Had both done the same training, each would have its own time for it.
    pd.testing.assert_frame_equal(first, second)
    expected = of_the_first_seed(shared[2])["validation_mae"]
    np.testing.assert_allclose(first["validation_mae"], expected, rtol=1e-9)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_ends_early_leaves_no_process_behind(shared, corpus, tmp_path, sent):
    process = searching(shared, tmp_path / "never")
    until(lambda: list((tmp_path / "output").rglob("trials/*.lock")), process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(sent)
    assert process.wait(timeout=60) != 0
    assert len(family) >= 2 and not psutil.wait_procs(family, timeout=60)[1]


def workers():
    """Processes that train for this one."""
    found = []
    for child in psutil.Process().children():
        try:
            if "popen_loky" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            pass
    return found


def kill_the_first(count):
    """A thread that kills that many workers, each as soon as it is there."""
    killed = set()

    def kill():
        while len(killed) < count:
            for worker in workers():
                if worker.pid not in killed:
                    worker.kill()
                    killed.add(worker.pid)
                    break
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_worker_that_is_killed_twice_fails_its_training_and_no_other(shared, corpus):
    grid = {"dropout": [0.0, 0.5], "epochs": [3]}
    killer = kill_the_first(2)
    table = tuning.search(corpus, grid, seeds=1, jobs=1, **SMALL)
    killer.join()
    assert table["error"][0] == trials.KILLED and pd.isna(table["error"][1])
    expected = of_the_first_seed(shared[2].query("epochs == 3"))
    assert table["validation_mae"].isna().tolist() == [True, False]
    assert table["validation_mae"][1] == expected["validation_mae"][1]
    # The next search tries again, and forgives one death.
    killer = kill_the_first(1)
    table = tuning.search(corpus, grid, seeds=1, jobs=1, **SMALL)
    killer.join()
    pd.testing.assert_frame_equal(numbers(table), expected, check_exact=True)


def test_a_training_that_fails_says_why_and_the_others_go_on(corpus):
    grid = [
        # A decay that multiplies every weight by -999 a step overflows after some epochs.
        {"weight_decay": 1e6, "units": (8,), "epochs": 2},
        {"weight_decay": 1e6, "units": (8,), "epochs": 12},
        {"weight_decay": 0.0, "units": (10**14,), "epochs": 1},  # more than can be addressed
        {"weight_decay": 0.0, "units": (8,), "epochs": 2},
    ]
    table = tuning.search(corpus, grid, seeds=1, jobs=1, **{**SMALL, "batch_size": 24})
    diverged, memory = table["error"][1], table["error"][2]
    assert re.search(r"no longer a number in epoch \d+: lower the learning rate", diverged)
    assert memory == "out of memory: use fewer jobs, smaller batches or a smaller network"
    assert table["error"][[0, 3]].isna().all()
    assert table["validation_mae"].isna().tolist() == [False, True, True, False]
    assert np.isfinite(tuning.predictions(table)).all(axis=1).tolist() == [True, False, False, True]
    # What diverged will diverge again, memory may be there next time.
    assert set(files()) == {f"{key}.json" for key in table["key"].drop(2)}
    assert tuning.best(table)["weight_decay"] == 0
    with pytest.raises(TuningError, match="No combination finished all its trials: The loss"):
        tuning.best(table[1:2])


def test_a_training_that_passes_its_limits_is_stopped_and_never_taken_for_a_whole_one(corpus):
    study = Study.of(corpus)
    whole = study.training({**SMALL, "epochs": 3}, seed=0)
    limited = study.training({**SMALL, "epochs": 3}, seed=0, limits=(100, 0, 0))
    record = trials._fit(study, limited)
    assert len(record["history"]["epoch"]) == 2 and record["validation"] == []
    assert limited.is_answered(record) and not whole.is_answered(record)
    assert np.isnan(limited.outcome(record)["validation_mae"])
    assert limited.outcome(record)["error"] is None
    # A whole one that is there already is cut at the same epoch.
    record = trials._fit(study, whole)
    assert whole.is_answered(record) and len(record["validation"]) == 3
    assert limited.is_answered(record) and limited.stopped(record["history"]["validation_mae"]) == 2
    assert np.isnan(limited.outcome(record)["validation_mae"])


def test_memory_is_estimated_from_the_network():
    """Against what was measured: 1.6 GB with the grid pooling, 16 GB with the windows."""
    plain = {"settings": {**trials.DEFAULTS, "seed": 0}}
    windows = {"settings": {**plain["settings"], "pool": "window"}}
    shape = (128, 94)
    assert 1.6e9 <= trials._memory(trials.Training(plain, (1,)), shape) < 3e9
    assert 10e9 <= trials._memory(trials.Training(windows, (1,)), shape) < 20e9


def test_memory_bounds_the_trainings_at_once_unless_a_number_is_asked_for():
    free = psutil.virtual_memory().available
    assert side_by_side(-1, free / 1.5) == 1 == side_by_side(-1, free * 10)
    assert side_by_side(-1, 1) == joblib.cpu_count()
    assert side_by_side(3, free) == 3


# The winner, and from a terminal


def test_the_winner_is_trained_on_all_but_the_test_part_and_judged_on_that(searched):
    corpus, table = searched
    winner = tuning.best(table)
    run, tested = tuning.final(corpus, winner, **SMALL)
    split = splits.speaker_split(corpus.clips, seed=0)
    assert tested.index.tolist() == split.test.tolist()
    matrix = tuning.features.extract(corpus, tuning.features.MelSettings(), duration=2)
    both = np.concatenate([split.train, split.validation])
    assert run.settings["mean"] == pytest.approx(matrix[both].mean(dtype=float))
    assert (run.settings["epochs"], run.settings["batch_size"]) == (winner["epochs"], 8)
    assert run.model.get_layer("dropout_1").rate == winner["dropout"]
    expected = training.predict(run, matrix, split.test)
    np.testing.assert_array_equal(tested["prediction"], expected)
    assert tested["valence"].tolist() == corpus.clips["valence"].iloc[split.test].tolist()


MAIN = """
import sys
from helpers import tuning
tuning.GRID = {"dropout": [0.0], "batch_size": [16]}
tuning.PROFILES["quick"]["search"] = {"filters": 2, "epochs": (1, 2)}
sys.exit(tuning.main([sys.argv[1], "--jobs", "1"]))
"""


def test_the_command_shows_its_progress_then_the_table_the_best_row_and_the_store(output, tmp_path):
    write_corpus(tmp_path / "corpus", clips=16, speakers=8, seconds=3)
    shown = subprocess.run(
        [sys.executable, "-c", MAIN, str(tmp_path / "corpus")],
        cwd=PROJECT,
        env={**os.environ, "TQDM_DISABLE": ""},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0
    header, *rows, winner, store = shown.stdout.splitlines()
    assert header.split()[:5] == ["dropout", "batch_size", "epochs", "trial", "1"]
    assert len(rows) == 2 and winner.startswith("best: dropout 0.0, batch size ")
    assert store == f"trials: {output.resolve() / '.cache' / 'trials'}"
    drawn = [line for line in shown.stderr.replace("\r", "\n").split("\n") if line.strip()]
    assert all(line.startswith(("tuning:", "extracting:")) for line in drawn), shown.stderr
    assert "3/3" in drawn[-1] and "best=" in drawn[-1] and "running=0" in drawn[-1]
