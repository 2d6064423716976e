"""A search on a real Dask cluster: a scheduler and its workers, each a process, on loopback."""

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

from helpers import corpora, tuning
from helpers.storage import PROJECT, Store, cache_folder
from helpers.tuning import Study, TuningError, execution
from tests.conftest import write_corpus
from tests.tuning.conftest import GRID, SMALL, files, numbers

pytest.importorskip("distributed", reason="requirements-cluster.txt is not installed")


class Cluster:
    """A scheduler on a free port of this machine."""

    def __init__(self, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.environment = {**os.environ, **environment}
        self.processes = []
        self.start("scheduler", "--port", self.address.rsplit(":", 1)[1])

    def start(self, *arguments):
        command = [
            sys.executable,
            "-m",
            "dask",
            *arguments,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=PROJECT, env=self.environment, **quiet)
        self.processes.append(process)
        return process

    def worker(self, nanny="--no-nanny"):
        return self.start("worker", self.address, "--nthreads", "1", nanny)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def corpus(tmp_path, output):
    write_corpus(tmp_path / "corpus", clips=24, speakers=8)
    return corpora.load(tmp_path / "corpus")


def kill_when(condition, process):
    def kill():
        while not condition():
            time.sleep(0.01)
        process.kill()

    threading.Thread(target=kill, daemon=True).start()


def test_a_search_on_a_cluster_outlives_a_worker_and_finds_what_a_local_one_does(
    corpus, tmp_path, monkeypatch
):
    with Cluster() as cluster:
        victim, _ = cluster.worker(), cluster.worker()
        locks = cache_folder("trials")
        kill_when(lambda: len(list(locks.glob("*.lock"))) == 2, victim)  # both are at work
        table = tuning.search(corpus, GRID, seeds=1, scheduler=cluster.address, **SMALL)
        assert victim.wait(timeout=1) != 0
    assert len(files()) == 2 and table["error"].isna().all()
    monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / "local"))
    local = tuning.search(corpus, GRID, seeds=1, jobs=1, **SMALL)
    pd.testing.assert_frame_equal(numbers(local), numbers(table), check_exact=True)


def test_a_cluster_that_cannot_do_the_training_says_why(corpus, tmp_path, monkeypatch):
    study = Study.from_corpus(corpus)
    training = study.training(SMALL, seed=0)
    elsewhere = dataclasses.replace(study, store=Store(tmp_path / "not mounted"))
    older = dataclasses.replace(training, made_by={**training.made_by, "code": {"keras": "2.0"}})
    with Cluster(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        worker = cluster.worker()
        with pytest.raises(TuningError, match="cannot see .*not mounted: share that folder"):
            list(tuning.carry_out(elsewhere, [training], scheduler=cluster.address))
        with pytest.raises(TuningError, match=r"has keras 3\..* and the search 2.0: install"):
            list(tuning.carry_out(study, [older], scheduler=cluster.address))
        # Given up by the scheduler, which allows no death here and three by default.
        kill_when(lambda: list(study.store.folder.glob("*.lock")), worker)
        ((_, record, _),) = tuning.carry_out(study, [training], scheduler=cluster.address)
        assert record["failure"]["reason"] == execution.KILLED and not files()
        cluster.worker()
        monkeypatch.setattr(execution, "TIMEOUT", 15)
        study.store.path(training).with_suffix(".lock").unlink()
        kill_when(lambda: list(study.store.folder.glob("*.lock")), cluster.processes[0])
        with pytest.raises(
            TuningError, match="scheduler at tcp.* is gone: start it and the search"
        ):
            list(tuning.carry_out(study, [training], scheduler=cluster.address))


def test_a_cluster_that_cannot_be_used_is_named_with_how_to_fix_it(corpus, monkeypatch):
    monkeypatch.setattr(execution, "TIMEOUT", 3)
    with pytest.raises(TuningError, match="No Dask scheduler answers at tcp://127.0.0.1:9: start"):
        tuning.search(corpus, GRID, scheduler="tcp://127.0.0.1:9", **SMALL)
    monkeypatch.setattr(execution, "TIMEOUT", 15)
    with Cluster() as cluster:
        with pytest.raises(TuningError, match="has no workers: start some with 'dask worker tcp"):
            tuning.search(corpus, GRID, scheduler=cluster.address, **SMALL)
        cluster.worker("--nanny")
        with pytest.raises(TuningError, match="may not start processes: start it with --no-nanny"):
            tuning.search(corpus, GRID, scheduler=cluster.address, **SMALL)


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_a_command_that_finds_no_cluster_ends_with_one_sentence(corpus, address):
    code = f"""
import sys
from helpers import cli, tuning
from helpers.tuning import execution
execution.TIMEOUT = 1
sys.exit(cli.run(tuning.main, ["--scheduler", {address!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"No Dask scheduler answers at {address}: start one with 'dask scheduler' and name it as "
        "tcp://HOST:8786.\n"
    )


def test_without_dask_a_sentence_says_how_to_install_it(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(TuningError, match="pip install -r requirements-cluster.txt"):
        tuning.search(corpus, GRID, scheduler="tcp://127.0.0.1:9", **SMALL)
