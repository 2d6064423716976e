"""Known corpora: where each keeps its labels, what they mean, whom to cite.

A layout is recognised by the files in the folder, never by the folder's name. Its reader returns
a row for each labelled clip; the audio is found and checked in `checks`. A corpus that has its
labels in the names of its files is one entry in ``known.toml``; any other needs a reader, too.
"""

from __future__ import annotations

import os
import posixpath
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from helpers import audio

#: Suffixes of tables.
TABLES = (".csv", ".tsv")

#: Suffixes of all files that are read; IEMOCAP's labels are texts.
KEPT = (*audio.SUFFIXES, *TABLES, ".txt")

#: The kinds of labels, see `Layout`.
Labels = Literal["rated", "perceived", "categorical"]

#: What is known of corpora and labels, see that file.
KNOWN = tomllib.loads(Path(__file__).with_name("known.toml").read_text(encoding="utf-8"))

#: The kinds of labels, in words.
LABELS: dict[str, str] = KNOWN["labels"]

#: Pleasure of emotion categories from -1 to 1 (Russell & Mehrabian 1977).
PLEASURE: dict[str, float] = KNOWN["pleasure"]

#: Other words for the categories, in lower case.
SYNONYMS: dict[str, str] = KNOWN["synonyms"]


@dataclass(frozen=True)
class Files:
    """The files in a corpus's folder, by names below it such as ``audio/clip.wav``, sorted.

    Names are plain text, because a hundred thousand `Path` objects take seconds.

    Attributes:
        folder: where the corpus is
        clips: the audio, without IEMOCAP's recordings of whole dialogues
        tables: CSV and TSV
        texts: other files that may hold labels
    """

    folder: Path
    clips: list[str]
    tables: list[str]
    texts: list[str]


def files(folder: Path) -> Files:
    """Find the audio, tables and texts below a folder, without hidden files."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith((".", "__MACOSX"))]
        below = Path(parent).relative_to(folder).parts
        found += [(*below, name) for name in names if not name.startswith(".")]
    names = ["/".join(parts) for parts in sorted(found)]
    sounds = [name for name in names if name.lower().endswith(audio.SUFFIXES)]
    return Files(
        folder,
        clips=[name for name in sounds if not re.search(r"(^|/)Session\d/dialog/", name)],
        tables=[name for name in names if name.lower().endswith(TABLES)],
        texts=[name for name in names if name.lower().endswith(".txt")],
    )


@dataclass(frozen=True)
class Layout:
    """A known corpus.

    Attributes:
        name: as its authors write it
        citation: the paper to cite
        licence: the terms of use
        labels: ``"rated"`` (listeners rated valence), ``"perceived"`` (listeners chose an emotion,
            whose valence is averaged) or ``"categorical"`` (from the emotion that was acted)
        scale: lowest and highest possible rating
        pattern: of the files' names, without folder and suffix, or for IEMOCAP of lines in its
            texts; its groups become columns
        codes: words for the codes in a column
        columns: the project's names of the columns in a table
    """

    name: str
    citation: str
    licence: str
    labels: Labels
    scale: tuple[float, float]
    pattern: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)


def recognise(files: Files) -> tuple[Layout, pd.DataFrame] | None:
    """Find out which known corpus a folder holds.

    Args:
        files: what is in the folder

    Returns:
        the layout and its labels, a row for each labelled clip: ``file``, ``valence``, ``speaker``
        and other columns; or None if the folder is in none of `LAYOUTS`
    """
    for layout in LAYOUTS:
        reader = _from_names if layout.labels == "categorical" else READERS[layout.name]
        table = reader(layout, files)
        if table is not None and len(table):
            return layout, table
    return None


def valence(emotion: str) -> float:
    """Valence of an emotion category on a scale from 1 to 5: 3 + 2 x its pleasure.

    Args:
        emotion: a key of `PLEASURE` or `SYNONYMS`, in any case

    Returns:
        valence, or NaN for a category without a published value

    Examples:
        >>> valence("Happiness"), valence("neutral")
        (4.62, 3.0)
    """
    word = emotion.strip().lower()
    return round(3 + 2 * PLEASURE.get(SYNONYMS.get(word, word), float("nan")), 2)


def _from_names(layout: Layout, files: Files) -> pd.DataFrame | None:
    """Labels by the pattern of a corpus, if most audio files' names match it."""
    match = re.compile(rf"(?:.*/)?{layout.pattern}\.\w+").fullmatch
    rows = [{"file": name, **found.groupdict()} for name in files.clips if (found := match(name))]
    if len(rows) <= len(files.clips) / 2:
        return None
    table = pd.DataFrame(rows)
    for column, words in layout.codes.items():
        table[column] = table[column].map(words)
    return table.assign(valence=table["emotion"].map(valence))


