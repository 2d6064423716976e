"""Audio files and waveforms, whatever their format: one way from a file to checked samples.

libsndfile decodes wav, flac, ogg and mp3. It has no decoder of AAC, so m4a goes through audioread
to the decoder of the system: FFmpeg, GStreamer or, on macOS, Core Audio. A file is decoded block by
block and never whole. Spectrograms are made in `features`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import audioread
import librosa
import numpy as np
import soundfile
import soxr

#: A path, or a waveform [samples] or [samples, channels] with its sampling rate in Hz.
Clip = str | os.PathLike[str] | tuple[np.ndarray, int]

#: Suffixes of the files that can be decoded, in lower case.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a")

#: Samples in a block, over all channels: one megabyte.
BLOCK = 2**18

#: The length that libsndfile gives to a FLAC stream whose header does not say it.
UNKNOWN = 2**63 - 1

#: Duration in seconds below which a clip has no speech sound, and less than one spectrogram hop.
SHORTEST = 0.05

#: Share of the samples that may be missing where a header only estimates their number.
MISSING = 0.1

#: Standard deviation below which a clip counts as silent: -80 dB of full scale, three quantisation
#: steps of a 16-bit recording.
SILENCE = 1e-4


class UnusableError(ValueError):
    """A recording that cannot be used; the message goes on after its name."""


@dataclass(frozen=True)
class Audio:
    """An open audio file, or a waveform that is read like one.

    Attributes:
        sample_rate: in Hz
        channels: their number
        frames: samples of each channel, by the header; 0 where the header does not say
        exact: whether `frames` was counted; the headers of mp3 and m4a may only estimate it
        blocks: the samples, full scale from -1 to 1: float32 [up to `BLOCK` / channels, channels]
    """

    sample_rate: int
    channels: int
    frames: int
    exact: bool
    blocks: Iterator[np.ndarray]


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
    y = y.astype(np.float32, copy=False)
    y = y[:, None] if y.ndim == 1 else y
    size = max(1, BLOCK // y.shape[1])
    blocks = (y[start : start + size] for start in range(0, len(y), size))
    return Audio(sample_rate, y.shape[1], len(y), True, blocks)


@contextmanager
def opened(clip: Clip) -> Iterator[Audio]:
    """Open a recording; only the header of a file is read until its blocks are.

    Args:
        clip: see `Clip`; a file has one of `SUFFIXES`

    Raises:
        UnusableError: if the file cannot be decoded, on opening or between two blocks
        OSError: if the file cannot be read at all

    Examples:
        >>> from helpers import corpora
        >>> with opened(corpora.load().clips["path"][0]) as audio:
        ...     audio.sample_rate, audio.channels, audio.frames
        (16000, 1, 46873)
    """
    if not isinstance(clip, str | os.PathLike):
        yield waveform(*clip)
        return
    path = os.fspath(clip)
    if os.path.isdir(path):  # noqa: PTH112 a Path's fails for names that no file can have
        raise UnusableError(f"is a folder without audio ({', '.join(SUFFIXES)})")
    with (_with_audioread if path.lower().endswith(".m4a") else _with_libsndfile)(path) as audio:
        yield audio


class _Stream(soundfile.SoundFile):
    """A file that is read from front to back.

    In a seekable file, soundfile seeks after each block to the position where it already is. This
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
        raise UnusableError(f"is not readable audio ({error.error_string.rstrip('.')})") from error


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    size = BLOCK // file.channels
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        yield block


@contextmanager
def _with_audioread(path: str) -> Iterator[Audio]:
    """FFmpeg decodes ahead of its reader, and stops when the file is closed."""
    decoders = audioread.available_backends()[1:]  # the first reads uncompressed files alone
    if not decoders:
        raise UnusableError("needs a decoder of AAC: install FFmpeg (https://ffmpeg.org)")
    try:
        with audioread.audio_open(path, decoders) as file:
            if not (file.samplerate and file.channels):
                raise audioread.DecodeError
            frames = round(file.duration * file.samplerate)
            yield Audio(file.samplerate, file.channels, frames, False, _blocks_of_pcm(file))
    except audioread.DecodeError as error:
        raise UnusableError("is not readable audio (no decoder here reads it)") from error


