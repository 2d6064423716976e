"""Any rated speech as one table.

`load` takes a folder or a zip with audio and a table of labels, checks every clip, and returns a
`Corpus`. What comes after sees only that, so a new kind of corpus touches this module alone. Audio
is checked here but not kept: `features` reads it again.

From a terminal, ``python -m helpers.corpora [PATH]`` says what is in a corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import stat
import sys
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import joblib
import numpy as np
import pandas as pd
import soundfile

from helpers import downloads, layouts
from helpers.progress import bar
from helpers.settings import PROJECT, cache_folder

DEMO = PROJECT / "data" / "demo_speech.zip"

TABLES = {".csv", ".tsv"}
KEPT = layouts.AUDIO | TABLES | {".txt"}  # what is looked at; IEMOCAP's labels are text

#: Names under which labels tables carry each column, compared in lower case; the first is ours.
COLUMNS = {
    "file": ("file", "filename", "file_name", "path", "file_id", "clip", "wav", "audio"),
    "valence": ("valence", "val", "emoval"),
    "speaker": ("speaker", "speaker_id", "spkrid", "actor", "actor_id"),
    "emotion": ("emotion", "label", "emoclass", "category"),
    "split": ("split", "partition", "split_set"),
}

#: Names of the parts of an official split, by how they begin in lower case.
PARTS = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}

#: What the kinds of labels are, in words.
LABELS = {
    "rated": "ratings of valence",
    "perceived": "mean valence of the emotions that listeners chose",
    "categorical": "one valence for each emotion category, nobody's rating",
}

#: Rating scales in use, the narrowest first: pleasure from -1 to 1 (Russell & Mehrabian 1977) and
#: self-assessment manikins from 1 to 5 (IEMOCAP) or 1 to 7 (MSP-Podcast).
SCALES = ((-1.0, 1.0), (1.0, 5.0), (1.0, 7.0))

#: Standard deviation under which a clip holds nothing to hear: -80 dB of full scale, three
#: quantisation steps of a 16-bit recording.
SILENCE = 1e-4


class CorpusError(ValueError):
    """A corpus that cannot be used; the message names the file and the mend."""


@dataclass(frozen=True)
class Corpus:
    """Rated speech.

    Attributes:
        name: short name, used for folders of figures and results
        scale: lowest and highest possible rating
        clips: a row a clip: ``file`` (as the labels table names it), ``path`` (where the audio
            is), ``valence`` (on ``scale``), ``speaker`` (missing where unknown), ``duration``
            (seconds), ``sample_rate`` (Hz), ``channels``, the other columns of the labels (among
            them perhaps ``emotion``, and ``split``: train, validation or test, as the corpus's
            authors divided it), and ``sha256`` (of the audio file)
        rejected: a row a clip that cannot be used: ``file``, ``path`` (missing where there is no
            such file) and ``reason``
        layout: name of the known corpus (see `layouts`), or ``"labels table"``
        labels: ``"rated"``, ``"perceived"`` or ``"categorical"``, see `layouts.Layout`
        citation: the paper to cite, where known
        licence: the terms of use, where known

    See: notebooks/01_exploration.ipynb
    """

    name: str
    scale: tuple[float, float]
    clips: pd.DataFrame
    rejected: pd.DataFrame
    layout: str = "labels table"
    labels: str = "rated"
    citation: str = ""
    licence: str = ""

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any clip, rating or speaker, and the scale."""
        content = self.clips[["file", "valence", "speaker", "sha256"]].to_csv(index=False)
        return hashlib.sha256(f"{self.scale}\n{content}".encode()).hexdigest()[:16]


