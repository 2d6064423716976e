"""The labels of a corpus, a row a clip, under the project's column names.

They come from known corpora or folders of emotions (see `layouts`) or from labels tables (see
`tables`). Whether the ratings and the audio can be used is decided in `checks`.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.corpora import layouts, tables
from helpers.corpora.errors import CorpusError, ScaleError
from helpers.corpora.layouts import CATEGORICAL_SCALE, Layout
from helpers.corpora.matching import Finder, matched
from helpers.corpora.tables import Table
from helpers.storage import NO_TEXT

#: Rating scales in use, the narrowest first: pleasure from -1 to 1 (Russell & Mehrabian 1977) and
#: self-assessment manikins from 1 to 5 (IEMOCAP), to 7 (MSP-Podcast) or to 9 (Bradley & Lang 1994).
SCALES = ((-1.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0))

#: Share of the ratings from which a narrower scale could be meant, and the others be slips.
MOST = 0.9

#: How to say which scale it is.
TELL = (
    "say which scale it is, as --scale LOW HIGH, make report SCALE=LOW,HIGH or, in Python, "
    "VALENCE_SCALE=LOW,HIGH or load(scale=(LOW, HIGH))"
)

#: Columns that the code reads; any other only describes a clip.
READ = ("file", "beside", "speaker", "valence", "as written", "emotion", "split", "start", "end")


#: Columns that `_completed` makes.
MADE = ("valence", "as written")


@dataclass
class Labels:
    """The labels of a corpus.

    Attributes:
        rows: a row a clip: ``file``, ``valence``, ``speaker``, ``as written``, perhaps ``reason``
            (why the row cannot be used) and other columns
        where: name of what they come from
        about: attributes of `corpora.Corpus`: ``labels``, ``scale``, and for known corpora
            ``layout``, ``citation`` and ``licence``
        raters: the ratings of single listeners, clips x raters, if there are several
        notes: see `corpora.Corpus`
    """

    rows: pd.DataFrame
    where: str
    about: dict[str, Any] = field(default_factory=dict)
    raters: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def read(
    files: layouts.Files, finder: Finder, source: Path, scale: tuple[float, float] | None
) -> Labels:
    """Read the labels of a corpus.

    Ratings that come with a known corpus are preferred to those in a table of the user's, which a
    note then names. These are preferred to emotions that listeners chose or that are in files'
    names. Those come with speakers, and are preferred to emotions in a table, which are preferred
    to names of folders. What else these say about a clip is added, and notes say from where.

    Args:
        files: what is in the folder
        finder: of these files
        source: the corpus as the user named it, for error messages
        scale: lowest and highest possible rating, None to find it

    Raises:
        ScaleError: if there are ratings whose scale is not clear
        CorpusError: if there are no labels, or several tables or columns that may be meant
    """
    check_scale(scale)
    known = layouts.recognise(files)
    if any(layout.labels != "categorical" for layout, _ in known):
        files = replace(files, tables=[t for t in files.tables if not layouts.COMES_WITH(t)])
    found, problems = tables.read(files, finder)
    rated = {name: table for name, table in found.items() if "valence" in table.rows}
    others = {name: table for name, table in found.items() if name not in rated}
    own = [layout.name for layout, _ in known if layout.labels == "rated"]
    tree = None if known else layouts.by_folder(files)
    if rated and not own:
        name, table = _only(rated, source)
        labels = _rated(name, table, known, files, finder, scale)
    elif known:
        labels = _of_layouts(known, scale, source)
        names = " and ".join(own)
        labels.notes += tuple(
            f"{name} is not used, since {names} has ratings of its own" for name in rated
        )
    elif others:
        name, table = _only(others, source)
        _refuse_numbers(table.rows["emotion"], files.folder / name)
        labels = replace(_categorical(table.rows, name, scale), notes=table.notes)
        others = {}
    elif tree is not None:
        rows, notes = tree
        labels = _categorical(rows, source.name, scale, layout="a folder for each emotion")
        labels.notes, tree = notes, None
    elif problems:
        raise CorpusError(min(problems)[1])
    elif files.unnamed:
        raise CorpusError(f"{source}/{files.unnamed[0]} {NO_TEXT}.")
    else:
        raise CorpusError(
            f"{source} has no labels table, no folder for each emotion and is no known corpus: add "
            "a CSV with the columns file, valence and speaker."
        )
    _describe(labels, others, tree, finder)
    return replace(labels, notes=labels.notes + _unused(problems, files))


def _describe(
    labels: Labels,
    others: dict[str, Table],
    tree: tuple[pd.DataFrame, tuple[str, ...]] | None,
    finder: Finder,
) -> None:
    """Add what tables of emotions, and then the names of folders, say besides the labels."""
    said = {name: (table.rows, _paths(table.rows, finder)) for name, table in others.items()}
    if tree is not None:
        rows, notes = tree
        said["the folders' names"] = rows, rows["file"]
        labels.notes += notes if "emotion" not in labels.rows else ()
    if not said:
        return
    paths = _paths(labels.rows, finder)
    for origin, (rows, files) in said.items():
        other = _completed(rows).drop(columns=["file", "beside", *MADE], errors="ignore")
        other["emotion"] = other["emotion"].where(other["emotion"].map(tables.known).notna())
        before = labels.rows
        labels.rows, added = _joined(before, paths, other.set_axis(files), origin)
        if origin in others and "emotion" in before:
            labels.notes += (f"emotion of {origin} is not used, since {labels.where} has its own",)
        elif origin in others and not added:
            about = f"it says nothing about the clips of {labels.where}"
            labels.notes += (f"{origin} is not used, since {about}",)
        labels.notes += added


def _unused(problems: list[tuple[int, str, str]], files: layouts.Files) -> tuple[str, ...]:
    """A note of the tables that are nearly labels tables, such as one of speakers."""
    nearly = [(said, name) for missing, said, name in problems if missing < 2]
    if not nearly:
        return ()
    said, name = nearly[0]
    others = {1: "", 2: " (nor is another table)"}.get(
        len(nearly), f" (nor are {len(nearly) - 1} others)"
    )
    reason = said.removesuffix(".").removeprefix(f"{files.folder / name} ")
    return (f"{name} is not used as labels{others}: it {reason}",)


def check_scale(scale: tuple[float, float] | None) -> None:
    """Refuse a scale that is none.

    Raises:
        CorpusError: if the lowest rating is not below the highest
    """
    if scale and not -np.inf < scale[0] < scale[1] < np.inf:
        raise CorpusError(
            f"The scale {scale[0]:g} to {scale[1]:g} is none: give the lowest possible rating and "
            "then the highest."
        )


def _only(found: dict[str, Table], source: Path) -> tuple[str, Table]:
    """The only labels table, or the parts of an official split as one."""
    names = ", ".join(found)
    if len(found) == 1:
        return next(iter(found.items()))
    parts = {name: tables.part_by_name(name) for name in found}
    notes = tuple(dict.fromkeys(note for table in found.values() for note in table.notes))
    if None not in parts.values() and len(set(parts.values())) > 1:
        for name, table in found.items():
            table.rows["split"] = table.rows.get("split", parts[name])
    elif _of_sessions(list(found.values())):
        notes += (f"the labels are the rows of {len(found)} tables: {names}",)
    else:
        raise CorpusError(f"{source} has {len(found)} labels tables ({names}): keep one.")
    rows = pd.concat([table.rows for table in found.values()], ignore_index=True)
    raters = [each.raters for each in found.values()]
    if all(each is None for each in raters):
        return names, Table(rows, notes=notes)
    if any(each is None for each in raters):
        raise CorpusError(
            f"Of {names} in {source}, only some have several raters: give all the same columns."
        )
    return names, Table(rows, pd.concat(raters, ignore_index=True), notes)


def _of_sessions(several: list[Table]) -> bool:
    """Whether tables in different folders have the same columns, as one for each session has."""
    beside = [table.rows["beside"].iloc[0] for table in several if len(table.rows)]
    columns = {tuple(sorted(table.rows.columns)) for table in several}
    return len(set(beside)) == len(several) and len(columns) == 1


def _rated(
    name: str,
    table: Table,
    known: list[tuple[Layout, pd.DataFrame]],
    files: layouts.Files,
    finder: Finder,
    scale: tuple[float, float] | None,
) -> Labels:
    """Labels from a table of ratings, with what the files' names say besides.

    Recordings of a known corpus have its citation and terms of use, whoever rated them.
    """
    about: dict[str, Any] = {"labels": "rated"}
    rows, notes = _completed(table.rows), table.notes
    if known:
        about |= _about([layout for layout, _ in known]) | {"layout": "labels table"}
        named = _together(known, None).drop(columns=[*MADE, "reason", "labels"], errors="ignore")
        layout = known[0][0]
        origin = f"the files' names ({layout.name})"
        rows, added = _joined(rows, _paths(rows, finder), named.set_index("file"), origin)
        notes += added
        if layout.table and posixpath.basename(name) == layout.table:
            about["layout"] = layout.name
            scale = scale or layout.scale
        else:
            notes += (f"by their names, the files are those of {layout.name}, with its licence",)
    raters = None if table.raters is None else tables.all_numbers(table.raters)
    all_ratings = rows["valence"] if raters is None else raters.stack()
    scale = scale or _scale(all_ratings.dropna(), rows["as written"], files.folder / name)
    if raters is not None:
        outside = raters.where((raters < scale[0]) | (raters > scale[1])).bfill(axis=1).iloc[:, 0]
        wrong = outside.notna()
        rows.loc[wrong, "valence"] = outside
        rows.loc[wrong, "as written"] = outside.map("{:g}".format)
    return Labels(rows, name, about | {"scale": scale}, raters, notes)


def _refuse_numbers(emotions: pd.Series, labels: Path) -> None:
    """Refuse emotions that are all numbers, which may be ratings in a column called label."""
    written = emotions[emotions.map(tables.known).notna()]
    if len(written) and tables.numbers(written).notna().all():
        raise CorpusError(
            f"{labels} has numbers such as {written.iloc[0]} and not words for emotions: call "
            "their column valence if they are ratings, and else write the emotions as words."
        )


def _categorical(
    rows: pd.DataFrame, where: str, scale: tuple[float, float] | None, **about: Any
) -> Labels:
    rows = _rescaled(_completed(rows), scale)
    scale = scale or CATEGORICAL_SCALE
    return Labels(rows, where, {"labels": "categorical", "scale": scale} | about)


def _rescaled(rows: pd.DataFrame, scale: tuple[float, float] | None) -> pd.DataFrame:
    """Valence of emotions on the scale that was told."""
    if scale:
        low, high = CATEGORICAL_SCALE
        share = (rows["valence"] - low) / (high - low)
        rows["valence"] = scale[0] + share * (scale[1] - scale[0])
    return rows


def _of_layouts(
    known: list[tuple[Layout, pd.DataFrame]], scale: tuple[float, float] | None, source: Path
) -> Labels:
    """The labels of one known corpus, or of several that share a scale."""
    about = _about([layout for layout, _ in known])
    if len({layout.scale for layout, _ in known}) > 1:
        raise CorpusError(
            f"{source} holds {about['layout']}, whose rating scales differ: load the folder of "
            "each alone."
        )
    # The kind that says least, first in the alphabet, so that nobody takes emotions for ratings.
    about["labels"] = min(layout.labels for layout, _ in known)
    about["scale"] = scale or known[0][0].scale
    return Labels(_together(known, scale), about["layout"], about)


def _together(
    known: list[tuple[Layout, pd.DataFrame]], scale: tuple[float, float] | None
) -> pd.DataFrame:
    """The rows of one known corpus, or of several, with speakers that are told apart."""
    parts = []
    for layout, table in known:
        rows = _completed(table.astype({"file": str}))
        if layout.labels != "rated":
            rows = _rescaled(rows, scale)
        if len(known) > 1:
            rows["corpus"], rows["labels"] = layout.name, layout.labels
            rows["speaker"] = rows["corpus"] + " " + rows["speaker"].fillna(np.nan)
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def _about(known: list[Layout]) -> dict[str, Any]:
    return {
        "layout": ", ".join(layout.name for layout in known),
        "citation": "; ".join(dict.fromkeys(layout.citation for layout in known)),
        "licence": "; ".join(dict.fromkeys(layout.licence for layout in known)),
    }


def _paths(rows: pd.DataFrame, finder: Finder) -> pd.Series:
    """The file that each row is about, None where it is not clear."""
    found, _ = matched(rows, finder)
    clear = [each[0] if len(each) == 1 else None for each in found]
    return pd.Series(clear, index=rows.index, dtype=object)


def _joined(
    rows: pd.DataFrame, paths: pd.Series, other: pd.DataFrame, origin: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Add the columns that only another table fills, which is indexed by paths; and notes of it.

    A column whose cells differ between the rows of a file is left out.
    """
    new = other.columns.difference(rows.columns[rows.notna().any()], sort=False)
    each = other[new].groupby(level=0)
    differ = [name for name in new if each[name].nunique().max() > 1]
    left = f"{', '.join(differ)} of {origin} is left out, since it differs between rows of a file"
    more = each.first().drop(columns=differ).reindex(paths.tolist()).set_axis(rows.index)
    more = more.dropna(axis=1, how="all")
    notes = (f"{', '.join(more)} from {origin}",) * (not more.columns.empty)
    rows = rows.drop(columns=more.columns, errors="ignore").join(more)
    return rows, notes + (left,) * bool(differ)


