"""The features of a whole corpus: cache, workers, interruptions, the command."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import psutil
import pytest
import soundfile

from helpers import audio, cli, corpora, features
from helpers.features import MelSettings, extraction
from helpers.storage import PROJECT
from tests.conftest import voice

MEL = MelSettings()


@pytest.mark.parametrize(("percentile", "target"), [(75, 6), (50, 4), (100, 9), (0, 2), (74.9, 6)])
def test_the_target_is_the_percentile_rounded_up(percentile, target):
    assert features.target_duration([2, 3, 4, 5.74, 9], percentile=percentile) == target


def test_the_percentile_is_the_75th_unless_another_is_asked_for():
    assert features.target_duration(range(1, 102)) == 76


@pytest.mark.parametrize(("seconds", "duration"), [(1.2, 3), (2.9, 3), (3, 3), (3.1, 4)])
def test_the_input_of_short_clips_has_room_for_the_largest_kernel(corpus_folder, seconds, duration):
    from helpers import models  # not above: Keras has no part in the processes that extract

    corpus = corpora.load(corpus_folder)
    corpus = replace(corpus, clips=corpus.clips.assign(duration=seconds))
    assert features.input_duration(corpus) == duration
    shape = (MEL.n_mels, MEL.frames(duration))
    assert models.parallel_cnn_size(shape).parameters > 0  # raises KernelSizeError where too short


def test_no_durations_have_no_percentile():
    with pytest.raises(ValueError, match="no durations"):
        features.target_duration([])


def test_extraction_gives_each_clips_features_whatever_the_workers(corpus_folder, output):
    corpus = corpora.load(corpus_folder)
    found = {}
    for jobs in (1, 2):
        found[jobs] = features.extract(corpus, MEL, duration=1, jobs=jobs)
        for file in (output / ".cache" / "features").glob("*.npy"):
            file.unlink()
    assert isinstance(found[1], np.memmap) and not found[1].flags.writeable
    assert found[1].shape == (12, 128, MEL.frames(1))
    assert found[1].tobytes() == found[2].tobytes()
    for row, path in zip(found[1], corpus.clips["path"], strict=True):
        np.testing.assert_allclose(row, features.clip_features(path, MEL, duration=1), atol=1e-3)


def test_the_last_task_may_have_a_single_clip(corpus_folder, output, monkeypatch):
    corpus = corpora.load(corpus_folder)
    whole = features.extract(corpus, MEL, duration=1, jobs=1).tobytes()
    next((output / ".cache" / "features").glob("*.npy")).unlink()
    monkeypatch.setattr(extraction, "CLIPS_PER_TASK", 11)
    found = features.extract(corpus, MEL, duration=1, jobs=1)
    assert found.tobytes() == whole
    last = features.clip_features(corpus.clips["path"].iloc[-1], MEL, duration=1)
    np.testing.assert_array_equal(found[-1], last)


@pytest.mark.parametrize("log", ["0\n5\n", "0\n5\n1"], ids=["whole", "cut short"])  # of 10
def test_what_is_done_of_an_extraction_is_not_done_again(corpus_folder, output, monkeypatch, log):
    progress = MagicMock()
    updates = progress.return_value.__enter__.return_value.update.call_args_list
    monkeypatch.setattr(extraction, "bar", progress)
    monkeypatch.setattr(extraction, "CLIPS_PER_TASK", 5)
    corpus = corpora.load(corpus_folder)
    expected = np.array(features.extract(corpus, MEL, duration=1, jobs=1))
    assert progress.call_args.kwargs["total"] == 12
    assert [call.args[0] for call in updates] == [0, 5, 5, 2]
    next(output.glob(".cache/features/*.npy")).unlink()

    last = Path(corpus.clips["path"].iloc[-1])
    last.rename(last.with_suffix(".gone"))
    with pytest.raises(corpora.CorpusError, match=r"clip11\.wav can no longer be used"):
        features.extract(corpus, MEL, duration=1, jobs=1)
    last.with_suffix(".gone").rename(last)
    (partial,), (done,) = (output.glob(f".cache/features/*.{kind}") for kind in ("partial", "done"))
    assert done.read_text() == "0\n5\n"
    done.write_text(log)
    marked = np.load(partial, mmap_mode="r+")
    marked[[0, 7]] = 42
    marked.flush()

    updates.clear()
    found = np.array(features.extract(corpus, MEL, duration=1, jobs=1))
    assert (found[[0, 7]] == 42).all()
    rest = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    np.testing.assert_array_equal(found[rest], expected[rest])
    assert [call.args[0] for call in updates] == [10, 2]


def test_a_line_cut_short_is_not_continued_by_the_next_run(corpus_folder, output, monkeypatch):
    monkeypatch.setattr(extraction, "CLIPS_PER_TASK", 1)
    corpus = corpora.load(corpus_folder)
    expected = np.array(features.extract(corpus, MEL, duration=1, jobs=1))
    (path,) = output.glob(".cache/features/*.npy")
    path.rename(path.with_suffix(".partial"))
    np.load(path.with_suffix(".partial"), mmap_mode="r+")[1:] = 0
    path.with_suffix(".done").write_text("0\n1")
    third = Path(corpus.clips["path"].iloc[2])
    third.rename(third.with_suffix(".gone"))
    with pytest.raises(corpora.CorpusError, match=r"clip02\.wav can no longer be used"):
        features.extract(corpus, MEL, duration=1, jobs=1)
    assert path.with_suffix(".done").read_text() == "0\n1\n"  # and not 11
    third.with_suffix(".gone").rename(third)
    found = features.extract(corpus, MEL, duration=1, jobs=1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("left_over", ["partial", "done"])
def test_half_of_what_an_extraction_left_is_as_good_as_none(corpus_folder, output, left_over):
    corpus = corpora.load(corpus_folder)
    expected = np.array(features.extract(corpus, MEL, duration=1))
    (path,) = output.glob(".cache/features/*.npy")
    path.unlink()
    path.with_suffix(f".{left_over}").write_text("0\n")
    np.testing.assert_array_equal(features.extract(corpus, MEL, duration=1), expected)


def test_the_cache_is_used_again_and_never_for_other_settings_or_sounds(corpus_folder, output):
    corpus = corpora.load(corpus_folder)
    features.extract(corpus, MEL, duration=1)
    (cached,) = (output / ".cache" / "features").glob("*.npy")
    before = cached.stat().st_mtime_ns
    features.extract(corpus, MEL, duration=1)
    assert cached.stat().st_mtime_ns == before
    features.extract(corpus, MEL, duration=2)
    features.extract(corpus, replace(MEL, n_mels=40), duration=1)
    soundfile.write(corpus.clips["path"][0], voice(1, seed=7), 16000)
    features.extract(corpora.load(corpus_folder), MEL, duration=1)
    assert len(list(cached.parent.glob("*.npy"))) == 4


def test_a_clip_that_changed_is_named_and_never_taken_for_the_old_one(corpus_folder, output):
    corpus = corpora.load(corpus_folder)
    soundfile.write(corpus.clips["path"][4], voice(1, seed=99), 16000)
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav .*\(it changed meanwhile\): run"):
        features.extract(corpus, MEL, duration=1)
    assert not list(output.rglob("*.npy"))
    assert len(features.extract(corpora.load(corpus_folder), MEL, duration=1)) == 12


def test_a_clip_that_changes_while_it_is_read_is_named(corpus_folder, monkeypatch):
    corpus = corpora.load(corpus_folder)
    read = audio.read

    def and_change(path, *arguments):
        found = read(path, *arguments)
        if path == corpus.clips["path"][4]:
            soundfile.write(path, voice(1, seed=99), 16000)
        return found

    monkeypatch.setattr(audio, "read", and_change)
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav .*\(it changed meanwhile\)"):
        features.extract(corpus, MEL, duration=1)


@pytest.mark.parametrize("enough", [0, 1000], ids=["processes", "threads"])
def test_a_clip_that_vanishes_is_named(corpus_folder, monkeypatch, enough):
    monkeypatch.setattr(extraction, "CLIPS_WORTH_PROCESSES", enough)
    corpus = corpora.load(corpus_folder)
    Path(corpus.clips["path"][4]).unlink()
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav can no longer be used"):
        features.extract(corpus, MEL, duration=1)


def many(folder, clips):
    """A corpus of many rows whose audio is a few files."""
    corpus = corpora.load(folder)
    rows = corpus.clips.iloc[np.arange(clips) % len(corpus.clips)].reset_index(drop=True)
    return replace(corpus, clips=rows)


EXTRACT = """
import sys
from tests.benchmarks.measuring import most_memory
from tests.features.test_extraction import *
corpus = many({folder!r}, {clips})
extraction.CLIPS_WORTH_PROCESSES = {enough}
features.extract(corpus, MEL, duration={duration}, jobs=2)
print(most_memory())
"""


def extracting(folder, clips, duration=6, enough=10**9):
    code = EXTRACT.format(folder=str(folder), clips=clips, duration=duration, enough=enough)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("enough", [0, 10**9], ids=["processes", "threads"])
def test_a_killed_extraction_goes_on_where_it_was(corpus_folder, output, enough):
    clips = 1500
    corpus = many(corpus_folder, clips)
    cache = output / ".cache" / "features"
    process = extracting(corpus_folder, clips, enough=enough)
    while not (list(cache.glob("*.done")) and len(next(cache.glob("*.done")).read_text()) > 20):
        assert process.poll() is None, "the extraction ended before it could be killed"
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(children, timeout=10)[1]
    (done,), (partial,) = cache.glob("*.done"), cache.glob("*.partial")
    finished = [int(start) for start in done.read_text().split("\n")[:-1]]
    assert 0 < len(finished) < clips / extraction.CLIPS_PER_TASK
    # Spoil what is finished: had it been computed again, the spoilt row would not survive.
    marked = np.load(partial, mmap_mode="r+")
    marked[finished[0]] = 42
    marked.flush()
    matrix = features.extract(corpus, MEL, duration=6)
    assert (matrix[finished[0]] == 42).all()
    expected = features.clip_features(corpus.clips["path"][0], MEL, duration=6)
    same = [row for row in range(0, clips, 12) if row != finished[0]]
    np.testing.assert_allclose(matrix[same], np.tile(expected, (len(same), 1, 1)), atol=1e-3)
    assert not list(cache.glob("*.done")) and not list(cache.glob("*.partial"))


def test_memory_does_not_grow_with_the_corpus(corpus_folder):
    peaks = {}
    for clips in (100, 2000):  # 5 and 96 MB of features
        process = extracting(corpus_folder, clips, enough=2000)
        peaks[clips] = float(process.communicate()[0])
        assert process.returncode == 0
    assert peaks[2000] - peaks[100] < 25


def test_the_command_fills_the_cache_and_says_what_it_holds(corpus_folder, output, capsys):
    assert features.main([str(corpus_folder), "--jobs", "1"]) == 0
    assert "12 clips of 3 s, 128 mel bands x 47 frames" in capsys.readouterr().out
    assert len(list((output / ".cache" / "features").glob("*.npy"))) == 1
    assert cli.run(features.main, [str(corpus_folder / "nowhere")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "nowhere does not exist" in said.err
    assert len(said.err.splitlines()) == 1


def test_no_job_is_refused_in_a_sentence(corpus_folder, output, capsys):
    assert cli.run(features.main, [str(corpus_folder), "--jobs", "0"]) == 2
    assert "jobs is 0: name a number of processes" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [[], ["--jobs", "3"]])
def test_the_command_passes_on_what_it_was_asked(corpus_folder, monkeypatch, capsys, jobs):
    load, extract = MagicMock(return_value=corpora.load(corpus_folder)), MagicMock()
    extract.return_value.shape = (360, 128, 94)
    monkeypatch.setattr(corpora, "from_arguments", load)
    monkeypatch.setattr(extraction, "extract", extract)
    assert features.main(jobs) == 0
    (options,) = load.call_args.args
    assert (options.path, options.scale) == (None, None)
    number = 3 if jobs else -1
    extract.assert_called_once_with(load.return_value, MEL, duration=3, jobs=number)
    said = capsys.readouterr().out
    assert said.splitlines() == [
        f"{load.return_value.name}: 360 clips of 3 s, 128 mel bands x 94 frames",
        "0 of them are longer and cut, the others padded",
    ]


def test_reading_features_does_not_import_tensorflow():
    code = "import helpers.features, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT).returncode == 0


@pytest.mark.parametrize("header", [b"{'descr': (", b"{'descr': '>f4'}", b"\0"])
def test_a_spoilt_file_in_the_cache_is_made_anew(corpus_folder, output, header):
    corpus = corpora.load(corpus_folder)
    expected = np.array(features.extract(corpus, features.MelSettings(), duration=1))
    (path,) = output.glob(".cache/features/*.npy")
    content = path.read_bytes()
    path.write_bytes(content[:10] + header.ljust(100) + content[110:])
    found = features.extract(corpus, features.MelSettings(), duration=1)
    assert np.array_equal(found, expected)
