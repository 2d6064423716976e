"""Labels: which file says what of which clip, under the project's column names.

A known corpus (see `layouts`) says it in its own way; any other has one labels table. Whether the
ratings and the audio can be used is for `checks` to say.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from helpers import layouts
from helpers.errors import CorpusError

TABLES = {".csv", ".tsv"}

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

#: Rating scales in use, the narrowest first: pleasure from -1 to 1 (Russell & Mehrabian 1977) and
#: self-assessment manikins from 1 to 5 (IEMOCAP) or 1 to 7 (MSP-Podcast).
SCALES = ((-1.0, 1.0), (1.0, 5.0), (1.0, 7.0))


def read(
    folder: Path, paths: list[Path], source: Path, scale: tuple[float, float] | None
) -> tuple[pd.DataFrame, str, dict]:
    """Read the labels of a corpus.

    Args:
        folder: where the corpus is
        paths: the audio, tables and texts in it, see `layouts.files`
        source: the corpus as the user named it, for error messages
        scale: lowest and highest possible rating, None to find it

    Returns:
        the labels, a row a clip; the name of what they were read from; and what `corpora.Corpus`
        says of them (``labels``, ``scale``, and of a known corpus ``layout``, ``citation`` and
        ``licence``)

    Raises:
        CorpusError: if there are no labels, or they are not clear
    """
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
