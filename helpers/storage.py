"""Where files are, and how they are written: whole or not at all.

Nothing here knows about audio or networks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from helpers.cli import UserError

#: How the names of files and folders begin that systems hide; macOS puts such a file beside a clip.
HIDDEN = (".", "__MACOSX")

#: The checkout.
PROJECT = Path(__file__).resolve().parent.parent


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
        if matrix.shape == shape and matrix.dtype == np.float32 and matrix.flags.c_contiguous:
            return matrix
    return None


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new one.

    Args:
        path: file to write; what it held is replaced
        content: what it is to hold; text is written as UTF-8

    Raises:
        OutputError: if it cannot be written
    """
    with atomic_write(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Let a file be written beside its place, and put it there at the end, whole or not at all.

    Args:
        path: file to write; what it held is replaced

    Yields:
        the path to write to, with the same suffix

    Raises:
        OutputError: if it cannot be written
    """
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with writing(path):
            yield partial
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the system while a file is written into one that says how to fix it.

    Args:
        path: what is written

    Raises:
        OutputError: if it cannot be
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}): make room there, or let "
            "VALENCE_OUTPUT name another folder."
        ) from error
