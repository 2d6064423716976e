"""Known corpora: where each keeps its labels, what they mean, whom to cite.

A layout is recognised by the files in the folder, never by the folder's name. Its reader returns
a row for each labelled clip; the audio is found and checked in `checks`. A corpus that has its
labels in the names of its files is one entry in ``known.toml``; any other needs a reader, too. Of
an unknown corpus, `by_folder` reads a tree with a folder for each emotion.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from helpers import audio
from helpers.storage import files_below, is_text

#: Suffixes of tables.
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".xls")

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

#: Where the valence of emotions comes from.
SOURCE = "3 + 2 x pleasure from 1 to 5, Russell & Mehrabian 1977; calm is their relaxed"

#: Other words and codes for the categories, in lower case.
SYNONYMS: dict[str, str] = KNOWN["synonyms"]

#: What is written where nothing is known, in lower case.
NOBODY: frozenset[str] = frozenset(KNOWN["nobody"]["words"])

#: The scale of valence that comes from emotions, unless another one is told.
CATEGORICAL_SCALE = (1.0, 5.0)

#: Suffixes of films, whose sound may lie beside them in a file of its own.
FILMS = (
    *(".mp4", ".webm", ".mov", ".avi", ".mkv", ".flv", ".m4v", ".mpg", ".mpeg", ".wmv", ".asf"),
    *(".ogv", ".3gp", ".3gpp", ".3g2"),
)

#: Suffixes of audio that lost something, of which another copy is preferred.
LOSSY = (".mp3", ".ogg", ".m4a", ".aac", ".opus", ".wma", ".spx", ".ac3", *FILMS)

#: Suffixes of what often lies beside audio and is none, in lower case.
NOT_AUDIO: tuple[str, ...] = tuple(KNOWN["not_audio"]["suffixes"])


@dataclass(frozen=True)
class Files:
    """The files in a corpus's folder, by names below it such as ``audio/clip.wav``, sorted.

    Names are plain text, because a hundred thousand `Path` objects take seconds.

    Attributes:
        folder: where the corpus is
        clips: the audio, without IEMOCAP's recordings of whole dialogues
        tables: CSV, TSV, JSON and workbooks
        texts: other files that may hold labels
        others: all other files that may be audio, although their suffixes are none of audio
        closed: folders that cannot be read
        unnamed: what may be audio or tables, but has a name that is no text, see `printable`
    """

    folder: Path
    clips: list[str]
    tables: list[str]
    texts: list[str]
    others: list[str]
    closed: list[str]
    unnamed: list[str] = field(default_factory=list)


def files(folder: Path) -> Files:
    """Find the audio, tables and texts below a folder, see `storage.files_below`."""
    found, closed = (["/".join(parts) for parts in each] for each in files_below(folder))
    names = [name for name in found if is_text(name)]
    sounds = [name for name in names if name.lower().endswith(audio.SUFFIXES)]
    known = (*KEPT, *NOT_AUDIO)
    return Files(
        folder,
        clips=[name for name in sounds if not re.search(r"(^|/)Session\d/dialog/", name)],
        tables=[name for name in names if name.lower().endswith(TABLES)],
        texts=[name for name in names if name.lower().endswith(".txt")],
        others=[name for name in names if not name.lower().endswith(known)],
        closed=[*map(printable, closed)],
        unnamed=[
            printable(name)
            for name in found
            if not is_text(name) and not name.lower().endswith((*NOT_AUDIO, ".txt"))
        ],
    )


def printable(name: str) -> str:
    """A name that can be printed, although some of its bytes may be no text."""
    return name.encode(errors="replace").decode()


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
        table: name of a table of ratings that comes with the files, see `labels.read`
    """

    name: str
    citation: str
    licence: str
    labels: Labels
    scale: tuple[float, float]
    pattern: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    table: str = ""


