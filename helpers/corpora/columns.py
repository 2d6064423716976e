"""Names of the columns of labels tables, as people write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from helpers.corpora.layouts import KNOWN

#: Names of each column in labels tables, see `plain`; the first is the project's.
COLUMNS: dict[str, list[str]] = KNOWN["columns"]

#: Forms of the names of single raters' columns, see `plain`; those with ratings and those without.
RATERS = [re.compile(KNOWN["raters"][kind]).fullmatch for kind in ("valence", "plain")]

#: Names, see `plain`, that look like those of columns of raters.
LIKE_RATER = re.compile(KNOWN["raters"]["alike"]).fullmatch

#: Names, see `plain`, that R gives to columns without names.
NAMED_BY_R = re.compile(r"v\d+").fullmatch

#: Columns of tables of predictions that the project writes.
PREDICTIONS: dict[str, list[str]] = KNOWN["predictions"]


def plain(name: object) -> str:
    """The name of a column without case, blanks, punctuation and a final s."""
    text = unicodedata.normalize("NFKC", str(name)).casefold()
    return re.sub(r"[\W_]+", "", text).rstrip("s")


NAMES = {column: {plain(name) for name in names} for column, names in COLUMNS.items()}

#: Names of columns of durations, which make a start an end; as in `COLUMNS`, and see `plain`.
LENGTHS = ("duration", "dur", "segment duration", "duration ms", "dur ms", "segment duration ms")
DURATIONS = {plain(name) for name in LENGTHS}

#: Names of columns of times in milliseconds, see `plain`.
MILLISECONDS = {
    plain(name) for name in (*COLUMNS["start"], *COLUMNS["end"], *LENGTHS) if name.endswith(" ms")
}

#: Names, see `plain`, that look like those of columns of times.
LIKE_TIME = re.compile(
    r"(t|segment|clip|utterance|utt)?(start|begin|end|stop|onset|offset)(time|frame|sample|s|m|ec)*"
).fullmatch


def present(columns: Iterable[object]) -> set[str]:
    """The project's names of the columns that are there."""
    names = {plain(name) for name in columns}
    found = {column for column, accepted in NAMES.items() if names & accepted}
    return found | ({"valence"} if rater_columns(columns) else set())


def rater_columns(columns: Iterable[Any]) -> list[Any]:
    """The columns of single raters among some, if there are several."""
    each = ([name for name in columns if form(plain(name))] for form in RATERS)
    return next((found for found in each if len(found) > 1), [])


def predicted(columns: list[str]) -> bool:
    """Whether a table holds predictions, as `inference` and `comparison` write them."""
    known = PREDICTIONS["clip"]
    models = {re.sub(r" \d+$", "", name) for name in columns[len(known) :]}
    of_models = columns[: len(known)] == known and models <= {*PREDICTIONS["models"], "median"}
    return set(PREDICTIONS["inference"]) <= set(columns) or (
        of_models and bool(models - {"median"})
    )
