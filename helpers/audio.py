"""Audio files and waveforms, whatever their format: one way from a file to checked samples.

libsndfile decodes wav, flac, ogg, opus, mp3 and aiff. What it does not know goes through audioread
to the decoder of the system: FFmpeg, GStreamer or, on macOS, Core Audio. The content of a file
decides, not its suffix. libsndfile decodes block by block; the others decode ahead of their reader,
and then hold up to the whole file as 16-bit samples. Spectrograms are made in `features`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import audioread
import librosa
import numpy as np
import soundfile
import soxr
from audioread import ffdec

from helpers import mp3
from helpers.storage import NO_TEXT, is_text, let_numba_cache

let_numba_cache("librosa")  # which imports numba on first use

#: A path, or a waveform [samples] or [samples, channels] with its sampling rate in Hz.
Clip = str | os.PathLike[str] | tuple[np.ndarray, int]

#: Suffixes of audio files, in lower case: what corpora, phones and browsers have.
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".amr", ".caf", ".mka"),
    *(".mov", ".mp4", ".oga", ".opus", ".webm", ".wma", ".3gp", ".3gpp", ".m4b", ".mp2", ".mpga"),
    *(".wave", ".3g2", ".ac3", ".ape", ".asf", ".avi", ".flv", ".m4v", ".mkv", ".mpeg", ".mpg"),
    *(".ogv", ".spx", ".tta", ".wmv", ".wv"),
    *(".aifc", ".au", ".rf64", ".snd", ".sph", ".voc", ".w64"),  # libsndfile reads these, too
)

#: How the small text begins that stands in for a file until git-lfs downloads it.
LFS = b"version https://git-lfs"

#: Samples in a block, over all channels: one megabyte.
BLOCK = 2**18

#: The length that libsndfile gives to a FLAC stream whose header does not say it.
UNKNOWN = 2**63 - 1

#: Duration in seconds below which a clip has no speech sound, and less than one spectrogram hop.
SHORTEST = 0.05

#: Share of the samples that may be missing where a header counts them in packets, not one by one.
MISSING = 0.1

#: Errors of libsndfile about a file that it cannot open (2) or knows and finds damaged (3); any
#: other may only mean that it has no decoder.
FINAL = (2, 3)

#: The size of the samples in a header, in bytes, as libsndfile logs it with what there really is.
STATED = re.compile(r"^ *(?:data|SSND|Data size) *: (\d+)(?: \(should be (\d+)\))?$", re.M | re.I)

#: Bytes that a header takes, which some recorders count among the samples.
HEADER = 128

#: Sizes from here on stand in headers that were written before the size was known.
STREAMED = 0x7FFFF000

#: What FFmpeg says of a file that ends too early; its other lines begin with a blank.
DAMAGED = re.compile(rb"^\S.*(?:partial file|prematurely|corrupt|invalid data)", re.M | re.I)

#: What FFmpeg calls channels whose number audioread takes for another, such as quad and 5.1.2.
UNCOUNTED = re.compile(r"hz, (?!mono|stereo|\d+ channels|\d+\.\d[,(])([^,]+),")

#: Standard deviation below which a clip counts as silent: -80 dB of full scale, three quantisation
#: steps of a 16-bit recording.
SILENCE = 1e-4


class UnusableError(ValueError):
    """A recording that cannot be used; the message goes on after its name."""


class SilentError(UnusableError):
    """A recording, or the mean of its channels, that is silent or constant."""


@dataclass(frozen=True)
class Audio:
    """An open audio file, or a waveform that is read like one.

    Attributes:
        sample_rate: in Hz
        channels: their number
        frames: samples of each channel, by the header; 0 where the header does not say
        least: as many of them have to be there; 0 where `frames` is an estimate
        blocks: the samples, full scale from -1 to 1, which those of a file of floats may exceed:
            float32 [up to `BLOCK` / channels, channels]
        subtype: how libsndfile calls the form of the samples, where it reads them
    """

    sample_rate: int
    channels: int
    frames: int
    least: int
    blocks: Iterator[np.ndarray]
    subtype: str = ""


def waveform(y: np.ndarray, sample_rate: int) -> Audio:
    """Samples in memory, as if they came from a file.

    Args:
        y: [samples] or [samples, channels], floats from -1 to 1 or integers of full range, where
            the middle of unsigned ones is 0
        sample_rate: in Hz

    Raises:
        UnusableError: if the array has no samples, or other dimensions

    Examples:
        >>> next(waveform(np.array([0, -32768], dtype=np.int16), 16000).blocks)
        array([[ 0.],
               [-1.]], dtype=float32)
    """
    y = np.asarray(y)
    if y.ndim not in (1, 2):
        raise UnusableError(f"has {y.ndim} dimensions and not samples, or samples x channels")
    if not y.size:
        raise UnusableError("has no samples")
    if np.issubdtype(y.dtype, np.integer):
        half = 2.0 ** (np.iinfo(y.dtype).bits - 1)
        y = (y - half if np.issubdtype(y.dtype, np.unsignedinteger) else y) / half
    y = y.astype(np.float32, copy=False)
    y = y[:, None] if y.ndim == 1 else y
    size = max(1, BLOCK // y.shape[1])
    blocks = (y[start : start + size] for start in range(0, len(y), size))
    return Audio(sample_rate, y.shape[1], len(y), len(y), blocks)


@contextmanager
def opened(clip: Clip | Audio) -> Iterator[Audio]:
    """Open a recording; only the header of a file is read until its blocks are.

    Args:
        clip: see `Clip`; what is open already stays as it is

    Raises:
        UnusableError: if the file cannot be decoded, on opening or between two blocks, or its name
            is no text
        OSError: if the file cannot be read at all

    Examples:
        >>> from helpers import corpora
        >>> with opened(corpora.load().clips["path"][0]) as audio:
        ...     audio.sample_rate, audio.channels, audio.frames
        (16000, 1, 46873)
    """
    if isinstance(clip, Audio):
        yield clip
        return
    if not isinstance(clip, str | os.PathLike):
        yield waveform(*clip)
        return
    path = os.fspath(clip)
    if os.path.isdir(path):  # noqa: PTH112 a Path's fails for names that no file can have
        raise UnusableError(f"is a folder without audio ({', '.join(SUFFIXES)})")
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        raise UnusableError("is a pipe or a device and not a file: save the recording first")
    if not is_text(path):
        raise UnusableError(NO_TEXT)
    file = _libsndfile(path)
    if file and file.subtype == "MPEG_LAYER_III":
        file = mp3.to_its_end(file)
    with _with_libsndfile(file) if file else _with_audioread(path) as audio:
        yield audio


class _Stream(soundfile.SoundFile):
    """A file that is read from front to back.

    In a seekable file, soundfile seeks after each block to the position where it already is. This
    costs time, breaks the next block of an mp3 and fails at the end of a FLAC of unknown length.
    """

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        super().close()
        if isinstance(self.name, mp3.Longer):
            self.name.close()


def _libsndfile(path: str) -> _Stream | None:
    """The file, opened; None if libsndfile has no decoder of it."""
    try:
        with mp3.QUIET:
            return _Stream(path)
    except soundfile.LibsndfileError as error:
        if error.code in FINAL:
            with suppress(ValueError), open(path, "rb"):  # raises what the system has against it
                pass
            raise _unreadable(error) from error
    return None


def _unreadable(error: soundfile.LibsndfileError) -> UnusableError:
    return UnusableError(f"is not readable audio ({error.error_string.rstrip('.')})")


class _FFmpeg(ffdec.FFmpegAudioFile):
    def _parse_info(self, s: str) -> None:
        if found := UNCOUNTED.search(s):
            self.close()
            raise UnusableError(f"has {found[1]} channels, which are miscounted: convert it to wav")
        super()._parse_info(s)


def _decoders() -> list[type[audioread.AudioFile]]:
    """Those of the system; the first of audioread's reads uncompressed files alone."""
    found = audioread.available_backends()[1:]
    return [_FFmpeg if each is ffdec.FFmpegAudioFile else each for each in found]


