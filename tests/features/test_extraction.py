import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import audio, baselines, corpora, features
from helpers.features import MelSettings
from helpers.settings import PROJECT
from tests.conftest import voice

MEL = MelSettings()
REAL_SPEECH = PROJECT.parent / "shared" / "data" / "ravdess_original"


def librosas(y, mel):
    return librosa.feature.melspectrogram(
        y=y, sr=mel.sample_rate, n_fft=mel.n_fft, hop_length=mel.hop_length, n_mels=mel.n_mels
    )


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")  # librosa's, on the shortest
@pytest.mark.parametrize("seconds", [0.05, 0.3, 2.0, 6.0])
@pytest.mark.parametrize("mel", [MEL, MelSettings(16000, 512, 160, 40)])
def test_mel_power_equals_librosas(seconds, mel):
    y = features.normalise(voice(seconds, mel.sample_rate)).astype(np.float32)
    ours = features.mel_spectrogram(y, mel)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosas(y, mel), rtol=1e-6, atol=0)


def test_mel_power_of_a_padded_clip_equals_librosas():
    y = features.normalise(voice(6, MEL.sample_rate)).astype(np.float32)
    for frames in range(28, 36):  # that sound, around as many as are transformed at once
        padded = features.fit_duration(y[: frames * MEL.hop_length], len(y))
        np.testing.assert_allclose(
            features.mel_spectrogram(padded, MEL), librosas(padded, MEL), rtol=1e-6, atol=0
        )


@pytest.mark.skipif(not REAL_SPEECH.exists(), reason="no recordings beside the project")
def test_mel_power_of_recordings_equals_librosas():
    for path in REAL_SPEECH.rglob("*.wav"):
        y = features.normalise(features.read_clip(path, MEL.sample_rate))
        theirs, _ = librosa.load(path, sr=MEL.sample_rate)
        np.testing.assert_allclose(y, (theirs - theirs.mean()) / theirs.std(), atol=1e-4)
        np.testing.assert_allclose(
            features.mel_spectrogram(y, MEL), librosas(y, MEL), rtol=1e-6, atol=0
        )


@given(st.integers(1, 60000))
@settings(max_examples=30, deadline=None)
def test_the_number_of_frames_is_known_beforehand(samples):
    frames = features.mel_spectrogram(np.ones(samples, np.float32), MEL).shape[1]
    assert frames == 1 + samples // MEL.hop_length == MEL.frames(samples / MEL.sample_rate)


def test_six_seconds_give_the_reports_shape():
    assert (MEL.n_mels, MEL.frames(6)) == (128, 94)


@pytest.mark.parametrize(("percentile", "target"), [(75, 6), (50, 4), (100, 9), (0, 2), (74.9, 6)])
def test_the_target_is_the_percentile_rounded_up(percentile, target):
    assert features.target_duration([2, 3, 4, 5.74, 9], percentile=percentile) == target


def test_the_percentile_is_the_75th_unless_another_is_asked_for():
    assert features.target_duration(range(1, 102)) == 76


def test_no_durations_have_no_percentile():
    with pytest.raises(ValueError, match="no durations"):
        features.target_duration([])


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_any_rate_depth_and_number_of_channels_is_read(tmp_path, rate, channels, subtype):
    y = voice(0.5, rate, pitch=200)
    soundfile.write(tmp_path / "a.wav", np.tile(y, (channels, 1)).T, rate, subtype=subtype)
    found = features.read_clip(tmp_path / "a.wav", 8000)
    assert found.dtype == np.float32 and found.shape == (4000,)
    spectrum = np.abs(np.fft.rfft(found))
    assert abs(np.argmax(spectrum) / 0.5 - 200) <= 6  # the pitch is still where it was


@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_normalising_removes_gain_and_offset(gain, offset):
    y = voice(0.2)
    found = features.normalise(gain * y + offset)
    assert abs(found.mean()) < 1e-4 and abs(found.std() - 1) < 1e-4
    np.testing.assert_allclose(found, features.normalise(y), atol=1e-3)


def test_normalising_is_exact_however_far_a_recording_is_from_0():
    # Between two numbers of 32 bits is where the mean is.
    y = (1e5 + 0.0039 + 0.1 * np.random.default_rng(0).normal(size=100_000)).astype(np.float32)
    found = features.normalise(y).astype(np.float64)
    assert abs(found.mean()) < 1e-6 and abs(found.std() - 1) < 1e-6


def test_a_constant_waveform_is_an_error_and_not_nan():
    with pytest.raises(ValueError, match="constant"):
        features.normalise(np.full(100, 0.3))


