"""Rated parts of long recordings, cut once into files of their own in the cache."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from helpers import audio
from helpers.corpora.layouts import NOBODY
from helpers.progress import bar
from helpers.storage import atomic_write, cache_folder, digest

#: Seconds by which a file may differ from a part of it and still be taken for that part.
SLACK = 0.05


def seconds(column: pd.Series) -> pd.Series:
    """Times as numbers of seconds or as ``0 days 00:00:01.5``; NaN for an open end."""
    text = column.astype(str).str.strip()
    text = text.mask(text.str.casefold().isin(NOBODY))
    numbers = pd.to_numeric(text, errors="coerce")
    times = pd.to_timedelta(text.where(numbers.isna()), errors="coerce").dt.total_seconds()
    return numbers.fillna(times)


def cut(table: pd.DataFrame) -> None:
    """Replace the path of each part of a recording by that of a file with only that part.

    A file that is as long as its part is taken as it is: it was cut before.

    Args:
        table: labels with ``path``, ``start``, ``end`` and ``reason``; ``start`` and ``end`` become
            seconds, and a part that is not in its recording gets a reason
    """
    table["start"], table["end"] = seconds(table["start"]).fillna(0.0), seconds(table["end"])
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
                folder.mkdir(exist_ok=True)
                part = y[round(row.start * rate) : round(end * rate)]
                with atomic_write(target) as temporary:
                    soundfile.write(temporary, part, rate, format="WAV", subtype="FLOAT")
            table.loc[row.Index, "path"] = str(target)
