"""Trainings that are really run, and disturbed."""

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

from helpers import features, splits, training, tuning
from helpers.cli import UserError
from helpers.storage import PROJECT
from helpers.tuning import Study, TuningError, execution
from helpers.workers import side_by_side
from tests.conftest import write_corpus
from tests.tuning.conftest import GRID, SMALL, files, numbers, of_the_first_seed

SEARCH = """
import signal
from helpers import corpora, tuning
from tests.tuning.conftest import GRID, SMALL
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs without
corpus = corpora.load({source!r})
table = tuning.search(corpus, GRID, seeds=1, jobs=1, **SMALL)
table.to_json({target!r})
"""


def searching(shared, target):
    """The search with one seed, in a process of its own, which writes its table to a file."""
    code = SEARCH.format(source=str(shared[0] / "corpus"), target=str(target))
    return subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, start_new_session=True)


def until(condition, process):
    while not condition():
        assert process.poll() is None, "the search ended before it could be disturbed"
        time.sleep(0.01)


def test_a_network_that_cannot_be_is_refused_before_anything_is_trained(corpus):
    with pytest.raises(UserError, match="too large to be pooled to 2 x 2 on an input of 128 x 47"):
        tuning.search(corpus, {"kernels": [((8, 8), (30, 50))]})
    assert not files()


@pytest.mark.skipif(os.name == "nt", reason="no groups of processes")
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


@pytest.mark.skipif(os.name == "nt", reason="no signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGKILL"])
def test_a_search_that_ends_early_leaves_no_process_behind(shared, corpus, tmp_path, sent):
    process = searching(shared, tmp_path / "never")
    until(lambda: list((tmp_path / "output").rglob("trials/*.lock")), process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.Signals[sent])
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
    assert table["error"][0] == execution.KILLED and pd.isna(table["error"][1])
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
    study = Study.from_corpus(corpus)
    whole = study.training({**SMALL, "epochs": 3}, seed=0)
    limited = study.training({**SMALL, "epochs": 3}, seed=0, limits=(100, 0, 0))
    record = execution._train(study, limited)
    assert len(record["history"]["epoch"]) == 2 and record["validation"] == []
    assert limited.is_whole(record) and not whole.is_whole(record)
    assert np.isnan(limited.outcome(record)["validation_mae"])
    assert limited.outcome(record)["error"] is None
    # A whole one that is there already is cut at the same epoch.
    record = execution._train(study, whole)
    assert whole.is_whole(record) and len(record["validation"]) == 3
    assert limited.is_whole(record) and limited.stopped(record["history"]["validation_mae"]) == 2
    assert np.isnan(limited.outcome(record)["validation_mae"])


def test_memory_is_estimated_from_the_network():
    """Against what was measured: 1.6 GB with the grid pooling, 16 GB with the windows."""
    plain = {"settings": {**tuning.HYPERPARAMETERS, "seed": 0}}
    windows = {"settings": {**plain["settings"], "pool": "window"}}
    shape = (128, 94)
    assert 1.6e9 <= execution._memory(tuning.Training("", plain, 1), shape) < 3e9
    assert 10e9 <= execution._memory(tuning.Training("", windows, 1), shape) < 20e9


def test_memory_bounds_the_trainings_at_once_unless_a_number_is_asked_for():
    free = psutil.virtual_memory().available
    assert side_by_side(-1, free / 1.5) == 1 == side_by_side(-1, free * 10)
    assert side_by_side(-1, 1) == joblib.cpu_count()
    assert side_by_side(3, free) == 3
    with pytest.raises(UserError, match="jobs is 0: name a number of processes"):
        side_by_side(0, 1)


def test_the_winner_is_trained_on_all_but_the_test_part_and_judged_on_that(searched):
    corpus, table = searched
    winner = tuning.best(table)
    run, tested = tuning.final(corpus, winner, **SMALL)
    split = splits.speaker_split(corpus.clips, seed=0)
    assert tested.index.tolist() == split.test.tolist()
    matrix = features.extract(corpus, features.MelSettings(), duration=3)
    both = np.concatenate([split.train, split.validation])
    assert run.settings["mean"] == pytest.approx(matrix[both].mean(dtype=float))
    assert run.settings["epochs"] == winner["epochs"]
    assert run.settings["batch_size"] == SMALL["batch_size"]
    assert run.model.get_layer("dropout_1").rate == winner["dropout"]
    expected = training.predict(run, matrix, split.test)
    np.testing.assert_array_equal(tested["prediction"], expected)
    assert tested["valence"].tolist() == corpus.clips["valence"].iloc[split.test].tolist()


MAIN = """
import sys
from helpers import tuning
from helpers.settings import PROFILES
from helpers.tuning import grid_search
grid_search.GRID = {"dropout": [0.0], "batch_size": [16]}
PROFILES["quick"]["search"] = {
    "filters": 2, "kernels": ((8, 6),), "units": (8, 4), "epochs": (1, 2)
}
sys.stderr.isatty = lambda: True
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
    what, header, *rows, winner, store = shown.stdout.splitlines()
    assert what == "corpus: 16 clips, valence from 1 to 5, quick profile"
    assert header.split()[:5] == ["dropout", "batch_size", "epochs", "trial", "1"]
    assert len(rows) == 2 and winner.startswith("best: dropout 0.0, batch size ")
    assert store == f"trials: {output.resolve() / '.cache' / 'trials'}"
    drawn = [line for line in shown.stderr.replace("\r", "\n").split("\n") if line.strip()]
    assert all(line.startswith(("tuning:", "extracting:")) for line in drawn), shown.stderr
    assert "3/3" in drawn[-1] and "best=" in drawn[-1] and "running=0" in drawn[-1]


def test_a_bug_in_a_training_is_no_sentence(corpus, monkeypatch):
    monkeypatch.setattr(execution, "_train", lambda study, training: None.shape)
    monkeypatch.setattr(execution, "limit_threads", lambda number: None)
    study = Study.from_corpus(corpus)
    with pytest.raises(AttributeError, match="shape"):
        execution._train_once(study, study.training({**SMALL, "units": (8,), "epochs": 1}, seed=0))
