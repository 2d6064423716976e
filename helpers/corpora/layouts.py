"""Known corpora: where each keeps its labels, what they mean, whom to cite.

A layout is recognised by what is in the folder, never by the folder's name. Its reader returns one
row a labelled clip and leaves finding and checking the audio to `checks`. A new corpus is one
reader and one line in `LAYOUTS`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from helpers import audio

TABLES = (".csv", ".tsv")
KEPT = (*audio.SUFFIXES, *TABLES, ".txt")  # what is looked at; IEMOCAP's labels are text

Labels = Literal["rated", "perceived", "categorical"]

#: Pleasure of emotion categories from -1 to 1 (Russell & Mehrabian 1977, Journal of Research in
#: Personality 11; "relaxed" stands for calm). One value a category: coarse, and nobody's rating.
PLEASURE = {
    "happy": 0.81,
    "calm": 0.68,
    "surprised": 0.40,
    "neutral": 0.0,
    "angry": -0.51,
    "disgusted": -0.60,
    "sad": -0.63,
    "fearful": -0.64,
    "bored": -0.65,
}

#: Other words for the categories, in lower case.
SYNONYMS = {
    "happiness": "happy",
    "relaxed": "calm",
    "surprise": "surprised",
    "anger": "angry",
    "disgust": "disgusted",
    "sadness": "sad",
    "fear": "fearful",
    "boredom": "bored",
}


@dataclass(frozen=True)
class Files:
    """What is in a corpus's folder, by names below it such as ``audio/clip.wav``, sorted.

    Names are plain text, because a hundred thousand `Path` objects take seconds.

    Attributes:
        folder: where the corpus is
        clips: the audio, without IEMOCAP's recordings of whole dialogues
        tables: CSV and TSV
        texts: the rest of what may hold labels
    """

    folder: Path
    clips: list[str]
    tables: list[str]
    texts: list[str]


def files(folder: Path) -> Files:
    """Find the audio, tables and texts below a folder, without what systems hide there."""
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
        scale: lowest and highest possible rating
        labels: ``"rated"`` (listeners rated valence), ``"perceived"`` (listeners chose an emotion,
            whose valence is averaged) or ``"categorical"`` (from the emotion that was acted)
        citation: the paper to cite
        licence: the terms of use
        read: from the files, a row a labelled clip (``file``, ``valence``, ``speaker`` and what
            else is known), or None where they are not in this layout
    """

    name: str
    scale: tuple[float, float]
    labels: Labels
    citation: str
    licence: str
    read: Callable[[Files], pd.DataFrame | None]


def recognise(files: Files) -> tuple[Layout, pd.DataFrame] | None:
    """Find out which known corpus a folder holds.

    Args:
        files: what is in the folder

    Returns:
        the layout and its labels, or None if it is in none of `LAYOUTS`
    """
    for layout in LAYOUTS:
        table = layout.read(files)
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


def _from_names(files: Files, pattern: str, emotions: dict[str, str]) -> pd.DataFrame | None:
    """Read a pattern's named groups where most audio files' names match it; code `emotions`."""
    match = re.compile(rf"(?:.*/)?{pattern}\.\w+").fullmatch
    rows = [{"file": name, **found.groupdict()} for name in files.clips if (found := match(name))]
    if len(rows) <= len(files.clips) / 2:
        return None
    table = pd.DataFrame(rows)
    table["emotion"] = table["emotion"].map(emotions)
    return table.assign(valence=table["emotion"].map(valence))


RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}


def _ravdess(files: Files) -> pd.DataFrame | None:
    """Read names such as ``03-01-06-02-01-01-17``: audio only, speech, emotion, intensity ..."""
    pattern = (
        r"03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<statement>\d\d)"
        r"-(?P<repetition>\d\d)-(?P<speaker>\d\d)"
    )
    table = _from_names(files, pattern, RAVDESS_EMOTIONS)
    if table is not None:
        table["intensity"] = table["intensity"].map({"01": "normal", "02": "strong"})
    return table


EMODB_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgusted",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}


def _emodb(files: Files) -> pd.DataFrame | None:
    """Read names such as ``03a01Fa``: speaker, text, emotion (by its German initial), version."""
    pattern = r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z])"
    return _from_names(files, pattern, EMODB_EMOTIONS)


CREMAD_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgusted",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}


def _cremad_acted(files: Files) -> pd.DataFrame | None:
    """Read names such as ``1001_DFA_ANG_XX``: speaker, sentence, acted emotion, its level."""
    pattern = (
        rf"(?P<speaker>\d{{4}})_(?P<sentence>[A-Z]{{3}})_(?P<emotion>{'|'.join(CREMAD_EMOTIONS)})"
        r"_(?P<level>LO|MD|HI|XX?)"
    )
    return _from_names(files, pattern, CREMAD_EMOTIONS)