def _completed(rows: pd.DataFrame) -> pd.DataFrame:
    """The same labels, with every column that the checks and `Corpus.clips` need."""
    speaker = rows["speaker"] if "speaker" in rows else pd.Series("", index=rows.index)
    rows["speaker"] = speaker.fillna("").map(_speaker).astype(object)
    if "valence" in rows:
        rows["as written"] = rows["valence"].fillna("").astype(str).str.strip()
        rows["valence"] = tables.numbers(rows["as written"])
    else:
        rows["as written"] = rows["emotion"].str.strip()
        rows["valence"] = rows["emotion"].map(layouts.valence)
        known = rows["emotion"].map(layouts.category)
        rows["emotion"] = known.where(rows["valence"].notna(), rows["emotion"])
    return _described(rows)


def _speaker(written: object) -> str | None:
    """The name of a speaker, if it is known, in one form of Unicode and as a whole number.

    What writes tables adds ``.0`` to each number of a column that has a blank.
    """
    text = tables.known(written)
    return text and re.sub(r"^(\d+)\.0$", r"\1", unicodedata.normalize("NFC", text))


def alike(speakers: pd.Series) -> tuple[str, ...]:
    """Notes of speakers who may be one: folds by speaker would then test on whom they know."""
    names = pd.Series(sorted(set(speakers.dropna())), dtype=object)
    plain = names.str.casefold().str.replace(r"\b0+(?=\d)", "", regex=True)
    return tuple(
        f"the speakers {' and '.join(each)} differ in case or zeros only and count as {len(each)}"
        for _, each in names.groupby(plain)
        if len(each) > 1
    )


