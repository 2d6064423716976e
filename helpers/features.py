"""Audio as mel spectrograms of one size, kept in one memory-mapped file.

The order is the report's: mono, resample, mean 0 and standard deviation 1, cut or zero-pad, mel
spectrogram, decibels. Standardising over the corpus is not done here: its statistics may only come
from the training set, which `training` knows.

From a terminal, ``python -m helpers.features [PATH] [--jobs N]`` fills the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import joblib
import librosa
import numpy as np
import pandas as pd
import scipy.sparse
import soxr
import threadpoolctl

from helpers import audio, checks, corpora
from helpers.corpora import Corpus
from helpers.progress import bar
from helpers.settings import OutputError, cache_folder, writing

#: Clips that one task reads before it writes them, which bounds the memory of a worker.
CLIPS_PER_TASK = 16

#: Clips from which processes are worth starting, which takes some seconds.
CLIPS_WORTH_PROCESSES = 2000

#: Frames that are transformed at once: few enough to stay in a processor's cache.
FRAMES_AT_ONCE = 32

#: Changes whenever the same clip would give other features, so that no old cache is read.
VERSION = 3


@dataclass(frozen=True)
class MelSettings:
    """How a waveform becomes a mel spectrogram; the defaults are those of Tripathi et al. (2019).

    Attributes:
        sample_rate: of the waveform, in Hz; it bounds the spectrogram at half of it
        n_fft: samples in a window of the Fourier transform
        hop_length: samples from one frame to the next
        n_mels: mel bands
        pitch: add two rows above the bands, see `pitch_tracks`
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


def target_duration(seconds: np.ndarray | pd.Series, *, percentile: float = 75) -> int:
    """Duration that all clips are cut or padded to.

    Args:
        seconds: durations of the clips
        percentile: share of clips, in percent, that are not cut

    Returns:
        the percentile of the durations, rounded up to whole seconds

    Raises:
        ValueError: if there are no durations

    Examples:
        >>> target_duration([2.0, 4.0, 5.74, 9.0], percentile=50)
        5

    See: notebooks/01_exploration.ipynb
    """
    if len(seconds) == 0:
        raise ValueError("There are no durations to take a percentile of.")
    return math.ceil(np.percentile(seconds, percentile))


def read_clip(path: str | Path, sample_rate: int) -> np.ndarray:
    """Waveform of a clip, mixed to mono and resampled (soxr, high quality).

    Args:
        path: audio file
        sample_rate: wanted sampling rate in Hz

    Returns:
        float32 [samples]

    Raises:
        audio.AudioError: if the file cannot be decoded
    """
    with audio.opened(path) as clip:
        blocks = [audio.mono(block) for block in clip.blocks]
    y = blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks])
    return resample(y, clip.sample_rate, sample_rate)


def resample(y: np.ndarray, sample_rate: int, target: int) -> np.ndarray:
    """Resample a waveform (soxr, high quality).

    Args:
        y: waveform [samples]
        sample_rate: of `y`, in Hz
        target: wanted sampling rate in Hz

    Returns:
        waveform [samples * target / sample_rate, rounded up]

    Examples:
        >>> len(resample(np.zeros(100), 16000, 8000))
        50
    """
    samples = math.ceil(len(y) * target / sample_rate)
    return fit_duration(soxr.resample(y, sample_rate, target, "soxr_hq"), samples)


def normalise(y: np.ndarray) -> np.ndarray:
    """Shift and scale a waveform to mean 0 and standard deviation 1.

    Args:
        y: waveform [samples]

    Returns:
        float32 [samples]

    Raises:
        ValueError: if the waveform is constant

    See: notebooks/02_preprocessing.ipynb
    """
    deviation = y.std(dtype=np.float64)
    if not deviation > 0:
        raise ValueError("The waveform is constant, so it has no standard deviation to divide by.")
    return ((y - y.mean(dtype=np.float64)) / deviation).astype(np.float32)


def fit_duration(y: np.ndarray, samples: int) -> np.ndarray:
    """Cut a waveform, or pad it with zeros at its end.

    Args:
        y: waveform [any number of samples]
        samples: wanted length

    Returns:
        waveform [samples]

    Examples:
        >>> fit_duration(np.array([1.0, 2.0]), 3)
        array([1., 2., 0.])
    """
    return librosa.util.fix_length(y, size=samples)


