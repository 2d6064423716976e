"""The valence of recordings, from a terminal.

``python -m helpers.inference [MODEL]`` prints the card of a model, and ``python -m
helpers.inference [MODEL] CLIP...`` the valence of recordings. Without MODEL it is the network of
human voices; with ``--model pretrained`` instead, a pretrained one, see `predict_pretrained`. What
is asked for is checked before the first recording is read.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from helpers import cli, models
from helpers.cli import UserError
from helpers.inference import cards, sources, speakers
from helpers.inference.model_file import load
from helpers.inference.predictions import predict
from helpers.inference.pretrained import predict_pretrained
from helpers.storage import NAME_ANOTHER, OutputError, destination, write_json, write_table

#: Recordings that a sentence names; it counts the others.
NAMED = 3

#: How the tables of this command begin, see `storage.destination`.
CSV = "clip,valence,low,high,"
JSON = r'\[\s*\{\s*"clip":\s*"([^"\\]|\\.)*",\s*"valence":[^,]*,\s*"low":[^,]*,\s*"high":'

#: What `sources.recordings` adds to the name of a recording whose channels are predicted.
CHANNEL = r" \(channel \d+\)$"


def main(arguments: list[str] | None = None) -> int:
    """Print what a model is, or the valence of recordings.

    The exit code is 0, or 1 if a recording has no valence, or 2 with one sentence if nothing does.
    """
    options = _arguments(arguments)
    if not options.clip:
        _show(cards.card_markdown(load(options.model_file).card))
        return 0
    clips = _recordings(options.clip)
    same = sources.copies(clips)
    csv, as_json = _destinations(options)
    if options.pretrained:
        source = None if options.pretrained == "pretrained" else options.pretrained
        table, spread = predict_pretrained(clips, source, channels=options.channels), {}
    else:
        model = load(options.model_file)
        table, spread = predict(model, clips, channels=options.channels), model.card.spread
    if table["valence"].isna().all():
        raise _none_usable(list(zip(table["clip"], table["problem"], strict=True)))
    first = table["clip"].map(lambda name: same.get(name) or same.get(re.sub(CHANNEL, "", name)))
    table, about = _noted(table, first), ""
    if options.relative:
        counted = first.isna()
        about = f"{speakers.in_words(table[counted], spread)}{' Copies count once.' * bool(same)}\n"
        table = speakers.relative(table, spread, counted=counted)
    if csv:
        write_table(csv, table)
    if as_json:
        write_json(as_json, table.to_dict("records"), fix=NAME_ANOTHER)
    if csv or as_json:
        _summarise(table, " and ".join(filter(None, (options.csv, options.json))))
    else:
        _show(_in_lines(table))
    _show(about)
    return int(table["valence"].isna().any())


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The options, with a ``model_file`` that is no longer among the clips."""
    parser = argparse.ArgumentParser(prog="python -m helpers.inference", description=main.__doc__)
    add = parser.add_argument
    add(
        "clip",
        metavar="[MODEL] CLIP",
        nargs="*",
        help="recordings, or folders of them; before them perhaps a .keras file that `make report` "
        "or inference.save wrote (models/human_voices.keras); alone, its card is printed",
    )
    add(
        "--model",
        dest="pretrained",
        metavar="pretrained|PATH",
        help="instead of a .keras file: the pretrained network of helpers.features, or the .onnx "
        "file or folder of another",
    )
    add("--channels", action="store_true", help="a row for each channel, not for their mean")
    add(
        "--relative",
        action="store_true",
        help="take all recordings as one person's, and say how far each is from what is usual for "
        "that person: the mean, shrunk towards that of other speakers if there are few",
    )
    add("--csv", metavar="OUT", help="write the table to this file")
    add("--json", metavar="OUT", help="write the rows to this file")
    options = cli.parsed(parser, arguments)
    named = bool(options.clip) and options.clip[0].endswith(".keras")
    if "" in (options.pretrained, *options.clip):
        parser.error("'' names no file: name one, or leave it out")
    if options.pretrained and options.pretrained.endswith(".keras"):
        parser.error(
            "--model takes no .keras file: name that before the recordings, without --model"
        )
    if options.pretrained and (named or not options.clip):
        parser.error("--model takes the place of a .keras file, and needs a recording")
    options.model_file = Path(options.clip.pop(0)) if named else models.HUMAN_VOICES
    for name in ("relative", "channels", "csv", "json"):
        if getattr(options, name) and not options.clip:
            parser.error(f"--{name} is about recordings: name some")
    if options.relative and options.channels:
        parser.error("--relative takes all recordings as one person's: leave --channels out")
    return options