def load(source: str | Path | None = None, *, scale: tuple[float, float] | None = None) -> Corpus:
    """Read a corpus of rated speech.

    Args:
        source: a folder or a zip file with audio (wav, flac, ogg or mp3, at any depth), which is
            either a known corpus (see `layouts.LAYOUTS`) or has one labels table (CSV or TSV) with
            a column of file names, a column of valence ratings and perhaps others, under the names
            in `COLUMNS`. Without ratings, a column of emotions gives each category's published
            valence. Where nothing has that name, one of `downloads.CORPORA`, downloaded on first
            use. None is the bundled demo corpus
        scale: lowest and highest possible rating; None takes the narrowest of `SCALES` that holds
            nine in ten ratings

    Returns:
        the corpus, its clips in the order of the labels table

    Raises:
        CorpusError: if the source, its labels table or every one of its clips cannot be used. A
            bad clip or rating among good ones is listed in `Corpus.rejected` instead

    Examples:
        >>> corpus = load()
        >>> corpus.name, corpus.scale, len(corpus.clips)
        ('demo', (1.0, 5.0), 360)

    See: notebooks/01_exploration.ipynb
    """
    source = DEMO if source is None else Path(source).expanduser()
    if not source.exists():
        source = _downloaded(str(source))
    folder = source if source.is_dir() else _unpacked(source)
    try:
        return _corpus(folder, source, scale)
    except CorpusError as error:  # name files as the user knows them: in the zip, not in the cache
        raise CorpusError(str(error).replace(str(folder), str(source))) from error


def _downloaded(name: str) -> Path:
    """Path of the zip of a corpus that `downloads` knows."""
    if name.lower() not in downloads.CORPORA:
        raise CorpusError(
            f"{name} does not exist: name a folder or a zip file of rated speech, or a corpus that "
            f"can be downloaded ({', '.join(downloads.CORPORA)})."
        )
    try:
        return downloads.fetch(name)
    except downloads.DownloadError as error:
        raise CorpusError(str(error)) from error


def _corpus(folder: Path, source: Path, scale: tuple[float, float] | None) -> Corpus:
    paths = layouts.files(folder, KEPT)
    table, where, about = _labels(folder, paths, source, scale)
    table["reason"] = pd.Series(None, index=table.index, dtype=object)
    _check_ratings(table, about["scale"], categorical=about["labels"] == "categorical")
    _find_audio(table, folder, paths)
    _check_repeats(table)
    _check_audio(table)
    usable = table["reason"].isna()
    if not usable.any():
        raise CorpusError(f"{source} has no usable clip: {_why_none(table, where)}.")
    first = ["file", "path", "valence", "speaker", "duration", "sample_rate", "channels"]
    last = ["sha256"]
    others = [c for c in table.columns if c not in [*first, *last, "reason"]]
    clips = table.loc[usable, first + others + last].reset_index(drop=True)
    return Corpus(
        name="demo" if source == DEMO else _name(source),
        clips=clips.astype({"duration": float, "sample_rate": int, "channels": int}),
        rejected=table.loc[~usable, ["file", "path", "reason"]].reset_index(drop=True),
        **about,
    )


def _name(source: Path) -> str:
    name = re.sub(r"[^\w-]+", "_", source.stem if source.is_file() else source.resolve().name)
    return "demo_" if name == "demo" else name  # figures/demo and report/demo belong to DEMO


def _why_none(table: pd.DataFrame, where: str) -> str:
    if table.empty:
        return f"{where} has no rows"
    first = table.iloc[0]
    return f"{where} lists {len(table)}, the first of them {first.file}, {first.reason}"


# Archives


def _unpacked(source: Path) -> Path:
    """Folder in the cache with the audio and the tables of a zip file, unpacked once."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            for member in members:
                _refuse_unsafe(member, source)
            content = "\n".join(f"{m.filename} {m.file_size} {m.CRC}" for m in members)
            key = hashlib.sha256(content.encode(errors="replace")).hexdigest()[:16]
            folder = cache_folder("corpora") / f"{_name(source)}-{key}"
            if not folder.exists():
                _unpack(archive, members, folder)
            return folder
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CorpusError(
            f"{source} is not a zip file that can be read ({error}): make or download it again."
        ) from error


def _refuse_unsafe(member: zipfile.ZipInfo, source: Path) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    absolute = name.is_absolute() or re.match("[A-Za-z]:", member.filename)
    link = stat.S_ISLNK(member.external_attr >> 16)
    if absolute or ".." in name.parts or link:
        raise CorpusError(
            f"{source} holds {member.filename!r}, which would land outside its folder: "
            "make the zip again without links and with paths that stay inside it."
        )
    if member.flag_bits & 0x1:
        raise CorpusError(
            f"{source} is encrypted: unpack it with its password and name the folder instead."
        )


def _unpack(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> None:
    """Unpack beside `folder`, then rename, so that a killed run leaves no half of it."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    wanted = [m for m in members if Path(m.filename).suffix.lower() in KEPT]
    for member in bar(wanted, desc="unpacking", unit="file"):
        target = partial / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            try:
                with archive.open(member) as packed:
                    shutil.copyfileobj(packed, out)
            except (zipfile.BadZipFile, zlib.error, EOFError):
                out.truncate(0)  # a damaged clip is then rejected as unreadable, like any other
    try:
        os.replace(partial, folder)
    except OSError:
        shutil.rmtree(partial)
        if not folder.exists():  # else another run was faster, and its files are the same
            raise