@functools.cache
def _mel_basis(settings: MelSettings) -> scipy.sparse.csr_array:
    """Filter bank [n_mels, 1 + n_fft // 2]; narrow triangles, and nearly all of it zeros."""
    return scipy.sparse.csr_array(
        librosa.filters.mel(sr=settings.sample_rate, n_fft=settings.n_fft, n_mels=settings.n_mels)
    )


@functools.cache
def _window(n_fft: int) -> np.ndarray:
    return librosa.filters.get_window("hann", n_fft)


def mel_spectrogram(y: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Mel power spectrogram, as `librosa.feature.melspectrogram` defines it.

    Hann window, frames centred on multiples of the hop (the ends padded with zeros), triangular
    filters of equal area on Slaney's mel scale. It is faster than librosa because it transforms
    a few frames at a time in memory that it keeps.

    Args:
        y: waveform at ``settings.sample_rate`` [samples]
        settings: see `MelSettings`

    Returns:
        power, not decibels: float32 [n_mels, 1 + samples // hop_length]

    See: notebooks/02_preprocessing.ipynb
    """
    return _mel_basis(settings) @ _power_spectrogram(y, settings)


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
        np.multiply(frames[rows], _window(settings.n_fft), out=windowed[:n])
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


#: The pitch that is looked for, in Hz: that of nearly every voice that speaks (Boersma 1993).
LOWEST_PITCH, HIGHEST_PITCH = 75, 500

#: A frame has a voice if more than this share of it is harmonic, and sounds if its power is more
#: than this share of that of the clip's loudest frame.
VOICING, SILENCE = 0.45, 1e-4

#: What a period twice as long must gain in harmonicity to be taken for the pitch.
OCTAVE_COST = 0.02


@functools.cache
def _correlation_basis(settings: MelSettings) -> tuple[np.ndarray, np.ndarray]:
    """Periods that a pitch may have, and what turns power into correlation at them.

    Its rows are for lag 0, and for the periods with one more lag before and after; all but the
    first are divided by the correlation of the window.
    """
    n_fft, rate = settings.n_fft, settings.sample_rate
    periods = np.arange(rate // HIGHEST_PITCH, math.ceil(rate / LOWEST_PITCH) + 1)
    lags = np.array([0, periods[0] - 1, *periods, periods[-1] + 1])
    cosines = np.cos(2 * np.pi * np.outer(lags, np.arange(n_fft // 2 + 1)) / n_fft) * 2 / n_fft
    cosines[:, [0, -1]] /= 2
    window = cosines @ np.abs(np.fft.rfft(_window(n_fft))) ** 2
    return periods, (cosines * (window[0] / window)[:, None]).astype(np.float32)


def pitch_tracks(power: np.ndarray, settings: MelSettings) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and harmonicity of each frame, by autocorrelation (Boersma 1993, eq. 9 and 26).

    The autocorrelation of a frame is the inverse transform of its power; divided by that of the
    window, its highest peak is at the period of the voice, and tells how much of it is harmonic.

    Args:
        power: of each frequency in each frame [1 + n_fft // 2, frames]; the window should hold
            three periods of the lowest pitch, 40 ms
        settings: see `MelSettings`

    Returns:
        pitch in semitones above 75 Hz, not a number where there is no voice; and the ratio of
        harmonics to noise in decibels, not a number where it is silent; float32 [frames]

    See: notebooks/06_improvements.ipynb
    """
    lags, cosines = _correlation_basis(settings)
    energy, *correlation = cosines @ power
    share = np.stack(correlation) / np.maximum(energy, 1e-12)
    before, height, after = share[:-2], share[1:-1], share[2:]
    # A parabola through three lags tells where between them the peak is, and how high.
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
    levels = decibels(_mel_basis(settings) @ power)
    if not settings.pitch:
        return levels
    tracks = np.stack(pitch_tracks(power, settings))
    return np.concatenate([levels, np.fmax(tracks, levels.min())])


def clip_features(path: str | Path, settings: MelSettings, *, duration: float) -> np.ndarray:
    """The whole way from an audio file to what a network is given, before standardising.

    Args:
        path: audio file
        settings: see `MelSettings`
        duration: seconds that the clip is cut or padded to

    Returns:
        float32 [rows, frames], see `waveform_features`

    Raises:
        ValueError: if the clip is constant at this sampling rate
    """
    y = normalise(read_clip(path, settings.sample_rate))
    y = fit_duration(y, int(duration * settings.sample_rate))
    return waveform_features(y, settings)


def extract(corpus: Corpus, settings: MelSettings, *, duration: float, jobs: int = -1) -> np.memmap:
    """Features of every clip of a corpus, from the cache where they are there.

    The cache file is keyed by the content of the clips and the settings. Work that was killed goes
    on where it was; two runs at once wait for each other.

    Args:
        corpus: see `corpora.load`
        settings: see `MelSettings`
        duration: seconds that every clip is cut or padded to
        jobs: parallel workers; -1 is one for each core

    Returns:
        read-only memory map, float32 [clips, rows, frames], see `waveform_features`

    Raises:
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        settings.OutputError: if the cache cannot be written; what is done is kept

    See: notebooks/02_preprocessing.ipynb
    """
    path = cache_folder("features") / f"{corpus.name}-{_key(corpus, settings, duration)}.npy"
    shape = (len(corpus.clips), settings.rows, settings.frames(duration))
    with writing(path), filelock.FileLock(path.with_suffix(".lock")):
        matrix = stored(path, shape)
        if matrix is None:
            clips = list(zip(corpus.clips["path"], corpus.clips["sha256"], strict=True))
            _extract_to(path, clips, settings, duration, jobs)
            matrix = np.load(path, mmap_mode="r")
    return matrix


def stored(path: Path, shape: tuple[int, ...]) -> np.memmap | None:
    """An array of 32-bit floats in the cache, as a read-only memory map.

    Args:
        path: its file
        shape: what it has to have

    Returns:
        None if there is no such file, or it is not whole, or not ours
    """
    with contextlib.suppress(Exception):  # numpy's parser of a spoilt header raises many kinds
        matrix = np.lib.format.open_memmap(path, mode="r")
        if matrix.shape == shape and matrix.dtype == np.float32 and matrix.flags.c_contiguous:
            return matrix
    return None


def pcen(levels: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Per-channel energy normalisation of mel spectrograms (Wang et al. 2017), instead of decibels.

    Each band is divided by its own level of the last moments, which takes away steady noise and
    the loudness of the recording.

    Args:
        levels: decibels [clips, n_mels, frames], without pitch
        settings: that they were made with

    Returns:
        float32, same shape, lowest where a clip is silent

    See: notebooks/06_improvements.ipynb
    """
    rate, hop = settings.sample_rate, settings.hop_length
    found = np.empty(levels.shape, dtype=np.float32)
    for clip, place in zip(levels, found, strict=True):
        power = np.where(is_padding(clip[None])[0], 0, librosa.db_to_power(clip))
        # In the range of 32-bit audio, for which librosa's constants were chosen.
        place[:] = librosa.pcen(power * 2**31, sr=rate, hop_length=hop)
    return found


def normalise_by_speaker(features: np.ndarray, speakers: pd.Series) -> np.ndarray:
    """Shift and scale each band of each speaker's clips to mean 0 and standard deviation 1.

    It takes away what a voice and its microphone are like and leaves how the voice changes. It uses
    no labels, and so may be done to speakers who are tested on, if several clips of each are known.

    Args:
        features: of each clip, [clips, n_mels, frames] or [clips, functionals]
        speakers: of each clip

    Returns:
        float32, same shape; a band that is constant for a speaker becomes 0. Frames of padding do
        not count and get the clip's lowest value

    Raises:
        ValueError: if a speaker is unknown

    See: notebooks/06_improvements.ipynb
    """
    if speakers.isna().any():
        raise ValueError(
            f"{speakers.isna().sum()} of {len(speakers)} clips have no speaker, so features cannot "
            "be normalised by speaker: add a column of speakers to the labels."
        )
    normalised = np.empty(features.shape, dtype=np.float32)
    for rows in speakers.reset_index(drop=True).groupby(speakers.to_numpy()).groups.values():
        mine = np.asarray(features[rows], dtype=np.float64)
        padding = is_padding(mine)
        known = np.where(padding, np.nan, mine)
        over = tuple(axis for axis in range(features.ndim) if axis != 1)
        mean, deviation = (
            np.nanmean(known, over, keepdims=True),
            np.nanstd(known, over, keepdims=True),
        )
        varies = deviation > 1e-6 * np.maximum(1, np.abs(mean))
        mine = np.where(varies, mine - mean, 0) / np.where(varies, deviation, 1)
        lowest = np.where(padding, np.inf, mine).min((*over[1:], 1), keepdims=True)
        normalised[rows] = np.where(padding, lowest, mine)
    return normalised


def is_padding(clips: np.ndarray) -> np.ndarray:
    """Frames in which every band is at the lowest level of the clip.

    Args:
        clips: decibels [clips, n_mels, frames]; or what has no frames and so no padding, such as
            functionals [clips, functionals]

    Returns:
        bool [clips, 1, frames], or [clips, 1] where there are no frames

    See: notebooks/06_improvements.ipynb
    """
    if clips.ndim == 2:
        return np.zeros((len(clips), 1), dtype=bool)
    return (clips == clips.min(axis=(1, 2), keepdims=True)).all(axis=1, keepdims=True)


def _key(corpus: Corpus, settings: MelSettings, duration: float) -> str:
    content = [VERSION, asdict(settings), duration, corpus.clips["sha256"].tolist()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _extract_to(
    path: Path, clips: list[tuple[str, str]], settings: MelSettings, duration: float, jobs: int
) -> None:
    """Fill ``<path>.partial`` task by task, noting each in ``<path>.done``, then rename it.

    Clips are paths, each with the SHA-256 that it had when it was checked.
    """
    partial, done = path.with_suffix(".partial"), path.with_suffix(".done")
    shape = (len(clips), settings.rows, settings.frames(duration))
    if not (partial.exists() and done.exists()):
        done.unlink(missing_ok=True)
        _reserve(partial, shape)
        done.touch()
    finished = set(done.read_text().split("\n")[:-1])  # a line cut short by a kill does not count
    tasks = [start for start in range(0, len(clips), CLIPS_PER_TASK) if str(start) not in finished]
    missing = sum(min(CLIPS_PER_TASK, len(clips) - start) for start in tasks)

    _mel_basis(settings), _window(settings.n_fft)  # made once, before the workers need them
    with (
        threadpoolctl.threadpool_limits(1),
        open(done, "a") as log,
        bar(total=len(clips), desc="extracting", unit="clip") as progress,
    ):
        progress.update(len(clips) - missing)
        parallel = joblib.Parallel(
            n_jobs=jobs,
            return_as="generator_unordered",
            pre_dispatch="2*n_jobs",
            **_workers(missing),
        )
        for left in parallel(
            joblib.delayed(_extract_block)(
                partial, clips[start:][:CLIPS_PER_TASK], len(clips) - start, settings, duration
            )
            for start in tasks
        ):
            log.write(f"{len(clips) - left}\n")
            log.flush()
            progress.update(min(CLIPS_PER_TASK, left))
    os.replace(partial, path)
    done.unlink()


def _workers(clips: int) -> dict[str, Any]:
    """Threads, or processes where there is enough to do to be worth starting them.

    Threads share one interpreter, which decoding and filtering hold for half of the time. Processes
    end soon after they have nothing to do: those of a run that was killed would wait for more.
    """
    if clips < CLIPS_WORTH_PROCESSES:
        return {"prefer": "threads"}
    return {"backend": "loky", "idle_worker_timeout": 5}


def _extract_block(
    partial: Path, clips: list[tuple[str, str]], left: int, settings: MelSettings, duration: float
) -> int:
    """Write the features of some clips to their place, with `left` clips from it to the end."""
    found = []
    for path, sha256 in clips:
        with checks.as_checked(path, sha256):
            found.append(clip_features(path, settings, duration=duration))
    block = np.stack(found)
    # Written, not mapped: pages of a map that were touched count as this process's memory.
    with open(partial, "r+b") as file:
        file.seek(partial.stat().st_size - left * block[0].nbytes)
        file.write(block.tobytes())
    return left


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """Make a file for an array of zeros, which takes no room until they are written over."""
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, about)
        file.truncate(file.tell() + 4 * math.prod(shape))


def main(arguments: list[str] | None = None) -> int:
    """Extract the features of a corpus into the cache; 0, or 2 with one sentence if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m helpers.features", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder, zip or name; left out, the demo corpus")
    parser.add_argument("--jobs", type=int, default=-1, help="parallel workers (-1: all cores)")
    options = parser.parse_args(arguments)
    try:
        corpus = corpora.load(options.path)
        duration = target_duration(corpus.clips["duration"])
        features = extract(corpus, MelSettings(), duration=duration, jobs=options.jobs)
    except (corpora.CorpusError, OutputError) as error:
        print(error, file=sys.stderr)
        return 2
    clips, n_mels, frames = features.shape
    print(f"{corpus.name}: {clips} clips of {duration} s, {n_mels} mel bands x {frames} frames")
    return 0


if __name__ == "__main__":
    # Under its own name, which workers know; as __main__ it would have to be sent to them.
    from helpers import features

    sys.exit(features.main())