def _described(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with the project's names of the parts of a split.

    In a column that nothing else reads, a blank or “unknown” is missing. Else a blank gender would
    be a group of speakers, and a blank sentence a sentence.
    """
    if "split" in rows:
        rows["split"] = tables.part_of_split(rows["split"])
    for name in rows.columns.difference(READ):
        if pd.api.types.is_string_dtype(rows[name]):
            rows[name] = rows[name].where(rows[name].map(tables.known).notna())
    return rows


def _scale(ratings: pd.Series, written: pd.Series, labels: Path) -> tuple[float, float]:
    """The known scale whose ends are the lowest and highest rating, if it is clearly that one."""
    if ratings.empty and (written == "").all():
        raise CorpusError(f"{labels} has no rating that is a number: fill its column of valence.")
    if ratings.empty:
        example = written[written != ""].iloc[0]
        raise CorpusError(
            f"{labels} has no rating that is a number, but such as {example!r}: write numbers "
            "such as 3.5."
        )
    reached = (float(ratings.min()), float(ratings.max()))
    narrower = SCALES[: SCALES.index(reached)] if reached in SCALES else ()
    if reached in SCALES and all(ratings.between(*each).mean() < MOST for each in narrower):
        return reached
    known = ", ".join(f"{low:g} to {high:g}" for low, high in SCALES)
    raise ScaleError(
        f"{labels} has ratings from {reached[0]:g} to {reached[1]:g}, which do not clearly fit one "
        f"of the known scales ({known}): {TELL}."
    )