def _cremad_perceived(layout: Layout, files: Files) -> pd.DataFrame | None:
    """Average the valence of the emotions that listeners to the voice alone chose."""
    acted = next(each for each in LAYOUTS if each.name == layout.name and each.pattern)
    table = _from_names(acted, files)
    votes = _read_csv(files, "finishedResponses.csv", dtype=str)
    if table is None or votes is None or not {"clipName", "queryType", "respEmo"} <= set(votes):
        return None
    votes = votes[votes["queryType"].str.strip() == "1"]
    by_initial = {code[0]: word for code, word in acted.codes["emotion"].items()}
    chosen = votes["respEmo"].str.strip().str[0].str.upper().map(by_initial)
    by_clip = chosen.dropna().map(valence).groupby(votes["clipName"].str.strip())
    clip = table["file"].map(lambda file: Path(file).stem)
    return table.assign(valence=clip.map(by_clip.mean()), votes=clip.map(by_clip.size()))


def _iemocap(layout: Layout, files: Files) -> pd.DataFrame | None:
    """Read the summary line of each turn in ``Session*/dialog/EmoEvaluation/*.txt``."""
    place = re.compile(r"(.*/)?Session\d/dialog/EmoEvaluation/[^/]+")
    paths = [files.folder / name for name in files.texts if place.fullmatch(name)]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    line = re.compile(layout.pattern, re.MULTILINE)
    rows = [match.groupdict() for text in texts for match in line.finditer(text)]
    if not rows:
        return None
    table = pd.DataFrame(rows).astype({c: float for c in ("valence", "activation", "dominance")})
    # A session's two speakers take turns, so the last part of the name tells who speaks.
    return table.assign(speaker=table["file"].str[:5] + table.pop("gender"))


def _msp_podcast(layout: Layout, files: Files) -> pd.DataFrame | None:
    """Read ``labels_consensus.csv``; its partitions become ``split``."""
    table = _read_csv(files, "labels_consensus.csv", dtype={"SpkrID": str})
    if table is None or not {"FileName", "EmoVal"} <= set(table.columns):
        return None
    return table.rename(columns=layout.columns)


def _read_csv(files: Files, wanted: str, **options: Any) -> pd.DataFrame | None:
    """The table of this name, wherever it is; None if it is not there or cannot be read."""
    name = next((name for name in files.tables if posixpath.basename(name) == wanted), None)
    if name is None:
        return None
    try:
        return pd.read_csv(files.folder / name, low_memory=False, **options)
    except (OSError, ValueError):  # not UTF-8, without a column or with rows of different lengths
        return None


#: What reads corpora that have their labels in files.
READERS: dict[str, Callable[[Layout, Files], pd.DataFrame | None]] = {
    "MSP-Podcast": _msp_podcast,
    "IEMOCAP": _iemocap,
    "CREMA-D": _cremad_perceived,
}

#: The first that recognises the files is taken.
LAYOUTS = tuple(Layout(**known | {"scale": tuple(known["scale"])}) for known in KNOWN["corpora"])
