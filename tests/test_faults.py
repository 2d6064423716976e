"""Killed at any moment, and a disk that is full: nothing finished is lost, nothing half is kept.

`make test` kills twice, `make nightly` fifty times, by ``VALENCE_ROUNDS=50``.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from helpers import corpora, features, settings
from helpers.settings import PROJECT
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
small = {{"filters": 2, "kernels": ((8, 6),), "units": (8, 4)}}
table = tuning.search(corpora.load({corpus!r}), grid, seeds=1, jobs=1, **small)
"""

SAVING = """
from helpers import settings
for version in range(200):
    settings.save_results(
        settings.output_folder() / "result.json", {{"numbers": [version] * 100_000}}, made_by={{}}
    )
"""

REPORT = """
import shutil
from report import build
from helpers.settings import PROJECT, Settings
chosen = Settings.from_env()
for kind in ("figures", "report"):
    shutil.copytree(PROJECT / kind / "demo", chosen.output / kind / "demo", dirs_exist_ok=True)
(chosen.output / "report" / "demo" / "report.pdf").unlink()
build.typeset("demo", chosen)
"""


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
        if path.suffix == ".json" and path.parent.name == "trials":
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
        pytest.param(SEARCH, marks=pytest.mark.skipif(ROUNDS < 10, reason="test_trials has one")),
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
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished = bytes_of(output)
        assert finished.items() <= expected.items()
        assert start(work, speech, output).wait() == 0
        assert bytes_of(output) == expected
        shutil.rmtree(output)


def test_a_results_file_is_whole_whenever_its_writer_is_killed(tmp_path):
    chance = random.Random(0)
    for _ in range(ROUNDS):
        process = start(SAVING, "", tmp_path)
        while not (tmp_path / "result.json").exists():
            assert process.poll() is None
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        numbers = json.loads((tmp_path / "result.json").read_text())["numbers"]
        assert len(numbers) == 100_000 and len(set(numbers)) == 1
        (tmp_path / "result.json").unlink()


def test_a_report_is_whole_or_not_there(tmp_path):
    began = time.perf_counter()
    assert start(REPORT, "", tmp_path / "whole").wait() == 0
    seconds = time.perf_counter() - began
    size = (tmp_path / "whole" / "report" / "demo" / "report.pdf").stat().st_size
    chance = random.Random(0)
    for _ in range(ROUNDS):
        process = start(REPORT, "", tmp_path / "killed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.5, 0.9) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        pdf = tmp_path / "killed" / "report" / "demo" / "report.pdf"
        assert not pdf.exists() or pdf.stat().st_size == size
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)


@pytest.fixture
def full_disk(tmp_path):
    """An output folder on a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only a superuser of Linux can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder) -> None:
    """Leave a few kilobytes."""
    room = shutil.disk_usage(folder).free - 8000
    (folder / "ballast").write_bytes(bytes(max(0, room)))


def test_features_that_find_the_disk_full_go_on_when_there_is_room(speech, full_disk, monkeypatch):
    monkeypatch.setenv("VALENCE_OUTPUT", str(full_disk))
    corpus = corpora.load(speech)
    fill(full_disk)
    with pytest.raises(corpora.CorpusError, match="No space left on device"):
        features.extract(corpus, features.MelSettings(), duration=1, jobs=1)
    (full_disk / "ballast").unlink()
    assert len(features.extract(corpus, features.MelSettings(), duration=1, jobs=1)) == 60


def test_results_that_find_the_disk_full_leave_the_old_ones(full_disk):
    path = full_disk / "results.json"
    settings.save_results(path, {"numbers": [1]}, made_by={})
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left on device"):
        settings.save_results(path, {"numbers": [1] * 10**6}, made_by={})
    assert path.read_bytes() == before
    assert [each.name for each in full_disk.iterdir()] == ["results.json"]


def test_a_zip_that_finds_the_disk_full_is_named(speech, full_disk, tmp_path, monkeypatch):
    monkeypatch.setenv("VALENCE_OUTPUT", str(full_disk))
    source = shutil.make_archive(str(tmp_path / "speech"), "zip", speech)
    with pytest.raises(corpora.CorpusError, match=r"speech\.zip .*No space left on device"):
        corpora.load(source)
    assert not list(full_disk.rglob("*.wav"))