def recognise(files: Files) -> list[tuple[Layout, pd.DataFrame]]:
    """Find out which known corpora a folder holds.

    Args:
        files: what is in the folder

    Returns:
        each layout and its labels, a row for each labelled clip: ``file``, ``valence``, ``speaker``
        and other columns, and ``reason`` if the clip is there twice. Names of files count only if
        most of the files have such names
    """
    found: dict[str, tuple[Layout, pd.DataFrame]] = {}
    for layout in LAYOUTS:
        reader = _from_names if layout.labels == "categorical" else READERS[layout.name]
        table = None if layout.name in found else reader(layout, files)
        if table is not None and len(table):
            found[layout.name] = layout, table
    # Names of one emotion alone, beside others, are more likely to be chance or a stray file.
    several = {
        name: (layout, table)
        for name, (layout, table) in found.items()
        if layout.labels == "rated" or table["emotion"].nunique() > 1
    }
    found = several or found
    rated = [each for each in found.values() if each[0].labels == "rated"]
    rest = len(files.clips) - sum(len(table) for _, table in rated)
    named = sum(len(table) for layout, table in found.values() if layout.labels != "rated")
    return list(found.values()) if named > rest / 2 else rated


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
    return round(3 + 2 * PLEASURE.get(category(emotion), float("nan")), 2)


def category(emotion: str) -> str:
    """A word or code as a key of `PLEASURE`, if it is known: without case, digits, punctuation."""
    word = " ".join(re.findall(r"[^\W\d_]+", emotion.lower()))
    return SYNONYMS.get(word, word)


def by_folder(files: Files) -> tuple[pd.DataFrame, tuple[str, ...]] | None:
    """Labels of a tree with a folder for each emotion, such as ``Angry/clip.wav``.

    Args:
        files: what is in the folder

    Returns:
        a row a clip: ``file``, ``emotion`` and, where a folder is called ``speaker 3``, ``actor_3``
        or the like, ``speaker``; and a note of the folders whose names say more than the emotion.
        None if most of the files are in no folder of a known emotion
    """
    folders = [name.split("/")[-2::-1] for name in files.clips]
    known = {name: _known_emotion(name) for name in {name for each in folders for name in each}}
    depths = Counter(
        next((depth for depth, name in enumerate(each) if known[name]), None) for each in folders
    )
    depth, count = depths.most_common(1)[0] if depths else (None, 0)
    if depth is None or count <= len(files.clips) / 2:
        return None
    rows = []
    for name, above in zip(files.clips, folders, strict=True):
        emotion = above[depth] if depth < len(above) else ""
        speaker = next((found[1] for each in above if (found := SPEAKER_FOLDER(each))), "")
        rows.append({"file": name, "emotion": emotion, "speaker": speaker})
    table = pd.DataFrame(rows)
    notes = _by_one_word(table["emotion"].unique(), known)
    table["emotion"] = table["emotion"].map(lambda folder: known.get(folder) or folder)
    return table, notes


def _known_emotion(folder: str) -> str:
    """The emotion in a folder's name such as ``01_Angry`` or ``OAF_angry``, else nothing."""
    if (whole := category(folder)) in PLEASURE:
        return whole
    words = re.findall(r"[^\W\d_]+", folder.lower())
    if NEGATIONS & set(words):
        return ""
    known = {each for each in map(category, words) if each in PLEASURE}
    return known.pop() if len(known) == 1 else ""


def _by_one_word(folders: Iterable[str], known: dict[str, str]) -> tuple[str, ...]:
    """A note of the folders whose emotion is one word of several in their names."""
    emotions = {each: known[each] for each in folders if known.get(each)}
    read = [f"{each} as {word}" for each, word in emotions.items() if word != category(each)]
    if not read:
        return ()
    more = f" and {len(read) - 3} more" if len(read) > 3 else ""
    return (f"folders count as the one emotion in their names: {', '.join(read[:3])}{more}",)


def _from_names(layout: Layout, files: Files) -> pd.DataFrame | None:
    """Labels by the pattern of a corpus, of those audio files whose names match it.

    Of copies, which have the same name in other folders or with other suffixes, one counts: the
    first that is not compressed with a loss.
    """
    match = re.compile(rf"(?:.*/)?{layout.pattern}\.\w+").fullmatch
    rows = [{"file": name, **found.groupdict()} for name in files.clips if (found := match(name))]
    if not rows:
        return None
    table = pd.DataFrame(rows)
    for column, words in layout.codes.items():
        table[column] = table[column].replace(words)
    lossy = table["file"].str.lower().str.endswith(LOSSY)
    order = table.assign(lossy=lossy).sort_values(["lossy", "file"]).drop(columns="lossy")
    kept = order.groupby(list(table.columns[1:]))["file"].transform("first").reindex(table.index)
    same = "is the same clip as " + kept + ", which is used"
    table["reason"] = same.where(kept != table["file"], None).astype(object)
    return table.assign(valence=table["emotion"].map(valence))