# Labels


def _labels(
    folder: Path, paths: list[Path], source: Path, scale: tuple[float, float] | None
) -> tuple[pd.DataFrame, str, dict]:
    """Labels, the name of where they were, and what `Corpus` says of them."""
    known = layouts.recognise(folder, paths)
    if known and known[0].labels != "categorical":
        return _known_labels(*known, scale)
    tables = {path: _missing_columns(path) for path in paths if path.suffix.lower() in TABLES}
    if known and all(tables.values()):  # a complete table says more than emotions in files' names
        return _known_labels(*known, scale)
    path = _labels_path(tables, folder, source)
    table = _read_labels(path)
    labels = "rated" if "valence" in table else "categorical"
    table = _completed(table)
    scale = scale or (_scale(table, path) if labels == "rated" else (1.0, 5.0))
    return table, path.name, {"labels": labels, "scale": scale}


def _known_labels(
    layout: layouts.Layout, table: pd.DataFrame, scale: tuple[float, float] | None
) -> tuple[pd.DataFrame, str, dict]:
    about = {
        "layout": layout.name,
        "labels": layout.labels,
        "citation": layout.citation,
        "licence": layout.licence,
        "scale": scale or layout.scale,
    }
    return _completed(table.astype({"file": str})), layout.name, about


def _labels_path(tables: dict[Path, list[str]], folder: Path, source: Path) -> Path:
    """The one table with all the columns of a labels table; each comes with those it lacks."""
    if not tables:
        raise CorpusError(
            f"{source} has no labels table and is no known corpus: add a CSV with the columns "
            "file, valence and speaker."
        )
    complete = [path for path, missing in tables.items() if not missing]
    if not complete:
        path = min(tables, key=lambda path: len(tables[path]))
        raise CorpusError(
            f"{path} has no column of {' or '.join(tables[path])}: name one "
            + " and one ".join(" or ".join(COLUMNS[column]) for column in tables[path])
            + f" (its columns are {', '.join(_read_csv(path, nrows=0).columns) or 'none'})."
        )
    if len(complete) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in complete)
        raise CorpusError(f"{source} has {len(complete)} labels tables ({names}): keep one.")
    return complete[0]


def _read_csv(path: Path, **options) -> pd.DataFrame:
    """Every cell as text; comma, semicolon or tab, with or without Excel's byte-order mark."""
    try:
        with open(path, encoding="utf-8-sig") as lines:
            header = lines.readline()
        separator = max(",;\t", key=header.count)
        return pd.read_csv(
            path, sep=separator, dtype=str, encoding="utf-8-sig", keep_default_na=False, **options
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{path} is not a table that can be read ({str(error).strip()}): save it as CSV, UTF-8."
        ) from error


def _missing_columns(path: Path) -> list[str]:
    names = {name.strip().lower() for name in _read_csv(path, nrows=0).columns}
    has = {column for column, known in COLUMNS.items() if names & set(known)}
    if "emotion" in has:
        has.add("valence")  # which can be had from it
    return [column for column in ("file", "valence") if column not in has]


def _read_labels(path: Path) -> pd.DataFrame:
    """The labels table with our column names, its other columns as numbers where all are."""
    table = _read_csv(path)
    for column, known in COLUMNS.items():
        found = [name for name in table.columns if name.strip().lower() in known]
        if len(found) > 1:
            raise CorpusError(
                f"{path} has {len(found)} columns of {column} ({', '.join(found)}): keep one."
            )
        table = table.rename(columns={name: column for name in found})
    for column in table.columns.difference(list(COLUMNS)):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.notna().all():
            table[column] = numbers
    return table


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    """Labels with every column that the checks and `Corpus.clips` want."""
    table = table.copy()
    if "speaker" not in table:
        table["speaker"] = ""
    table["speaker"] = table["speaker"].fillna("").astype(str).str.strip().replace("", None)
    if "valence" in table:
        table["as written"] = table["valence"].fillna("").astype(str).str.strip()
        comma = table["as written"].str.replace(",", ".")
        table["valence"] = pd.to_numeric(comma, errors="coerce")
    else:
        table["as written"] = table["emotion"].str.strip()
        table["valence"] = table["emotion"].map(layouts.valence)
    if "split" in table:
        written = table["split"].fillna("").astype(str).str.strip().str.lower()
        table["split"] = written.map(
            lambda part: next((PARTS[start] for start in PARTS if part.startswith(start)), None)
        )
    return table


