"""A corpus on the command line: how commands take one, and what they say of it.

``python -m helpers.corpora [PATH] [--scale LOW HIGH]`` prints a summary.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from helpers.corpora import layouts, raters
from helpers.corpora.checks import HASHES
from helpers.corpora.corpus import FACTS, Corpus, load, load_part, together
from helpers.settings import Settings

#: Clips that are named with a reason why clips are left out.
SHOWN = 20


def summary(corpus: Corpus) -> pd.Series:
    """The main facts about a corpus.

    Args:
        corpus: see `load`

    Returns:
        text by name: layout, kind of labels, clips, rejected, speakers, hours, scale, ratings,
        durations (seconds), sampling rates (Hz), official split, and where there are any raters and
        their agreement, notes, citation and licence

    See: notebooks/01_exploration.ipynb
    """
    clips = corpus.clips
    low, high = corpus.scale
    split = clips["split"].value_counts() if "split" in clips else {}
    lines = {
        "layout": corpus.layout,
        "labels": _labels(corpus),
        "clips": f"{len(clips)}",
        "rejected": f"{len(corpus.rejected)}",
        "speakers": _speakers(clips),
        "hours": f"{clips['duration'].sum() / 3600:.2f}",
        "rating scale": f"{low:g} to {high:g}",
        "ratings": _spread(clips["valence"]),
        "raters": "" if corpus.raters is None else raters.in_words(corpus.raters),
        "durations (s)": _spread(clips["duration"]),
        "sampling rates (Hz)": ", ".join(map(str, sorted(clips["sample_rate"].unique()))),
        "official split": ", ".join(f"{part} {n}" for part, n in split.items()) or "none",
        "also": "; ".join(corpus.notes),
        "citation": corpus.citation,
        "licence": corpus.licence,
    }
    return pd.Series({name: line for name, line in lines.items() if line}, name=corpus.name)


def _labels(corpus: Corpus) -> str:
    """The kind of the labels; of several corpora with different kinds, each with their names."""
    if "labels" not in corpus.clips or corpus.clips["labels"].nunique() == 1:
        return layouts.LABELS[corpus.labels]
    names = corpus.clips.groupby("labels", sort=False)["corpus"].unique().map(", ".join)
    return "; ".join(f"{layouts.LABELS[kind]} ({which})" for kind, which in names.items())


def _speakers(clips: pd.DataFrame) -> str:
    speakers = clips["speaker"]
    unknown = speakers.isna().sum()
    if unknown == len(speakers):
        others = clips.columns.difference([*FACTS[3:], "path", *HASHES], sort=False)
        return f"unknown (the columns of the labels are {', '.join(others)})"
    rest = f", unknown for {unknown} of {len(speakers)} clips" if unknown else ""
    return f"{speakers.nunique()}{rest}"


def _spread(values: pd.Series) -> str:
    return f"{values.min():.2f} to {values.max():.2f}, median {values.median():.2f}"


def _kinds(rejected: pd.DataFrame) -> list[list[str]]:
    """What is said of the clips with each reason, numbers aside; most frequent reasons first."""
    names = rejected["file"].fillna("").replace("", "a row without a name")
    kinds = rejected["reason"].str.replace(r"[\d.]+", "", regex=True)
    said = (names + " " + rejected["reason"]).groupby(kinds, sort=False)
    return sorted((lines.tolist() for _, lines in said), key=len, reverse=True)


def add_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add what every command needs to know about a corpus, for `from_arguments`.

    Args:
        parser: of the command
        several: whether several corpora may be named, which become one
    """
    what = "folder, zip or name; several with commas; left out, VALENCE_CORPUS or the demo"
    parser.add_argument("path", nargs="*" if several else "?", help=what)
    parser.add_argument(
        "--scale",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="lowest and highest possible rating; left out, found if it is clear; with several "
        "corpora, the scale of the whole, and of each whose own is not clear",
    )


def from_arguments(options: argparse.Namespace, *, part: bool = False) -> Corpus:
    """Load the corpus of a command line, see `add_arguments`, `load` and `together`.

    Args:
        options: see `add_arguments`; where they name no corpus, it is that of `Settings.from_env`
        part: whether it becomes one of several, see `load_part`
    """
    scale = tuple(options.scale) if options.scale else None
    paths = options.path if isinstance(options.path, list) else [options.path]
    if not any(paths):
        chosen = Settings.from_env()
        paths, scale = [chosen.corpus], scale or chosen.scale
    if len(paths) > 1:
        return together([load_part(path, scale=scale) for path in paths], scale=scale)
    return (load_part if part else load)(paths[0], scale=scale)


def remarks(corpus: Corpus) -> list[str]:
    """What a command says of its corpus: `Corpus.notes`, and how many clips are left out.

    Args:
        corpus: see `load`
    """
    if corpus.rejected.empty:
        return list(corpus.notes)
    count, example = len(corpus.rejected), _kinds(corpus.rejected)[0][0]
    left = f"{count} clips are left out (for example, {example}): see `python -m helpers.corpora`"
    return [*corpus.notes, f"1 clip is left out ({example})" if count == 1 else left]


def main(arguments: list[str] | None = None) -> int:
    """Print a summary of a corpus."""
    parser = argparse.ArgumentParser(prog="python -m helpers.corpora", description=main.__doc__)
    add_arguments(parser)
    corpus = from_arguments(parser.parse_args(arguments))
    for name, line in summary(corpus).items():
        print(f"{name:20}{line}")
    kinds = corpus.clips.get("labels", pd.Series(corpus.labels, index=corpus.clips.index))
    for kind, clips in corpus.clips[kinds != "rated"].groupby(kinds):
        print(f"\nemotions, {layouts.LABELS[kind]} ({layouts.SOURCE}):")
        by_emotion = clips.groupby("emotion")["valence"].agg(["mean", "size"])
        for row in by_emotion.sort_values("mean", ascending=False).itertuples():
            print(f"{row.Index:20}{row.mean:5.2f} {row.size:6} clips")
    counts, edges = np.histogram(corpus.clips["valence"], bins=8, range=corpus.scale)
    print("\nratings:")
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        print(f"{low:5.2f} to {high:5.2f} {'#' * round(40 * count / counts.max()):40} {count}")
    if len(corpus.rejected):
        print("\nrejected:")
        for lines in _kinds(corpus.rejected):
            for number, line in enumerate(lines[:SHOWN]):
                print(f"{'' if number else len(lines):>6} {line}")
            if (more := len(lines) - SHOWN) > 0:
                print(f"       and {more} more; in Python, corpora.load(PATH).rejected has all")
    return 0
