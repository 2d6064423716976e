"""The labels of a corpus, a row a clip, under the project's column names.

They come from a known corpus (see `layouts`) or from a labels table. Whether the ratings and the
audio can be used is decided in `checks`.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.corpora import layouts
from helpers.corpora.errors import CorpusError

#: Names of each column in labels tables, see `_plain`; the first is the project's.
COLUMNS: dict[str, list[str]] = layouts.KNOWN["columns"]

#: What is written where no speaker is known, in lower case.
NOBODY: list[str] = layouts.KNOWN["nobody"]["words"]

#: Names of the parts of an official split, by their first letters in lower case.
PARTS = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}

#: Rating scales in use, the narrowest first: pleasure from -1 to 1 (Russell & Mehrabian 1977) and
#: self-assessment manikins from 1 to 5 (IEMOCAP) or 1 to 7 (MSP-Podcast).
SCALES = ((-1.0, 1.0), (1.0, 5.0), (1.0, 7.0))


def read(
    files: layouts.Files, source: Path, scale: tuple[float, float] | None
) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    """Read the labels of a corpus.

    Ratings in a table are preferred to emotions in files' names. Those come with speakers, and are
    preferred to emotions in a table.

    Args:
        files: what is in the folder
        source: the corpus as the user named it, for error messages
        scale: lowest and highest possible rating, None to find it

    Returns:
        the labels, a row a clip; the name of their source; and attributes of `corpora.Corpus`
        (``labels``, ``scale``, and for a known corpus ``layout``, ``citation`` and ``licence``)

    Raises:
        CorpusError: if there are no labels, or several tables or columns that may be meant
    """
    known = layouts.recognise(files)
    if known and known[0].labels != "categorical":
        return _of_layout(*known, scale)
    tables, problems = _tables(files)
    if known:
        tables = {name: table for name, table in tables.items() if "valence" in table}
        if not tables:
            return _of_layout(*known, scale)
    name, table = _only(tables, problems, source)
    labels = "rated" if "valence" in table else "categorical"
    table = _completed(table)
    scale = scale or (_scale(table, files.folder / name) if labels == "rated" else (1.0, 5.0))
    return table, name, {"labels": labels, "scale": scale}


def _of_layout(
    layout: layouts.Layout, table: pd.DataFrame, scale: tuple[float, float] | None
) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    about = {each: getattr(layout, each) for each in ("labels", "citation", "licence")}
    about |= {"layout": layout.name, "scale": scale or layout.scale}
    return _completed(table.astype({"file": str})), layout.name, about


def _tables(files: layouts.Files) -> tuple[dict[str, pd.DataFrame], list[tuple[int, str]]]:
    """The labels tables; for each other table, the number of missing columns and the problem."""
    tables, problems = {}, []
    for name in files.tables:
        path = files.folder / name
        try:
            columns = _read_csv(path, nrows=0).columns
            if missing := _missing(columns):
                names = " and one ".join(map(" or ".join, missing.values()))
                sentence = (
                    f"{path} has no column of {' or '.join(missing)}: name one {names} "
                    f"(its columns are {', '.join(columns) or 'none'})."
                )
                problems.append((len(missing), sentence))
            else:
                tables[name] = _read_labels(path)
        except CorpusError as error:
            problems.append((0, str(error)))
    return tables, problems


def _missing(columns: pd.Index) -> dict[str, list[str]]:
    """The columns that a labels table needs and has not, and the names that they may have."""
    names = set(map(_plain, columns))
    # An emotion has a published valence.
    needed = {"file": COLUMNS["file"], "valence": COLUMNS["valence"] + COLUMNS["emotion"]}
    return {column: known for column, known in needed.items() if names.isdisjoint(known)}


def _plain(name: str) -> str:
    """The name of a column without case, blanks and punctuation."""
    return re.sub(r"[\W_]+", "", name.lower())


def _read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Every cell as text; comma, semicolon or tab, with or without Excel's byte-order mark."""
    try:
        with open(path, encoding="utf-8-sig") as lines:
            header = lines.readline()
        options |= {"sep": max(",;\t", key=header.count), "encoding": "utf-8-sig"}
        with warnings.catch_warnings(category=pd.errors.ParserWarning, action="error"):
            return pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False, **options)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:  # rows that are too long
        raise CorpusError(
            f"{path} is not a table that can be read ({str(error).strip()}): save it as CSV, UTF-8."
        ) from error


def _read_labels(path: Path) -> pd.DataFrame:
    """The table with the project's column names, its other columns as numbers where possible."""
    table = _read_csv(path)
    for column, known in COLUMNS.items():
        found = [name for name in table.columns if _plain(name) in known]
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


def _only(
    tables: dict[str, pd.DataFrame], problems: list[tuple[int, str]], source: Path
) -> tuple[str, pd.DataFrame]:
    if not (tables or problems):
        raise CorpusError(
            f"{source} has no labels table and is no known corpus: add a CSV with the columns "
            "file, valence and speaker."
        )
    if not tables:
        raise CorpusError(min(problems)[1])
    if len(tables) > 1:
        names = ", ".join(tables)
        raise CorpusError(f"{source} has {len(tables)} labels tables ({names}): keep one.")
    return next(iter(tables.items()))


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    """The same labels, with every column that the checks and `Corpus.clips` need."""
    if "speaker" not in table:
        table["speaker"] = ""
    speaker = table["speaker"].fillna("").astype(str).str.strip()
    table["speaker"] = speaker.mask(speaker.str.lower().isin(NOBODY), None)
    if "valence" in table:
        table["as written"] = table["valence"].fillna("").astype(str).str.strip()
        point = table["as written"].str.replace(",", ".")
        table["valence"] = pd.to_numeric(point, errors="coerce")
    else:
        table["as written"] = table["emotion"].str.strip()
        table["valence"] = table["emotion"].map(layouts.valence)
    if "split" in table:
        written = table["split"].fillna("").astype(str).str.strip().str.lower()
        table["split"] = written.str.extract(f"^({'|'.join(PARTS)})", expand=False).map(PARTS)
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
