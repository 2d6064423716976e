import time
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr
import threadpoolctl

from helpers import cli, inference
from helpers.inference import predictions, sources
from tests.conftest import NO_AUDIO, voice
from tests.inference.conftest import RATE


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
    (folder / "bytes.wav").write_bytes(b"\xff\0" * 99)
    (folder / "empty").mkdir()
    soundfile.write(folder / "short.wav", voice(0.01, RATE), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "cut.flac", voice(1, RATE), RATE)
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:9000])
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    expected = {
        recording: "",
        folder / "text.wav": "is text and no audio",
        folder / "bytes.wav": NO_AUDIO,
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
    assert table["valence"].notna().tolist() == [True] + [False] * 10
    assert table.loc[1:, ["low", "high"]].isna().all(axis=None)


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
    monkeypatch.setattr(predictions.joblib, "effective_n_jobs", lambda jobs: 2)
    taken = []

    def recordings():
        for number in range(60):
            taken.append(number)
            yield voice(20), RATE

    next(predictions.stream(model, recordings()))
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


def test_what_is_broken_off_does_not_wait_for_long_recordings(model, monkeypatch):
    windows = []

    def slowly(*arguments):
        windows.append(arguments)
        time.sleep(0.01)
        return np.random.default_rng(0).normal(size=model.network.input_shape[1:3])

    monkeypatch.setattr(predictions.features, "waveform_features", slowly)
    clips = [(voice(1), RATE), *[(voice(60), RATE)] * 9]
    read = predictions._prefetch(sources.recordings(clips), model.card)
    next(read)
    read.close()  # as Ctrl-C does
    assert len(windows) < 100  # of 9 x 119


def test_a_long_recording_shows_how_far_it_is(model, monkeypatch):
    shown = []
    monkeypatch.setattr(predictions, "bar", lambda rows, **about: shown.append(about) or rows)
    inference.predict(model, [(voice(20), RATE), (voice(1), RATE)])
    assert [each["unit"] for each in shown] == ["recording", "window"]


def test_memory_stays_flat_over_a_stream(model):
    y = voice(1)

    def peak_of(clips):
        tracemalloc.start()
        for _ in predictions.stream(model, ((y.copy(), RATE) for _ in range(clips))):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = max(peak_of(150) for _ in range(3))  # of how far the threads are ahead
    assert peak_of(600) < 1.3 * few


def test_what_is_unlike_the_training_clips_is_marked(model):
    t = np.arange(RATE) / RATE
    odd = {
        "noise": np.random.default_rng(0).normal(size=RATE),
        "chord": sum(np.sin(2 * np.pi * f * t) for f in (262, 330, 392)),
        "hum": np.sin(2 * np.pi * 50 * t),
    }
    table = inference.predict(model, [(0.1 * y, RATE) for y in odd.values()])
    assert table["problem"].str.contains("sounds unlike the training clips").all()
    assert table["valence"].notna().all()
    slow = inference.predict(model, (voice(1, 6000), 6000)).iloc[0]
    assert "has a sampling rate of 6000 Hz" in slow["problem"]
    assert inference.predict(model, (voice(1, seed=99), RATE))["problem"].item() == ""


def problem(model, y, rate=RATE):
    return inference.predict(model, (y, rate))["problem"].item()


def test_a_recording_says_what_its_valence_is_of(model):
    assert (model.card.duration, round(model.card.longest, 2)) == (1, 1.44)
    assert problem(model, voice(1.02)) == ""
    cut = "lasts 1.4 s: only its first 1 s are used, as in training"
    assert problem(model, voice(1.4)) == cut
    assert predictions.analyse(model, (voice(1.4), RATE)).row["problem"] == cut
    long = "is long: the mean of 3 windows, with the interval of single clips"
    assert problem(model, voice(2)) == long
    pause = np.concatenate([voice(2), np.zeros(round(0.6 * RATE)), voice(2)])
    assert problem(model, pause).endswith("; has speech in 4.2 of 4.6 s")  # 0.1 s beside it, each


def test_little_speech_is_marked_and_keeps_its_valence(model):
    row = inference.predict(model, (voice(0.2), RATE)).iloc[0]
    assert "has 0.20 s of speech, too little for a reliable valence" in row["problem"]
    assert np.isfinite(row["valence"])
    pause = np.concatenate([np.zeros(3 * RATE), voice(0.3), np.zeros(3 * RATE)])
    assert "s of speech, too little" in problem(model, pause)


@pytest.mark.parametrize("name", ["mono.wav", "stereo.flac"])
def test_clipping_is_marked_by_the_rule_of_corpora(model, tmp_path, name):
    y = voice(1.2)
    loud = np.clip(2 * y / np.abs(y).max(), -1, 1)
    samples = loud if name == "mono.wav" else np.stack([loud, 0.1 * y], axis=1)
    soundfile.write(tmp_path / name, samples, RATE)
    share = (np.abs(soundfile.read(tmp_path / name)[0]) > 0.999).mean()
    said = f"is clipped: {100 * share:.1f} % of its samples are at full scale"
    row = inference.predict(model, tmp_path / name).iloc[0]
    assert said in row["problem"] and np.isfinite(row["valence"])
    assert "clipped" not in problem(model, 2 * loud)  # floats beyond full scale


def test_channels_that_cancel_out_are_not_called_silent(model):
    opposite = np.outer(voice(1.2), [1, -1])
    assert problem(model, opposite) == (
        "is silent as the mean of its channels, which cancel out: predict each (--channels)"
    )
    each = inference.predict(model, (opposite, RATE), channels=True)
    assert each["valence"].notna().all()
    silent = np.zeros((RATE, 2))
    assert problem(model, silent) == "is silent or constant as the mean of its channels"
