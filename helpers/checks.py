"""Which clips can be used, and the reason for each that cannot.

Every function takes the labels, a row a clip, and fills the column ``reason`` of the rows that fail
it; the first reason stays.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path, PurePosixPath

import joblib
import numpy as np
import pandas as pd
import soundfile

from helpers import layouts
from helpers.progress import bar

#: Standard deviation under which a clip holds nothing to hear: -80 dB of full scale, three
#: quantisation steps of a 16-bit recording.
SILENCE = 1e-4


def ratings(table: pd.DataFrame, scale: tuple[float, float], *, categorical: bool) -> None:
    """Reject what has no rating, no number for one, or a number outside the scale."""
    low, high = scale
    written = table.pop("as written")
    valence = table["valence"]
    _reject(table, written == "", "has no rating")
    if categorical:
        known = ", ".join(layouts.PLEASURE)
        reason = "has the emotion '" + written + f"', whose valence is not known ({known} are)"
    else:
        reason = "has the rating '" + written + "', which is not a number"
    _reject(table, valence.isna(), reason)
    _reject(
        table,
        ~valence.between(low, high),
        "has the rating " + written + f", which is outside the scale {low:g} to {high:g}",
    )


def find_audio(table: pd.DataFrame, folder: Path, paths: list[Path]) -> None:
    """Match names with files: as paths below `folder` or as bare names, with or without suffix."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in (path for path in paths if path.suffix.lower() in layouts.AUDIO):
        below = path.relative_to(folder)
        for key in {below.as_posix(), below.with_suffix("").as_posix(), path.name, path.stem}:
            files[key].append(path)

    def matches(name: str) -> list[Path]:
        path = PurePosixPath(name.strip().replace("\\", "/").removeprefix("./"))
        return files.get(str(path)) or files.get(path.name) or files.get(path.stem) or []

    found = table["file"].map(matches)
    count = found.map(len)
    table["path"] = found.map(lambda paths: str(paths[0]) if len(paths) == 1 else None)
    _reject(table, count == 0, "is not in the corpus")
    _reject(table, count > 1, "matches " + count.astype(str) + " files; add its folder to the name")


def repeats(table: pd.DataFrame) -> None:
    """Keep the first of rows that say the same of a file, none of those that disagree."""
    listed = table["path"].notna() & table["reason"].isna()
    by_path = table[listed].groupby("path")["valence"]
    disagree = by_path.transform("nunique").gt(1).reindex(table.index, fill_value=False)
    _reject(table, disagree, "is listed with different ratings")
    _reject(table, listed & table.duplicated("path"), "is listed more than once")


def audio_files(table: pd.DataFrame) -> None:
    """Add what the audio files say of themselves, and reject those that cannot be used."""
    paths = table.loc[table["reason"].isna(), "path"]
    checks = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        joblib.delayed(_check_clip)(path) for path in paths
    )
    progress = bar(checks, total=len(paths), desc="checking", unit="clip")
    columns = ["duration", "sample_rate", "channels", "sha256", "problem"]
    found = pd.DataFrame(progress, index=paths.index, columns=columns)
    table[columns[:-1]] = found[columns[:-1]]
    problem = found["problem"].reindex(table.index)
    _reject(table, problem.notna(), problem)


def _reject(table: pd.DataFrame, rows: pd.Series, reason: pd.Series | str) -> None:
    """Give a reason to the rows that have none yet."""
    rows = rows & table["reason"].isna()
    table.loc[rows, "reason"] = reason if isinstance(reason, str) else reason[rows]


def _check_clip(path: str) -> dict:
    """Decode a clip block by block, whatever its length."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with soundfile.SoundFile(path) as audio:
            about = {
                "duration": audio.frames / audio.samplerate,
                "sample_rate": audio.samplerate,
                "channels": audio.channels,
                "sha256": digest,
            }
            frames, total, squares = 0, 0.0, 0.0
            for block in audio.blocks(2**18, dtype="float32", always_2d=True):
                mono = block.mean(axis=1, dtype=np.float64)
                frames += len(mono)
                total += mono.sum()
                squares += mono @ mono
            declared = audio.frames
    except (soundfile.LibsndfileError, OSError) as error:
        return {"problem": f"is not readable audio ({error})".replace(f"{path!r}: ", "")}
    if frames == 0:
        return {**about, "problem": "has no samples"}
    if frames < declared:
        return {**about, "problem": f"is truncated: {frames} of {declared} samples are there"}
    if not np.isfinite(squares):
        return {**about, "problem": "has samples that are not numbers"}
    if squares / frames - (total / frames) ** 2 < SILENCE**2:
        return {**about, "problem": "is silent or constant"}
    return about
