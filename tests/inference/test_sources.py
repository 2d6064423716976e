import os
import sys
from pathlib import Path

import pytest
import soundfile

from helpers import audio, inference
from helpers.inference import sources


def test_hidden_files_of_systems_are_skipped(model, recording):
    folder = recording.parent
    for name in ("._voice.wav", ".DS_Store", "Thumbs.db", "__MACOSX/._voice.wav", ".trash/a.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no audio")
    assert inference.predict(model, folder)["clip"].tolist() == [str(recording)]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_linked_folder_is_read(model, tmp_path, recording):
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked" / "link").symlink_to(recording.parent)
    expected = [str(tmp_path / "asked" / "link" / recording.name)]
    assert inference.predict(model, tmp_path / "asked")["clip"].tolist() == expected


def test_a_folder_below_a_hidden_one_is_read(model, tmp_path, recording):
    inside = tmp_path / ".cache" / "clips" / "voice.wav"
    inside.parent.mkdir(parents=True)
    recording.rename(inside)
    assert inference.predict(model, inside.parent)["clip"].tolist() == [str(inside)]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("http://example.org/a.wav", "is a web address"),
        ("S3://bucket/a.wav", "is a web address"),
        (os.fspath(Path("https://example.org/a.wav")), "is a web address"),  # a Path has one slash
        ("clips/*.wav", "is a pattern that matches no file"),
        ("clip?.wav", "is a pattern that matches no file"),
        ("nowhere/clip.wav", "does not exist: check its path"),
        ("C:/nowhere/clip.wav", "does not exist"),
        ("clip\udce9.wav", "does not exist"),
        ("clip\ud800.wav", "does not exist"),
        (os.devnull, "is a pipe or a device"),
    ],
)
def test_what_is_no_file_says_what_it_is(path, reason):
    assert sources.refusal(path).startswith(reason)


def test_a_file_may_be_called_like_a_pattern(tmp_path, recording):
    odd = tmp_path / "take [1].wav"
    recording.rename(odd)
    assert sources.refusal(str(odd)) == sources.refusal(str(tmp_path)) == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("channels", [False, True])
def test_a_named_pipe_is_refused_and_never_blocks(model, recording, channels):
    pipe = recording.with_name("pipe.wav")
    os.mkfifo(pipe)
    table = inference.predict(model, recording.parent, channels=channels)
    assert table["clip"].tolist() == [str(pipe), str(recording)]
    assert table["problem"][0].startswith("is a pipe or a device")
    assert table["valence"].notna().tolist() == [False, True]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_no_advice_is_given_on_what_is_no_file(recording):
    os.mkfifo(recording.with_name("pipe"))  # which blocks who opens it
    recording.with_name("gone").symlink_to("nowhere")
    assert sources.passed_over(str(recording.parent)) == []


def test_a_folder_that_cannot_be_read_is_named(model, recording, monkeypatch):
    folder = recording.parent
    closed = {folder / "closed", folder / "open" / "closed"}
    for path in (*closed, folder / ".hidden"):
        path.mkdir(parents=True)
    may = os.access  # root may read everything
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) not in closed and may(path, mode)
    )
    table = inference.predict(model, folder).set_index("clip")["problem"]
    assert list(table.index) == [str(recording), *map(str, sorted(closed))]
    assert table.iloc[1:].str.startswith("is a folder that cannot be read").all()
    below = inference.predict(model, folder / "open")
    assert below["clip"].tolist() == [str(folder / "open" / "closed")]
    assert sources.expanded(str(folder / "open")) == below["clip"].tolist()


@pytest.mark.parametrize("suffix", ["au", "w64", "voc", "rf64", "AIFC"])
def test_what_libsndfile_reads_is_found_in_a_folder(recording, suffix):
    path = recording.with_suffix(f".{suffix}")
    y, rate = soundfile.read(recording)
    soundfile.write(path, y, rate, format={"AIFC": "AIFF"}.get(suffix, suffix))
    assert str(path) in sources.expanded(str(recording.parent))


def test_text_and_models_say_what_they_are(tmp_path, recording):
    model, text = tmp_path / "a.keras", tmp_path / "notes.wav"
    model.write_bytes(b"PK")
    text.write_text("Grüße " * 999, encoding="utf-8")
    assert sources.refusal(str(model)) == "is a model: name it before the recordings"
    assert sources.refusal(str(text)) == "is text and no audio"
    text.write_bytes(audio.LFS + b"/spec/v1")
    assert sources.refusal(str(text)) == sources.refusal(str(recording)) == ""
