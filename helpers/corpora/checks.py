"""Which clips can be used, and the reason for each clip that cannot.

Every function takes the labels, a row a clip, and fills the column ``reason`` of the rows that fail
its check; the first reason stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import audio
from helpers.corpora.errors import CorpusError
from helpers.corpora.layouts import PLEASURE
from helpers.progress import bar
from helpers.storage import cache_folder, digest, hash_of_file, write_file

#: Seconds beyond which one rating cannot describe a clip. Rated utterances last seconds, those of
#: MSP-Podcast at most 11; ten minutes are a conversation.
LONGEST = 600

#: Magnitudes of samples at full scale; in files of floats, those beyond 1 are not clipped.
FULL_SCALE = (0.999, 1.0)

#: The lower of them in the 8-bit forms of telephones, whose largest are 0.9803 and 0.9844.
TELEPHONE = {"ULAW": 0.98, "ALAW": 0.98}

#: Peak of floats beyond which full scale is not 1.
HIGHEST = 2.0

#: Share of samples at full scale from which a clip is rejected. Amplitudes of speech are about
#: Laplacian, so that 1 % means a root mean square 10 dB below full scale, 12 dB over the level that
#: RFC 7874 recommends. Loud recordings stay: in RAVDESS, which has shouting, 0.05 % is the most.
CLIPPED = 0.01

#: Seconds of the frames whose power is compared to find where speech begins and ends.
FRAME = 0.02

#: Power below which a frame before or after the speech is quiet, as a share of the power that one
#: frame in twenty exceeds: 40 dB less.
QUIET = 1e-4

#: Seconds since its last change after which a file of the same size and times counts as unchanged:
#: the resolution of the coarsest clock of a file system, FAT's.
SETTLED = 2

#: Hashes of an audio file, and of its samples, whatever the format that holds them.
HASHES = ("sha256", "samples_sha256")

#: What is found of each audio file.
FOUND = ("duration", "sample_rate", "channels", *HASHES)

#: What only the checks need, too: seconds around its speech that are `QUIET`, and the largest
#: magnitude of a sample.
ABOUT = ("quiet", "peak")

#: A number whose comma may stand before decimals or between thousands, as the one of 1,000.
UNCLEAR = r"[+-]?[1-9]\d{0,2},\d{3}"

#: Changes whenever a file that was accepted could now be rejected or described differently.
VERSION = 6


def ratings(table: pd.DataFrame, scale: tuple[float, float], *, categorical: bool) -> None:
    """Reject rows without a rating, and ratings that are not numbers or are outside the scale."""
    low, high = scale
    outside = f", which is outside the scale {low:g} to {high:g}"
    written = table.pop("as written")
    valence = table["valence"]
    _reject(table, written == "", "has no rating")
    unclear = valence.isna() & written.str.fullmatch(UNCLEAR)
    of_comma = "', whose comma may mark thousands or decimals: write a decimal point, or no comma"
    _reject(table, unclear, "has the rating '" + written + of_comma)
    if categorical:
        known = ", ".join(PLEASURE)
        reason = "has the emotion '" + written + f"', whose valence is not known ({known} are)"
    else:
        reason = "has the rating '" + written + "', which is not a number"
    _reject(table, valence.isna(), reason)
    _reject(table, ~valence.between(low, high), "has the rating " + written + outside)


def repeats(table: pd.DataFrame) -> None:
    """Keep the first of several rows about a file, or none if their ratings differ."""
    listed = table["path"].notna() & table["reason"].isna()
    different = table[listed].groupby("path")["valence"].transform("nunique")
    how = (
        "emotions of several raters are not averaged, so write their valence as numbers"
        if "rater" in table
        else "if several listeners gave them, add a column rater"
    )
    differ = f"is listed with different ratings: {how}"
    _reject(table, different.reindex(table.index) > 1, differ)
    speakers = table[listed].groupby("path")["speaker"].transform("nunique")
    again = listed & table.duplicated("path")
    _reject(table, again & (speakers > 1), "is listed more than once, with different speakers")
    _reject(table, again, "is listed more than once")


def _reject(table: pd.DataFrame, rows: pd.Series, reason: pd.Series | str) -> None:
    """Give a reason to the rows that have none yet."""
    table.loc[rows & table["reason"].isna(), "reason"] = reason


def audio_files(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Add facts about the audio files, and reject those that cannot be used.

    A usable file is not decoded again until it changes: the facts are kept in the cache, in one
    file for each corpus.

    Args:
        table: gets the columns `FOUND`
        folder: where the corpus is

    Returns:
        a row a clip, missing for those that cannot be used: ``quiet``, the seconds before and after
        the speech, together, that are `QUIET`; and ``peak``, the largest magnitude of a sample
    """
    paths = table.loc[table["reason"].isna(), "path"]
    found = _found(paths.tolist(), folder)
    columns = [*FOUND, *ABOUT, "problem"]
    facts = [found[path] for path in paths]
    table[columns] = pd.DataFrame(facts, index=paths.index, columns=columns)
    problems = table.pop("problem")
    _reject(table, problems.notna(), problems)
    about = pd.DataFrame({name: table.pop(name) for name in ABOUT})
    _copies(table, folder)
    return about.astype(float).where(table["reason"].isna())


