"""Rated parts of long recordings, cut once into files of their own in the cache."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from helpers import audio
from helpers.corpora import tables
from helpers.progress import bar
from helpers.storage import cache_folder, digest, make_folder, write_file

#: Seconds by which a file may differ from a part of it and still be taken for that part.
SLACK = 0.05


def cut(table: pd.DataFrame) -> None:
    """Replace the path of each part of a recording by that of a file with only that part.

    A file that is as long as its part is taken as it is: it was cut before.

    Args:
        table: labels with ``path``, ``start``, ``end`` and ``reason``; ``start`` and ``end`` become
            seconds, and a part that is not in its recording gets a reason. Of several parts with
            the same ``file``, each gets its seconds behind it
    """
    for column in ("start", "end"):
        written = table[column].astype(str)
        table[column] = tables.seconds(written)
        wrong = table[column].isna() & written.map(tables.known).notna() & table["reason"].isna()
        reason = f"has the {column} '" + written + "', which is no time such as 83.5 or 1:23.5"
        table.loc[wrong, "reason"] = reason
    table["start"] = table["start"].fillna(0.0)
    several = table["file"].duplicated(keep=False)
    usable = table["path"].notna() & table["reason"].isna()
    parts = table[usable & ((table["start"] > 0) | table["end"].notna())]
    for path, rows in bar(list(parts.groupby("path")), desc="cutting", unit="recording"):
        try:
            y, rate = audio.read(path)
            about = os.stat(path)  # noqa: PTH116 as in `checks`
        except (audio.UnusableError, OSError) as error:
            table.loc[rows.index, "reason"] = str(error)
            continue
        folder = cache_folder("segments") / digest(f"{path} {about.st_size} {about.st_mtime_ns}")
        whole = len(y) / rate
        for row in rows.itertuples():
            end = whole if np.isnan(row.end) else row.end
            if abs(end - row.start - whole) <= SLACK:
                continue
            if not 0 <= row.start < end <= whole + SLACK:
                said = f"{row.start:g} to {end:g} s are not in the recording of {whole:.1f} s"
                table.loc[row.Index, "reason"] = said
                continue
            target = folder / f"{Path(path).stem}_{row.start:.3f}_{end:.3f}.wav"
            if not target.exists():
                content = io.BytesIO()
                part = y[round(row.start * rate) : round(end * rate)]
                soundfile.write(content, part, rate, format="WAV", subtype="FLOAT")
                write_file(make_folder(folder) / target.name, content.getvalue())
            table.loc[row.Index, "path"] = str(target)
            if several[row.Index]:
                table.loc[row.Index, "file"] += f" [{_text(row.start)}–{_text(end)} s]"


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
