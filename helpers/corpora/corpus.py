"""Any rated speech as one table.

`load` takes a folder or a zip with audio and a table of labels, checks every clip, and returns a
`Corpus`. Nothing else in the project reads labels, so that a new kind of corpus changes nothing
outside this package. Audio is checked here but not kept: `features` reads it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from helpers import archives
from helpers.corpora import checks, downloads, labels, layouts, matching, segments
from helpers.corpora.errors import CorpusError, ScaleError, of_its_file
from helpers.storage import NO_TEXT, PROJECT, digest, is_text

#: The bundled corpus.
DEMO = PROJECT / "data" / "demo_speech.zip"

#: Names that no other corpus gets: of the project's own folders in ``figures`` and ``report``, and
#: of its network in ``models``.
RESERVED = ("demo", "voices", "human_voices", "benchmarks", "parts")

#: Seconds of silence or noise around its speech from which a clip is counted in a note.
QUIET = 1.0

#: Sampling rate in Hz that the networks get, see `features.MelSettings`.
RATE = 8000

#: The columns of `Corpus.clips` that come first.
FACTS = ("file", "path", "valence", "speaker", "duration", "sample_rate", "channels")

#: Types of columns of numbers, so that ratings of 1 and 1.0 have the same `Corpus.fingerprint`.
TYPES = {"valence": float, "duration": float, "sample_rate": int, "channels": int}


@dataclass(frozen=True)
class Corpus:
    """Rated speech.

    Attributes:
        name: short name, used for folders of figures and results
        scale: lowest and highest possible rating
        clips: a row a clip: ``file`` (as the labels table names it; where several clips have this
            name, its path below the corpus or with the seconds of a part), ``path`` (where the
            audio is), ``valence`` (on ``scale``), ``speaker`` (missing where unknown), ``duration``
            (seconds), ``sample_rate`` (Hz), ``channels``, the other columns of the labels (missing
            where blank or a word for unknown; among them perhaps ``emotion``, and ``split``: train,
            validation or test, as the corpus's authors divided it), ``sha256`` (of the audio file)
            and ``samples_sha256`` (of its samples)
        rejected: a row a clip that cannot be used, and a row an audio file without a label:
            ``file``, ``path`` (missing where there is no such file, or its name is no text) and
            ``reason``
        layout: name of the known corpus or corpora (see `layouts`; then the clips have columns
            ``corpus`` and ``labels``), ``"a folder for each emotion"`` or ``"labels table"``
        labels: ``"rated"``, ``"perceived"`` or ``"categorical"``, see `layouts.Layout`
        citation: the paper to cite, where known
        licence: the terms of use, where known
        raters: the ratings of single listeners, float [clips, raters], indexed as ``clips`` and
            NaN where a listener did not rate a clip; None if there is one rating a clip
        notes: what else there is to know, such as columns that come from the files' names

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
    raters: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any clip, rating, speaker or part, and scale."""
        columns = ["file", "valence", "speaker", "sha256"] + ["split"] * ("split" in self.clips)
        content = self.clips[columns].to_csv(index=False, lineterminator="\n")
        return digest(f"{self.scale}\n{content}")


def load(source: str | Path | None = None, *, scale: tuple[float, float] | None = None) -> Corpus:
    """Read a corpus of rated speech.

    Args:
        source: several corpora with commas between them, which become one (see `together`); or a
            folder, a zip or a tar with audio at any depth (see `audio`), which is a known
            corpus or several (see `layouts.LAYOUTS`), has a labels table, or has a folder for each
            emotion. A labels table (CSV, TSV, JSON or, with openpyxl, a workbook; also one each for
            training and test) has a column of file names, a column of valence ratings or one for
            each of several raters, and perhaps others, under the names in `columns.COLUMNS`; or a
            row for each rater of each clip. With columns of start and end, or start and duration,
            in seconds or as ``1:23.5``, each row is that part of a recording. Without ratings, a
            column of emotions gives each category's published valence. If there is no such file,
            the name of one of `downloads.CORPORA`, downloaded on first use. None is the bundled
            demo corpus
        scale: lowest and highest possible rating; None takes that of a known corpus, else the one
            of `labels.SCALES` whose ends the lowest and the highest rating are. Valence of emotions
            is from 1 to 5, or on the scale that is told. Of several corpora, it is the scale of the
            whole, and of each corpus whose own is not clear, see `load_part`

    Returns:
        the corpus, its clips in the order of the labels table

    Raises:
        CorpusError: if the source, its labels table or all of its clips cannot be used, if all
            clips have the same valence, or if the scale is not clear. A bad clip or rating among
            good ones is listed in `Corpus.rejected` instead
        storage.OutputError: if the cache cannot be written

    Examples:
        >>> corpus = load()
        >>> corpus.name, corpus.scale, len(corpus.clips)
        ('demo', (1.0, 5.0), 360)

    See: notebooks/01_exploration.ipynb
    """
    names = listed(str(DEMO if source is None else source))
    if len(names) > 1:
        return together([load_part(name, scale=scale) for name in names], scale=scale)
    # os.path, since methods of Path raise errors of their own for names that no file can have.
    source = Path(os.path.expanduser(names[0]))  # noqa: PTH111
    if str(source) == "demo" and not os.path.exists(source):  # noqa: PTH110
        source = DEMO
    if source.suffix.lower() in layouts.TABLES and os.path.isfile(source):  # noqa: PTH113
        raise CorpusError(f"{source} is a table: name the folder that it is in, with the audio.")
    if not os.path.exists(source):  # noqa: PTH110
        if str(source).lower() not in downloads.CORPORA:
            raise CorpusError(
                f"{source} does not exist: name a folder or a zip file of rated speech, or a "
                f"corpus that can be downloaded ({', '.join(downloads.CORPORA)})."
            )
        source = downloads.fetch(str(source))
    zipped = not source.is_dir()
    with of_its_file():
        folder = (
            archives.unpacked(source, _name(source), layouts.KEPT) if zipped else source.absolute()
        )
    if not is_text(str(folder)):
        raise CorpusError(f"{layouts.printable(str(folder))} {NO_TEXT}.")
    try:
        return _corpus(folder, source, scale)
    except CorpusError as error:  # name files as the user knows them: in the zip, not in the cache
        raise type(error)(str(error).replace(str(folder), str(source))) from error


def listed(source: str) -> list[str]:
    """The corpora that a name stands for: those between its commas, unless a path has them.

    Args:
        source: see `load`

    Raises:
        CorpusError: if it names none

    Examples:
        >>> listed("anna, ravdess")
        ['anna', 'ravdess']

    See: notebooks/08_other_voices.ipynb
    """
    if os.path.exists(os.path.expanduser(source)):  # noqa: PTH110, PTH111
        return [source]
    names = [name for each in source.split(",") if (name := each.strip())]
    if not names:
        raise CorpusError(
            f"{source!r} names no corpus: name a folder, a zip file or a known corpus."
        )
    return names


def load_part(source: str | Path | None, *, scale: tuple[float, float] | None = None) -> Corpus:
    """Read a corpus that becomes one of several, see `together`.

    Args:
        source: see `load`
        scale: lowest and highest possible rating, if they are not clear from the corpus itself; a
            note then says so. A scale that is clear stays as it is

    Raises:
        CorpusError: see `load`

    See: notebooks/08_other_voices.ipynb
    """
    try:
        return load(source)
    except ScaleError:
        if scale is None:
            raise
    corpus = load(source, scale=scale)
    told = f"its scale is taken to be {scale[0]:g} to {scale[1]:g}, since it is not clear by itself"
    return replace(corpus, notes=(*corpus.notes, told))


def _corpus(folder: Path, source: Path, scale: tuple[float, float] | None) -> Corpus:
    files = layouts.files(folder)
    finder = matching.Finder(files)
    found = labels.read(files, finder, source, scale)
    table, about = found.rows, found.about
    if "reason" not in table:
        table["reason"] = pd.Series(None, index=table.index, dtype=object)
    checks.ratings(table, about["scale"], categorical=about["labels"] == "categorical")
    unlabelled, notes = matching.find_audio(table, files, finder)
    recordings, in_parts = table["path"].copy(), {"start", "end"} <= set(table)
    if in_parts:
        segments.cut(table)
    checks.repeats(table)
    sounds = checks.audio_files(table, folder)
    usable = table["reason"].isna()
    closed = tuple(
        f"{name} is a folder that cannot be read: its files are left out" for name in files.closed
    )
    found.notes += closed + notes
    also = "".join(f"; {note}" for note in found.notes)
    if not usable.any():
        why = _why_none(table, found.where, files)
        raise CorpusError(f"{source} has no usable clip: {why}{also}.")
    if table.loc[usable, "valence"].nunique() == 1:
        raise CorpusError(
            f"{source} has the single valence {table.loc[usable, 'valence'].iloc[0]:g}, so that "
            f"there is nothing to predict (usable clips: {usable.sum()}"
            + ("" if usable.all() else f"; {_why_none(table[~usable], 'those left out', files)}")
            + f"{also}): add other ratings."
        )
    found.notes += (
        _notes(sounds[usable], table.loc[usable, "sample_rate"])
        + (segments.overlapping(table[usable], recordings[usable]) if in_parts else ())
        + labels.alike(table.loc[usable, "speaker"])
    )
    others = table.columns.difference([*FACTS, *checks.HASHES, "reason"], sort=False)
    clips = table.loc[usable, [*FACTS, *others, *checks.HASHES]].reset_index(drop=True)
    rejected = [table.loc[~usable, ["file", "path", "reason"]], unlabelled]
    return Corpus(
        name="demo" if source == DEMO else _name(source),
        clips=clips.astype(TYPES),
        rejected=pd.concat(rejected, ignore_index=True),
        raters=None if found.raters is None else found.raters[usable].reset_index(drop=True),
        notes=found.notes,
        **about,
    )


def _notes(sounds: pd.DataFrame, rates: pd.Series) -> tuple[str, ...]:
    """What many clips of a corpus have that may matter, see `checks.audio_files`."""
    have = {
        f"over {QUIET:g} s of silence or noise before and after the speech": sounds["quiet"]
        > QUIET,
        "samples beyond full scale, which functionals such as eGeMAPS cut off": sounds["peak"] > 1,
        f"fewer than {RATE} samples a second, so that their upper mel bands are empty": rates
        < RATE,
    }
    return tuple(
        f"{which.sum()} of {len(sounds)} clips have {what}"
        for what, which in have.items()
        if which.any()
    )


def together(several: Sequence[Corpus], *, scale: tuple[float, float] | None = None) -> Corpus:
    """Several corpora as one, such as for training on all of them.

    Ratings are mapped linearly to one scale. Speakers are told apart by the name of their corpus. A
    clip that is in an earlier corpus, too, is in ``rejected``. An official split is left out unless
    all have one. Notes say so.

    Args:
        several: see `load`
        scale: lowest and highest rating of the whole; None is the scale of the first corpus

    Returns:
        the clips of each corpus in turn, with the columns ``corpus`` and ``labels``; its name also
        stands before each ``file`` and ``speaker``. The kind of all labels is the one that says
        least

    Raises:
        CorpusError: if two corpora have the same name, or the scale is none

    See: notebooks/08_other_voices.ipynb
    """
    names = [corpus.name for corpus in several]
    if len(set(names)) < len(names):
        raise CorpusError(
            f"Of {', '.join(names)}, two have the same name: rename the folder of one of them."
        )
    labels.check_scale(scale)
    scale = scale or several[0].scale
    parts = [_part_of_several(corpus, scale) for corpus in several]
    clips, rejected = (
        pd.concat([getattr(part, table) for part in parts], ignore_index=True)
        for table in ("clips", "rejected")
    )
    raters = None
    if any(part.raters is not None for part in parts):
        tables = [
            pd.DataFrame(index=p.clips.index) if p.raters is None else p.raters for p in parts
        ]
        raters = pd.concat(tables, ignore_index=True)
    notes = [note for part in parts for note in part.notes]
    if "split" in clips and not all("split" in part.clips for part in parts):
        clips = clips.drop(columns="split")
        notes.append("the official split is left out, since only some of the corpora have one")
    first = clips.groupby("samples_sha256")["file"].transform("first")
    again = first != clips["file"]
    repeated = clips.loc[again, ["file", "path"]].assign(
        reason="is the same clip as " + first[again]
    )
    if again.any():
        notes.append(
            f"{again.sum()} of {len(clips)} clips are in an earlier corpus, too, and count once"
        )
    return Corpus(
        name="_".join(names),
        scale=scale,
        clips=clips[~again].reset_index(drop=True),
        rejected=pd.concat([rejected, repeated], ignore_index=True),
        layout=", ".join(corpus.layout for corpus in several),
        labels=min(corpus.labels for corpus in several),  # see `labels.read`
        citation="; ".join(dict.fromkeys(c.citation for c in several if c.citation)),
        licence="; ".join(dict.fromkeys(c.licence for c in several if c.licence)),
        raters=None if raters is None else raters[~again.to_numpy()].reset_index(drop=True),
        notes=tuple(notes),
    )


def _part_of_several(corpus: Corpus, scale: tuple[float, float]) -> Corpus:
    """A corpus with its name in its tables, and its ratings on another scale."""
    (low, high), name = corpus.scale, corpus.name
    notes = [f"{name}: {note}" for note in corpus.notes]
    clips, raters = corpus.clips.assign(corpus=name), corpus.raters
    clips["labels"] = clips.get("labels", corpus.labels)
    clips["file"] = name + "/" + clips["file"]
    clips["speaker"] = name + " " + clips["speaker"].astype(str).where(clips["speaker"].notna())
    if corpus.scale != scale:
        factor = (scale[1] - scale[0]) / (high - low)
        clips["valence"] = scale[0] + (clips["valence"] - low) * factor
        raters = None if raters is None else scale[0] + (raters - low) * factor
        notes.append(
            f"{name}: its ratings from {low:g} to {high:g} are mapped to {scale[0]:g} to "
            f"{scale[1]:g}"
        )
    if raters is not None:
        raters = raters.add_prefix(f"{name} ")
    rejected = corpus.rejected.assign(file=name + "/" + corpus.rejected["file"])
    return replace(corpus, clips=clips, rejected=rejected, raters=raters, notes=tuple(notes))


def _name(source: Path) -> str:
    name = source.stem.removesuffix(".tar") if source.is_file() else source.resolve().name
    name = re.sub(r"[^\w-]+", "_", name)
    return f"{name}_" if name.lower() in RESERVED else name


def _why_none(table: pd.DataFrame, where: str, files: layouts.Files) -> str:
    if table.empty:
        return f"{where} has no rows"
    first = table.iloc[0]
    said = f"{where} lists {len(table)}, the first of them {first.file}, {first.reason}"
    if first.reason == matching.MISSING and not files.clips:
        return f"{said}, as no audio is (if it is in an archive there, unpack that)"
    if first.reason == matching.MISSING:
        return f"{said}, whose audio files are called {' or '.join(files.clips[:2])}"
    return said
