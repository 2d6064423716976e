"""The recordings that were asked for, one by one: files, those in folders, and waveforms."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from helpers import audio
from helpers.audio import Clip
from helpers.storage import files_below


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
            found = [Recording(encodable(path), path) for path in _files(os.fspath(clip))]
        else:
            found = [Recording(f"waveform {number}", clip)]
        for each in found:
            yield from _channels(each) if channels else [each]


def _files(path: str) -> list[str]:
    """The audio in a folder; the path itself if it is no folder, or one without audio."""
    if not os.path.isdir(path):  # noqa: PTH112 a Path's fails for names that no file can have
        return [path]
    return [
        str(Path(path, *parts))
        for parts in files_below(path)
        if parts[-1].lower().endswith(audio.SUFFIXES)
    ] or [path]


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
    if os.path.isfile(path) or os.path.isdir(path):  # noqa: PTH112, PTH113 as above
        no_text = re.search("[\ud800-\udfff]", path)  # bytes of a name that no encoding explains
        return "has a name that is no text: rename it" if no_text else ""
    if os.path.exists(path):  # noqa: PTH110 as above
        return "is a pipe or a device: save the recording in a file and name that"
    if re.match(r"[a-z][a-z\d+.-]+:/", path, re.IGNORECASE):
        return "is a web address: download the recording and name its file"
    if set("*?[") & set(path):
        return "is a pattern that matches no file: name the recordings, or their folder"
    return "does not exist: check its path"


def read(clip: Clip, sample_rate: int, channel: int | None = None) -> tuple[np.ndarray, int]:
    """Read a recording, see `audio.read`; every reason why it cannot be read is an `UnusableError`.

    Args:
        clip: see `audio.Clip`
        sample_rate: wanted sampling rate in Hz
        channel: see `Recording`
    """
    if isinstance(clip, str | os.PathLike) and (reason := refusal(os.fspath(clip))):
        raise audio.UnusableError(reason)
    try:
        return audio.read(clip, sample_rate, channel=channel)
    except OSError as error:
        raise audio.UnusableError(f"cannot be read ({error.strerror or error})") from error


def encodable(text: str, encoding: str = "utf-8") -> str:
    r"""Text whose characters can all be written; a file's name may hold bytes that are no text.

    Examples:
        >>> encodable("naïve.wav", "ascii")
        'na\\xefve.wav'
    """
    return text.encode(encoding, errors="backslashreplace").decode(encoding)