def test_clips_are_cut_or_padded_at_their_end():
    y = np.arange(1.0, 6.0)
    assert features.fit_duration(y, 3).tolist() == [1, 2, 3]
    assert features.fit_duration(y, 7).tolist() == [1, 2, 3, 4, 5, 0, 0]


def test_decibels_reach_80_below_the_loudest():
    found = features.decibels(np.array([100.0, 1.0, 1e-30], np.float32))
    np.testing.assert_allclose(found, [20, 0, -60], atol=1e-5)
    assert found.dtype == np.float32


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
    monkeypatch.setattr(features, "CLIPS_PER_TASK", 11)
    found = features.extract(corpus, MEL, duration=1, jobs=1)
    assert found.tobytes() == whole
    last = features.clip_features(corpus.clips["path"].iloc[-1], MEL, duration=1)
    np.testing.assert_array_equal(found[-1], last)


@pytest.mark.parametrize("log", ["0\n5\n", "0\n5\n1"], ids=["whole", "cut short"])  # of 10
def test_what_is_done_of_an_extraction_is_not_done_again(corpus_folder, output, monkeypatch, log):
    progress = MagicMock()
    updates = progress.return_value.__enter__.return_value.update.call_args_list
    monkeypatch.setattr(features, "bar", progress)
    monkeypatch.setattr(features, "CLIPS_PER_TASK", 5)
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


@pytest.mark.parametrize("left_over", ["partial", "done"])
def test_half_of_what_an_extraction_left_is_as_good_as_none(corpus_folder, output, left_over):
    corpus = corpora.load(corpus_folder)
    expected = np.array(features.extract(corpus, MEL, duration=1))
    (path,) = output.glob(".cache/features/*.npy")
    path.unlink()
    path.with_suffix(f".{left_over}").write_text("0\n")
    np.testing.assert_array_equal(features.extract(corpus, MEL, duration=1), expected)


@pytest.mark.parametrize("samples", [0, audio.BLOCK, audio.BLOCK + 7, 2 * audio.BLOCK + 7])
def test_a_clip_is_read_to_its_end_however_many_blocks_it_has(tmp_path, samples):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)
    soundfile.write(tmp_path / "clip.wav", y, 8000, subtype="FLOAT")
    found = features.read_clip(tmp_path / "clip.wav", 8000)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, y)


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


@pytest.mark.parametrize(
    "extract", [lambda corpus: features.extract(corpus, MEL, duration=1), baselines.functionals]
)
def test_a_clip_that_changed_is_named_and_never_taken_for_the_old_one(
    corpus_folder, output, extract
):
    corpus = corpora.load(corpus_folder)
    soundfile.write(corpus.clips["path"][4], voice(1, seed=99), 16000)
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav .*\(it changed meanwhile\): run"):
        extract(corpus)
    assert not list(output.rglob("*.npy"))
    assert len(extract(corpora.load(corpus_folder))) == 12


def test_a_clip_that_changes_while_it_is_read_is_named(corpus_folder, monkeypatch):
    corpus = corpora.load(corpus_folder)
    read = features.read_clip

    def and_change(path, *arguments):
        y = read(path, *arguments)
        if path == corpus.clips["path"][4]:
            soundfile.write(path, voice(1, seed=99), 16000)
        return y

    monkeypatch.setattr(features, "read_clip", and_change)
    with pytest.raises(corpora.CorpusError, match=r"clip04.wav .*\(it changed meanwhile\)"):
        features.extract(corpus, MEL, duration=1)


