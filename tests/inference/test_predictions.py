import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
import threadpoolctl

from helpers import cli, inference
from helpers.inference import predictions
from helpers.storage import PROJECT
from tests.conftest import NO_AUDIO, voice
from tests.inference.conftest import RATE

# Any recording


def test_paths_folders_waveforms_and_streams_of_them_are_taken(model, recording):
    y, rate = soundfile.read(recording)
    expected = inference.predict(model, recording)["valence"].item()
    stereo, integers = np.stack([y, y], axis=1), np.round(y * 2**15).astype(np.int16)
    assert inference.predict(model, recording.parent)["clip"].tolist() == [str(recording)]
    for clips in ((y, rate), [(stereo, rate)], iter([str(recording)]), [(integers, rate)]):
        table = inference.predict(model, clips)
        assert table["valence"].item() == pytest.approx(expected, abs=1e-3)
    names = inference.predict(model, ((y, rate) for _ in range(2)))["clip"]
    assert names.tolist() == ["waveform 1", "waveform 2"]


def test_progress_knows_how_many_there_are_unless_they_can_be_read_only_once(
    model, recording, monkeypatch
):
    totals = []
    monkeypatch.setattr(predictions, "bar", lambda rows, **options: totals.append(options) or rows)
    y, rate = soundfile.read(recording)
    for clips in (
        recording.parent,
        (y, rate),
        [str(recording), recording.parent],
        iter([(y, rate)]),
    ):
        inference.predict(model, clips)
    assert [each["total"] for each in totals] == [1, 1, 2, None]


# The spectra hardly differ in lossless files; lossy ones lose the breath between the harmonics.
@pytest.mark.parametrize(
    ("suffix", "rate", "tolerance"),
    [("flac", 44100, 0.02), ("ogg", 48000, 0.15), ("mp3", 22050, 0.1)],
)
def test_any_format_and_sampling_rate_gives_about_the_same(
    model, recording, suffix, rate, tolerance
):
    path, (y, _) = recording.with_suffix(f".{suffix}"), soundfile.read(recording)
    soundfile.write(path, soxr.resample(y, RATE, rate), rate)
    both = inference.predict(model, [recording, path])["valence"]
    assert both[1] == pytest.approx(both[0], abs=tolerance)


def test_a_file_that_cannot_be_used_becomes_a_row_with_its_reason(model, recording):
    folder = recording.parent
    (folder / "text.wav").write_text("no audio")
    (folder / "empty").mkdir()
    soundfile.write(folder / "short.wav", voice(0.01, RATE), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "cut.flac", voice(1, RATE), RATE)
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:9000])
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    expected = {
        recording: "",
        folder / "text.wav": NO_AUDIO,
        folder / "none.wav": "does not exist: check its path",
        folder / "empty": "is a folder without audio",
        folder / "short.wav": "lasts 10 ms, too short for speech",
        folder / "silent.wav": "is silent or constant",
        folder / "cut.flac": "",
        folder / "nan.wav": "has samples that are not numbers",
        folder / ("long" * 100): "does not exist",
        folder / "a\0b.wav": "does not exist",
    }
    table = inference.predict(model, expected)
    assert table["clip"].tolist() == [str(path) for path in expected]
    for problem, reason in zip(table["problem"], expected.values(), strict=True):
        assert reason in problem
    assert table["valence"].notna().tolist() == [True] + [False] * 9
    assert table.loc[2, "problem"] and table.loc[1:, ["low", "high"]].isna().all(axis=None)


def test_a_long_recording_is_the_mean_of_its_windows(model):
    y = np.concatenate([voice(1, pitch=110), voice(1, pitch=220), voice(1.5, pitch=330)])
    curve = inference.curve(model, (y, RATE))
    assert len(y) / RATE > model.card.longest
    assert curve["seconds"].tolist() == pytest.approx([0.5, 1, 1.5, 2, 2.5, 3])  # of 3.5 s
    by_hand = inference.predict(
        model, [(y[round((s - 0.5) * RATE) :][:RATE], RATE) for s in curve["seconds"]]
    )
    np.testing.assert_allclose(curve["valence"], by_hand["valence"], atol=0.05)
    whole = inference.predict(model, (y, RATE))["valence"].item()
    assert whole == pytest.approx(curve["valence"].mean(), abs=1e-6)


