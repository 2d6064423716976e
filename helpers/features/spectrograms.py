"""From a waveform to its mel spectrogram in decibels, and what is done to spectrograms afterwards.

The order is that of the original study: mono, resample, mean 0 and standard deviation 1, cut or
zero-pad (all in `audio`), mel spectrogram, decibels. Standardising over the corpus is not done
here: its statistics may only come from the training set, which `training` knows.
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass

import librosa
import numpy as np
import pandas as pd
import scipy.sparse

from helpers.corpora import CorpusError

#: Frames that are transformed at once, few enough to stay in a processor's cache.
FRAMES_AT_ONCE = 32

#: Range of the pitch in Hz, which nearly every speaking voice is in (Boersma 1993).
LOWEST_PITCH, HIGHEST_PITCH = 75, 500

#: A frame is voiced if more than this share of it is harmonic.
VOICING = 0.45

#: A frame is silent if its power is less than this share of the power of the clip's loudest frame.
SILENCE = 1e-4

#: Gain in harmonicity that a period twice as long needs to be taken for the pitch.
OCTAVE_COST = 0.02


@dataclass(frozen=True)
class MelSettings:
    """How a waveform becomes a mel spectrogram; the defaults are those of Tripathi et al. (2019).

    Attributes:
        sample_rate: of the waveform, in Hz; it bounds the spectrogram at half of it
        n_fft: samples in a window of the Fourier transform
        hop_length: samples from one frame to the next
        n_mels: mel bands
        pitch: add two rows above the bands, see `pitch_tracks`

    See: notebooks/02_preprocessing.ipynb
    """

    sample_rate: int = 8000
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    pitch: bool = False

    @property
    def rows(self) -> int:
        """Rows of the features: mel bands and, where asked for, pitch and harmonicity."""
        return self.n_mels + 2 * self.pitch

    def frames(self, duration: float) -> int:
        """Frames of a clip of this many seconds.

        Examples:
            >>> MelSettings().frames(6)
            94
        """
        return 1 + int(duration * self.sample_rate) // self.hop_length


@functools.cache
def mel_basis(settings: MelSettings) -> scipy.sparse.csr_array:
    """Filter bank [n_mels, 1 + n_fft // 2] of narrow triangles, and so nearly all zeros."""
    return scipy.sparse.csr_array(
        librosa.filters.mel(sr=settings.sample_rate, n_fft=settings.n_fft, n_mels=settings.n_mels)
    )


@functools.cache
def hann_window(n_fft: int) -> np.ndarray:
    """Window of a frame [n_fft]."""
    return librosa.filters.get_window("hann", n_fft)


def mel_spectrogram(y: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Mel power spectrogram, as `librosa.feature.melspectrogram` defines it.

    Hann window, frames centred on multiples of the hop (the ends padded with zeros), triangular
    filters of equal area on Slaney's mel scale. It is faster than librosa because it transforms
    a few frames at a time and reuses their memory.

    Args:
        y: waveform at ``settings.sample_rate`` [samples]
        settings: see `MelSettings`

    Returns:
        power, not decibels: float32 [n_mels, 1 + samples // hop_length]

    See: notebooks/02_preprocessing.ipynb
    """
    return mel_basis(settings) @ _power_spectrogram(y, settings)


def _power_spectrogram(y: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Power of each frequency in each frame, float32 [1 + n_fft // 2, frames]."""
    padded = np.pad(y.astype(np.float32, copy=False), settings.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)
    frames = frames[:: settings.hop_length]
    # In double precision, as in librosa: in single, quiet bands beside loud ones lose five digits.
    windowed = np.empty((FRAMES_AT_ONCE, settings.n_fft))
    spectrum = np.empty((FRAMES_AT_ONCE, settings.n_fft // 2 + 1), dtype=complex)
    power = np.zeros((spectrum.shape[1], len(frames)), dtype=np.float32)
    sounding = len(padded) - int(np.argmax(padded[::-1] != 0))  # frames of padding have no power
    for start in range(0, min(len(frames), sounding // settings.hop_length + 1), FRAMES_AT_ONCE):
        rows = slice(start, start + FRAMES_AT_ONCE)
        n = len(frames[rows])
        np.multiply(frames[rows], hann_window(settings.n_fft), out=windowed[:n])
        np.fft.rfft(windowed[:n], out=spectrum[:n])
        power[:, rows] = (spectrum[:n].real ** 2 + spectrum[:n].imag ** 2).T
    return power


def decibels(power: np.ndarray) -> np.ndarray:
    """Power as decibels, floored 80 dB below the loudest point of the clip.

    Args:
        power: any shape

    Returns:
        10 log10(power), float32, same shape

    See: notebooks/02_preprocessing.ipynb
    """
    return librosa.power_to_db(power, ref=1.0, top_db=80.0).astype(np.float32, copy=False)


def griffin_lim(levels: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Turn a mel spectrogram back into a waveform, to hear what it holds.

    The power of each frequency is estimated from the mel bands by least squares. The phases, which
    no spectrogram holds, are guessed (Griffin & Lim 1984); the same input gives the same sound.

    Args:
        levels: decibels [n_mels, frames]
        settings: that made them

    Returns:
        float32 [(frames - 1) × hop_length]

    See: notebooks/02_preprocessing.ipynb
    """
    inverse = np.linalg.pinv(mel_basis(settings).toarray())
    power = np.maximum(inverse @ librosa.db_to_power(levels), 0).astype(np.float32)
    return librosa.griffinlim(
        np.sqrt(power),
        n_iter=32,
        hop_length=settings.hop_length,
        n_fft=settings.n_fft,
        random_state=0,
    )


@functools.cache
def _correlation_basis(settings: MelSettings) -> tuple[np.ndarray, np.ndarray]:
    """Periods of the pitch in samples, and the matrix from power to autocorrelation at them.

    Its rows are for lag 0, and for the periods with one more lag before and after; all but the
    first are divided by the autocorrelation of the window.
    """
    n_fft, rate = settings.n_fft, settings.sample_rate
    periods = np.arange(rate // HIGHEST_PITCH, math.ceil(rate / LOWEST_PITCH) + 1)
    lags = np.array([0, periods[0] - 1, *periods, periods[-1] + 1])
    cosines = np.cos(2 * np.pi * np.outer(lags, np.arange(n_fft // 2 + 1)) / n_fft) * 2 / n_fft
    cosines[:, [0, -1]] /= 2
    window = cosines @ np.abs(np.fft.rfft(hann_window(n_fft))) ** 2
    return periods, (cosines * (window[0] / window)[:, None]).astype(np.float32)


def pitch_tracks(power: np.ndarray, settings: MelSettings) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and harmonicity of each frame, by autocorrelation (Boersma 1993, eq. 9 and 26).

    The autocorrelation of a frame is the inverse transform of its power. Divided by the
    autocorrelation of the window, its highest peak is at the period of the voice, and its height is
    the share of the frame that is harmonic.

    Args:
        power: of each frequency in each frame [1 + n_fft // 2, frames]; the window should hold
            three periods of the lowest pitch, 40 ms
        settings: see `MelSettings`

    Returns:
        pitch in semitones above 75 Hz, not a number in frames without voice; and the ratio of
        harmonics to noise in decibels, not a number in silent frames; float32 [frames]

    See: notebooks/06_improvements.ipynb
    """
    lags, cosines = _correlation_basis(settings)
    energy, *correlation = cosines @ power
    share = np.stack(correlation) / np.maximum(energy, 1e-12)
    before, height, after = share[:-2], share[1:-1], share[2:]
    # A parabola through three lags gives the place of the peak between them, and its height.
    bend = before - 2 * height + after
    tops = (height >= before) & (height >= after) & (bend < 0)
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=tops)
    height = np.where(tops, height - shift * (before - after) / 4, -np.inf)
    found = np.argmax(height - OCTAVE_COST * np.log2(lags / lags[0])[:, None], axis=0)
    chosen = found, np.arange(len(energy))
    peak, period = height[chosen], lags[found] + shift[chosen]
    sounding = energy > SILENCE * energy.max(initial=0)
    semitones = 12 * np.log2(settings.sample_rate / period / LOWEST_PITCH)
    peak = peak.clip(0.05, 0.999)
    ratio = 10 * np.log10(peak / (1 - peak))
    pitch = np.where(sounding & (peak > VOICING), semitones, np.nan)
    return pitch.astype(np.float32), np.where(sounding, ratio, np.nan).astype(np.float32)


def waveform_features(y: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Mel spectrogram of a waveform in decibels and, where asked for, its pitch above the bands.

    Args:
        y: waveform at ``settings.sample_rate`` [samples]
        settings: see `MelSettings`

    Returns:
        float32 [rows, frames]; where pitch or harmonicity is not a number (see `pitch_tracks`), it
        is at the clip's lowest decibels

    See: notebooks/02_preprocessing.ipynb
    """
    power = _power_spectrogram(y, settings)
    levels = decibels(mel_basis(settings) @ power)
    if not settings.pitch:
        return levels
    tracks = np.stack(pitch_tracks(power, settings))
    return np.concatenate([levels, np.fmax(tracks, levels.min())])


def voiced_pitch(features: np.ndarray, settings: MelSettings) -> np.ndarray:
    """The pitch of each frame, from features that have it.

    Args:
        features: of each clip [clips, rows, frames], see `waveform_features`
        settings: that made them, with ``pitch``

    Returns:
        Hz [clips, frames]; not a number in frames without voice, and in padding

    See: notebooks/08_other_voices.ipynb
    """
    semitones, lowest = features[:, settings.n_mels], features.min(axis=(1, 2))
    voiced = semitones > lowest[:, None]
    return np.where(voiced, LOWEST_PITCH * 2 ** (semitones / 12), np.nan)


def normalise_by_speaker(features: np.ndarray, speakers: pd.Series) -> np.ndarray:
    """Shift and scale each band of each speaker's clips to mean 0 and standard deviation 1.

    It needs a balanced set of each speaker's emotions. Then it removes constant properties of a
    voice and its microphone, and leaves the changes. It uses no labels, but it uses that a speaker
    was pleasant as often as the others: clips that are all pleasant become like clips of all kinds,
    and a few clips have the mean and deviation of chance, see `comparison.few_clips`.

    Args:
        features: of each clip, [clips, rows, frames] or [clips, functionals]
        speakers: of each clip

    Returns:
        float32, same shape. What is constant for a speaker becomes 0, and so does a functional that
        is known of none of the speaker's clips; one that is known of others stays NaN. Frames of
        padding do not count and get the clip's lowest value

    Raises:
        corpora.CorpusError: if a speaker is unknown

    See: notebooks/06_improvements.ipynb
    """
    if speakers.isna().any():
        raise CorpusError(
            f"{speakers.isna().sum()} of {len(speakers)} clips have no speaker, so features cannot "
            "be normalised by speaker: add a column of speakers to the labels."
        )
    normalised = np.empty(features.shape, dtype=np.float32)
    for rows in speakers.groupby(speakers.to_numpy()).indices.values():
        mine = np.asarray(features[rows], dtype=np.float64)
        padding = is_padding(mine)
        known = np.where(padding, np.nan, mine)
        over = tuple(axis for axis in range(features.ndim) if axis != 1)
        with warnings.catch_warnings():  # of functionals that no clip of a speaker has
            warnings.filterwarnings("ignore", "Mean of empty|Degrees of freedom", RuntimeWarning)
            mean = np.nanmean(known, over, keepdims=True)
            deviation = np.nanstd(known, over, keepdims=True)
        mine = standardised(mine, mean, deviation)
        lowest = np.where(padding, np.inf, mine).min((*over[1:], 1), keepdims=True)
        normalised[rows] = np.where(padding, lowest, mine)
    return normalised


def standardised(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Values less their mean, over their standard deviation; what does not vary becomes 0.

    Args:
        values: any shape
        mean: of a shape that broadcasts with it
        deviation: likewise

    See: notebooks/06_improvements.ipynb
    """
    varies = deviation > 1e-6 * np.maximum(1, np.abs(mean))
    return np.where(varies, values - mean, 0) / np.where(varies, deviation, 1)


def is_padding(clips: np.ndarray) -> np.ndarray:
    """Frames in which every band is at the lowest level of the clip.

    Args:
        clips: decibels [clips, rows, frames], or functionals [clips, functionals], which have no
            frames and so no padding

    Returns:
        bool [clips, 1, frames], or [clips, 1] where there are no frames

    See: notebooks/05_error_analysis.ipynb
    """
    if clips.ndim == 2:
        return np.zeros((len(clips), 1), dtype=bool)
    return (clips == clips.min(axis=(1, 2), keepdims=True)).all(axis=1, keepdims=True)
