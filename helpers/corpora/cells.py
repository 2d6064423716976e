"""Every cell of a table as text: CSV, JSON or a workbook, as people's programs write them.

What the columns and cells mean is found out in `tables`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import audio
from helpers.corpora.columns import present
from helpers.corpora.errors import CorpusError

#: What stands between the cells of a row.
SEPARATORS = ",;\t|"

#: Lines at the beginning of a table among which the names of columns are looked for.
TITLE = 10


def cells_of(path: Path) -> pd.DataFrame:
    """Every cell of a table as text, without blank rows.

    Raises:
        CorpusError: if the file cannot be read as a table
    """
    suffix = path.suffix.lower()
    try:
        with open(path, "rb") as file:
            pointer = file.read(len(audio.LFS)) == audio.LFS
        if pointer:
            raise CorpusError(
                f"{path} is a git-lfs pointer and not the table itself: run `git lfs pull`."
            )
        if suffix.startswith(".xls"):
            cells = pd.read_excel(path, dtype=str, keep_default_na=False)
        else:
            cells = _json(path, suffix) if suffix.startswith(".json") else _csv(path)
    except CorpusError:
        raise
    except ImportError as error:
        raise CorpusError(f"{path} is a workbook: save it as CSV.") from error
    except Exception as error:  # pandas raises whatever damaged bytes make its readers raise
        raise CorpusError(
            f"{path} is not a table that can be read ({' '.join(str(error).split())}): save it as "
            "CSV, UTF-8."
        ) from error
    names = [str(name).strip() or f"Unnamed: {n}" for n, name in enumerate(cells.columns)]
    again = [names[:n].count(name) for n, name in enumerate(names)]
    unique = [f"{name}.{n}" if n else name for name, n in zip(names, again, strict=True)]
    text = cells.astype(object).where(cells.notna(), "").map(str).set_axis(unique, axis=1)
    filled = text != ""
    nameless = text.columns.str.startswith("Unnamed: ") & ~filled.any()
    return text.loc[filled.any(axis=1), ~nameless].reset_index(drop=True)


def _csv(path: Path) -> pd.DataFrame:
    """Comma, semicolon, tab or bar, with or without Excel's byte-order mark and its ``sep=;``."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = list(file)
    start = _filled(lines, 0)
    told = re.fullmatch(r"\"?sep=(.)\"?\s*", "".join(lines[start : start + 1]))
    start = _filled(lines, start + 1) if told else start
    if start == len(lines):
        raise CorpusError(
            f"{path} is empty: fill it, or remove it (an archive that it is from may be damaged)."
        )
    _refuse_title(lines[start:], start, path)
    separator = told[1] if told else _separator(lines[start])
    (first, names), *rows = _rows(["\n"] * start + lines[start:], separator, path)
    for number, row in rows:
        if "".join(row[len(names) :]).strip():
            r = " (or, in R, write it with row.names = FALSE)" * (len(row) == len(names) + 1)
            raise CorpusError(
                f"{path} has more cells in line {number} than names of columns in line {first}: "
                f"put each cell that has a {separator!r} in quotes{r}."
            )
    cells = [[*row, *[""] * len(names)][: len(names)] for _, row in rows]
    return pd.DataFrame(cells, columns=names, dtype=object)


def _filled(lines: list[str], start: int) -> int:
    """The number of the first line from a number on that is not blank, or that of all lines."""
    filled = (n for n, line in enumerate(lines) if n >= start and line.strip(f'{SEPARATORS}" \r\n'))
    return next(filled, len(lines))


def _rows(lines: list[str], separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that is not blank, and the number of its line.

    Raises:
        CorpusError: if a quote is not closed in its cell, which then holds the next rows, too
    """
    reader, first = csv.reader(lines, delimiter=separator), 1
    try:
        for row in reader:
            last = reader.line_num
            if last > first or last == len(lines):
                list(csv.reader(lines[first - 1 : last], delimiter=separator, strict=True))
            if "".join(row).strip():
                yield first, row
            first = last + 1
    except csv.Error as error:
        raise CorpusError(
            f"{path} has a quote in line {first} that is never closed, so that other rows become "
            "part of its cell: close or remove it."
        ) from error


def _separator(line: str) -> str:
    """What separates the most columns of known names, or else the most."""
    return max(SEPARATORS, key=lambda each: (len(present(line.split(each))), line.count(each)))


def _refuse_title(lines: list[str], start: int, path: Path) -> None:
    """Refuse lines above the names of columns, such as a title."""
    known = [present(line.split(_separator(line))) for line in lines[:TITLE]]
    complete = ["file" in each and bool(each & {"valence", "emotion"}) for each in known]
    if True in complete[1:] and not complete[0]:
        line = start + complete.index(True) + 1
        raise CorpusError(
            f"{path} has the names of its columns in line {line}: remove the lines above it."
        )


def _json(path: Path, suffix: str) -> pd.DataFrame:
    """Records, columns or lines, or an object with the files as keys."""
    options: dict[str, Any] = {"dtype": False, "convert_dates": False, "convert_axes": False}
    options["precise_float"] = True
    if suffix == ".jsonl":
        return pd.read_json(path, lines=True, **options)
    cells = pd.read_json(path, **options)
    if "file" in present(cells.columns):
        return cells
    turned = pd.read_json(path, orient="index", **options)
    return turned if "file" in present(turned.columns) else turned.rename_axis("file").reset_index()
