"""Killed, two at once, under a clock that jumps, on a disk that is full or may not be written.

Nothing finished is lost and nothing half is kept. `make test` kills twice, `make nightly` fifty
times, by ``VALENCE_ROUNDS=50``.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers import (
    cli,
    comparison,
    corpora,
    features,
    inference,
    models,
    plots,
    results,
    splits,
    training,
    tuning,
)
from helpers.settings import Settings
from helpers.storage import PROJECT, OutputError
from report import build
from tests.conftest import write_corpus

ROUNDS = int(os.environ.get("VALENCE_ROUNDS", 2))

EXTRACTION = """
from helpers import corpora, features
corpus = corpora.load({corpus!r})
features.extract(corpus, features.MelSettings(), duration=20, jobs=2)
"""

SEARCH = """
from helpers import corpora, tuning
grid = {{"dropout": [0.0, 0.5], "epochs": [1, 2]}}
small = {{"filters": 2, "kernels": ((8, 6),), "units": (8, 4), "batch_size": 10}}
table = tuning.search(corpora.load({corpus!r}), grid, seeds=1, jobs=1, **small)
"""

SAVING_RESULTS = """
from helpers.results import save_results
from helpers.storage import output_folder
for version in range(200):
    save_results(output_folder() / "saved.json", {{"numbers": [version] * 100_000}}, made_by={{}})
"""

SAVING_A_MODEL = """
from helpers.storage import output_folder
from tests.test_faults import save_model, trained
run = trained()
for version in range(200):
    save_model(run, output_folder() / "saved.keras")
"""

REPORT = """
from report import build
from helpers.settings import Settings
build.typeset("demo", Settings.from_env())
"""

#: Goes before other code: each look at the clock is days away from the last.
JUMPS = """
import itertools, time
now, days = time.time, itertools.cycle([0, 400, -400, 1, -9000])
time.time = lambda: now() + 86400 * next(days)
time.time_ns = lambda: int(1e9 * time.time())
"""

MEL = features.MelSettings(n_mels=8)


def made_up() -> corpora.Corpus:
    """Ratings of nine clips, without audio."""
    clips = pd.DataFrame({"file": [f"{i}.wav" for i in range(9)], "speaker": None, "sha256": ""})
    clips = clips.assign(valence=np.random.default_rng(0).uniform(1, 5, 9), duration=1.0)
    return corpora.Corpus("made_up", (1.0, 5.0), clips, rejected=clips[:0])


def trained() -> training.Run:
    """A small network for `save_model`, of clips of a second."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(-20, 10, (9, MEL.rows, MEL.frames(1))).astype(np.float32)
    split = splits.Split(np.arange(5), np.arange(5, 9), np.array([], int))
    network = models.parallel_cnn(matrix.shape[1:], filters=4, kernels=((4, 4),), units=(8, 4))
    return training.train(network, matrix, made_up().clips["valence"], split, epochs=1)


def save_model(run: training.Run, path) -> None:
    inference.save(run, path, corpus=made_up(), mel=MEL, duration=1)


def prepare_report(output) -> None:
    """All that a report is made of."""
    for kind in ("figures", "report"):
        shutil.copytree(PROJECT / kind / "demo", output / kind / "demo")
    (output / "report" / "demo" / "report.pdf").unlink()


def start(code: str, corpus, output) -> subprocess.Popen:
    code = code.format(corpus=str(corpus))
    env = {**os.environ, "VALENCE_OUTPUT": str(output)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, env=env)


def bytes_of(output) -> dict[str, bytes]:
    """What a search or an extraction leaves that counts, without time and commit."""
    kept = {}
    for path in sorted(output.rglob("*.*")):
        if path.suffix == ".npy":
            kept[path.name] = path.read_bytes()
        if path.parent.name == "trials" and ".partial" not in path.name and path.suffix == ".json":
            record = json.loads(path.read_text())
            kept[path.name] = json.dumps({**record, "seconds": None, "commit": None}).encode()
    return kept


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "speech"
    write_corpus(folder, clips=60, speakers=6)
    return folder


