import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import cli, inference
from helpers.inference import command, speakers
from helpers.storage import PROJECT
from tests.conftest import voice
from tests.inference.conftest import RATE


def test_the_command_prints_the_model_card(study, capsys):
    assert inference.main([str(study.path)]) == 0
    card = capsys.readouterr().out
    assert card == inference.card_markdown(inference.load(study.path).card)


def test_the_command_writes_tables_and_its_exit_code_says_what_failed(
    study, recording, tmp_path, capsys
):
    model, clip, missing = str(study.path), str(recording), str(tmp_path / "none.wav")
    assert inference.main([model, clip]) == 0
    assert clip in capsys.readouterr().out
    csv, as_json = tmp_path / "out.csv", tmp_path / "out.json"
    options = ["--csv", str(csv), "--json", str(as_json)]
    assert inference.main([model, clip, missing, *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == (
        "Recordings: 2; without a valence: 1; with a note (column problem): 1. Written to "
        f"{csv} and {as_json}\n"
    )
    assert captured.err.startswith(f"{missing} ")
    rows = json.loads(text := as_json.read_text())
    assert rows[1]["valence"] is None and rows[0]["problem"].startswith("lasts 1.2 s")
    assert pd.read_csv(csv)["valence"][0] == rows[0]["valence"]  # with all digits
    assert text.endswith("]\n") and f'"clip": "{clip}"' in text  # without escaped slashes
    assert cli.run(inference.main, [f"{missing}.keras", clip]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_options_may_stand_between_recordings(study, recording, tmp_path):
    out, other = tmp_path / "out.csv", tmp_path / "other.wav"
    soundfile.write(other, voice(1.2, RATE, pitch=300), RATE)
    arguments = [study.path, recording, "--csv", out, other]
    assert inference.main([str(each) for each in arguments]) == 0
    assert pd.read_csv(out)["clip"].tolist() == [str(recording), str(other)]
    arguments = ["--csv", str(out), "--", str(study.path), str(recording), "-other.wav"]
    assert inference.main(arguments) == 1
    assert pd.read_csv(out)["clip"].tolist() == [str(recording), "-other.wav"]


def test_the_command_makes_a_folder_for_its_tables(study, recording, tmp_path):
    csv, as_json = tmp_path / "new" / "a" / "out.csv", tmp_path / "other" / "out.json"
    arguments = [str(study.path), str(recording), "--csv", str(csv), "--json", str(as_json)]
    assert inference.main(arguments) == 0
    assert csv.exists() and as_json.exists()


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_where_no_table_can_be_written_nothing_is_predicted(
    study, recording, tmp_path, monkeypatch, capsys, option
):
    monkeypatch.setattr(command, "predict", lambda *a, **b: pytest.fail("predicted"))
    for out, reason in {
        # In a folder that is a file.
        recording / "out": "cannot be written (File exists): name another file.",
        tmp_path: "is a folder: name a file.",
    }.items():
        arguments = [str(study.path), str(recording), option, str(out)]
        assert cli.run(inference.main, arguments) == 2
        said = capsys.readouterr()
        assert said.out == "" and reason in said.err and len(said.err.splitlines()) == 1


def test_what_is_no_file_says_what_it_is(study, recording, tmp_path, capsys):
    model, pattern = str(study.path), str(tmp_path / "*.flac")
    assert cli.run(inference.main, [model, "https://example.org/a.wav", pattern]) == 2
    assert capsys.readouterr().err == (
        "https://example.org/a.wav is a web address: download the recording and name its file; "
        f"{pattern} is a pattern that matches no file: name the recordings, or their folder.\n"
    )
    assert cli.run(inference.main, [model, pattern, str(recording)]) == 1
    assert "is a pattern that matches no file" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_costs_no_other_result(study, recording, tmp_path, capsys):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    try:
        with open(odd, "wb") as file:
            file.write(recording.read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    missing = str(tmp_path / "none\udce9.wav")
    model, clips = str(study.path), [os.fsdecode(odd), missing, str(recording)]
    assert inference.main([model, *clips]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 8 and "caf\\udce9.wav" in shown[1]
    assert "has a name that is no text: rename it" in shown[5] and "does not exist" in shown[6]
    csv, as_json = tmp_path / "out.csv", tmp_path / "out.json"
    assert inference.main([model, *clips, "--csv", str(csv), "--json", str(as_json)]) == 1
    for table in (pd.read_csv(csv), pd.read_json(as_json)):
        assert table["clip"][0].endswith("caf\\udce9.wav")
        assert table["valence"].notna().tolist() == [False, False, True]
    assert cli.run(inference.main, [model, clips[0]]) == 2
    assert "no text" in capsys.readouterr().err


def test_a_terminal_without_the_letters_of_a_name_shows_the_others(study, recording):
    path = recording.with_name("日本.wav")
    path.write_bytes(recording.read_bytes())
    run = subprocess.run(
        [sys.executable, "-m", "helpers.inference", study.path, path],
        cwd=PROJECT, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert b"\\u65e5\\u672c.wav" in run.stdout


def test_each_channel_is_predicted_on_request(study, model, tmp_path, capsys):
    left, right = voice(1.2, pitch=110), voice(1.2, pitch=330, seed=1)
    path, mono = tmp_path / "stereo.wav", tmp_path / "voice.wav"
    soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    soundfile.write(mono, left, RATE, subtype="FLOAT")
    expected = inference.predict(model, [(left, RATE), (right, RATE)])["valence"]
    assert expected[0] != pytest.approx(expected[1], abs=1e-3)
    clips = [str(path), (np.stack([left, right], axis=1), RATE), str(mono), "none.wav"]
    table = inference.predict(model, clips, channels=True)
    assert table["clip"].tolist() == [
        f"{path} (channel 1)", f"{path} (channel 2)", "waveform 2 (channel 1)",
        "waveform 2 (channel 2)", str(mono), "none.wav",
    ]  # fmt: skip
    both = [*expected, *expected, expected[0]]
    np.testing.assert_allclose(table["valence"][:5], both, atol=1e-5)
    assert table["problem"][5] == "does not exist: check its path"
    assert inference.main([str(study.path), str(path), "--channels"]) == 0
    assert "stereo.wav (channel 2)" in capsys.readouterr().out


def refused(capsys, *arguments):
    """What the command says instead of an answer."""
    assert cli.run(inference.main, [str(each) for each in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    return said.err


@pytest.mark.skipif(os.name == "nt", reason="links need rights there, and pipes have no names")
@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_a_table_replaces_no_recording_model_or_pipe(study, recording, tmp_path, capsys, option):
    odd, link, pipe, labels, rows, loop = (
        tmp_path / name for name in ("odd", "link", "pipe", "l", "r", "a")
    )
    odd.write_bytes(recording.read_bytes() + b"tail")
    labels.write_text("file,valence\nvoice.wav,3\n")
    rows.write_text('[{"clip": "voice.wav", "valence": 3, "speaker": "s1"}]')
    link.symlink_to(odd)
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    (tmp_path / "to_pipe").symlink_to(pipe)
    kept = (recording, odd, labels, rows, study.path)
    contents = [path.read_bytes() for path in kept]
    for out, reason in {
        recording: f"has the suffix .wav of another kind of file: name one with .{option[2:]}",
        tmp_path / "new.FLAC": "has the suffix .FLAC of another kind",
        tmp_path / "out.xlsx": "has the suffix .xlsx of another kind",
        study.path: "has the suffix .keras of another kind",
        odd: "is there already, and this command did not write it: name another file",
        link: "is there already, and this command did not write it",
        labels: "is there already, and this command did not write it",
        rows: "is there already, and this command did not write it",
        pipe: "is a pipe, a device or a link to itself: name a file",
        tmp_path / "to_pipe": "is a pipe, a device",
        loop: "is a pipe, a device or a link to itself",
        "-": "'-' is no file: name one",
        "": "'' is no file: name one",
        f"{tmp_path}/new/": f"{tmp_path}/new/ is a folder: name a file",
    }.items():
        assert reason in refused(capsys, study.path, recording, odd, option, out)
    assert contents == [path.read_bytes() for path in kept]
    assert pipe.is_fifo() and link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_two_tables_have_two_files(study, recording, tmp_path, capsys):
    out, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(out)
    said = refused(capsys, study.path, recording, "--csv", out, "--json", link)
    assert "is named for two tables: name a file for each" in said


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_linked_table_stays_linked(study, recording, tmp_path):
    link, target = tmp_path / "link.csv", tmp_path / "elsewhere" / "out.csv"
    link.symlink_to(target)
    assert inference.main([str(study.path), str(recording), "--csv", str(link)]) == 0
    assert link.is_symlink() and len(pd.read_csv(target)) == 1


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("a", ",")])
def test_a_table_is_written_anew(study, recording, tmp_path, name, separator):
    out, rows = tmp_path / name, tmp_path / "rows.json"
    arguments = [str(study.path), str(recording), "--csv", str(out), "--json", str(rows)]
    for more in ([], ["--relative"], []):
        assert inference.main([*arguments, *more]) == 0
    assert list(pd.read_csv(out, sep=separator)) == [*pd.read_json(rows)] == [
        "clip", "valence", "low", "high", "problem",
    ]  # fmt: skip


def test_a_copy_of_a_recording_has_a_row_with_a_note_and_counts_once(study, recording, tmp_path):
    copy, other, out = (tmp_path / name for name in ("copy.wav", "other.wav", "out.csv"))
    copy.write_bytes(recording.read_bytes())
    soundfile.write(other, voice(1.2, RATE, pitch=300), RATE)  # of the same size
    again = f"{tmp_path}/./voice.wav"
    clips = [str(recording), again, str(copy), str(other), f"{tmp_path}/none.wav"]
    arguments = [str(study.path), *clips, "--relative", "--csv", str(out)]
    assert inference.main([*arguments, str(recording)]) == 1  # a path that is named twice
    table = pd.read_csv(out)
    assert table["clip"].tolist() == clips and table["valence"][:3].nunique() == 1
    same = table["problem"].str.contains(f"; is the same recording as {recording}$")
    assert same.tolist() == [False, True, True, False, False]
    once = table[~same].drop(columns="relative")
    spread = inference.load(study.path).card.spread
    np.testing.assert_allclose(
        inference.relative(once, spread)["relative"], table["relative"][~same], atol=1e-12
    )
    assert "the 2 recordings with a valence" in speakers.in_words(once, spread)


def test_copies_are_noted_in_each_channel(study, tmp_path, capsys):
    stereo = np.stack([voice(1.2, RATE), voice(1.2, RATE, pitch=300)], axis=1)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, stereo, RATE)
    assert inference.main([str(study.path), str(tmp_path), "--channels"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "the same rec" in line]
    assert [line.split(")")[0] for line in said] == [
        f"{tmp_path}/b.wav (channel {i}" for i in (1, 2)
    ]
    assert all(line.endswith(f"is the same recording as {tmp_path}/a.wav") for line in said)


def test_files_of_a_folder_that_may_be_audio_are_named(study, recording, tmp_path, capsys):
    assert inference.main([str(study.path), str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""
    for name in ("talk.mkw", "voice", "voice.wav.bak", "voice.old", "a.png", ".hidden"):
        (tmp_path / name).write_bytes(recording.read_bytes())
    for name in ("a.csv", "a.json", "README", "a.TextGrid"):
        (tmp_path / name).write_text("text")
    for name in ("a.keras", "a.7z"):
        (tmp_path / name).write_bytes(b"PK\0")
    assert inference.main([str(study.path), str(tmp_path)]) == 0
    assert capsys.readouterr().err == (
        f"4 files are left out, named unlike audio: {tmp_path}/talk.mkw, {tmp_path}/voice, "
        f"{tmp_path}/voice.old and 1 more; name a file itself to have it read\n"
    )


def test_a_pattern_that_the_shell_left_is_expanded(study, recording, tmp_path, capsys):
    assert inference.main([str(study.path), str(tmp_path / "*.wav")]) == 0
    assert str(recording) in capsys.readouterr().out


def test_if_nothing_has_a_valence_one_sentence_says_why(study, recording, tmp_path, capsys):
    silent, empty = tmp_path / "silent.wav", tmp_path / "empty"
    soundfile.write(silent, np.zeros(RATE), RATE)
    empty.mkdir()
    out = tmp_path / "out.csv"
    said = refused(capsys, study.path, silent, empty, "--csv", out)
    assert said == (
        f"{silent} is silent or constant; {empty} is a folder without audio: name one with wav, "
        "flac, mp3 or other recordings.\n"
    )
    assert not out.exists()
    said = refused(capsys, study.path, *(tmp_path / f"{i}.wav" for i in range(9)))
    assert said.endswith("2.wav does not exist: check its path; 6 more have no valence.\n")
    assert inference.main([str(study.path), str(recording), str(study.path)]) == 1
    assert "voices.keras is a model: name it before the recordings" in capsys.readouterr().out


def test_names_are_at_the_left_and_what_is_said_is_below(study, recording, tmp_path, capsys):
    inference.main([str(study.path), str(recording), f"{tmp_path}/a.wav"])
    lines = capsys.readouterr().out.splitlines()
    width = len(str(recording)) + 2
    assert lines[0].split() == ["clip", "valence", "low", "high"] and lines[0][:4] == "clip"
    assert lines[1].startswith(f"{recording}  ") and lines[2].startswith(f"{tmp_path}/a.wav  ")
    assert all(len(line) < width + 24 for line in lines[:3]) and lines[3] == ""
    assert lines[4].startswith(f"{recording} lasts 1.2 s: only its first 1 s")
    assert lines[5] == f"{tmp_path}/a.wav does not exist: check its path"


@pytest.mark.parametrize("arguments", [[""], ["a.wav", ""], ["--model", "", "a.wav"]])
def test_an_empty_name_is_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        inference.main(arguments)
    assert "'' names no file: name one" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--csv", "--json", "--channels", "--relative"])
def test_options_about_recordings_need_some(study, tmp_path, capsys, option):
    out = [str(tmp_path / "out")] if option in {"--csv", "--json"} else []
    with pytest.raises(SystemExit, match="2"):
        inference.main([str(study.path), option, *out])
    assert f"{option} is about recordings: name some" in capsys.readouterr().err
