"""Which clips can be used, and the reason for each that cannot.

Every function takes the labels, a row a clip, and fills the column ``reason`` of the rows that fail
it; the first reason stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from helpers import audio
from helpers.corpora import layouts
from helpers.corpora.errors import CorpusError
from helpers.progress import bar
from helpers.storage import cache_folder, write_file

#: Seconds beyond which no one rating describes a clip. Rated utterances last seconds, those of
#: MSP-Podcast at most 11; ten minutes are a conversation.
LONGEST = 600


#: Magnitudes that a recording cannot exceed; those beyond 1, in files of floats, are not clipped.
FULL_SCALE = (0.999, 1.0)


#: Share of samples at full scale from which a clip is rejected. Amplitudes of speech are about
#: Laplacian, so that 1 % means a root mean square 10 dB below full scale, 12 dB over the level that
#: RFC 7874 recommends. Hot recordings stay: in RAVDESS, which has shouting, 0.05 % is the most.
CLIPPED = 0.01


#: Seconds that a file must have been left alone to be taken as unchanged while its size and times
#: are: the coarsest clock of a file system, FAT's.
SETTLED = 2


#: Changes whenever a file that was accepted could now be rejected, or be said something else of.
VERSION = 1


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


def find_audio(table: pd.DataFrame, files: layouts.Files) -> pd.DataFrame:
    """Match labels with files: as paths in the folder or as bare names, with or without suffix.

    Args:
        table: gets the column ``path``
        files: what is in the folder

    Returns:
        the audio files that no row is about: ``file``, ``path`` and ``reason``
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for clip in files.clips:
        whole, _ = posixpath.splitext(clip)
        for name in {clip, whole, posixpath.basename(clip), posixpath.basename(whole)}:
            by_name[name].append(clip)

    def matches(written: str) -> list[str]:
        name = posixpath.normpath(written.strip().replace("\\", "/"))
        bare = posixpath.basename(name)
        stem, _ = posixpath.splitext(bare)
        return by_name.get(name) or by_name.get(bare) or by_name.get(stem) or []

    found = table["file"].map(matches)
    count = found.map(len)
    table["path"] = found.map(lambda each: f"{files.folder}/{each[0]}" if len(each) == 1 else None)
    _reject(table, count == 0, "is not in the corpus")
    _reject(table, count > 1, "matches " + count.astype(str) + " files; add its folder to the name")
    labelled = set().union(*found)
    rest = [clip for clip in files.clips if clip not in labelled]
    return pd.DataFrame(
        {
            "file": [clip.encode(errors="replace").decode() for clip in rest],  # always printable
            "path": [f"{files.folder}/{clip}" for clip in rest],
            "reason": "has no label",
        },
        dtype=object,
    )


def repeats(table: pd.DataFrame) -> None:
    """Keep the first of rows that say the same of a file, none of those that disagree."""
    listed = table["path"].notna() & table["reason"].isna()
    by_path = table[listed].groupby("path")["valence"]
    disagree = by_path.transform("nunique").gt(1).reindex(table.index, fill_value=False)
    _reject(table, disagree, "is listed with different ratings")
    _reject(table, listed & table.duplicated("path"), "is listed more than once")


def _reject(table: pd.DataFrame, rows: pd.Series, reason: pd.Series | str) -> None:
    """Give a reason to the rows that have none yet."""
    rows = rows & table["reason"].isna()
    table.loc[rows, "reason"] = reason if isinstance(reason, str) else reason[rows]


def audio_files(table: pd.DataFrame, folder: Path) -> None:
    """Add what the audio files say of themselves, and reject those that cannot be used.

    A file that was found usable is not decoded again until it changes: what was found is kept in
    the cache, one file for each corpus.

    Args:
        table: gets the columns ``duration``, ``sample_rate``, ``channels`` and ``sha256``
        folder: where the corpus is
    """
    paths = table.loc[table["reason"].isna(), "path"]
    found = _found(paths.tolist(), folder)
    columns = ["duration", "sample_rate", "channels", "sha256", "problem"]
    checked = pd.DataFrame([found[path] for path in paths], index=paths.index, columns=columns)
    problem = checked.pop("problem").reindex(table.index)
    table[checked.columns] = checked
    _reject(table, problem.notna(), problem)