@contextmanager
def _with_libsndfile(file: _Stream) -> Iterator[Audio]:
    frames, least = _length(file)
    try:
        with file:
            blocks = _blocks(file)
            yield Audio(file.samplerate, file.channels, frames, least, blocks, file.subtype)
    except soundfile.LibsndfileError as error:
        raise _unreadable(error) from error


def _length(file: _Stream) -> tuple[int, int]:
    """See `Audio.frames` and `Audio.least`; libsndfile itself gives the samples that are there."""
    frames = file.frames
    if frames == UNKNOWN or isinstance(file.name, mp3.Longer):
        return 0, 0
    if file.subtype == "MPEG_LAYER_III":
        return frames, round((1 - MISSING) * frames)
    if found := STATED.search(file.extra_info):
        stated, size = int(found[1]), os.path.getsize(file.name)  # noqa: PTH202
        there = min(int(found[2] or stated), size)
        if there + HEADER < stated < STREAMED:
            frames = round(frames * stated / max(there, 1))
    return frames, frames


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    size = BLOCK // file.channels
    while True:
        with mp3.QUIET:
            block = file.read(size, dtype="float32", always_2d=True)
        if not len(block):
            return
        yield block


@contextmanager
def _with_audioread(path: str) -> Iterator[Audio]:
    """FFmpeg decodes ahead of its reader, and stops when the file is closed."""
    with open(path, "rb") as raw:
        beginning = raw.read(len(LFS))
    if beginning == LFS:
        raise UnusableError("is a pointer of git-lfs and no audio: get the audio with git lfs pull")
    if not beginning:
        raise UnusableError("is not readable audio (the file is empty)")
    decoders = _decoders()
    if not decoders:
        raise UnusableError(
            "is in no format that is read without FFmpeg, or is damaged: play it to see which, and "
            "install FFmpeg (https://ffmpeg.org)"
        )
    try:
        # Whole, since FFmpeg takes what stands before a colon for a protocol.
        with audioread.audio_open(os.path.abspath(path), decoders) as file:  # noqa: PTH100
            if not (file.samplerate and file.channels):
                raise audioread.DecodeError
            frames = round(file.duration * file.samplerate)
            yield Audio(file.samplerate, file.channels, frames, 0, _blocks_of_pcm(file, frames))
    except audioread.DecodeError as error:
        raise UnusableError("is not readable audio (no decoder here reads it)") from error