def _cremad_perceived(layout: Layout, files: Files) -> pd.DataFrame | None:
    """Average the valence of the emotions that listeners to the voice alone chose."""
    acted = next(each for each in LAYOUTS if each.name == layout.name and each.pattern)
    table, votes = _from_names(acted, files), _cremad_votes(files)
    if table is None or votes is None:
        return None
    value = pd.Series({code[0]: valence(word) for code, word in acted.codes["emotion"].items()})
    votes = votes.reindex(columns=value.index, fill_value=0)
    count = votes.sum(axis=1)
    mean = (votes * value).sum(axis=1) / count.where(count > 0)
    clip = table["file"].map(lambda file: Path(file).stem)
    return table.assign(valence=clip.map(mean), votes=clip.map(count))


def _cremad_votes(files: Files) -> pd.DataFrame | None:
    """How many listeners to the voice alone chose each emotion, by clip and by initial."""
    responses = _read_csv(files, ("finishedResponses.csv",), dtype=str)
    if responses is not None and {"clipName", "queryType", "respEmo"} <= set(responses):
        responses = responses[responses["queryType"].str.strip() == "1"]
        chosen = responses["respEmo"].str.strip().str[0].str.upper()
        return pd.crosstab(responses["clipName"].str.strip(), chosen)
    votes = _read_csv(files, ("tabulatedVotes.csv",), dtype=str)
    if votes is None or "fileName" not in votes:
        return None
    # Rows are numbered 100001... for the voice, 200001... for the face, 300001... for both.
    numbers = votes.drop(columns="fileName").apply(pd.to_numeric, errors="coerce")
    voice = numbers.iloc[:, 0] // 100_000 == 1
    return numbers[voice].groupby(votes["fileName"].str.strip()).sum()


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
    names = ("labels_consensus.csv", "labels_concensus.csv")  # the latter in releases 1.6 to 1.8
    table = _read_csv(files, names, dtype={"SpkrID": str})
    if table is None or not {"FileName", "EmoVal"} <= set(table.columns):
        return None
    return table.rename(columns=layout.columns)


def _read_csv(files: Files, wanted: tuple[str, ...], **options: Any) -> pd.DataFrame | None:
    """The first table of these names, wherever it is; None if there is none that can be read."""
    name = next((name for name in files.tables if posixpath.basename(name) in wanted), None)
    if name is None:
        return None
    try:
        return pd.read_csv(files.folder / name, low_memory=False, **options)
    except (OSError, ValueError):  # not UTF-8, without a column or with rows of different lengths
        return None


#: Words in the name of a folder that mean another emotion than the one that is named.
NEGATIONS = {"no", "non", "not", "un", "without"}

#: Names of folders that hold one speaker.
SPEAKER_FOLDER = re.compile(
    r"(?:speaker|spkr?|actor|actress|participant|subject|talker)[ _-]*(\d\w*|(?<=[ _-])\w+)",
    re.IGNORECASE,
).fullmatch

#: Tables that come with those corpora, which the readers below know.
COMES_WITH = re.compile(
    r"(?:.*/)?(?:labels_(?:consensus|concensus|detailed)|finishedResponses.*|tabulatedVotes)\.\w+"
).fullmatch

#: What reads corpora that have their labels in files.
READERS: dict[str, Callable[[Layout, Files], pd.DataFrame | None]] = {
    "MSP-Podcast": _msp_podcast,
    "IEMOCAP": _iemocap,
    "CREMA-D": _cremad_perceived,
}

#: The first that recognises the files is taken.
LAYOUTS = tuple(Layout(**known | {"scale": tuple(known["scale"])}) for known in KNOWN["corpora"])