def test_a_recording_of_the_training_clips_lengths_is_cut_as_they_were_but_has_a_curve(model):
    y = voice(1.3)
    assert model.card.duration < 1.3 < model.card.longest
    assert inference.curve(model, (y, RATE))["seconds"].tolist() == pytest.approx([0.5, 0.8])
    scaled = (y - y.mean()) / y.std()  # as a whole, before it is cut
    cut = inference.predict(model, [(y, RATE), (0.1 * scaled[:RATE], RATE)])["valence"]
    assert cut[0] == pytest.approx(cut[1], abs=0.05)


def test_a_recording_whose_windows_are_all_silent_cannot_be_used(model):
    slow = np.linspace(-2e-4, 2e-4, 20 * RATE)  # as a whole, its deviation is above the threshold
    assert inference.predict(model, (slow, RATE))["problem"].item() == "is silent or constant"


def test_a_pause_is_left_out_of_the_curve(model):
    y = np.concatenate([voice(1), np.zeros(3 * RATE), voice(1)])
    curve = inference.curve(model, (y, RATE))
    assert curve["seconds"].diff().max() > 1 and curve["valence"].notna().all()
    with pytest.raises(cli.UserError, match="The recording is silent or constant."):
        inference.curve(model, (np.zeros(RATE), RATE))


def test_long_recordings_are_not_read_far_ahead(model, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    taken = []

    def recordings():
        for number in range(60):
            taken.append(number)
            yield voice(20), RATE

    next(inference.stream(model, recordings()))
    assert len(taken) < 10


def test_recordings_are_prepared_with_one_blas_thread_each(model, monkeypatch):
    prepare, threads = predictions._prepare, []

    def counted(*arguments):
        found = threadpoolctl.threadpool_info()
        threads.extend(each["num_threads"] for each in found if each["user_api"] == "blas")
        return prepare(*arguments)

    monkeypatch.setattr(predictions, "_prepare", counted)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        inference.predict(model, [(voice(1), RATE)] * 3)
        after = [each["num_threads"] for each in threadpoolctl.threadpool_info()]
    assert set(threads) == {1} and 2 in after


def test_memory_stays_flat_over_a_stream(model):
    y = voice(1)

    def peak_of(clips):
        tracemalloc.start()
        for _ in inference.stream(model, ((y.copy(), RATE) for _ in range(clips))):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = max(peak_of(150) for _ in range(3))  # of how far the threads are ahead
    assert peak_of(600) < 1.3 * few


def test_what_is_unlike_the_training_clips_is_marked(model):
    time = np.arange(RATE) / RATE
    odd = {
        "noise": np.random.default_rng(0).normal(size=RATE),
        "chord": sum(np.sin(2 * np.pi * f * time) for f in (262, 330, 392)),
        "hum": np.sin(2 * np.pi * 50 * time),
    }
    table = inference.predict(model, [(0.1 * y, RATE) for y in odd.values()])
    assert table["problem"].str.contains("sounds unlike the training clips").all()
    assert table["valence"].notna().all()
    slow = inference.predict(model, (voice(1, 6000), 6000)).iloc[0]
    assert "has a sampling rate of 6000 Hz" in slow["problem"]
    assert inference.predict(model, (voice(1, seed=99), RATE))["problem"].item() == ""


# From a terminal


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
    assert captured.out == "2 recordings, 1 of them without a valence\n"
    assert captured.err.startswith(f"{missing} ")
    rows = json.loads(as_json.read_text())
    assert rows[1]["valence"] is None and rows[0]["problem"] == ""
    assert pd.read_csv(csv)["valence"][0] == pytest.approx(rows[0]["valence"])
    assert cli.run(inference.main, [f"{missing}.keras", clip]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_the_command_makes_a_folder_for_its_tables(study, recording, tmp_path):
    csv, as_json = tmp_path / "new" / "a" / "out.csv", tmp_path / "other" / "out.json"
    arguments = [str(study.path), str(recording), "--csv", str(csv), "--json", str(as_json)]
    assert inference.main(arguments) == 0
    assert csv.exists() and as_json.exists()


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_where_no_table_can_be_written_nothing_is_predicted(
    study, recording, tmp_path, monkeypatch, capsys, option
):
    monkeypatch.setattr(predictions, "predict", lambda *a, **b: pytest.fail("predicted"))
    for out, reason in {
        recording / "out.csv": "cannot be written",  # in a folder that is a file
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
    assert len(shown) == 4 and "caf\\udce9.wav" in shown[1]
    assert "has a name that is no text: rename it" in shown[1] and "does not exist" in shown[2]
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
