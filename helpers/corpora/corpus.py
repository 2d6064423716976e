"""Any rated speech as one table.

`load` takes a folder or a zip with audio and a table of labels, checks every clip, and returns a
`Corpus`. Nothing else in the project reads labels, so that a new kind of corpus changes nothing
outside this package. Audio is checked here but not kept: `features` reads it again.

From a terminal, ``python -m helpers.corpora [PATH]`` prints a summary of a corpus.
"""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.corpora import archives, checks, downloads, labels, layouts
from helpers.corpora.errors import CorpusError
from helpers.storage import PROJECT, digest

#: The bundled corpus.
DEMO = PROJECT / "data" / "demo_speech.zip"

#: Columns of `Corpus.clips` that the audio files tell.
FACTS = ("duration", "sample_rate", "channels", "sha256")


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
        rejected: a row a clip that cannot be used, and a row an audio file without a label:
            ``file``, ``path`` (missing where there is no such file) and ``reason``
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
    labels: layouts.Labels = "rated"
    citation: str = ""
    licence: str = ""

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any clip, rating or speaker, and the scale."""
        content = self.clips[["file", "valence", "speaker", "sha256"]].to_csv(index=False)
        return digest(f"{self.scale}\n{content}")


def load(source: str | Path | None = None, *, scale: tuple[float, float] | None = None) -> Corpus:
    """Read a corpus of rated speech.

    Args:
        source: a folder or a zip file with audio (wav, flac, ogg, mp3 or, where FFmpeg is
            installed, m4a, at any depth), which is either a known corpus (see `layouts.LAYOUTS`)
            or has one labels table (CSV or TSV) with a column of file names, a column of valence
            ratings and perhaps others, under the names in `labels.COLUMNS`. Without ratings, a
            column of emotions gives each category's published valence. If there is no such file,
            the name of one of `downloads.CORPORA`, downloaded on first use. None is the bundled
            demo corpus
        scale: lowest and highest possible rating; None takes the narrowest of `labels.SCALES`
            that holds nine in ten ratings

    Returns:
        the corpus, its clips in the order of the labels table

    Raises:
        CorpusError: if the source, its labels table or all of its clips cannot be used. A bad clip
            or rating among good ones is listed in `Corpus.rejected` instead
        storage.OutputError: if the cache cannot be written

    Examples:
        >>> corpus = load()
        >>> corpus.name, corpus.scale, len(corpus.clips)
        ('demo', (1.0, 5.0), 360)

    See: notebooks/01_exploration.ipynb
    """
    # os.path, since methods of Path raise errors of their own for names that no file can have.
    source = DEMO if source is None else Path(os.path.expanduser(source))  # noqa: PTH111
    if not os.path.exists(source):  # noqa: PTH110
        if str(source).lower() not in downloads.CORPORA:
            raise CorpusError(
                f"{source} does not exist: name a folder or a zip file of rated speech, or a "
                f"corpus that can be downloaded ({', '.join(downloads.CORPORA)})."
            )
        source = downloads.fetch(str(source))
    zipped = not source.is_dir()
    folder = archives.unpacked(source, _name(source), layouts.KEPT) if zipped else source.absolute()
    try:
        return _corpus(folder, source, scale)
    except CorpusError as error:  # name files as the user knows them: in the zip, not in the cache
        raise CorpusError(str(error).replace(str(folder), str(source))) from error


def _corpus(folder: Path, source: Path, scale: tuple[float, float] | None) -> Corpus:
    files = layouts.files(folder)
    table, where, about = labels.read(files, source, scale)
    table["reason"] = pd.Series(None, index=table.index, dtype=object)
    checks.ratings(table, about["scale"], categorical=about["labels"] == "categorical")
    unlabelled = checks.find_audio(table, files)
    checks.repeats(table)
    checks.audio_files(table, folder)
    usable = table["reason"].isna()
    if not usable.any():
        raise CorpusError(f"{source} has no usable clip: {_why_none(table, where)}.")
    first = ["file", "path", "valence", "speaker", "duration", "sample_rate", "channels"]
    others = table.columns.difference([*first, "sha256", "reason"], sort=False)
    clips = table.loc[usable, [*first, *others, "sha256"]].reset_index(drop=True)
    rejected = [table.loc[~usable, ["file", "path", "reason"]], unlabelled]
    return Corpus(
        name="demo" if source == DEMO else _name(source),
        clips=clips.astype({"duration": float, "sample_rate": int, "channels": int}),
        rejected=pd.concat(rejected, ignore_index=True),
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


def summary(corpus: Corpus) -> pd.Series:
    """The main facts about a corpus.

    Args:
        corpus: see `load`

    Returns:
        text by name: layout, kind of labels, clips, rejected, speakers, hours, scale, ratings,
        durations (seconds), sampling rates (Hz), official split, and citation and licence if known

    See: notebooks/01_exploration.ipynb
    """
    clips = corpus.clips
    low, high = corpus.scale
    split = clips["split"].value_counts() if "split" in clips else {}
    lines = {
        "layout": corpus.layout,
        "labels": layouts.LABELS[corpus.labels],
        "clips": f"{len(clips)}",
        "rejected": f"{len(corpus.rejected)}",
        "speakers": _speakers(clips),
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


def _speakers(clips: pd.DataFrame) -> str:
    speakers = clips["speaker"]
    unknown = speakers.isna().sum()
    if unknown == len(speakers):
        others = clips.columns.difference(["path", "speaker", *FACTS], sort=False)
        return f"unknown (the columns of the labels are {', '.join(others)})"
    rest = f", unknown for {unknown} of {len(speakers)} clips" if unknown else ""
    return f"{speakers.nunique()}{rest}"


def _spread(values: pd.Series) -> str:
    return f"{values.min():.2f} to {values.max():.2f}, median {values.median():.2f}"


def _kinds(rejected: pd.DataFrame) -> list[tuple[int, str]]:
    """How many clips have each reason, numbers aside, and the first of them."""
    kinds = rejected.groupby(rejected["reason"].str.replace(r"[\d.]+", "", regex=True), sort=False)
    found = [(len(rows), f"{rows['file'].iloc[0]} {rows['reason'].iloc[0]}") for _, rows in kinds]
    return sorted(found, key=lambda kind: -kind[0])


def main(arguments: list[str] | None = None) -> int:
    """Print a summary of a corpus."""
    parser = argparse.ArgumentParser(prog="python -m helpers.corpora", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder, zip or name; left out, the demo corpus")
    corpus = load(parser.parse_args(arguments).path)
    for name, line in summary(corpus).items():
        print(f"{name:20}{line}")
    counts, edges = np.histogram(corpus.clips["valence"], bins=8, range=corpus.scale)
    print("\nratings:")
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        print(f"{low:5.2f} to {high:5.2f} {'#' * round(40 * count / counts.max()):40} {count}")
    if len(corpus.rejected):
        print("\nrejected:")
        for count, example in _kinds(corpus.rejected):
            print(f"{count:6} {example}")
    return 0
