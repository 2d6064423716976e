"""Zip files, unpacked once into the cache; no member can be written outside its folder."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from helpers.cli import UserError
from helpers.corpora.errors import CorpusError
from helpers.progress import bar
from helpers.storage import cache_folder, digest

#: What `zipfile` raises for damaged bytes.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression method, or a version, that it does not know
    ValueError,
)

#: A zip that unpacks to more than this many times its size is refused, unless it unpacks to no more
#: than `HARMLESS`. Zipped speech has half its size, tables have a twentieth.
LARGEST_RATIO = 100

#: Bytes that fit on any disk.
HARMLESS = 10**9


def unpacked(source: Path, name: str, suffixes: tuple[str, ...]) -> Path:
    """Unpack a zip file into the cache, unless it is there already.

    Args:
        source: the zip file
        name: beginning of the folder's name; the rest is a digest of the zip's content
        suffixes: of the files that are wanted, in lower case

    Returns:
        the folder

    Raises:
        CorpusError: if the zip cannot be read or unpacked, is encrypted, holds links or paths that
            would lead outside the folder, or is a zip bomb
        storage.OutputError: if the cache cannot be written
    """
    try:
        with zipfile.ZipFile(source) as archive:
            # Not by `is_dir`, which fails for a member without a name.
            members = [m for m in archive.infolist() if not m.filename.endswith("/")]
            for member in members:
                _refuse_unsafe(member, source)
            # Of members with the same name the last counts, as zips are updated by adding to them.
            by_name = {m.filename: m for m in members if m.filename.lower().endswith(suffixes)}
            wanted = list(by_name.values())
            _refuse_bomb(wanted, source)
            key = digest("\n".join(f"{m.filename} {m.file_size} {m.CRC}" for m in wanted))
            folder = cache_folder("corpora") / f"{name}-{key}"
            if not folder.exists():
                _unpack(archive, wanted, folder)
            return folder
    except UserError:  # before its base class ValueError, which `zipfile` raises
        raise
    except UNREADABLE as error:
        raise CorpusError(
            f"{source} is not a zip file that can be read ({error}): make or download it again."
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{source} could not be unpacked ({error.strerror}): make room, let VALENCE_OUTPUT "
            "name another folder, or unpack it yourself and name the folder instead."
        ) from error


def _refuse_unsafe(member: zipfile.ZipInfo, source: Path) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    absolute = name.is_absolute() or re.match("[A-Za-z]:", member.filename)
    link = stat.S_ISLNK(member.external_attr >> 16)
    if absolute or ".." in name.parts or link:
        raise CorpusError(
            f"{source} holds {member.filename!r}, which would land outside its folder: "
            "make the zip again without links and with paths that stay inside it."
        )
    if member.flag_bits & 0x1:
        raise CorpusError(
            f"{source} is encrypted: unpack it with its password and name the folder instead."
        )


def _refuse_bomb(members: list[zipfile.ZipInfo], source: Path) -> None:
    """Judge by the sizes that the zip states; no more than those is ever unpacked."""
    size = sum(member.file_size for member in members)
    if size > max(HARMLESS, LARGEST_RATIO * source.stat().st_size):
        raise CorpusError(
            f"{source} would unpack to {size / 1e9:.1f} GB, which is over {LARGEST_RATIO} times "
            "its own size: if it is meant to, unpack it yourself and name the folder instead."
        )


def _unpack(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> None:
    """Unpack beside `folder`, then rename, so that a killed run leaves no half of it."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        for member in bar(members, desc="unpacking", unit="file"):
            try:
                archive.extract(member, partial)
            except UNREADABLE:  # a damaged clip is later rejected, as an empty file
                (partial / member.filename).write_bytes(b"")
        os.replace(partial, folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not folder.exists():  # else another run was faster, and its files are the same
            raise