def _blocks_of_pcm(file: audioread.AudioFile, declared: int) -> Iterator[np.ndarray]:
    """16-bit samples as floats, from pieces that may end between two channels.

    The length of a container may be an estimate or that of its picture, so that less sound is a
    fault only if the decoder complained, too.
    """
    rest, total = b"", 0
    for piece in file:
        rest += piece
        frames = len(rest) // (2 * file.channels)
        samples = np.frombuffer(rest, "<i2", count=frames * file.channels)
        rest, total = rest[samples.nbytes :], total + frames
        yield samples.reshape(frames, file.channels).astype(np.float32) / 2**15
    if 0 < total < (1 - MISSING) * declared and DAMAGED.search(_said(file)):
        raise UnusableError(f"is truncated: {total} of {declared} samples are there")


def _said(file: audioread.AudioFile) -> bytes:
    """What FFmpeg, which has ended, wrote to its stderr; nothing of other decoders."""
    reader = getattr(file, "stderr_reader", None)
    if reader is None:
        return b""
    reader.join()
    return b"".join(reader.queue.queue)


def checked(
    recording: Audio, *, channel: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read a recording, and refuse it at its end if it cannot be used.

    Args:
        recording: see `opened`
        channel: number of the channel to use, from 0; None is the mean of all

    Yields:
        each block [samples, channels], and its channel or mix to mono [samples]

    Raises:
        UnusableError: if there is no such channel; or after the last block, if the recording is
            truncated, silent or too short for speech, or has samples that are not numbers
    """
    channels = recording.channels
    if channel is not None and not 0 <= channel < channels:
        raise UnusableError(f"has {channels} channels, counted from 0, and so no channel {channel}")
    if channels == 1:  # which has no mean to take: this would take ten times as long
        channel = 0
    frames, total, squares = 0, 0.0, 0.0
    for block in recording.blocks:
        y = block.mean(axis=1) if channel is None else block[:, channel]
        frames += len(y)
        with np.errstate(invalid="ignore"):  # of infinities, which are found below
            total += y.sum(dtype=np.float64)
            # No matrix product, whose threads would compete with those of the extraction.
            squares += np.square(y, dtype=np.float64).sum()
        yield block, y
    rate = recording.sample_rate
    if frames == 0:
        raise UnusableError("has no samples")
    if frames < recording.least:
        raise UnusableError(f"is truncated: {frames} of {recording.frames} samples are there")
    if frames < SHORTEST * rate:
        raise UnusableError(f"lasts {1000 * frames / rate:.0f} ms, too short for speech")
    if not np.isfinite(squares):
        raise UnusableError("has samples that are not numbers")
    if squares / frames - (total / frames) ** 2 < SILENCE**2:
        mean = " as the mean of its channels" if channel is None else ""
        raise SilentError(f"is silent or constant{mean}")


def read(
    clip: Clip | Audio, sample_rate: int | None = None, *, channel: int | None = None
) -> tuple[np.ndarray, int]:
    """Read a recording, mixed to mono, checked and resampled (soxr, high quality).

    Args:
        clip: a path, or a waveform with its sampling rate, see `Clip`; or one that is `opened`
        sample_rate: wanted sampling rate in Hz; None keeps the recording's own
        channel: number of the one channel to use, from 0; None is the mean of all

    Returns:
        waveform at that rate, float32 [samples], full scale from -1 to 1, which floats may exceed;
        and the recording's own rate in Hz

    Raises:
        UnusableError: if the recording cannot be decoded, is truncated (except Ogg, and mp3s that
            do not count their frames: these do not say how long they are), silent or too short for
            speech, has no such channel, or has samples that are not numbers; the message goes on
            after its name
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
        # Block by block, so that only the result is ever whole in memory.
        for _, y in checked(recording, channel=channel):
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
