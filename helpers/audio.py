"""Audio files as blocks of samples, whatever their format, and never a whole file at once.

libsndfile decodes wav, flac, ogg and mp3. It has no decoder of AAC, so m4a goes through audioread
to the one that the system has: FFmpeg, GStreamer or, on macOS, Core Audio.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import audioread
import librosa
import numpy as np
import soundfile
import soxr

#: Suffixes of the files that `opened` takes, in lower case.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a")


#: Samples in a block, over all channels: one megabyte.
BLOCK = 2**18


#: What libsndfile gives as the length of a FLAC stream whose header leaves it open.
UNKNOWN = 2**63 - 1


class AudioError(ValueError):
    """A file that cannot be decoded; the message goes on after the file's name."""


@dataclass(frozen=True)
class Audio:
    """An open audio file.

    Attributes:
        sample_rate: in Hz
        channels: how many
        frames: samples of each channel, by the header; 0 where it says nothing
        exact: whether the header counts them; that of mp3 and m4a may only estimate
        blocks: the samples, full scale from -1 to 1: float32 [up to `BLOCK` / channels, channels]
    """

    sample_rate: int
    channels: int
    frames: int
    exact: bool
    blocks: Iterator[np.ndarray]


def mono(block: np.ndarray) -> np.ndarray:
    """Samples with their channels averaged: [samples, channels] to [samples]."""
    # Of one channel there is no mean to take, which would take ten times as long.
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def waveform(y: np.ndarray, sample_rate: int) -> Audio:
    """Samples in memory, as if they came from a file.

    Args:
        y: [samples] or [samples, channels], floats from -1 to 1 or integers of full range
        sample_rate: in Hz

    Examples:
        >>> next(waveform(np.array([0, -32768], dtype=np.int16), 16000).blocks)
        array([[ 0.],
               [-1.]], dtype=float32)
    """
    y = np.asarray(y)
    if np.issubdtype(y.dtype, np.integer):
        y = y / -float(np.iinfo(y.dtype).min)
    y = y.astype(np.float32, copy=False).reshape(len(y), -1)
    size = max(1, BLOCK // y.shape[1])
    blocks = (y[start : start + size] for start in range(0, len(y), size))
    return Audio(sample_rate, y.shape[1], len(y), True, blocks)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Audio]:
    """Open an audio file; only its header is read until its blocks are.

    Args:
        path: a file with one of `SUFFIXES`

    Raises:
        AudioError: if the file cannot be decoded, on opening or between two blocks
        OSError: if the file cannot be read at all

    Examples:
        >>> from helpers import corpora
        >>> with opened(corpora.load().clips["path"][0]) as audio:
        ...     audio.sample_rate, audio.channels, audio.frames
        (16000, 1, 46873)
    """
    path = os.fspath(path)
    reader = _with_audioread if path.lower().endswith(".m4a") else _with_libsndfile
    with reader(path) as audio:
        yield audio