def _scale(table: pd.DataFrame, labels: Path) -> tuple[float, float]:
    ratings = table["valence"].dropna()
    if ratings.empty:
        raise CorpusError(f"{labels} has no rating that is a number: fill its column of valence.")
    for low, high in SCALES:
        if ratings.between(low, high).mean() >= 0.9:
            return low, high
    scales = ", ".join(f"{low:g} to {high:g}" for low, high in SCALES)
    raise CorpusError(
        f"{labels} has ratings from {ratings.min():g} to {ratings.max():g}, which fit none of the "
        f"known scales ({scales}): rescale them, or call load with scale=(low, high)."
    )


# Clips


def _reject(table: pd.DataFrame, rows: pd.Series, reason: pd.Series | str) -> None:
    """Give a reason to the rows that have none yet."""
    rows = rows & table["reason"].isna()
    table.loc[rows, "reason"] = reason if isinstance(reason, str) else reason[rows]


def _check_ratings(table: pd.DataFrame, scale: tuple[float, float], *, categorical: bool) -> None:
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


def _find_audio(table: pd.DataFrame, folder: Path, paths: list[Path]) -> None:
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


def _check_repeats(table: pd.DataFrame) -> None:
    """Keep the first of rows that say the same of a file, none of those that disagree."""
    listed = table["path"].notna() & table["reason"].isna()
    by_path = table[listed].groupby("path")["valence"]
    disagree = by_path.transform("nunique").gt(1).reindex(table.index, fill_value=False)
    _reject(table, disagree, "is listed with different ratings")
    _reject(table, listed & table.duplicated("path"), "is listed more than once")


def _check_audio(table: pd.DataFrame) -> None:
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


# What is in this corpus


def summary(corpus: Corpus) -> pd.Series:
    """What one wants to know of a corpus before working with it.

    Returns:
        a value a line: layout, kind of labels, clips, rejected, speakers, hours, scale, ratings,
        durations (seconds), sampling rates (Hz), official split, and citation and licence if known

    See: notebooks/01_exploration.ipynb
    """
    clips = corpus.clips
    low, high = corpus.scale
    split = clips["split"].value_counts() if "split" in clips else {}
    lines = {
        "layout": corpus.layout,
        "labels": LABELS[corpus.labels],
        "clips": f"{len(clips)}",
        "rejected": f"{len(corpus.rejected)}",
        "speakers": f"{clips['speaker'].nunique() or 'unknown'}",
        "hours": f"{clips['duration'].sum() / 3600:.2f}",
        "rating scale": f"{low:g} to {high:g}",
        "ratings": _spread(clips["valence"]),
        "durations (s)": _spread(clips["duration"]),
        "sampling rates (Hz)": ", ".join(map(str, sorted(clips["sample_rate"].unique()))),
        "official split": ", ".join(f"{part} {n}" for part, n in split.items()) or "none",
        "citation": corpus.citation,
        "licence": corpus.licence,
    }
    return pd.Series({name: line for name, line in lines.items() if line}, name=corpus.name)


def _spread(values: pd.Series) -> str:
    return f"{values.min():.2f} to {values.max():.2f}, median {values.median():.2f}"


def main(arguments: list[str] | None = None) -> int:
    """Print the summary of a corpus; 0, or 2 with one sentence if it cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m helpers.corpora", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder, zip or name; left out, the demo corpus")
    try:
        corpus = load(parser.parse_args(arguments).path)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 2
    for name, line in summary(corpus).items():
        print(f"{name:20}{line}")
    counts, edges = np.histogram(corpus.clips["valence"], bins=8, range=corpus.scale)
    print("\nratings:")
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        print(f"{low:5.2f} to {high:5.2f} {'#' * round(40 * count / counts.max()):40} {count}")
    if len(corpus.rejected):
        print("\nrejected:")
        for reason, count in corpus.rejected["reason"].value_counts().items():
            print(f"{count:6} {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
