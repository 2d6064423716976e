"""Labels tables as people write them, under the project's column names.

Which of several tables is meant, and what its labels mean, is decided in `labels`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.corpora.cells import cells_of
from helpers.corpora.checks import FOUND, UNCLEAR
from helpers.corpora.columns import (
    COLUMNS,
    DURATIONS,
    LIKE_RATER,
    LIKE_TIME,
    MILLISECONDS,
    NAMED_BY_R,
    NAMES,
    plain,
    predicted,
    present,
    rater_columns,
)
from helpers.corpora.errors import CorpusError
from helpers.corpora.layouts import NOBODY, Files, valence
from helpers.corpora.matching import Finder, matched

#: Columns that the project adds, see `corpora.Corpus`; a table's own keep another name.
OWN = ("path", *FOUND, "reason", "beside", "corpus", "labels")

#: Parts of an official split, by their first letters in lower case.
PARTS = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}


@dataclass
class Table:
    """A labels table.

    Attributes:
        rows: a row a clip: ``file``, ``valence`` or ``emotion`` (text), ``beside`` (the table's
            folder below the corpus's) and other columns
        raters: text, clips x raters, where several listeners' ratings are in the table
        notes: see `corpora.Corpus`
    """

    rows: pd.DataFrame
    raters: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def read(files: Files, finder: Finder) -> tuple[dict[str, Table], list[tuple[int, str, str]]]:
    """Read the labels tables in a folder.

    Args:
        files: what is in the folder
        finder: of these files

    Returns:
        the labels tables by name; and of each other table the number of missing columns, a sentence
        about the problem, and its name
    """
    tables, problems = {}, []
    for name in files.tables:
        path = files.folder / name
        try:
            cells = cells_of(path)
            missing, sentence = _missing(list(cells.columns), path)
            if missing:
                problems.append((missing, sentence, name))
            else:
                tables[name] = _table(cells, path, finder)
        except CorpusError as error:
            # Any JSON may lie in a folder; a CSV or a workbook is more likely to hold the labels.
            problems.append((2 if ".json" in path.suffix.lower() else 0, str(error), name))
    absent = [name for name, each in tables.items() if not any(map(finder.find, each.rows["file"]))]
    for name in absent if len(absent) < len(tables) else []:
        count = tables.pop(name).rows["file"].nunique()
        said = f"{files.folder / name} lists {count} files, none of which is in the corpus."
        problems.insert(0, (1, said, name))
    return tables, problems


def _missing(columns: list[str], path: Path) -> tuple[int, str]:
    """How many of the necessary columns are missing, and what to do about it."""
    if predicted(columns):
        return 1, f"{path} holds predictions, and ratings belong in a table of their own."
    has, wanted = present(columns), {}
    if "file" not in has:
        wanted["file"] = f"{', '.join(COLUMNS['file'][:4])} or the like"
    if not has & {"valence", "emotion"}:
        wanted["valence"] = "valence or else emotion, which has a published valence"
    sentence = (
        f"{path} has no column of {' or '.join(wanted)}: name one "
        f"{' and one '.join(wanted.values())} (its columns are {', '.join(columns) or 'none'})."
    )
    return len(wanted), sentence


def _table(cells: pd.DataFrame, path: Path, finder: Finder) -> Table:
    """A table under the project's names, its other columns as numbers where possible."""
    beside = path.relative_to(finder.folder).parent.as_posix()
    beside = "" if beside == "." else beside

    def found(name: str) -> str | None:
        clips = finder.find(name, beside)
        return clips[0] if clips else None

    meanings: dict[str, Callable[[pd.Series], pd.Series]] = {
        "file": lambda column: column.map(found),
        "valence": numbers,
        "emotion": lambda column: column.map(valence),
        "split": part_of_split,
    }
    _refuse_twice(cells, path)
    notes = _unread_times(cells.columns, path.name)
    cells = _with_ends(cells)
    times = [name for name in cells.columns if plain(name) in NAMES["start"] | NAMES["end"]]
    for column in COLUMNS:
        if column not in ("start", "end") or len(times) > 1:
            cells = _rename(cells, column, meanings.get(column, _codes), path)
    if (
        {"emotion", "valence"} <= set(cells)
        and numbers(cells["valence"]).isna().all()
        and cells["emotion"].map(valence).notna().any()
    ):
        cells = cells.rename(columns={"valence": "valence as written"})
    cells = cells.rename(columns={name: f"{name} as written" for name in OWN})
    single = rater_columns([name for name in cells.columns if name not in COLUMNS])
    notes += _assumed_commas(cells, ["valence", "start", "end", *single], path.name)
    table = Table(cells.copy())
    only = not {"valence", "emotion"} & set(cells)
    if single and (only or numbers(cells[single].stack()).notna().any()):
        table.raters = cells[single]
        table.notes += _taken_for_raters(single, path.name)
    elif {"rater", "valence"} <= set(cells):
        cells["file"] = _in_one_spelling(cells["file"], beside, finder)
        if cells["file"].duplicated().any():
            table = _row_by_rater(cells, path.name)
    if len(times) == 1:
        said = (
            f"{times[0]} of {path.name} is not used: a part of a recording has a start and an end"
        )
        table.notes += (said,)
    table.notes += notes
    if "split" in cells:
        table.notes += _unread_parts(cells["split"], path.name)
    if "speaker" in table.rows and "rater" not in table.rows:
        _refuse_listeners(table.rows, path)
    if table.raters is not None and "valence" not in table.rows:
        table.rows["valence"] = mean_rating(table.raters)
        table.notes += _unused_raters(cells, single, path.name)
    for column in table.rows.columns.difference(list(COLUMNS)):
        values = pd.to_numeric(table.rows[column], errors="coerce")
        if values.notna().all():
            table.rows[column] = values
    table.rows["beside"] = beside
    return table


def _taken_for_raters(columns: list[str], name: str) -> tuple[str, ...]:
    """A note of columns of raters whose names may be those that R gives to any column."""
    if not any(NAMED_BY_R(plain(each)) for each in columns):
        return ()
    return (f"{', '.join(columns)} of {name} are taken for ratings by {len(columns)} raters",)


def _unused_raters(cells: pd.DataFrame, single: list[str], name: str) -> tuple[str, ...]:
    """A note of columns of numbers that look like those of raters, by another form of name."""
    others = cells.columns.difference([*COLUMNS, *single], sort=False)
    alike = [each for each in others if LIKE_RATER(plain(each)) and numbers(cells[each]).any()]
    if not alike or not single:
        return ()
    return (
        f"{', '.join(alike)} of {name} is not used, as the raters' columns are those called like "
        f"{single[0]}: give it such a name if it is a rater's",
    )


def _refuse_twice(cells: pd.DataFrame, path: Path) -> None:
    """Refuse columns of one name, of which pandas calls the second ``name.1``, if they count."""
    for name in cells.columns:
        first = re.sub(r"\.\d+$", "", name)
        if (
            first != name
            and first in cells
            and any(plain(first) in known for known in NAMES.values())
        ):
            raise CorpusError(
                f"{path} has several columns called {first}: number them {first}_1, {first}_2 and "
                "so on if each is a rater's, and else keep one."
            )


def _unread_times(columns: Iterable[Any], name: str) -> tuple[str, ...]:
    """A note of columns that look like times, where none is known."""
    known_times = NAMES["start"] | NAMES["end"] | DURATIONS
    times = [column for column in columns if LIKE_TIME(plain(column))]
    if not times or known_times & set(map(plain, columns)):
        return ()
    return (
        f"{' and '.join(times)} of {name} are not used: if they say where a part of a recording "
        "is, call them start and end, in seconds",
    )


def _unread_parts(column: pd.Series, name: str) -> tuple[str, ...]:
    """A note of cells of an official split that are no part of one."""
    strange = column.map(known).where(part_of_split(column).isna()).dropna()
    if strange.empty:
        return ()
    return (
        f"{strange.size} of {len(column)} rows of {name} are in no part of the split, as "
        f"{strange.iloc[0]!r} is none of train, dev, val and test",
    )


def _refuse_listeners(rows: pd.DataFrame, path: Path) -> None:
    """Refuse a column of speakers that differ within most clips: they are listeners."""
    key = [name for name in ("file", "start", "end") if name in rows]
    speakers = rows["speaker"].map(known).groupby([rows[name] for name in key]).nunique()
    if (speakers > 1).mean() > 0.5:
        raise CorpusError(
            f"{path} has several rows for each clip, with different speakers: if they are those "
            "who listened, call that column rater."
        )


def _with_ends(cells: pd.DataFrame) -> pd.DataFrame:
    """The same cells, where a part of a recording has a start and a duration also with its end.

    An offset is an end where there is a start, and else a start. Milliseconds, which the name of a
    column tells, become seconds.
    """
    for name in cells.columns:
        if plain(name) in MILLISECONDS - DURATIONS:
            cells = cells.assign(**{name: _of_milliseconds(cells[name])})
    starts, ends, durations = (
        [name for name in cells.columns if plain(name) in names]
        for names in (NAMES["start"], NAMES["end"], DURATIONS)
    )
    if not starts and [plain(name) for name in ends] == ["offset"] and durations:
        starts, ends, cells = ["start"], [], cells.rename(columns={ends[0]: "start"})
    if ends or not starts or not durations:
        return cells
    duration = cells[durations[0]]
    if plain(durations[0]) in MILLISECONDS:
        duration = _of_milliseconds(duration)
    end = seconds(cells[starts[0]]).fillna(0.0) + seconds(duration)
    return cells.assign(end=_or_as_written(end, duration))


def _of_milliseconds(column: pd.Series) -> pd.Series:
    """Numbers of milliseconds as text in seconds, and what is no number as it is."""
    return _or_as_written(numbers(column) / 1000, column)


def _or_as_written(values: pd.Series, column: pd.Series) -> pd.Series:
    """Numbers as text, and the cell where there is none."""
    return values.astype(str).where(values.notna(), column)


def _rename(
    cells: pd.DataFrame, column: str, meaning: Callable[[pd.Series], pd.Series], path: Path
) -> pd.DataFrame:
    """Give a column its name in the project; of several, the one whose cells mean something."""
    candidates = [name for name in cells.columns if plain(name) in NAMES[column]]
    if not candidates:
        return cells
    chosen = candidates[0]
    if len(candidates) > 1:
        meanings = {name: meaning(cells[name]) for name in candidates}
        shares = {name: each.notna().mean() for name, each in meanings.items()}
        works = [name for name in candidates if shares[name] > max(shares.values()) / 2]
        works = works or candidates
        chosen = works[0]
        if not all(meanings[chosen].equals(meanings[name]) for name in works[1:]):
            raise CorpusError(
                f"{path} has {len(works)} columns of {column} ({', '.join(works)}): keep one."
            )
    if column != chosen and column in cells:
        cells = cells.rename(columns={column: f"{column} as written"})
    return cells.rename(columns={chosen: column})


def _codes(column: pd.Series) -> pd.Series:
    """Numbers that are the same where two columns tell the same rows apart."""
    codes = pd.Series(pd.factorize(column.map(known))[0], index=column.index)
    return codes.where(codes >= 0)


def known(written: object) -> str | None:
    """What a cell says, or None where it says that nothing is known."""
    text = str(written).strip()
    return None if text.casefold() in NOBODY else text


def with_points(column: pd.Series) -> pd.Series:
    """The same cells with decimal points for commas and a plain minus.

    “1,000” may be 1 or 1000. It stays where other cells speak for thousands, see `_comma`.
    """
    text = column.astype(str).str.strip().str.replace("−", "-")
    stays = text.str.fullmatch(UNCLEAR) & (_comma(text) == "thousands")
    return text.where(stays, text.str.replace(",", "."))


def _comma(text: pd.Series) -> str:
    """What other cells say of the comma in one such as “1,000”.

    It is ``"decimal"`` beside “2,5”, for ``"thousands"`` beside “2.5” or “750”, and else
    ``"unknown"``, which is read as a decimal one.
    """
    others = text[~text.str.fullmatch(UNCLEAR)]
    if others.str.fullmatch(r"([+-]|.*:)?\d*,\d*").any():
        return "decimal"
    values = pd.to_numeric(others, errors="coerce")
    points = others[values.notna()].str.contains(".", regex=False)
    return "thousands" if points.any() or values.abs().ge(10).any() else "unknown"


def _assumed_commas(cells: pd.DataFrame, columns: Iterable[str], name: str) -> tuple[str, ...]:
    """A note of each column of whose commas nothing says what they mean."""
    notes = []
    for column in cells.columns.intersection([*columns]):
        text = cells[column].astype(str).str.strip()
        unclear = text[text.str.fullmatch(UNCLEAR)]
        if len(unclear) and _comma(text) == "unknown":
            number = unclear.iloc[0]
            notes.append(
                f"{number} in {column} of {name} is read as {number.replace(',', '.')}, with a "
                "decimal comma"
            )
    return tuple(notes)


def numbers(column: pd.Series) -> pd.Series:
    """Numbers with a decimal point or comma, see `with_points`; NaN where there is none."""
    return pd.to_numeric(with_points(column), errors="coerce")


def seconds(column: pd.Series) -> pd.Series:
    """Seconds, also from times such as ``1:23.5`` or ``1.5 s``; NaN where there is none."""
    text = with_points(column)
    hours = text.mask(text.str.fullmatch(r"\d+:\d+(\.\d*)?"), "0:" + text)
    times = pd.to_timedelta(hours.where(text.str.contains(r"[:a-z]")), errors="coerce")
    return numbers(text).fillna(times.dt.total_seconds())


def all_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The same as `numbers` for every column; `DataFrame.apply` leaves empty tables as they are."""
    return pd.DataFrame({name: numbers(table[name]) for name in table}, index=table.index)


def part_of_split(column: pd.Series) -> pd.Series:
    """Train, validation or test, by the first letters of each cell."""
    written = column.fillna("").astype(str).str.strip().str.lower()
    return written.str.extract(f"^({'|'.join(PARTS)})", expand=False).map(PARTS)


def part_by_name(table: str) -> str | None:
    """The part of an official split that a table's name or else a folder tells, if one does."""
    part = re.compile("(train|dev|val|test)(ing|elopment|id|idation)?").fullmatch
    found = map(part, reversed(re.findall(r"[a-z]+", table.lower())))
    return next((PARTS[each[1]] for each in found if each), None)


def mean_rating(raters: pd.DataFrame) -> pd.Series:
    """The mean of several raters as text, or the first cell that is no number.

    Args:
        raters: text, clips x raters; not every rater needs to have rated every clip
    """
    text = raters.fillna("").astype(str).apply(lambda column: column.str.strip())
    values = all_numbers(text)
    wrong = text.where(values.isna() & ~text.apply(lambda c: c.str.casefold().isin(NOBODY)))
    mean = values.mean(axis=1)
    return wrong.bfill(axis=1).iloc[:, 0].fillna(mean.astype(str).where(mean.notna(), ""))


def _in_one_spelling(names: pd.Series, beside: str, finder: Finder) -> pd.Series:
    """The first spelling of the file that each row is about, as raters may spell it differently."""
    rows = pd.DataFrame({"file": names.unique(), "beside": beside})
    found, _ = matched(rows, finder)
    clear = found.map(lambda each: each[0] if len(each) == 1 else None)
    first = rows["file"].groupby(clear).transform("first").fillna(rows["file"])
    return names.map(dict(zip(rows["file"], first, strict=True)))


def _row_by_rater(cells: pd.DataFrame, name: str) -> Table:
    """A row a clip of a table that has a row for each rater of each clip.

    What differs between the rows of a clip is left out, and a note says so; blanks do not differ.
    """
    times = [name for name in ("start", "end") if name in cells]
    cells = cells.assign(
        **{name: _or_as_written(seconds(cells[name]), cells[name]) for name in times}
    )
    key = ["file", *times]
    once = cells.drop_duplicates([*key, "rater", "valence"])
    ratings = once.groupby([*key, "rater"])["valence"]
    raters, twice = ratings.agg(" and ".join).unstack(), ratings.size().unstack() > 1
    others = cells.columns.difference([*key, "rater", "valence"], sort=False)
    said = cells.assign(**{column: cells[column].map(known) for column in others})
    clips = said.groupby(key, sort=False)
    differ = [column for column in others if clips[column].nunique().max() > 1]
    rows = clips[others.difference(differ, sort=False).tolist()].first().fillna("").reset_index()
    left = f"{', '.join(differ)} of {name} is left out, since it differs between raters of a clip"
    order = pd.MultiIndex.from_frame(rows[key]) if len(key) > 1 else rows["file"]
    if twice.any(axis=None):
        both = raters.where(twice).bfill(axis=1).iloc[:, 0].reindex(order)
        rows["reason"] = ("has the ratings " + both + " by one rater: keep one").to_numpy(object)
    raters = raters.reindex(order).reset_index(drop=True).rename_axis(columns=None)
    return Table(rows, raters, (left,) if differ else ())
