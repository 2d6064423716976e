"""The tables of the page with the results over all corpora, from the results files."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPORT = Path(__file__).resolve().parents[1] / "report"

#: The columns of all tables that hold scores, and what they are called in the results files.
SCORES = {"CCC": "ccc", "MAE": "mae"}

#: Below this number, intervals over speakers are too narrow: that of `helpers.evaluation`, which is
#: not installed where the site is built.
ENOUGH_SPEAKERS = 8


def tables() -> str:
    """All tables with their headings, in Markdown."""
    studies = [path.parents[1].name for path in sorted(REPORT.glob("*/results/improvements.json"))]
    parts = [*map(within, studies), *filter(None, map(other_voices, studies))]
    return "\n\n".join([*parts, real_corpora(), human_voices(), small_corpora()])


def within(study: str) -> str:
    """Models on folds of one corpus."""
    found, corpus = read(study, "improvements"), read(study, "corpus")
    old = "starts" not in read(study, "model")  # which notebook 3 counts since
    rows = [{"model": model} | scores for model, scores in found["final"][found["main"]].items()]
    return section(
        f"Within a corpus: {study}",
        f"{corpus['clips']} clips, {corpus['speakers']} speakers. Folds by {found['main']}: "
        f"{found['folds']}, seeds: {found['seeds']}."
        + " An earlier version of the code made these results."
        * old,
        table(rows, "model"),
    )


def other_voices(study: str) -> str | None:
    """Halves of the voices of one corpus, each tested on by training on the other."""
    if not (REPORT / study / "results" / "other_voices.json").exists():
        return None
    found = read(study, "other_voices")
    return section(
        f"Two halves of the voices: {study}",
        f"{counted(found['groups'])}. {same_voices('half', found)}",
        table(found["scores"], "trained on", "tested on", "model"),
    )


def real_corpora() -> str:
    """Each corpus of real voices tested on by training on others."""
    found = read("voices", "transfer")
    return section(
        "From one corpus to another",
        f"{counted(found['speakers'])}. {same_voices('corpus', found)}",
        table(found["scores"], "trained on", "tested on", "model"),
    )


def human_voices() -> str:
    """The network that comes with the project, on corpora that a training did not have."""
    found = read("voices", "human_voices")
    return section(
        "The network of human voices",
        f"`three_views` is the network that comes with the project. It is tested on corpora that a "
        f"training did not have. {counted(found['speakers'])}. Seeds: {found['seeds']}.",
        table(found["left out"], "trained on", "tested on", "model"),
    )


def small_corpora() -> str:
    """What a model learns from few clips."""
    found = read("voices", "small_corpora")
    return section(
        "A small corpus",
        f"{found['corpus']}: {found['clips']} clips, {found['speakers']} speakers. Folds by "
        f"speaker: {found['folds']}, seeds: {found['seeds']}. `clips` is the number of training "
        "clips.",
        table(found["scores"], "clips", "model"),
    )


def read(study: str, name: str) -> dict[str, Any]:
    """A results file."""
    return json.loads((REPORT / study / "results" / f"{name}.json").read_text(encoding="utf-8"))


def counted(speakers: dict[str, int]) -> str:
    """How many speakers each corpus has, and where they are few."""
    few = ", below eight, so their intervals are too narrow"
    return "; ".join(
        f"{name}: {count} speakers{few * (count < ENOUGH_SPEAKERS)}"
        for name, count in speakers.items()
    )


def same_voices(unit: str, found: dict[str, Any]) -> str:
    """How scores came about."""
    return (
        f"Where training and test have the same {unit}, the scores are from {found['folds']} folds "
        f"by speaker. Seeds: {found['seeds']}."
    )


def section(title: str, text: str, rows: str) -> str:
    """A heading, a paragraph and a table."""
    return f"## {title}\n\n{text}\n\n{rows}"


def table(rows: Iterable[dict[str, Any]], *names: str) -> str:
    """A Markdown table: what names a row, then its scores."""
    cells = [[*names, *SCORES], ["---"] * (len(names) + len(SCORES))]
    for row in rows:
        named = [f"`{row[name]}`" if name == "model" else str(row[name]) for name in names]
        cells.append([*named, *(written(row[score]) for score in SCORES.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def written(score: dict[str, float]) -> str:
    """A score with its interval, which stays on one line."""
    return "{value:z.2f} ({low:z.2f} to {high:z.2f})".format(**score).replace(" ", "&nbsp;")