@pytest.mark.parametrize(
    "work",
    [
        EXTRACTION,
        pytest.param(
            SEARCH, marks=pytest.mark.skipif(ROUNDS < 10, reason="test_execution has one")
        ),
    ],
    ids=["extraction", "search"],
)
def test_killed_at_any_moment_it_ends_with_the_same_bytes(speech, tmp_path, work):
    began = time.perf_counter()
    assert start(work, speech, tmp_path / "whole").wait() == 0
    seconds = time.perf_counter() - began
    expected = bytes_of(tmp_path / "whole")
    assert expected
    chance = random.Random(0)
    for _ in range(ROUNDS):
        output = tmp_path / "killed"
        process = start(work, speech, output)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.2, 0.9) * seconds)
        process.kill()
        process.wait()
        finished = bytes_of(output)
        assert finished.items() <= expected.items()
        assert start(work, speech, output).wait() == 0
        assert bytes_of(output) == expected
        shutil.rmtree(output)


def numbers_are_whole(path) -> bool:
    numbers = json.loads(path.read_text())["numbers"]
    return len(numbers) == 100_000 and len(set(numbers)) == 1


@pytest.mark.parametrize(
    ("saving", "name", "is_whole"),
    [
        (SAVING_RESULTS, "saved.json", numbers_are_whole),
        (SAVING_A_MODEL, "saved.keras", inference.load),
    ],
    ids=["results", "model"],
)
def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path, saving, name, is_whole):
    chance = random.Random(0)
    for _ in range(ROUNDS):
        process = start(saving, "", tmp_path)
        while not (tmp_path / name).exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.wait()
        assert is_whole(tmp_path / name)
        (tmp_path / name).unlink()


def test_a_report_is_whole_or_not_there(tmp_path):
    prepare_report(tmp_path / "whole")
    assert start(REPORT, "", tmp_path / "whole").wait() == 0
    size = (tmp_path / "whole" / "report" / "demo" / "report.pdf").stat().st_size
    for _ in range(ROUNDS):
        prepare_report(tmp_path / "killed")
        pdf = tmp_path / "killed" / "report" / "demo" / "report.pdf"
        process = start(REPORT, "", tmp_path / "killed")
        while process.poll() is None and not list(pdf.parent.glob("*.pdf")):
            time.sleep(0.0005)
        process.kill()  # just as the report, or the file that becomes it, is there
        process.wait()
        assert not pdf.exists() or pdf.stat().st_size == size
        shutil.rmtree(tmp_path / "killed")


@pytest.mark.parametrize("work", [EXTRACTION, REPORT], ids=["extraction", "report"])
def test_two_at_once_leave_what_one_does(speech, tmp_path, work):
    found = []
    for at_once in (1, 2):
        output = tmp_path / str(at_once)
        prepare_report(output)
        processes = [start(work, speech, output) for _ in range(at_once)]
        assert [process.wait() for process in processes] == [0] * at_once
        kept = bytes_of(output)
        if work == REPORT:
            (pdf,) = output.rglob("*.pdf")
            kept = {path.name: path.stat().st_size for path in (pdf, *output.rglob("report.png"))}
        assert kept and not list(output.rglob("*.partial*"))
        found.append(kept)
    assert found[0] == found[1]


@pytest.mark.parametrize("work", [EXTRACTION, SEARCH], ids=["extraction", "search"])
def test_a_clock_that_jumps_changes_no_byte(speech, tmp_path, work):
    assert start(work, speech, tmp_path / "plain").wait() == 0
    assert start(JUMPS + work, speech, tmp_path / "jumps").wait() == 0
    assert bytes_of(tmp_path / "jumps") == bytes_of(tmp_path / "plain") != {}
    for path in (tmp_path / "jumps").rglob("trials/*.json"):
        assert 0 < json.loads(path.read_text())["seconds"] < 600


# Disks


