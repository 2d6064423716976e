"""Rated parts of long recordings."""

import contextlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import audio, corpora
from helpers.corpora import segments
from helpers.storage import OutputError
from tests.conftest import NO_AUDIO, voice, write_corpus
from tests.corpora.conftest import reasons, relabelled
from tests.corpora.test_checks import at_full_scale


@pytest.mark.parametrize("form", ["{:g}", "0 days 00:00:{:09.6f}", "0:{:04.1f}", "00:00:{:04.1f}"])
def test_each_rated_part_of_a_recording_is_a_clip(tmp_path, output, form):
    (tmp_path / "c").mkdir()
    sound = np.concatenate([voice(1, seed=n, pitch=100 + 40 * n) for n in range(4)])
    soundfile.write(tmp_path / "c" / "long.wav", sound, 16000)
    soundfile.write(tmp_path / "c" / "cut.wav", voice(1, seed=9), 16000)
    parts = [("long.wav", 0, 1, 1), ("long.wav", 1, 2.5, 5), ("long.wav", 2.5, None, 3)]
    parts += [("long.wav", 3, 9, 2), ("cut.wav", 40, 41, 4), ("cut.wav", 0, None, 4)]
    rows = [
        (name, form.format(start), "NaT" if end is None else form.format(end), rating)
        for name, start, end, rating in parts
    ]
    table = pd.DataFrame(rows, columns=["file", "start", "end", "valence"])
    table.to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert np.allclose(corpus.clips["duration"], [1, 1.5, 1.5, 1])
    assert corpus.clips["valence"].tolist() == [1, 5, 3, 4]
    names = ["long.wav [0–1 s]", "long.wav [1–2.5 s]", "long.wav [2.5–4 s]", "cut.wav"]
    assert corpus.clips["file"].tolist() == names
    y, _ = soundfile.read(corpus.clips["path"][1])
    assert np.allclose(y, sound[16000:40000], atol=1e-4)
    assert corpus.rejected["reason"].tolist() == [
        "3 to 9 s are not in the recording of 4.0 s",
        "is listed more than once",
    ]
    assert corpora.load(tmp_path / "c").clips.equals(corpus.clips)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ("start;end", ["0,1;0,5", "0:0,2;0,6", "0,3;0:00,7"]),
        ("start;duration", ["0,1;0,4", "0.2;0.4", "0:0,3;0,4 s"]),
        ("onset;offset", ["0.1;0.5", "0.2;0.6", "00:00:00.3;700 ms"]),
        ("offset;duration", ["0,1;0,4", "0.2;0.4", "0:0,3;0,4 s"]),
    ],
)
def test_times_are_read_in_each_usual_form(tmp_path, output, columns, rows):
    write_corpus(tmp_path / "c", clips=3)
    lines = [f"clip{n:02d};{n + 1};{row}" for n, row in enumerate(rows)]
    table = "\n".join([f"file;valence;{columns}", *lines])
    (tmp_path / "c" / "labels.csv").write_text(table)
    clips = corpora.load(tmp_path / "c", scale=(1, 5)).clips
    assert np.allclose(clips["duration"], 0.4)
    assert np.allclose(clips["start"].astype(float), [0.1, 0.2, 0.3])
    assert clips["file"].tolist() == ["clip00", "clip01", "clip02"]


@pytest.mark.parametrize(
    ("second", "note"),
    [
        ((0.98, 2), ()),
        ((1, 2), ()),
        (
            (0.5, 2),
            (
                "1 of 2 clips share sound with an earlier part of their recording, such as "
                "long.wav [0.5–2 s]: a split by clip may train on what it tests on",
            ),
        ),
    ],
)
def test_parts_that_share_sound_are_told(tmp_path, output, second, note):
    (tmp_path / "c").mkdir()
    soundfile.write(tmp_path / "c" / "long.wav", voice(2), 16000)
    rows = [("long.wav", *second, 4), ("long.wav", 0, 1, 2)]
    table = pd.DataFrame(rows, columns=["file", "start", "end", "valence"])
    table.to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert len(corpus.clips) == 2 and corpus.notes == note


@pytest.mark.parametrize("valence", [[1, 2, 3], None])
def test_a_start_without_an_end_is_not_used_and_a_note_says_so(tmp_path, output, valence):
    write_corpus(tmp_path / "c", clips=3)
    labels = pd.DataFrame({"file": [f"clip{n:02d}" for n in range(3)], "onset": 0.1})
    rated = {"valence": valence} if valence else {"emotion": ["happy", "sad", "angry"]}
    labels.assign(**rated).to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert corpus.clips["duration"].min() >= 0.8
    said = "onset of labels.csv is not used: a part of a recording has a start and an end"
    assert corpus.notes == (said,)


def test_a_time_that_is_none_costs_its_clip_and_no_other(tmp_path, output):
    write_corpus(tmp_path / "c", clips=5)
    relabelled(tmp_path / "c", start=["0.1", "early", "", "0.1", "0.1"], end=["", "1", "?", "x", 2])
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert corpus.clips["file"].tolist() == ["clip00.wav", "clip02.wav"]
    assert reasons(corpus) == {
        "clip01.wav": "has the start 'early', which is no time such as 83.5 or 1:23.5",
        "clip03.wav": "has the end 'x', which is no time such as 83.5 or 1:23.5",
        "clip04.wav": "0.1 to 2 s are not in the recording of 1.0 s",
    }


