"""Spectrograms and pitch against librosa, closed forms and recordings."""

from dataclasses import replace

import librosa
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import audio, corpora, features
from helpers.corpora import CorpusError
from helpers.features import MelSettings
from helpers.storage import PROJECT
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
    y = audio.normalise(voice(seconds, mel.sample_rate)).astype(np.float32)
    ours = features.mel_spectrogram(y, mel)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosas(y, mel), rtol=1e-6, atol=0)


def test_mel_power_of_a_padded_clip_equals_librosas():
    y = audio.normalise(voice(6, MEL.sample_rate)).astype(np.float32)
    for frames in range(28, 36):  # that sound, around as many as are transformed at once
        padded = audio.fit_duration(y[: frames * MEL.hop_length], len(y))
        np.testing.assert_allclose(
            features.mel_spectrogram(padded, MEL), librosas(padded, MEL), rtol=1e-6, atol=0
        )


@pytest.mark.skipif(not REAL_SPEECH.exists(), reason="no recordings beside the project")
def test_mel_power_of_recordings_equals_librosas():
    for path in REAL_SPEECH.rglob("*.wav"):
        y = audio.normalise(audio.read(path, MEL.sample_rate)[0])
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


def test_six_seconds_give_the_shape_of_the_original_study():
    assert (MEL.n_mels, MEL.frames(6)) == (128, 94)


def test_decibels_reach_80_below_the_loudest():
    found = features.decibels(np.array([100.0, 1.0, 1e-30], np.float32))
    np.testing.assert_allclose(found, [20, 0, -60], atol=1e-5)
    assert found.dtype == np.float32


PITCHED = MelSettings(n_fft=512, hop_length=128, n_mels=64, pitch=True)


@pytest.mark.parametrize("pitch", [90.0, 133.0, 219.7, 301.0, 470.0])
def test_the_pitch_of_a_harmonic_sound_is_found(pitch):
    seconds = np.arange(8000) / 8000
    y = sum(np.sin(2 * np.pi * k * pitch * seconds) / k for k in range(1, 9) if k * pitch < 4000)
    levels = features.waveform_features(audio.normalise(y), PITCHED)
    assert levels.shape == (PITCHED.rows, PITCHED.frames(1)) == (66, 63)
    semitones = levels[64, 3:-3]
    assert semitones == pytest.approx(12 * np.log2(pitch / 75) * np.ones(57), abs=0.02)
    assert (levels[65, 3:-3] > 10).all()  # far more harmonic than not
    plain = features.waveform_features(audio.normalise(y), replace(PITCHED, pitch=False))
    assert np.array_equal(levels[:64], plain)


@pytest.mark.parametrize("pitch", [200, 8000 / 39.5])  # a period of whole samples, and one between
@pytest.mark.parametrize("ratio", [0, 5, 10, 20])
def test_the_harmonicity_is_the_ratio_of_voice_to_noise(pitch, ratio):
    seconds = np.arange(8000) / 8000
    voiced = sum(np.sin(2 * np.pi * k * pitch * seconds) / k for k in range(1, 9))
    noise = np.random.default_rng(0).normal(size=8000)
    noise *= np.sqrt(np.mean(voiced**2) / np.mean(noise**2) / 10 ** (ratio / 10))
    levels = features.waveform_features(audio.normalise(voiced + noise), PITCHED)
    assert np.median(levels[65, 3:-3]) == pytest.approx(ratio, abs=0.8)


def test_a_quiet_voice_is_as_harmonic_as_a_loud_one():
    seconds = np.arange(8000) / 8000
    voiced = sum(np.sin(2 * np.pi * k * 200 * seconds) / k for k in range(1, 9))
    voiced[4000:] *= 10 ** (-28 / 20)
    levels = features.waveform_features(audio.normalise(voiced), PITCHED)
    assert levels[64:, -8] == pytest.approx(levels[64:, 5], abs=0.01)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(size=8000)
    y = audio.normalise(np.concatenate([noise, np.zeros(4000)]))
    levels = features.waveform_features(y, PITCHED)
    pitch, harmonicity = levels[64:]
    assert (pitch == levels.min()).mean() > 0.95
    assert (harmonicity[:55] < 0).all() and (harmonicity[:55] > levels.min()).all()
    assert (levels[64:, -20:] == levels.min()).all()