@pytest.fixture
def disk(monkeypatch):
    """An output folder on a disk of its own."""
    # Not in pytest's folder: a disk that a killed test leaves would break its next clean-up.
    folder = Path(tempfile.mkdtemp(prefix="valence-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only a superuser of Linux can mount a small disk")
    monkeypatch.setenv("VALENCE_OUTPUT", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def fill(folder) -> None:
    """Leave a few kilobytes."""
    room = shutil.disk_usage(folder).free - 8000
    (folder / "ballast").write_bytes(bytes(max(0, room)))


def search(corpus):
    grid = {"dropout": [0.0], "epochs": [1]}
    small = {"filters": 40, "kernels": ((8, 6),), "units": (8, 4)}
    return tuning.search(corpus, grid, seeds=1, jobs=1, **small)


def compare(corpus):
    compared = {"median": comparison.named("median")}
    return comparison.fit_all(corpus, compared, by="clip", folds=2, jobs=1)["median"].predictions


@pytest.mark.parametrize(
    "work",
    [
        lambda corpus: features.extract(corpus, MEL, duration=20, jobs=1),
        lambda corpus: features.functionals(corpus, jobs=1),
        search,
        compare,
    ],
    ids=["features", "functionals", "search", "comparison"],
)
def test_what_finds_the_disk_full_goes_on_when_there_is_room(speech, disk, work):
    corpus = corpora.load(speech)
    fill(disk)
    (disk / "crumbs").write_bytes(bytes(shutil.disk_usage(disk).free))
    with pytest.raises(
        OutputError, match=r"(npy|json) cannot be written \(No space left on device\): make room"
    ):
        work(corpus)
    (disk / "ballast").unlink()
    assert len(work(corpus)) > 0
    assert not list(disk.rglob("*.partial*"))


def write_results(path):
    results.save_results(path, {"numbers": [1] * 10**6}, made_by={})


def write_figure(path):
    figure = Figure()
    figure.subplots().imshow(np.random.default_rng(0).random((200, 200)))
    plots.save(figure, path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_results, "results.json"),
        (write_figure, "figure.png"),
        (write_figure, "figure.svg"),
        (lambda path: save_model(trained(), path), "model.keras"),
    ],
)
def test_a_file_that_finds_the_disk_full_stays_as_it_was(disk, write, name):
    (disk / name).write_bytes(b"the old one")
    fill(disk)
    with pytest.raises(OutputError, match=f"{name} cannot be written .*No space left on device"):
        write(disk / name)
    assert (disk / name).read_bytes() == b"the old one"
    assert sorted(each.name for each in disk.iterdir()) == sorted([name, "ballast"])
    (disk / "ballast").unlink()
    write(disk / name)
    assert (disk / name).stat().st_size > 8000


def test_a_report_that_finds_the_disk_full_is_named(disk, monkeypatch):
    prepare_report(disk)
    settings = Settings.from_env()
    copy = build.sources(settings)
    fill(disk)
    with pytest.raises(OutputError, match=r"\.(typ|bib) cannot be written \(No space"):
        build.typeset("demo", settings)
    monkeypatch.setattr(build, "sources", lambda settings: copy)
    with pytest.raises(OutputError, match=r"report\.pdf cannot be written \(No space"):
        build.typeset("demo", settings)
    assert not list(disk.rglob("*.pdf"))


def test_a_zip_that_finds_the_disk_full_is_named(speech, disk, tmp_path):
    source = shutil.make_archive(str(tmp_path / "speech"), "zip", speech)
    fill(disk)
    with pytest.raises(corpora.CorpusError, match=r"speech\.zip .*No space left on device"):
        corpora.load(source)
    assert not list(disk.rglob("*.wav"))


@pytest.mark.parametrize(
    "command",
    [
        lambda path: cli.run(features.main, [path]),
        lambda path: cli.run(tuning.main, [path]),
        lambda path: cli.run(comparison.main, [path, "--models", "median"]),
        lambda path: cli.run(build.main, []),
    ],
    ids=["features", "tuning", "comparison", "report"],
)
def test_where_nothing_may_be_written_a_command_says_so(speech, disk, monkeypatch, capsys, command):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    monkeypatch.setenv("VALENCE_CORPUS", str(speech))
    assert command(str(speech)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be written (Read-only file system): make room there, or let VALENCE" in said