def _recordings(named: list[str]) -> list[str]:
    """The recordings that were named, each path once.

    Raises:
        UserError: if none of them can be read
    """
    found = list(dict.fromkeys(path for name in named for path in sources.expanded(name)))
    _warn_of([path for name in named for path in sources.passed_over(name)])
    reasons = [(sources.encodable(path), sources.refusal(path)) for path in found]
    if all(reason for _, reason in reasons):
        raise _none_usable(reasons)
    return found


def _warn_of(others: list[str]) -> None:
    """Say which files of folders are left out although they may be audio."""
    if others:
        count = "1 file is" if len(others) == 1 else f"{len(others)} files are"
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        which = ", ".join(others[:NAMED]) + more
        text = f"{count} left out, named unlike audio: {which}; name a file itself to have it read"
        print(sources.encodable(text), file=sys.stderr)


def _none_usable(reasons: list[tuple[str, str]]) -> UserError:
    """The error that no recording has a valence, from the name of each and its reason."""
    found = [f"{name} {reason}" for name, reason in reasons[:NAMED]]
    if (more := len(reasons) - NAMED) > 0:
        found.append(f"{more} more have no valence")
    return UserError(f"{'; '.join(found)}.")


def _destinations(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where the tables of ``--csv`` and ``--json`` are written, see `storage.destination`."""
    csv = as_json = None
    if options.csv is not None:
        csv = destination(options.csv, suffix=".csv", begins=CSV)
    if options.json is not None:
        as_json = destination(options.json, suffix=".json", begins=JSON)
    if csv and csv == as_json:
        raise OutputError(f"{options.json} is named for two tables: name a file for each.")
    return csv, as_json


def _noted(table: pd.DataFrame, first: pd.Series) -> pd.DataFrame:
    """The table with a note on each copy, which names the first recording of the same content."""
    notes = [f"is the same recording as {name}" if isinstance(name, str) else "" for name in first]
    both = zip(table["problem"], notes, strict=True)
    return table.assign(problem=["; ".join(filter(None, each)) for each in both])


def _summarise(table: pd.DataFrame, written: str) -> None:
    """Say what a table holds that was written to files, and why some rows have no valence."""
    unknown = table["valence"].isna()
    notes = int((~unknown & (table["problem"] != "")).sum())
    _show(
        f"Recordings: {len(table)}; without a valence: {unknown.sum()}; with a note (column "
        f"problem): {notes}. Written to {written}\n"
    )
    for row in table[unknown].itertuples():
        print(f"{row.clip} {row.problem}", file=sys.stderr)


def _in_lines(table: pd.DataFrame) -> str:
    """The table with its names at the left, and below it what is said of recordings."""
    numbers = table.drop(columns="problem").set_index("clip")
    # The name of the columns stands above the index, which is at the left.
    numbers = numbers.rename_axis(index=None, columns="clip")
    lines = [numbers.to_string(float_format="{:.2f}".format)]
    said = table[table["problem"] != ""]
    lines += ["", *said["clip"].str.cat(said["problem"], sep=" ")] if len(said) else []
    return "".join(f"{line}\n" for line in lines)


def _show(text: str) -> None:
    """Print text on a terminal of any encoding."""
    print(sources.encodable(text, sys.stdout.encoding or "utf-8"), end="")
