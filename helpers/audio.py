"""Audio files as blocks of samples, whatever their format, and never a whole file at once.

libsndfile decodes wav, flac, ogg and mp3. It has no decoder of AAC, so m4a goes through audioread
to the one that the system has: FFmpeg, GStreamer or, on macOS, Core Audio.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import audioread
import numpy as np
import soundfile

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