def _blocks_of_pcm(file: audioread.AudioFile) -> Iterator[np.ndarray]:
    """16-bit samples as floats, from pieces that may end between two channels."""
    rest = b""
    for piece in file:
        rest += piece
        frames = len(rest) // (2 * file.channels)
        samples = np.frombuffer(rest, "<i2", count=frames * file.channels)
        rest = rest[samples.nbytes :]
        yield samples.reshape(frames, file.channels).astype(np.float32) / 2**15


def checked(recording: Audio) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read a recording, and refuse it at its end if it cannot be used.

    Args:
        recording: see `opened`

    Yields:
        each block [samples, channels], and its mix to mono [samples]

    Raises:
        UnusableError: after the last block, if the recording is truncated, silent or too short for
            speech, or has samples that are not numbers
    """
    frames, total, squares = 0, 0.0, 0.0
    for block in recording.blocks:
        # One channel has no mean to take, which would take ten times as long.
        y = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        frames += len(y)
        with np.errstate(invalid="ignore"):  # of infinities, which are found below
            total += y.sum(dtype=np.float64)
            # No matrix product, whose threads would compete with those of the extraction.
            squares += np.square(y, dtype=np.float64).sum()
        yield block, y
    rate, declared = recording.sample_rate, recording.frames
    if frames == 0:
        raise UnusableError("has no samples")
    if frames < (declared if recording.exact else (1 - MISSING) * declared):
        raise UnusableError(f"is truncated: {frames} of {declared} samples are there")
    if frames < SHORTEST * rate:
        raise UnusableError(f"lasts {1000 * frames / rate:.0f} ms, too short for speech")
    if not np.isfinite(squares):
        raise UnusableError("has samples that are not numbers")
    if squares / frames - (total / frames) ** 2 < SILENCE**2:
        raise UnusableError("is silent or constant")


def read(clip: Clip, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """Read a recording, mixed to mono, checked and resampled (soxr, high quality).

    Args:
        clip: a path, or a waveform with its sampling rate, see `Clip`
        sample_rate: wanted sampling rate in Hz; None keeps the recording's own

    Returns:
        waveform at that rate, float32 [samples], from -1 to 1; and the recording's own rate in Hz

    Raises:
        UnusableError: if the recording cannot be decoded, is truncated, silent or too short for
            speech, or has samples that are not numbers; the message goes on after its name
        OSError: if the file cannot be read at all

    Examples:
        >>> y, rate = read((np.sin(np.arange(16000)), 16000), 8000)
        >>> y.shape, rate
        ((8000,), 16000)

    See: notebooks/02_preprocessing.ipynb
    """
    with opened(clip) as recording:
        own_rate = recording.sample_rate
        rate = sample_rate or own_rate
        resampler = soxr.ResampleStream(own_rate, rate, 1, quality="soxr_hq")
        frames, pieces = 0, []
        for _, y in checked(recording):  # so that only the result is ever whole in memory
            frames += len(y)
            pieces.append(resampler.resample_chunk(y))
    pieces.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    samples = math.ceil(frames * rate / own_rate)
    return fit_duration(np.concatenate(pieces), samples), own_rate


def normalise(y: np.ndarray) -> np.ndarray:
    """Shift and scale a waveform to mean 0 and standard deviation 1.

    Args:
        y: waveform [samples]

    Returns:
        float32 [samples]

    Raises:
        UnusableError: if the waveform is constant

    See: notebooks/02_preprocessing.ipynb
    """
    deviation = y.std(dtype=np.float64)
    if not deviation > 0:
        raise UnusableError("is constant, so that it has no standard deviation to divide by")
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

    See: notebooks/02_preprocessing.ipynb
    """
    return librosa.util.fix_length(y, size=samples)
