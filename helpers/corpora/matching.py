"""Audio files by the names that people write: other letters, slashes, folders and suffixes."""

from __future__ import annotations

import filecmp
import posixpath
import re
import unicodedata
from collections import defaultdict

import pandas as pd

from helpers.audio import SUFFIXES
from helpers.corpora.layouts import FILMS, Files
from helpers.storage import NO_TEXT

#: Endings of names that may be those of the same recording here, in lower case: of audio, and of
#: what audio is converted from.
ENDINGS = (*SUFFIXES, ".pcm", ".raw")

#: Reason of a row that no audio file fits.
MISSING = "is not in the corpus"


def folded(name: str) -> str:
    """A name such that letters' case and the forms of Unicode make no difference."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class Finder:
    """Finds the audio files of a corpus by the names in its tables.

    Attributes:
        folder: where the corpus is
        copies: files that hold the same bytes as the file that was found instead of them, which
            they are mapped to
    """

    def __init__(self, files: Files) -> None:
        self.folder = files.folder
        self.copies: dict[str, str] = {}
        self._there = set(files.clips)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for clip in files.clips:
            name = folded(posixpath.basename(clip))
            for each in {name, _stem(name)}:
                self._by_name[each].append(clip)
        self._by_folder: dict[str, list[str]] = defaultdict(list)
        for name, clips in self._by_name.items():
            for clip in clips if len(clips) > 1 else ():
                folder = folded(posixpath.basename(posixpath.dirname(clip)))
                self._by_folder[f"{folder}/{name}"].append(clip)

    def find(self, written: str, beside: str = "") -> list[str]:
        """The files that a name may mean.

        Args:
            written: name with or without suffix, below any folder of any machine
            beside: folder of the table, below the corpus's, whose files are preferred

        Returns:
            one name below the corpus's folder, none, or several if they fit equally well and are
            not copies of each other
        """
        if "/" in written and written in self._there:
            return [written]
        parts = _parts(written)
        if not parts:
            return []
        name = folded(parts[-1])
        name = name if name in self._by_name else _stem(name)
        found = self._by_name.get(name, [])
        if len(found) > 1 and len(parts) > 1:  # each speaker may have a file of this name
            found = self._by_folder.get(f"{folded(parts[-2])}/{name}", found)
        if len(found) > 1:
            ranks = [_closeness(clip, parts, beside) for clip in found]
            found = [clip for clip, rank in zip(found, ranks, strict=True) if rank == max(ranks)]
        return self._without_copies(found) if len(found) > 1 else found

    def _without_copies(self, found: list[str]) -> list[str]:
        first, *others = found
        try:
            paths = [self.folder / clip for clip in found]
            same = all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:])
        except OSError:
            same = False
        if same:
            self.copies |= dict.fromkeys(others, first)
        return [first] if same else found


def _parts(written: str) -> list[str]:
    """The folders and the name in a path of any machine, without its drive."""
    parts = re.split(r"[\\/]+", written.strip())
    return [part for part in parts if part.strip(".") and not part.endswith(":")]


def _stem(name: str) -> str:
    stem, ending = posixpath.splitext(name)
    return stem if ending.lower() in ENDINGS else name


def _common(clip: str, parts: list[str]) -> int:
    """How many folders before the name are the same."""
    folders = clip.split("/")[:-1]
    same = [folded(a) == folded(b) for a, b in zip(folders[::-1], parts[-2::-1], strict=False)]
    return [*same, False].index(False)


def _closeness(clip: str, parts: list[str], beside: str) -> tuple[int, *tuple[bool, ...]]:
    """How well a file fits: common folders, whole path, the table's folder, letters, no film."""
    *folders, name = clip.split("/")
    common = _common(clip, parts)
    whole = common == len(parts) - 1 == len(folders)
    near = bool(beside) and clip.startswith(f"{beside}/")
    letters, film = parts[-1] in (name, _stem(name)), name.lower().endswith(FILMS)
    return common, whole and common > 0, near, whole, letters, not film