def test_the_pitch_is_librosas(corpus_folder):
    path = corpora.load(corpus_folder).clips["path"].iloc[-1]
    y = audio.normalise(audio.read(path, 8000)[0])
    levels = features.waveform_features(y, PITCHED)
    voiced = levels[64] > levels.min()
    expected = librosa.yin(y, fmin=75, fmax=500, sr=8000, frame_length=512, hop_length=128)
    apart = np.abs(levels[64] - 12 * np.log2(expected / 75))[voiced]
    assert voiced.mean() > 0.5 and np.median(apart) < 0.2


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


def test_a_functional_that_no_clip_of_a_speaker_has_becomes_0():
    values = np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, np.nan]], np.float32)
    found = features.normalise_by_speaker(values, pd.Series(["anna", "anna", "ben"]))
    assert np.array_equal(found, [[-1, 0], [1, 0], [0, 0]])


def test_without_speakers_nothing_is_normalised_by_them():
    with pytest.raises(CorpusError, match="1 of 2 clips have no speaker"):
        features.normalise_by_speaker(np.zeros((2, 3)), pd.Series(["a", None]))


def test_functionals_that_a_speaker_never_changes_become_0():
    # The fourth differs by less than the digits of such a number, the fifth by a little more.
    clips = np.array([[1.0, 5, 2, 1e6, 1], [3, 5, 0, 1e6 + 0.2, 1 + 3e-6]])
    found = features.normalise_by_speaker(clips, pd.Series(["a", "a"]))
    assert found == pytest.approx(np.array([[-1, 0, 1, 0, -1], [1, 0, -1, 0, 1]]))


def test_the_pitch_of_voiced_frames_is_read_from_the_features_in_hertz():
    mel = MelSettings(n_fft=512, hop_length=128, n_mels=64, pitch=True)
    clips = [np.pad(voice(1.0, 8000, pitch), (0, 8000)) for pitch in (110.0, 230.0)]
    made = np.stack([features.waveform_features(y, mel) for y in clips])
    hertz = features.voiced_pitch(made, mel)
    assert hertz.shape == made[:, 0].shape
    assert np.nanmedian(hertz, axis=1) == pytest.approx([110, 230], rel=0.02)
    half = hertz.shape[1] // 2
    assert np.isfinite(hertz[:, 5 : half - 5]).all() and np.isnan(hertz[:, half + 5 :]).all()


@pytest.mark.parametrize(
    "mel",
    [MEL, MelSettings(n_fft=512, hop_length=128), MelSettings(n_fft=512, hop_length=64)],
    ids=["default", "short", "dense"],
)
def test_a_spectrogram_played_back_has_nearly_the_same_spectrogram_and_is_the_same_each_time(mel):
    y = audio.normalise(voice(2.0, mel.sample_rate))
    levels = features.decibels(features.mel_spectrogram(y, mel))
    heard = features.griffin_lim(levels, mel)
    assert abs(len(heard) - len(y)) < mel.hop_length and np.isfinite(heard).all()
    again = features.decibels(features.mel_spectrogram(heard, mel))[:, : levels.shape[1]]
    loud = levels[:, : again.shape[1]] > levels.max() - 30
    assert np.abs(again - levels[:, : again.shape[1]])[loud].mean() < 3
    assert np.array_equal(heard, features.griffin_lim(levels, mel))
    assert np.abs(features.griffin_lim(np.full_like(levels, -60), mel)).max() < 0.01