def _cremad_perceived(files: Files) -> pd.DataFrame | None:
    """Average the valence of the emotions that listeners chose, having heard the voice alone."""
    votes = _read_csv(files, "finishedResponses.csv", dtype=str)
    if votes is None or not {"clipName", "queryType", "respEmo"} <= set(votes.columns):
        return None
    table = _cremad_acted(files)
    if table is None:
        return None
    votes = votes[votes["queryType"].str.strip() == "1"]
    by_initial = {code[0]: emotion for code, emotion in CREMAD_EMOTIONS.items()}
    chosen = votes["respEmo"].str.strip().str[0].str.upper().map(by_initial)
    by_clip = chosen.dropna().map(valence).groupby(votes["clipName"].str.strip())
    clip = table["file"].map(lambda file: Path(file).stem)
    return table.assign(valence=clip.map(by_clip.mean()), votes=clip.map(by_clip.size()))


IEMOCAP_LINE = re.compile(
    r"^\[[^\]]*\]\t(?P<file>Ses\d\d[FM]_\S+_(?P<gender>[FM])\d+)\t(?P<emotion>\w+)"
    r"\t\[(?P<valence>[\d.]+), (?P<activation>[\d.]+), (?P<dominance>[\d.]+)\]",
    re.MULTILINE,
)


def _iemocap(files: Files) -> pd.DataFrame | None:
    """Read the summary line of each turn in ``Session*/dialog/EmoEvaluation/*.txt``."""
    rows = [
        match.groupdict()
        for name in files.texts
        if re.search(r"(^|/)Session\d/dialog/EmoEvaluation/[^/]+$", name)
        for match in IEMOCAP_LINE.finditer(
            (files.folder / name).read_text(encoding="utf-8", errors="replace")
        )
    ]
    if not rows:
        return None
    table = pd.DataFrame(rows).astype({c: float for c in ("valence", "activation", "dominance")})
    # A session's two speakers take turns, so the last part of the name tells who speaks.
    return table.assign(speaker=table["file"].str[:5] + table.pop("gender"))


def _msp_podcast(files: Files) -> pd.DataFrame | None:
    """Read ``labels_consensus.csv``; its partitions become ``split``."""
    table = _read_csv(files, "labels_consensus.csv", dtype={"SpkrID": str})
    columns = {
        "FileName": "file",
        "EmoVal": "valence",
        "SpkrID": "speaker",
        "EmoClass": "emotion",
        "EmoAct": "activation",
        "EmoDom": "dominance",
        "Gender": "gender",
        "Split_Set": "split",
    }
    if table is None or not {"FileName", "EmoVal"} <= set(table.columns):
        return None
    table = table.rename(columns=columns)
    if "speaker" in table:
        table["speaker"] = table["speaker"].where(table["speaker"].str.lower() != "unknown")
    return table


def _read_csv(files: Files, wanted: str, **options: Any) -> pd.DataFrame | None:
    """The table of this name, wherever it is; None if it is not there or cannot be read."""
    name = next((name for name in files.tables if posixpath.basename(name) == wanted), None)
    if name is None:
        return None
    try:
        return pd.read_csv(files.folder / name, low_memory=False, **options)
    except (OSError, ValueError):  # not UTF-8, without a column or with rows of different lengths
        return None


LAYOUTS = (
    Layout(
        "MSP-Podcast",
        (1.0, 7.0),
        "rated",
        "Lotfian & Busso (2019), IEEE Transactions on Affective Computing 10(4)",
        "academic licence from UT Dallas",
        _msp_podcast,
    ),
    Layout(
        "IEMOCAP",
        (1.0, 5.0),
        "rated",
        "Busso et al. (2008), Language Resources and Evaluation 42(4)",
        "licence from USC",
        _iemocap,
    ),
    Layout(
        "RAVDESS",
        (1.0, 5.0),
        "categorical",
        "Livingstone & Russo (2018), PLoS ONE 13(5): e0196391",
        "CC BY-NC-SA 4.0",
        _ravdess,
    ),
    Layout(
        "CREMA-D",
        (1.0, 5.0),
        "perceived",
        "Cao et al. (2014), IEEE Transactions on Affective Computing 5(4)",
        "Open Database License",
        _cremad_perceived,
    ),
    Layout(
        "CREMA-D",
        (1.0, 5.0),
        "categorical",
        "Cao et al. (2014), IEEE Transactions on Affective Computing 5(4)",
        "Open Database License",
        _cremad_acted,
    ),
    Layout(
        "EMO-DB",
        (1.0, 5.0),
        "categorical",
        "Burkhardt et al. (2005), Interspeech",
        "see Zenodo record 7447302",
        _emodb,
    ),
)