def test_a_full_disk_is_one_sentence(tmp_path, output):
    write_corpus(tmp_path / "c", clips=3)
    relabelled(tmp_path / "c", start=0.1, end=0.5)
    resource = pytest.importorskip("resource")  # not on Windows
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="0.100_0.500.au cannot be written"):
            corpora.load(tmp_path / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_parts_of_a_recording_that_cannot_be_read_are_rejected(tmp_path, output):
    write_corpus(tmp_path / "c", clips=3)
    (tmp_path / "c" / "audio" / "clip01.wav").write_bytes(b"RIFF")
    relabelled(tmp_path / "c", start=0.1, end=0.5)
    corpus = corpora.load(tmp_path / "c")
    assert len(corpus.clips) == 2
    assert reasons(corpus)["clip01.wav"].startswith(NO_AUDIO)


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_part_is_checked_as_any_clip(tmp_path, output, channels, subtype):
    (tmp_path / "c").mkdir()
    one = np.concatenate([voice(1), at_full_scale(0.05), voice(1, seed=1), voice(1)])
    y = np.stack([one, 0.1 * one], axis=1)[:, :channels]
    soundfile.write(tmp_path / "c" / "long.wav", y, 16000, subtype=subtype)
    rows = ["0,1,1", "1,1.5,2", "1.5,2.5,3", "2.5,3.5,1"]
    lines = ["file,start,end,valence", *(f"long.wav,{row}" for row in rows)]
    (tmp_path / "c" / "labels.csv").write_text("\n".join(lines))
    for _ in range(2):  # the second time from the cache
        corpus = corpora.load(tmp_path / "c", scale=(1, 5))
        assert set(corpus.clips["channels"]) == {channels} and len(corpus.clips) == 2
        assert reasons(corpus) == {
            "long.wav [1–1.5 s]": f"is clipped: {5 / channels} % of its samples are at full scale",
            "long.wav [2.5–3.5 s]": "is the same clip as long.wav [0–1 s], which is used",
        }


@pytest.fixture
def recording(tmp_path, output):
    """A corpus of three parts of one recording; its audio file."""
    (tmp_path / "c").mkdir()
    soundfile.write(tmp_path / "c" / "long.wav", voice(3), 16000)
    table = "file,start,end,valence\nlong.wav,0,1,1\nlong.wav,1,2,5\nlong.wav,2,,3\n"
    (tmp_path / "c" / "labels.csv").write_text(table)
    return tmp_path / "c" / "long.wav"


def reads(monkeypatch):
    """The recordings that are opened from now on; parts do not count."""
    opened, paths = audio.opened, []

    def noted(path):
        paths.extend([path] * path.endswith(".wav"))
        return opened(path)

    monkeypatch.setattr(audio, "opened", noted)
    return paths


def test_a_recording_is_read_again_only_if_a_part_is_missing(recording, monkeypatch):
    first, read = corpora.load(recording.parent), reads(monkeypatch)
    assert corpora.load(recording.parent).clips.equals(first.clips) and read == []
    Path(first.clips["path"][1]).unlink()
    assert corpora.load(recording.parent).clips.equals(first.clips) and len(read) == 1


def test_parts_are_cut_anew_from_a_file_of_the_same_size_and_time(recording):
    before, about = corpora.load(recording.parent), recording.stat()
    soundfile.write(recording, voice(3, seed=9), 16000)
    os.utime(recording, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert corpora.load(recording.parent).fingerprint != before.fingerprint


def test_parts_are_cut_anew_if_the_recording_changes_while_it_is_read(recording, monkeypatch):
    opened = audio.opened

    @contextlib.contextmanager
    def changed(path):
        with opened(path) as found:
            yield found
        if path.endswith("long.wav"):
            soundfile.write(recording, voice(3, seed=9), 16000)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(audio, "opened", changed)
        before = corpora.load(recording.parent)
    assert corpora.load(recording.parent).fingerprint != before.fingerprint


@pytest.mark.parametrize(("name", "value"), [("VERSION", 0), ("version", lambda package: "0")])
def test_parts_are_cut_anew_by_another_version(recording, monkeypatch, name, value):
    corpora.load(recording.parent)
    read = reads(monkeypatch)
    monkeypatch.setattr(segments, name, value)
    corpora.load(recording.parent)
    assert len(read) == 1


def test_parts_have_the_same_bytes_whenever_they_are_cut(recording, output):
    before = corpora.load(recording.parent)
    shutil.rmtree(output)
    time.sleep(1.1)  # libsndfile writes the second into files of floats
    assert corpora.load(recording.parent).fingerprint == before.fingerprint


def test_parts_of_a_recording_with_a_long_name_are_cut(recording):
    name = "x" * 235
    recording.rename(recording.with_name(f"{name}.wav"))
    table = recording.with_name("labels.csv")
    table.write_text(table.read_text().replace("long.wav", name))
    assert len(corpora.load(recording.parent).clips) == 3


def test_a_recording_that_the_system_does_not_give_is_rejected_as_any_clip(recording, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(audio, "opened", refused)
    with pytest.raises(corpora.CorpusError, match=r"cannot be read \(Permission denied\)"):
        corpora.load(recording.parent, scale=(1, 5))