def _copies(table: pd.DataFrame, folder: Path) -> None:
    """Keep the first of several files with the same samples, or none if their ratings differ."""
    same = table.groupby(table["samples_sha256"].where(table["reason"].isna()))
    first, last = same["path"].transform("first"), same["path"].transform("last")
    copy = first.notna() & (table["path"] != first)
    below = f"{folder}/"  # where parts of recordings are not
    names = table["path"].str.removeprefix(below)
    names = names.where(table["path"].str.startswith(below, na=False), table["file"])
    other = first.where(copy, last).map(dict(zip(table["path"], names, strict=True)))
    different = same["valence"].transform("nunique") > 1
    _reject(table, different, "has the same content as " + other + ", with a different rating")
    _reject(table, copy, "is the same clip as " + other + ", which is used")


def _found(paths: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Facts about each file, from the cache where the file is unchanged."""
    settled = time.time_ns() - SETTLED * 10**9
    versions = {path: file_version(path) for path in paths}
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


def file_version(path: str) -> list[int]:
    """Size and times of a file: any write changes the last, even if the other is set back."""
    try:
        about = os.stat(path)  # noqa: PTH116 a Path each takes longer than everything else here
    except OSError:  # a link to nowhere, which the check reports
        return [0, 0, 0]
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def _cache(folder: Path) -> Path:
    return cache_folder("checks") / f"{digest(f'{VERSION} {folder}')}.json"


def _recall(folder: Path) -> dict[str, list[Any]]:
    """Version of each usable file, and the facts about it."""
    # What it holds may be of another form, if another program wrote it.
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        kept = json.loads(_cache(folder).read_text(encoding="utf-8"))
        return {
            path: [version, about]
            for path, (version, about) in kept.items()
            if {*FOUND, *ABOUT} <= set(about)
        }
    return {}


def _remember(folder: Path, usable: dict[str, list[Any]]) -> None:
    with contextlib.suppress(OSError):  # without a cache, the next call only takes longer
        write_file(_cache(folder), json.dumps(usable))


def _check_all(paths: list[str]) -> dict[str, dict[str, Any]]:
    import joblib  # here, since it takes long

    parallel = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator", batch_size=32)
    checks = parallel(joblib.delayed(_check)(path) for path in paths)
    progress = bar(checks, total=len(paths), desc="checking", unit="clip")
    return dict(zip(paths, progress, strict=True))


def _check(path: str) -> dict[str, Any]:
    """Facts about an audio file, or the ``problem`` with it."""
    try:
        with audio.opened(path) as clip:
            frames, samples, *about = _decode(clip)
            return {
                "duration": frames / clip.sample_rate,
                "sample_rate": clip.sample_rate,
                "channels": clip.channels,
                "sha256": hash_of_file(path),
                "samples_sha256": samples,
                **dict(zip(ABOUT, about, strict=True)),
            }
    except (audio.UnusableError, OSError) as error:
        return {"problem": problem(error)}


def problem(error: audio.UnusableError | OSError) -> str:
    """Why a recording cannot be used; it goes on after its name."""
    if isinstance(error, audio.UnusableError):
        return str(error)
    return f"cannot be read ({error.strerror or error})"


def _decode(clip: audio.Audio) -> tuple[int, str, float, float]:
    """Decode and check a clip block by block; its samples' number and hash, and each of `ABOUT`."""
    _refuse_long(clip.least, clip.sample_rate)
    frames, clipping = 0, Clipping(clip.subtype)
    samples = hashlib.sha256(f"{clip.sample_rate} {clip.channels}".encode())
    size = max(1, round(FRAME * clip.sample_rate))
    power, rest = [], np.empty(0, np.float32)
    for block, y in audio.checked(clip):
        frames += len(block)
        _refuse_long(frames, clip.sample_rate)  # the header may be wrong
        clipping.add(block)
        samples.update(block.tobytes())
        y = np.concatenate([rest, y])
        whole, rest = np.split(y, [len(y) // size * size])
        power.append(np.square(whole, dtype=np.float64).reshape(-1, size).mean(axis=1))
    if clipping.problem:
        raise audio.UnusableError(clipping.problem)
    quiet = _around(np.concatenate(power)) * size / clip.sample_rate
    return frames, samples.hexdigest(), quiet, clipping.peak


class Clipping:
    """Counts the samples of a recording that are at full scale, block by block.

    Args:
        subtype: see `audio.Audio`

    Attributes:
        peak: the largest magnitude of a sample
    """

    def __init__(self, subtype: str = "") -> None:
        self._low = TELEPHONE.get(subtype, FULL_SCALE[0])
        self._full = self._samples = 0
        self.peak = 0.0

    def add(self, block: np.ndarray) -> None:
        """Count those of a block [samples, channels]."""
        magnitude = np.abs(block)
        full = (magnitude >= self._low) & (magnitude <= FULL_SCALE[1])
        self._full += int(np.count_nonzero(full))
        self._samples += block.size
        self.peak = max(self.peak, float(magnitude.max(initial=0)))

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Count those of blocks that are read elsewhere; the same blocks."""
        for block in blocks:
            self.add(block)
            yield block

    @property
    def problem(self) -> str:
        """Why what was counted is clipped; empty if it is not, see `CLIPPED`."""
        if self.peak > HIGHEST:
            return ""
        share = self._full / max(self._samples, 1)
        percent = f"{100 * share:.1f} %"
        return f"is clipped: {percent} of its samples are at full scale" if share > CLIPPED else ""


def _around(power: np.ndarray) -> int:
    """How many frames are before the first and after the last that is not `QUIET`."""
    loud = np.sort(power)[int(0.95 * len(power))]
    speech = np.flatnonzero(power >= QUIET * loud)
    return len(power) - int(speech[-1] - speech[0] + 1)


def _refuse_long(frames: int, sample_rate: int) -> None:
    if frames > LONGEST * sample_rate:
        minutes = f"{LONGEST / 60:.0f} minutes"
        raise audio.UnusableError(f"lasts over {minutes}, too long for one rating: cut it up")


@contextlib.contextmanager
def as_checked(path: str, sha256: str) -> Iterator[None]:
    """Make sure that a clip is still the file that was checked, while it is read.

    Args:
        path: of the clip
        sha256: hash of the file that was checked

    Raises:
        CorpusError: if the clip cannot be read any more, or changed
    """
    try:
        yield
        if hash_of_file(path) != sha256:  # after reading, as the check did
            raise audio.UnusableError("it changed meanwhile")
    except (OSError, audio.UnusableError) as error:
        raise CorpusError(
            f"{path} can no longer be used ({error}): run the same again to check it anew."
        ) from error
