"""Audio files by the names that people write: other letters, slashes, folders and suffixes."""

from __future__ import annotations

import filecmp
import posixpath
import re
import unicodedata
from collections import defaultdict

import pandas as pd

from helpers.corpora.layouts import Files


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
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for clip in files.clips:
            name = folded(posixpath.basename(clip))
            for each in {name, posixpath.splitext(name)[0]}:
                self._by_name[each].append(clip)

    def find(self, written: str, beside: str = "") -> list[str]:
        """The files that a name may mean.

        Args:
            written: name with or without suffix, below any folder of any machine
            beside: folder of the table, below the corpus's, whose files are preferred

        Returns:
            one name below the corpus's folder, none, or several if they fit equally well and are
            not copies of each other
        """
        parts = [part for part in re.split(r"[\\/]+", written.strip()) if part.strip(".")]
        if not parts:
            return []
        name = folded(parts[-1])
        found = self._by_name.get(name) or self._by_name.get(posixpath.splitext(name)[0]) or []
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


def _closeness(clip: str, parts: list[str], beside: str) -> tuple[int, bool, bool, bool]:
    """How well a file fits: common folders, the whole path, the table's folder, the letters."""
    *folders, name = clip.split("/")
    common = 0
    for ours, theirs in zip(reversed(folders), reversed(parts[:-1]), strict=False):
        if folded(ours) != folded(theirs):
            break
        common += 1
    whole = 0 < common == len(parts) - 1 == len(folders)
    letters = name == parts[-1] or posixpath.splitext(name)[0] == parts[-1]
    return common, whole, bool(beside) and clip.startswith(f"{beside}/"), letters


def find_audio(table: pd.DataFrame, files: Files, finder: Finder) -> pd.DataFrame:
    """Match labels with audio files.

    Args:
        table: gets the column ``path``, and a ``reason`` where no file fits, or several do
        files: what is in the folder
        finder: of these files

    Returns:
        the audio files without a label: ``file``, ``path`` and ``reason``
    """
    beside = table.pop("beside") if "beside" in table else pd.Series("", index=table.index)
    names = zip(table["file"], beside, strict=True)
    found = pd.Series([finder.find(*each) for each in names], index=table.index, dtype=object)
    count = found.map(len)
    table["path"] = found.map(lambda each: f"{files.folder}/{each[0]}" if len(each) == 1 else None)
    listed = found.map(lambda each: " and ".join(each[:2]))
    several = "matches " + count.astype(str) + " files, as " + listed
    several += ": add its folder to the name"
    unfit = several.where(count > 1, "is not in the corpus").where(count != 1, None)
    table["reason"] = table["reason"].where(table["reason"].notna(), unfit).astype(object)
    labelled = set().union(*found)
    rest = [clip for clip in files.clips if clip not in labelled]
    copies = finder.copies
    reasons = [
        f"is the same clip as {copies[clip]}, which is used" if clip in copies else "has no label"
        for clip in rest
    ]
    printable = [clip.encode(errors="replace").decode() for clip in rest]
    paths = [f"{files.folder}/{clip}" for clip in rest]
    columns = {"file": printable, "path": paths, "reason": reasons}
    return pd.DataFrame(columns, dtype=object)