@pytest.mark.parametrize("enough", [0, 1000], ids=["processes", "threads"])
def test_a_clip_that_vanishes_is_named(corpus_folder, monkeypatch, enough):
    monkeypatch.setattr(features, "CLIPS_WORTH_PROCESSES", enough)
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
import resource, sys
from tests.test_features import *
corpus = many({folder!r}, {clips})
features.extract(corpus, MEL, duration={duration}, jobs=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def extracting(folder, clips, duration=6):
    code = EXTRACT.format(folder=str(folder), clips=clips, duration=duration)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_extraction_goes_on_where_it_was(corpus_folder, output):
    corpus = many(corpus_folder, 3000)
    cache = output / ".cache" / "features"
    process = extracting(corpus_folder, 3000)
    while not (list(cache.glob("*.done")) and len(next(cache.glob("*.done")).read_text()) > 50):
        assert process.poll() is None, "the extraction ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (done,), (partial,) = cache.glob("*.done"), cache.glob("*.partial")
    finished = [int(start) for start in done.read_text().split("\n")[:-1]]
    assert 0 < len(finished) < 3000 / features.CLIPS_PER_TASK
    # Spoil what is finished: had it been computed again, the spoilt row would not survive.
    marked = np.load(partial, mmap_mode="r+")
    marked[finished[0]] = 42
    marked.flush()
    matrix = features.extract(corpus, MEL, duration=6)
    assert (matrix[finished[0]] == 42).all()
    expected = features.clip_features(corpus.clips["path"][0], MEL, duration=6)
    same = [row for row in range(0, 3000, 12) if row != finished[0]]
    np.testing.assert_allclose(matrix[same], np.tile(expected, (len(same), 1, 1)), atol=1e-3)
    assert not list(cache.glob("*.done")) and not list(cache.glob("*.partial"))


def test_memory_does_not_grow_with_the_corpus(corpus_folder):
    peaks = {}
    for clips in (100, 2000):  # 5 and 96 MB of features
        process = extracting(corpus_folder, clips)
        peaks[clips] = int(process.communicate()[0]) / 1024
        assert process.returncode == 0
    assert peaks[2000] - peaks[100] < 25


def test_the_command_fills_the_cache_and_says_what_it_holds(corpus_folder, output, capsys):
    assert features.main([str(corpus_folder), "--jobs", "1"]) == 0
    assert "12 clips of 2 s, 128 mel bands x 32 frames" in capsys.readouterr().out
    assert len(list((output / ".cache" / "features").glob("*.npy"))) == 1
    assert features.main([str(corpus_folder / "nowhere")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "nowhere does not exist" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("jobs", [[], ["--jobs", "3"]])
def test_the_command_passes_on_what_it_was_asked(corpus_folder, monkeypatch, capsys, jobs):
    load, extract = MagicMock(return_value=corpora.load(corpus_folder)), MagicMock()
    extract.return_value.shape = (360, 128, 94)
    monkeypatch.setattr(corpora, "load", load)
    monkeypatch.setattr(features, "extract", extract)
    assert features.main(jobs) == 0
    load.assert_called_once_with(None)
    number = 3 if jobs else -1
    extract.assert_called_once_with(load.return_value, MEL, duration=2, jobs=number)
    said = capsys.readouterr().out
    assert said == f"{load.return_value.name}: 360 clips of 2 s, 128 mel bands x 94 frames\n"


def test_reading_features_does_not_import_tensorflow():
    code = "import helpers.features, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT).returncode == 0


def test_normalised_by_speaker_each_band_has_mean_0_and_deviation_1_without_the_padding():
    rng = np.random.default_rng(0)
    clips = rng.normal(-30, 8, (6, 4, 10)).astype("float32")
    clips[3:] *= 0.5  # another voice
    clips[0, :, 8:], clips[1, :, 7:] = -70, -80
    speakers = pd.Series(["a"] * 3 + ["b"] * 3)
    found = features.normalise_by_speaker(clips, speakers)
    sounding = np.ones((6, 10), dtype=bool)
    sounding[0, 8:] = sounding[1, 7:] = False
    for rows in (slice(0, 3), slice(3, 6)):
        bands = found[rows].transpose(1, 0, 2)[:, sounding[rows]]
        assert bands.mean(axis=1) == pytest.approx(0, abs=1e-5)
        assert bands.std(axis=1) == pytest.approx(1, abs=1e-5)
    assert found.dtype == np.float32
    assert (found[0, :, 8:] == found[0, :, :8].min()).all()
    assert (found[1, :, 7:] == found[1, :, :7].min()).all()
    mixed = features.normalise_by_speaker(clips[::-1], speakers[::-1])
    assert np.allclose(mixed[::-1], found)


def test_without_speakers_nothing_is_normalised_by_them():
    with pytest.raises(ValueError, match="1 of 2 clips have no speaker"):
        features.normalise_by_speaker(np.zeros((2, 3)), pd.Series(["a", None]))


def test_functionals_that_a_speaker_never_changes_become_0():
    # The fourth differs by less than the digits of such a number, the fifth by a little more.
    clips = np.array([[1.0, 5, 2, 1e6, 1], [3, 5, 0, 1e6 + 0.2, 1 + 3e-6]])
    found = features.normalise_by_speaker(clips, pd.Series(["a", "a"]))
    assert found == pytest.approx(np.array([[-1, 0, 1, 0, -1], [1, 0, -1, 0, 1]]))


PITCHED = MelSettings(n_fft=512, hop_length=128, n_mels=64, pitch=True)


@pytest.mark.parametrize("pitch", [90.0, 133.0, 219.7, 301.0, 470.0])
def test_the_pitch_of_a_harmonic_sound_is_found(pitch):
    seconds = np.arange(8000) / 8000
    y = sum(np.sin(2 * np.pi * k * pitch * seconds) / k for k in range(1, 9) if k * pitch < 4000)
    levels = features.waveform_features(features.normalise(y), PITCHED)
    assert levels.shape == (PITCHED.rows, PITCHED.frames(1)) == (66, 63)
    semitones = levels[64, 3:-3]
    assert semitones == pytest.approx(12 * np.log2(pitch / 75) * np.ones(57), abs=0.02)
    assert (levels[65, 3:-3] > 10).all()  # far more harmonic than not
    plain = features.waveform_features(features.normalise(y), replace(PITCHED, pitch=False))
    assert np.array_equal(levels[:64], plain)


@pytest.mark.parametrize("pitch", [200, 8000 / 39.5])  # a period of whole samples, and one between
@pytest.mark.parametrize("ratio", [0, 5, 10, 20])
def test_the_harmonicity_is_the_ratio_of_voice_to_noise(pitch, ratio):
    seconds = np.arange(8000) / 8000
    voiced = sum(np.sin(2 * np.pi * k * pitch * seconds) / k for k in range(1, 9))
    noise = np.random.default_rng(0).normal(size=8000)
    noise *= np.sqrt(np.mean(voiced**2) / np.mean(noise**2) / 10 ** (ratio / 10))
    levels = features.waveform_features(features.normalise(voiced + noise), PITCHED)
    assert np.median(levels[65, 3:-3]) == pytest.approx(ratio, abs=0.8)


def test_a_quiet_voice_is_as_harmonic_as_a_loud_one():
    seconds = np.arange(8000) / 8000
    voiced = sum(np.sin(2 * np.pi * k * 200 * seconds) / k for k in range(1, 9))
    voiced[4000:] *= 10 ** (-28 / 20)
    levels = features.waveform_features(features.normalise(voiced), PITCHED)
    assert levels[64:, -8] == pytest.approx(levels[64:, 5], abs=0.01)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(size=8000)
    y = features.normalise(np.concatenate([noise, np.zeros(4000)]))
    levels = features.waveform_features(y, PITCHED)
    pitch, harmonicity = levels[64:]
    assert (pitch == levels.min()).mean() > 0.95
    assert (harmonicity[:55] < 0).all() and (harmonicity[:55] > levels.min()).all()
    assert (levels[64:, -20:] == levels.min()).all()


def test_the_pitch_is_librosas(corpus_folder):
    path = corpora.load(corpus_folder).clips["path"].iloc[-1]
    y = features.normalise(features.read_clip(path, 8000))
    levels = features.waveform_features(y, PITCHED)
    voiced = levels[64] > levels.min()
    expected = librosa.yin(y, fmin=75, fmax=500, sr=8000, frame_length=512, hop_length=128)
    apart = np.abs(levels[64] - 12 * np.log2(expected / 75))[voiced]
    assert voiced.mean() > 0.5 and np.median(apart) < 0.2


def test_pcen_takes_away_loudness_and_keeps_padding_lowest():
    levels = np.random.default_rng(0).uniform(-40, 0, (2, 8, 200)).astype("float32")
    levels[1] = levels[0] - 20
    levels[:, :, -30:] = levels.min(axis=(1, 2), keepdims=True) - 10
    found = features.pcen(levels, PITCHED)
    assert found.shape == levels.shape and found.dtype == np.float32
    sounding = found[:, :, 50:-30]  # once the smoothing knows the level
    assert sounding[1] == pytest.approx(sounding[0], rel=0.1)
    assert (found[:, :, -30:] == 0).all() and (sounding > 0).all()
    power = 2**31 * librosa.db_to_power(levels[0, :, :-30].astype(float))
    expected = librosa.pcen(power, sr=8000, hop_length=128)
    np.testing.assert_allclose(found[0, :, :-30], expected, rtol=1e-5)


@pytest.mark.parametrize("header", [b"{'descr': (", b"{'descr': '>f4'}", b"\0"])
def test_a_spoilt_file_in_the_cache_is_made_anew(corpus_folder, output, header):
    corpus = corpora.load(corpus_folder)
    expected = np.array(features.extract(corpus, features.MelSettings(), duration=1))
    (path,) = output.glob(".cache/features/*.npy")
    content = path.read_bytes()
    path.write_bytes(content[:10] + header.ljust(100) + content[110:])
    found = features.extract(corpus, features.MelSettings(), duration=1)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "other",
    [np.zeros((12, 3), np.float32), np.zeros((12, 2)), np.zeros((12, 2), np.float32, order="F")],
    ids=["shape", "type", "order"],
)
def test_an_array_of_another_form_is_none_of_ours(tmp_path, other):
    ours = np.zeros((12, 2), np.float32)
    np.save(tmp_path / "ours.npy", ours)
    np.save(tmp_path / "other.npy", other)
    found = features.stored(tmp_path / "ours.npy", (12, 2))
    assert np.array_equal(found, ours) and not found.flags.writeable
    assert features.stored(tmp_path / "other.npy", (12, 2)) is None
