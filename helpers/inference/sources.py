"""The recordings that were asked for, one by one: files, those in folders, and waveforms."""

from __future__ import annotations

import codecs
import glob
import mimetypes
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from helpers import archives, audio, corpora
from helpers.audio import Clip
from helpers.storage import NO_TEXT, files_below, hash_of_file, is_text


class Recording(NamedTuple):
    """One recording, or one channel of it.

    Attributes:
        name: its path as `encodable` text, or the number of a waveform
        clip: see `audio.Clip`
        channel: number of the channel, from 0; None is the mean of all
    """

    name: str
    clip: Clip
    channel: int | None = None


def recordings(clips: Clip | Iterable[Clip], *, channels: bool = False) -> Iterator[Recording]:
    """Each recording of several, also those in folders, without hidden files.

    Args:
        clips: see `predictions.predict`
        channels: take each channel of a recording that has several as a recording of its own
    """
    waveform = isinstance(clips, tuple) and len(clips) == 2 and isinstance(clips[0], np.ndarray)
    is_one = waveform or isinstance(clips, str | os.PathLike)
    for number, clip in enumerate(cast("Iterable[Clip]", [clips] if is_one else clips), start=1):
        if isinstance(clip, str | os.PathLike):
            found = [Recording(encodable(path), path) for path in _below(os.fspath(clip))]
        else:
            found = [Recording(f"waveform {number}", clip)]
        for each in found:
            yield from _channels(each) if channels else [each]


def _below(path: str) -> list[str]:
    """The audio in a folder, and the folders there that cannot be read; else the path itself."""
    if not os.path.isdir(path):  # noqa: PTH112 a Path's fails for names that no file can have
        return [path]
    files, closed = files_below(path)
    sounds = [parts for parts in files if parts[-1].lower().endswith(audio.SUFFIXES)]
    return [str(Path(path, *parts)) for parts in (*sounds, *closed)] or [path]


def expanded(path: str) -> list[str]:
    """The recordings that a path stands for: itself, those in a folder, those of a pattern.

    Not every shell expands patterns and ``~``. What matches nothing stays as it is.
    """
    return [file for match in _matches(path) for file in _below(match)]


def _matches(path: str) -> list[str]:
    path = path if os.path.exists(path) else os.path.expanduser(path)  # noqa: PTH110, PTH111
    return [path] if os.path.exists(path) else sorted(glob.glob(path, recursive=True)) or [path]  # noqa: PTH110, PTH207


def passed_over(path: str) -> list[str]:
    """Files that `expanded` leaves out although they may be audio: those of another suffix.

    What `refusal` refuses, or has the suffix of another medium, such as a picture, is none.
    """
    folders = [match for match in _matches(path) if os.path.isdir(match)]  # noqa: PTH112
    files = [str(Path(each, *parts)) for each in folders for parts in files_below(each)[0]]
    others = [file for file in files if not file.lower().endswith(audio.SUFFIXES)]
    return [file for file in others if _may_be_audio(file)]


def _may_be_audio(path: str) -> bool:
    kind, _ = mimetypes.MimeTypes().guess_type(path, strict=False)
    return (kind or "audio").startswith(("audio", "video")) and not refusal(path)


def copies(paths: list[str]) -> dict[str, str]:
    """Which recordings are links to one before, or copies of it.

    Args:
        paths: of recordings, each once

    Returns:
        the name of the first of the same content, by the name of each other one
    """
    sizes = [None if refusal(path) else os.path.getsize(path) for path in paths]  # noqa: PTH202
    files = Counter(sizes)
    first: dict[str, str] = {}
    found = {}
    for path, size in zip(paths, sizes, strict=True):
        key = _content(path) if size and files[size] > 1 else os.path.realpath(path)
        if first.setdefault(key, path) != path:
            found[encodable(path)] = encodable(first[key])
    return found


def _content(path: str) -> str:
    """Hash of a file, or its path if it cannot be read."""
    try:
        return hash_of_file(path)
    except OSError:
        return os.path.realpath(path)