def _found(paths: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """What is in each file, from the cache where the file is still the same."""
    settled = time.time_ns() - SETTLED * 10**9
    versions = {path: _version(path) for path in paths}
    kept = _recall(folder)
    found = {
        path: about for path, (version, about) in kept.items() if version == versions.get(path)
    }
    found |= _check_all([path for path in paths if path not in found])
    usable = {
        path: [versions[path], about]
        for path, about in found.items()
        if "problem" not in about and max(versions[path][1:]) < settled
    }
    if usable != kept:
        _remember(folder, usable)
    return found


def _version(path: str) -> list[int]:
    """Size and times of a file: any writer changes the last, even one that sets back the other."""
    try:
        about = os.stat(path)  # noqa: PTH116 a Path each takes longer than all the rest
    except OSError:  # a link to nowhere, which the check says better
        return [0, 0, 0]
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def _cache(folder: Path) -> Path:
    key = hashlib.sha256(f"{VERSION} {folder}".encode(errors="replace")).hexdigest()[:16]
    return cache_folder("checks") / f"{key}.json"


def _recall(folder: Path) -> dict[str, list[Any]]:
    """Version and content of each file that was found usable."""
    try:
        return json.loads(_cache(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _remember(folder: Path, usable: dict[str, list[Any]]) -> None:
    with contextlib.suppress(OSError):  # without a cache, the next call only takes longer
        write_file(_cache(folder), json.dumps(usable))


def _check_all(paths: list[str]) -> dict[str, dict[str, Any]]:
    parallel = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator", batch_size=32)
    checks = parallel(joblib.delayed(_check)(path) for path in paths)
    progress = bar(checks, total=len(paths), desc="checking", unit="clip")
    return dict(zip(paths, progress, strict=True))


def _check(path: str) -> dict[str, Any]:
    """What an audio file says of itself, or the ``problem`` with it."""
    try:
        with audio.opened(path) as clip:
            frames = _listen(clip)
            about = {
                "duration": frames / clip.sample_rate,
                "sample_rate": clip.sample_rate,
                "channels": clip.channels,
            }
        return {**about, "sha256": _sha256(path)}
    except (audio.AudioError, audio.UnusableError) as error:
        return {"problem": str(error)}
    except OSError as error:
        return {"problem": f"cannot be read ({error})"}


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def as_checked(path: str, sha256: str) -> Iterator[None]:
    """Make sure that a clip which is read meanwhile is still the file that was checked.

    Args:
        path: of the clip
        sha256: that it had then

    Raises:
        CorpusError: if it cannot be read any more, or changed
    """
    try:
        yield
        if _sha256(path) != sha256:  # after it was read, as when it was checked
            raise audio.UnusableError("it changed meanwhile")
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{path} can no longer be used ({error}): run the same again, which checks it anew."
        ) from error


def _listen(clip: audio.Audio) -> int:
    """Decode a clip block by block; the number of its frames."""
    _refuse_long(clip.frames, clip.sample_rate)
    signal, clipped = audio.Signal(), 0
    for block in clip.blocks:
        signal.add(audio.mono(block))
        _refuse_long(signal.frames, clip.sample_rate)  # whatever the header said
        magnitude = np.abs(block)
        full = (magnitude >= FULL_SCALE[0]) & (magnitude <= FULL_SCALE[1])
        clipped += int(np.count_nonzero(full))
    signal.refuse_useless(clip)
    share = clipped / (signal.frames * clip.channels)
    if share > CLIPPED:
        raise audio.UnusableError(
            f"is clipped: {100 * share:.1f} % of its samples are at full scale"
        )
    return signal.frames


def _refuse_long(frames: int, sample_rate: int) -> None:
    if frames > LONGEST * sample_rate:
        minutes = f"{LONGEST / 60:.0f} minutes"
        raise audio.UnusableError(f"lasts over {minutes}, too long for one rating: cut it up")
