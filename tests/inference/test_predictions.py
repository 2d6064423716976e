import json
import os
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

from helpers import cli, inference
from helpers.inference import predictions
from tests.conftest import voice
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
    [("flac", 44100, 0.02), ("ogg", 48000, 0.1), ("mp3", 22050, 0.1)],
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
        folder / "text.wav": "is not readable audio",
        folder / "none.wav": "",
        folder / "empty": "is a folder without audio",
        folder / "short.wav": "lasts 10 ms, too short for speech",
        folder / "silent.wav": "is silent or constant",
        folder / "cut.flac": "",
        folder / "nan.wav": "has samples that are not numbers",
        folder / ("long" * 100): "",
        folder / "none.m4a": "cannot be read (",
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
    assert cli.run(inference.main, [missing, clip]) == 2
    assert "There is no file" in capsys.readouterr().err