def _channels(recording: Recording) -> list[Recording]:
    """Each channel; the recording itself if it has only one, or cannot be opened."""
    name, clip, _ = recording
    try:
        with audio.opened(clip) as opened:
            count = opened.channels
    except (audio.UnusableError, OSError):  # its row will say so
        return [recording]
    if count == 1:
        return [recording]
    return [Recording(f"{name} (channel {i + 1})", clip, i) for i in range(count)]


def refusal(path: str) -> str:
    """Why a path is no file or folder that can be read; empty if it is.

    Examples:
        >>> refusal("https://example.org/a.wav")
        'is a web address: download the recording and name its file'
        >>> refusal("nowhere/*.wav")
        'is a pattern that matches no file: name the recordings, or their folder'
    """
    folder = os.path.isdir(path)  # noqa: PTH112 as above
    if folder and not os.access(path, os.R_OK | os.X_OK):
        return "is a folder that cannot be read: change its permissions, or leave it out"
    if folder and _below(path) == [path]:
        return "is a folder without audio: name one with wav, flac, mp3 or other recordings"
    if os.path.isfile(path) or folder:  # noqa: PTH113 as above
        if not is_text(path):
            return NO_TEXT
        if path.endswith(".keras"):
            return "is a model: name it before the recordings"
        if path.lower().endswith((*archives.ZIP, *archives.TAR, ".7z", ".rar")) and not folder:
            return "is an archive: unpack it and name its folder"
        return "is text and no audio" if _is_text(path) else ""
    if os.path.exists(path):  # noqa: PTH110 as above
        return "is a pipe or a device: save the recording in a file and name that"
    if re.match(r"[a-z][a-z\d+.-]+:/", path, re.IGNORECASE):
        return "is a web address: download the recording and name its file"
    if set("*?[") & set(path):
        return "is a pattern that matches no file: name the recordings, or their folder"
    return "does not exist: check its path"


def _is_text(path: str) -> bool:
    """Whether a file begins as text; a pointer of git-lfs, which `audio` explains, does not count.

    The text at the beginning of some audio files is shorter than what is read here.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(4096)
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except (OSError, UnicodeDecodeError):
        return False
    return bool(text) and "\0" not in text and not beginning.startswith(audio.LFS)


class Sound(NamedTuple):
    """A recording that was read.

    Attributes:
        waveform: float32 [samples]
        sample_rate: the recording's own, in Hz
        clipping: see `corpora.Clipping`
    """

    waveform: np.ndarray
    sample_rate: int
    clipping: str


def read(clip: Clip, sample_rate: int, channel: int | None = None) -> Sound:
    """Read a recording, see `audio.read`; every reason why it cannot be read is an `UnusableError`.

    Args:
        clip: see `audio.Clip`
        sample_rate: wanted sampling rate of the waveform, in Hz
        channel: see `Recording`
    """
    if isinstance(clip, str | os.PathLike) and (reason := refusal(os.fspath(clip))):
        raise audio.UnusableError(reason)
    try:
        with audio.opened(clip) as opened:
            clipping = corpora.Clipping(opened.subtype)
            watched = replace(opened, blocks=clipping.watch(opened.blocks))
            y, own_rate = audio.read(watched, sample_rate, channel=channel)
        return Sound(y, own_rate, clipping.problem)
    except audio.SilentError as error:
        if channel is None and _has_a_channel(clip):
            raise audio.UnusableError(
                "is silent as the mean of its channels, which cancel out: predict each (--channels)"
            ) from error
        raise
    except OSError as error:
        raise audio.UnusableError(f"cannot be read ({error.strerror or error})") from error


def _has_a_channel(clip: Clip) -> bool:
    """Whether the first channel alone can be used."""
    try:
        audio.read(clip, channel=0)
    except audio.UnusableError:
        return False
    return True


def encodable(text: str, encoding: str = "utf-8") -> str:
    r"""Text whose characters can all be written; a file's name may hold bytes that are no text.

    Examples:
        >>> encodable("naïve.wav", "ascii")
        'na\\xefve.wav'
    """
    return text.encode(encoding, errors="backslashreplace").decode(encoding)