class _Stream(soundfile.SoundFile):
    """A file that is read from front to back.

    One that soundfile believes it can wind, it winds after each block to where it already is, which
    costs time, breaks the next block of an mp3 and fails at the end of a FLAC of unknown length.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def _with_libsndfile(path: str) -> Iterator[Audio]:
    try:
        with _Stream(path) as file:
            known = file.frames != UNKNOWN
            exact = known and file.format != "MP3"
            frames = file.frames if known else 0
            yield Audio(file.samplerate, file.channels, frames, exact, _blocks(file))
    except soundfile.LibsndfileError as error:
        raise AudioError(f"is not readable audio ({error.error_string.rstrip('.')})") from error


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    size = BLOCK // file.channels
    for start in range(0, file.frames, size):
        frames = min(size, file.frames - start)
        block = file.read(frames, dtype="float32", always_2d=True)
        if not len(block):
            return
        yield block


@contextmanager
def _with_audioread(path: str) -> Iterator[Audio]:
    """FFmpeg decodes ahead of whoever reads; it stops when the file is closed."""
    decoders = audioread.available_backends()[1:]  # the first reads uncompressed files alone
    if not decoders:
        raise AudioError("needs a decoder of AAC: install FFmpeg (https://ffmpeg.org)")
    try:
        with audioread.audio_open(path, decoders) as file:
            if not (file.samplerate and file.channels):
                raise audioread.DecodeError
            frames = round(file.duration * file.samplerate)
            yield Audio(file.samplerate, file.channels, frames, False, _blocks_of_pcm(file))
    except audioread.DecodeError as error:
        raise AudioError("is not readable audio (no decoder on this computer reads it)") from error


def _blocks_of_pcm(file: audioread.AudioFile) -> Iterator[np.ndarray]:
    """16-bit samples as floats, from pieces that may end between two channels."""
    rest = b""
    for piece in file:
        rest += piece
        frames = len(rest) // (2 * file.channels)
        samples = np.frombuffer(rest, "<i2", count=frames * file.channels)
        rest = rest[samples.nbytes :]
        yield samples.reshape(frames, file.channels).astype(np.float32) / 2**15


def read_clip(path: str | Path, sample_rate: int) -> np.ndarray:
    """Waveform of a clip, mixed to mono and resampled (soxr, high quality).

    Args:
        path: audio file
        sample_rate: wanted sampling rate in Hz

    Returns:
        float32 [samples]

    Raises:
        AudioError: if the file cannot be decoded
    """
    with opened(path) as clip:
        blocks = [mono(block) for block in clip.blocks]
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


#: Seconds under which a clip holds no speech sound, and less than one hop of the spectrogram.
SHORTEST = 0.05


#: Share of the samples that may be missing where a header only estimates their number.
MISSING = 0.1


#: Standard deviation under which a clip holds nothing to hear: -80 dB of full scale, three
#: quantisation steps of a 16-bit recording.
SILENCE = 1e-4


class UnusableError(ValueError):
    """A clip that can be decoded and yet is of no use; the message goes on after its name."""


class Signal:
    """Length and power of a recording, gathered while its blocks go by."""

    def __init__(self) -> None:
        self.frames = 0
        self.total = self.squares = 0.0

    def add(self, mono: np.ndarray) -> None:
        """Take in the next samples."""
        y = mono.astype(np.float64)
        self.frames += len(y)
        with np.errstate(invalid="ignore"):  # of infinities, which `refuse_useless` finds
            self.total += y.sum()
            self.squares += np.square(y).sum()  # no matrix product, whose threads would fight ours

    def refuse_useless(self, clip: Audio) -> None:
        """Check what has gone by.

        Args:
            clip: that it came from, for its rate and what its header says

        Raises:
            UnusableError: if it is truncated, silent or too short for speech, or has samples that
                are not numbers
        """
        declared = clip.frames if clip.exact else (1 - MISSING) * clip.frames
        if self.frames == 0:
            raise UnusableError("has no samples")
        if self.frames < declared:
            raise UnusableError(f"is truncated: {self.frames} of {clip.frames} samples are there")
        if self.frames < SHORTEST * clip.sample_rate:
            raise UnusableError(
                f"lasts {1000 * self.frames / clip.sample_rate:.0f} ms, too short for speech"
            )
        if not np.isfinite(self.squares):
            raise UnusableError("has samples that are not numbers")
        if self.squares / self.frames - (self.total / self.frames) ** 2 < SILENCE**2:
            raise UnusableError("is silent or constant")


#: A path, or a waveform [samples] or [samples, channels] with its sampling rate in Hz.
Clip = str | os.PathLike[str] | tuple[np.ndarray, int]


def read(clip: Clip, sample_rate: int) -> tuple[np.ndarray, int]:
    """Read a recording that the network can hear something in.

    Args:
        clip: one path, or a waveform with its sampling rate, see `predict`
        sample_rate: wanted sampling rate in Hz

    Returns:
        waveform at that rate, float32 [samples], and the rate that the recording had

    Raises:
        ValueError: if it cannot be decoded, is truncated, silent or too short for speech, or has
            samples that are not numbers; the message goes on after its name
        OSError: if the file cannot be read at all
    """
    if not isinstance(clip, str | os.PathLike):
        return _listen(waveform(*clip), sample_rate), clip[1]
    if os.path.isdir(clip):  # noqa: PTH112 as in `load`
        raise ValueError(f"is a folder without audio ({', '.join(SUFFIXES)})")
    with opened(clip) as file:
        return _listen(file, sample_rate), file.sample_rate


def _listen(recording: Audio, sample_rate: int) -> np.ndarray:
    """Check and resample block by block: only the result is ever whole in memory."""
    signal = Signal()
    resampler = soxr.ResampleStream(recording.sample_rate, sample_rate, 1, quality="soxr_hq")
    pieces = []
    for block in recording.blocks:
        y = mono(block)
        signal.add(y)
        pieces.append(resampler.resample_chunk(y))
    signal.refuse_useless(recording)
    pieces.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    samples = math.ceil(signal.frames * sample_rate / recording.sample_rate)
    return fit_duration(np.concatenate(pieces), samples)
