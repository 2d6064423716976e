"""Rated parts of long recordings, cut once into files of their own in the cache."""

from __future__ import annotations

import contextlib
import io
from functools import cached_property
from importlib.metadata import version

import numpy as np
import pandas as pd
import soundfile

from helpers import audio
from helpers.corpora import checks, tables
from helpers.progress import bar
from helpers.storage import OutputError, cache_folder, digest, make_folder, write_file

#: Seconds by which a file may differ from a part of it and still be taken for that part.
SLACK = 0.05

#: Changes whenever the same recording could give other parts.
VERSION = 2

#: Packages that read recordings: another version may give other samples.
READERS = ("audioread", "soundfile", "soxr")


def cut(table: pd.DataFrame) -> None:
    """Replace the path of each part of a recording by that of a file with only that part.

    A part has all channels, and so is checked as any clip is. A file that is as long as its part is
    taken as it is: it was cut before.

    Args:
        table: labels with ``path``, ``start``, ``end`` and ``reason``; ``start`` and ``end`` become
            seconds, and a part that is not in its recording gets a reason. Of several parts with
            the same ``file``, each gets its seconds behind it
    """
    _in_seconds(table)
    several = table["file"].duplicated(keep=False)
    usable = table["path"].notna() & table["reason"].isna()
    parts = table[usable & ((table["start"] > 0) | table["end"].notna())]
    for path, rows in bar(list(parts.groupby("path")), desc="cutting", unit="recording"):
        try:
            recording = _Recording(path)
            seconds, _ = recording.about
            for row in rows.fillna({"end": seconds}).itertuples():
                if abs(row.end - row.start - seconds) <= SLACK:
                    continue
                if not 0 <= row.start < row.end <= seconds + SLACK:
                    whole = f"the recording of {seconds:.1f} s"
                    said = f"{row.start:g} to {row.end:g} s are not in {whole}"
                    table.loc[row.Index, "reason"] = said
                    continue
                table.loc[row.Index, "path"] = recording.part(row.start, row.end)
                if several[row.Index]:
                    table.loc[row.Index, "file"] += f" [{_text(row.start)}–{_text(row.end)} s]"
        except OutputError:
            raise
        except (audio.UnusableError, OSError) as error:
            table.loc[rows.index, "reason"] = checks.problem(error)


def _in_seconds(table: pd.DataFrame) -> None:
    """Read the times of parts; those that are none give their rows a reason."""
    for column in ("start", "end"):
        written = table[column].astype(str)
        table[column] = tables.seconds(written)
        wrong = table[column].isna() & written.map(tables.known).notna() & table["reason"].isna()
        reason = f"has the {column} '" + written + "', which is no time such as 83.5 or 1:23.5"
        table.loc[wrong, "reason"] = reason
    table["start"] = table["start"].fillna(0.0)


class _Recording:
    """A recording with its parts in the cache; it is read only if one of them is missing."""

    def __init__(self, path: str) -> None:
        self.path = path
        # Taken before the recording is read: if that changes meanwhile, the next call cuts anew.
        key = [VERSION, *map(version, READERS), path, *checks.file_version(path)]
        self.folder = cache_folder("segments") / digest(" ".join(map(str, key)))

    @cached_property
    def samples(self) -> tuple[np.ndarray, int, str]:
        """Samples [samples, channels], their rate in Hz, and the form that parts are written in."""
        with audio.opened(self.path) as recording:
            blocks = [block for block, _ in audio.checked(recording)]
        form = recording.subtype if recording.subtype in checks.TELEPHONE else "FLOAT"
        return np.concatenate(blocks), recording.sample_rate, form

    @cached_property
    def about(self) -> tuple[float, str]:
        """Its seconds, and how the names of its parts end."""
        kept = self.folder / "about.txt"
        with contextlib.suppress(OSError, ValueError):
            seconds, ending = kept.read_text(encoding="utf-8").split()
            return float(seconds), ending
        y, rate, form = self.samples
        channels = y.shape[1]
        ending = ".au" if (channels, form) == (1, "FLOAT") else f"_{channels}_{form}.au"
        make_folder(self.folder)
        write_file(kept, f"{len(y) / rate} {ending}")
        return len(y) / rate, ending

    def part(self, start: float, end: float) -> str:
        """The path of a part, which is cut if it is missing."""
        target = self.folder / f"{start:.3f}_{end:.3f}{self.about[1]}"
        if not target.exists():
            y, rate, form = self.samples
            content = io.BytesIO()
            part = y[round(start * rate) : round(end * rate)]
            # A WAV of floats would hold the time at which it was written.
            soundfile.write(content, part, rate, format="AU", subtype=form)
            write_file(target, content.getvalue())
        return str(target)


def overlapping(clips: pd.DataFrame, recordings: pd.Series) -> tuple[str, ...]:
    """A note if clips are parts of a recording that share sound.

    Args:
        clips: with ``file``, ``start`` and ``duration``
        recordings: path of the recording of each clip, before `cut`
    """
    spans = clips.assign(recording=recordings, end=clips["start"] + clips["duration"])
    spans = spans.sort_values(["recording", "start"], kind="stable")
    before = spans.groupby("recording")["end"].transform(lambda ends: ends.cummax().shift())
    names = spans.loc[spans["start"] < before - SLACK, "file"]
    if names.empty:
        return ()
    return (
        f"{len(names)} of {len(clips)} clips share sound with an earlier part of their recording, "
        f"such as {names.iloc[0]}: a split by clip may train on what it tests on",
    )


def _text(time: float) -> str:
    return np.format_float_positional(round(time, 3), trim="-")