def matched(rows: pd.DataFrame, finder: Finder) -> tuple[pd.Series, pd.Series]:
    """Match the rows of a table with the files that they may mean.

    Labels of another machine may name other folders. So such a row means the file of its name, but
    not if the rows tell folders apart: if another names this very file, or the folder where it is,
    or if several name different folders for it.

    Args:
        rows: with ``file`` and perhaps ``beside``, the table's folder below the corpus's
        finder: of the corpus's files

    Returns:
        for each row a list of files, see `Finder.find`, and whether they are in another folder than
        it names
    """
    beside = rows["beside"] if "beside" in rows else [""] * len(rows)
    found = pd.Series([*map(finder.find, rows["file"], beside)], rows.index, dtype=object)
    parts = rows["file"].map(_parts)
    fit = pd.Series([*map(_fit, found, parts, beside)], rows.index, dtype=object)
    named = parts.map(lambda each: folded("/".join(each[:-1])))
    first, other = found.str[0], fit == "other"
    folder = first.map(posixpath.dirname, na_action="ignore")
    apart = folder.isin(folder[~other & (named != "")])
    several = named.where(other).groupby(first).transform("nunique") > 1
    taken = first.isin(first[fit == "whole"])
    none = (other & (apart | several | taken)) | ((fit == "part") & taken & (found.map(len) == 1))
    return found.where(~none, none.map(lambda _: [])), other & ~none


def _fit(clips: list[str], parts: list[str], beside: str) -> str:
    """How folders in a name fit those of its file: all, the file's at its end, a part, or other."""
    if not clips:
        return ""
    folders, common = clips[0].count("/"), _common(clips[0], parts)
    for path in (parts, [*_parts(beside), *parts]):
        if _common(clips[0], path) == folders == len(path) - 1:
            return "whole"
    if common < min(folders, len(parts) - 1):
        return "other"
    return "end" if common == folders > 0 else "part"


def find_audio(
    table: pd.DataFrame, files: Files, finder: Finder
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Match labels with audio files.

    Args:
        table: gets the column ``path``, and a ``reason`` where no file fits, or several do. Of
            rows with the same ``file`` that are about different files, it becomes their path
        files: what is in the folder
        finder: of these files

    Returns:
        the audio files without a label, and what has a name that is no text: ``file``, ``path`` and
        ``reason``; and notes if files are not in the folders that the labels name, or have suffixes
        that are none of audio
    """
    found, other = matched(table, finder)
    written = table["file"].copy()
    if "beside" in table:
        del table["beside"]
    count = found.map(len)
    table["path"] = found.map(lambda each: f"{files.folder}/{each[0]}" if len(each) == 1 else None)
    listed = found.map(lambda each: " and ".join(each[:2]))
    several = "matches " + count.astype(str) + " files, as " + listed
    folders = found.map(lambda each: len(set(map(posixpath.dirname, each))))
    several += (
        folders.map(lambda n: ": add its " + ("folder" if n > 1 else "suffix")) + " to the name"
    )
    unfit = several.where(count > 1, _absent(written, files.others)).where(count != 1, None)
    table["reason"] = table["reason"].where(table["reason"].notna(), unfit).astype(object)
    several_files = table.groupby("file")["path"].transform("nunique") > 1
    table["file"] = listed.where(several_files & (count == 1), table["file"])
    labelled = set().union(*found)
    same = "is the same clip as {}, which is used"
    copies = {clip: same.format(first) for clip, first in finder.copies.items()}
    rest: list[tuple[str, str | None, str]] = [
        (clip, f"{files.folder}/{clip}", copies.get(clip, "has no label"))
        for clip in files.clips
        if clip not in labelled
    ]
    rest += [(name, None, NO_TEXT) for name in files.unnamed]
    unused = pd.DataFrame(rest, columns=["file", "path", "reason"], dtype=object)
    notes = [
        f"{other.sum()} of {len(table)} labels name other folders than those of their files: "
        f"{name} is taken for {clip}"
        for name, clip in zip(written[other][:1], listed[other][:1], strict=True)
    ]
    return unused, (*notes, *_strange(files.others))


def _absent(written: pd.Series, others: list[str]) -> pd.Series:
    """Why no audio file fits a name: because there is none, or only one that is not read."""
    there: dict[str, str] = {}
    for other in others:
        name = folded(posixpath.basename(other))
        there |= {name: other, posixpath.splitext(name)[0]: other}

    def why(name: str) -> str:
        last = folded("/".join(_parts(name)[-1:]))
        other = there.get(last) or there.get(_stem(last))
        if other is None:
            return MISSING
        return f"is there as {other}, whose suffix is none of audio: convert it to wav"

    return written.map(why)


def _strange(others: list[str]) -> tuple[str, ...]:
    """A note of the files that may be audio, but have another suffix."""
    strange = [name for name in others if posixpath.splitext(name)[1]]
    if not strange:
        return ()
    more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
    first = ", ".join(strange[:3])
    return (f"files whose suffixes are none of audio are left out: {first}{more}",)
