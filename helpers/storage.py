"""Where files are, how they are written (whole or not at all), and a store of finished fits.

Nothing here knows about audio or networks.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import filelock
import numpy as np

from helpers.cli import UserError

if TYPE_CHECKING:
    import pandas as pd

#: How the names of files and folders begin that systems hide; macOS puts such a file beside a clip.
HIDDEN = (".", "__MACOSX")

#: The checkout.
PROJECT = Path(__file__).resolve().parent.parent

#: What is wrong with a file whose name `is_text` refuses.
NO_TEXT = "has a name that is no text: rename it"

#: How to fix it if a file cannot be written whose place the project chose, or the user.
MAKE_ROOM = "make room there, or let VALENCE_OUTPUT name another folder"
NAME_ANOTHER = "name another file"

#: Characters that tell what wrote a table: more than the path of a recording has.
BEGINNING = 8192


class OutputError(UserError, OSError):
    """A file or folder that cannot be written; the message names it and says how to fix it."""


def output_folder() -> Path:
    """``VALENCE_OUTPUT``, or the project's own folder.

    Raises:
        OutputError: if it is the home of a user who has none
    """
    try:
        return Path(os.environ.get("VALENCE_OUTPUT") or PROJECT).expanduser().resolve()
    except RuntimeError as error:
        raise OutputError(
            f"VALENCE_OUTPUT names nobody's folder ({error}): name another."
        ) from error


def cache_folder(kind: str) -> Path:
    """``.cache/<kind>`` below `output_folder`, made if need be; all in it can be rebuilt."""
    return make_folder(output_folder() / ".cache" / kind)


def let_numba_cache(package: str) -> None:
    """Let numba keep in the cache here what it compiles of a package, if there is no other place.

    Else it raises an error where neither the package's folder nor the user's cache can be written
    to. It must not have been imported.

    Args:
        package: name of an installed package
    """
    spec = importlib.util.find_spec(package)
    places = [*((spec and spec.submodule_search_locations) or [])]
    places.append(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111
    if not any(map(_may_write, places)):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(output_folder() / ".cache" / "numba"))


def _may_write(folder: str) -> bool:
    """Whether a folder can be written to or, if it is not there, made."""
    above = (Path(folder), *Path(folder).parents)
    return os.access(next(each for each in above if os.access(each, os.F_OK)), os.W_OK)


def make_folder(folder: Path) -> Path:
    """Make a folder, unless it is there; the same path.

    Raises:
        OutputError: if it cannot be made
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def files_below(
    folder: str | os.PathLike[str],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The files in a folder and those in it, without hidden ones.

    Links to other folders are followed. What they lead to counts once, so that no loop goes on.

    Args:
        folder: path

    Returns:
        the folders below it and the name of each file, sorted; and those of each folder that cannot
        be read
    """
    top = os.path.realpath(folder)
    found: list[tuple[str, ...]] = []
    closed: list[tuple[str, ...]] = []
    entered = {top}

    def enter(path: str) -> bool:
        real = os.path.realpath(path)
        here = os.path.islink(path) and f"{real}{os.sep}".startswith(f"{top}{os.sep}")  # noqa: PTH114
        new = not here and real not in entered
        entered.add(real)
        return new

    for parent, folders, names in os.walk(folder, followlinks=True):
        shown = [name for name in sorted(folders) if not name.startswith(HIDDEN)]
        folders[:] = [name for name in shown if enter(os.path.join(parent, name))]  # noqa: PTH118
        below = Path(parent).relative_to(folder).parts
        found += [(*below, name) for name in names if not name.startswith(HIDDEN)]
        for name in folders:
            if not os.access(os.path.join(parent, name), os.R_OK | os.X_OK):  # noqa: PTH118
                closed.append((*below, name))
    return sorted(found), sorted(closed)


def is_text(name: str) -> bool:
    r"""Whether the name of a file is text; it may hold bytes that are none, as from old zips.

    Examples:
        >>> is_text("caf\xe9.wav"), is_text("caf\udce9.wav")
        (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(content: str) -> str:
    """16 hexadecimal digits that change with the content: the beginning of its SHA-256.

    Examples:
        >>> digest("valence")
        'ee407a4ccfbd73eb'
    """
    return hashlib.sha256(content.encode(errors="replace")).hexdigest()[:16]


def cached_array(path: Path, shape: tuple[int, ...]) -> np.memmap | None:
    """An array of 32-bit floats in the cache, as a read-only memory map.

    Args:
        path: its file
        shape: the shape that it must have

    Returns:
        None if there is no such file, or it is not whole, or not ours
    """
    with contextlib.suppress(Exception):  # numpy's parser of a spoilt header raises many kinds
        matrix = np.lib.format.open_memmap(path, mode="r")
        whole = path.stat().st_size == matrix.offset + matrix.nbytes
        ours = matrix.shape == shape and matrix.dtype == np.float32 and matrix.flags.c_contiguous
        if whole and ours:
            return matrix
    return None


def hash_of_file(path: str | Path, kind: str = "sha256") -> str:
    """Hexadecimal digits that change with any byte of a file.

    Args:
        path: of the file
        kind: of the hash, see `hashlib.new`

    Raises:
        OSError: if it cannot be read
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def mine() -> str:
    """What no other thread, process or machine calls its unfinished files; short, as names are."""
    return digest(f"{platform.node()} {os.getpid()} {threading.get_ident()}")


def write_file(path: Path, content: str | bytes, *, fix: str = MAKE_ROOM) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new one.

    Args:
        path: file to write; what it held is replaced
        content: what it is to hold; text is written as UTF-8
        fix: see `writing`

    Raises:
        OutputError: if it cannot be written
    """
    with atomic_write(path, fix=fix) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def atomic_write(path: Path, *, fix: str = MAKE_ROOM) -> Iterator[Path]:
    """Let a file be written beside its place, and put it there at the end, whole or not at all.

    Args:
        path: file to write; what it held is replaced
        fix: see `writing`

    Yields:
        the path to write to, with the same suffix

    Raises:
        OutputError: if it cannot be written
    """
    partial = path.with_name(f"{path.stem}.{mine()}.partial{path.suffix}")
    try:
        with writing(path, fix=fix):
            yield partial
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def writing(path: Path, *, fix: str = MAKE_ROOM) -> Iterator[None]:
    """Turn an error of the system while a file is written into one that says how to fix it.

    Args:
        path: what is written
        fix: what the user can do

    Raises:
        OutputError: if it cannot be
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}): {fix}."
        ) from error


def destination(named: str | Path, *, suffix: str, begins: str) -> Path:
    """The file that a command writes a table to: the path, or what it links to.

    Its folder is made if need be. What is there is replaced only if the command wrote it, so that
    no labels, recording or model is lost.

    Args:
        named: as the user wrote it
        suffix: of such a table, such as ``.csv``; ``.txt`` or none will do, too
        begins: how such a table begins, as a regular expression; a tab reads as a comma

    Raises:
        OutputError: if it cannot be written, or is or looks like something else than such a table
    """
    path = Path(named)
    with writing(path, fix=NAME_ANOTHER):
        out = Path(os.path.realpath(path))
        if str(named) in ("", "-"):
            raise OutputError(f"{str(named)!r} is no file: name one.")
        if path.is_dir() or str(named).endswith(("/", os.sep)):
            raise OutputError(f"{named} is a folder: name a file.")
        also = [".tsv"] if suffix == ".csv" else []
        if out.suffix.lower() not in (suffix, ".txt", "", *also):
            raise OutputError(
                f"{path} has the suffix {out.suffix} of another kind of file: name one with "
                f"{suffix}."
            )
        if out.is_symlink() or (path.exists() and not path.is_file()):
            raise OutputError(f"{path} is a pipe, a device or a link to itself: name a file.")
        if path.exists() and not _begins(path, begins):
            raise OutputError(
                f"{path} is there already, and this command did not write it: name another file."
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            return out


def _begins(path: Path, begins: str) -> bool:
    """Whether a file is empty, or begins so."""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(BEGINNING).replace("\t", ",")
    return not text or re.match(begins, text) is not None


def write_table(path: Path, table: pd.DataFrame, *, index: bool = False) -> None:
    """Write a table to a `destination`, with commas or, in a ``.tsv``, with tabs.

    Args:
        path: file to write
        table: what it is to hold
        index: whether its index is a column
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    write_file(path, table.to_csv(sep=separator, index=index), fix=NAME_ANOTHER)


def write_json(
    path: Path, content: dict[str, Any] | list[dict[str, Any]], *, fix: str = MAKE_ROOM
) -> None:
    """Write what JSON can hold, see `write_file`; what is not a number becomes null."""
    plain = json.loads(json.dumps(content), parse_constant=lambda not_a_number: None)
    write_file(path, json.dumps(plain, indent=1, ensure_ascii=False) + "\n", fix=fix)


#: What is stored of a finished fit, as JSON.
Record = dict[str, Any]


class Fit(Protocol):
    """What a `Store` keeps a record of."""

    @property
    def key(self) -> str:
        """Name of its file: it changes with anything that decides the numbers."""

    def is_whole(self, record: Record) -> bool:
        """Whether a record is of this fit and says all that is asked.

        A spoilt record may also make it raise AttributeError, LookupError, TypeError or ValueError.
        """


AnyFit = TypeVar("AnyFit", bound=Fit)


@dataclass(frozen=True)
class Store:
    """Finished fits, each in a JSON file of its own, so that none is done twice.

    A file that is torn, spoilt or not of this fit counts as missing.

    Attributes:
        folder: holds the files
    """

    folder: Path

    def path(self, fit: Fit) -> Path:
        """The file of a fit."""
        return self.folder / f"{fit.key}.json"

    def load(self, fit: Fit) -> Record | None:
        """The record of a fit, or None if it is missing."""
        spoilt = (OSError, AttributeError, LookupError, TypeError, ValueError)
        with contextlib.suppress(*spoilt):
            record = json.loads(self.path(fit).read_text(encoding="utf-8"))
            if fit.is_whole(record):
                return record
        return None

    def load_all(self, fits: Iterable[AnyFit]) -> tuple[dict[str, Record], list[AnyFit]]:
        """The records of those fits that are stored, by key, and the missing fits, each once."""
        unique = {fit.key: fit for fit in fits}
        found = {key: self.load(fit) for key, fit in unique.items()}
        records = {key: record for key, record in found.items() if record is not None}
        return records, [fit for key, fit in unique.items() if key not in records]

    def once(self, fit: Fit, make: Callable[[], Record]) -> Record:
        """The record of a fit; if it is missing, make it and store it.

        Two processes never make the same record at once: one waits for the other.

        Args:
            fit: what is stored
            make: returns the record; nothing is stored if it raises an error

        Raises:
            storage.OutputError: if the record cannot be written
        """
        path = self.path(fit)
        with writing(path):
            held = filelock.FileLock(path.with_suffix(".lock")).acquire()
        with held:
            record = self.load(fit)
            if record is None:
                record = make()
                write_json(path, record)
        return record
