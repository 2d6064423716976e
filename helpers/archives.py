"""Zip and tar files, unpacked once into the cache.

No member can be written outside its folder. Files that systems hide in archives are left out.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from helpers.cli import UserError
from helpers.progress import bar
from helpers.storage import HIDDEN, cache_folder, digest, hash_of_file, mine

#: What `zipfile` and `tarfile` raise for damaged bytes, besides an `OSError` without a number.
UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    OverflowError,  # a time or a size that no system has
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression method, or a version, that it does not know
    ValueError,
)

#: Endings of the names of archives that are read; what is called otherwise may be one, too.
ZIP, TAR = (".zip",), (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")

#: How archives begin that are not read: 7z and rar.
OTHERS = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")

#: An archive that unpacks to more than this many times its size is refused, unless it unpacks to no
#: more than `HARMLESS`. Zipped speech has half its size, tables have a twentieth.
LARGEST_RATIO = 100

#: Seconds after which an archive is no longer being unpacked.
ABANDONED = 7 * 24 * 3600

#: Bytes that fit on any disk.
HARMLESS = 10**9


class ArchiveError(UserError):
    """An archive that cannot be unpacked; the message names it and says how to fix it."""


class _Wanted(NamedTuple):
    """The arguments of `unpacked`."""

    kind: str
    name: str
    suffixes: tuple[str, ...]
    what: str

    def folder(self, key: str) -> Path:
        return cache_folder(self.kind) / f"{self.name}-{key}"

    def has(self, name: str) -> bool:
        """Whether a file has one of the suffixes, and is not what a system hides."""
        hidden = any(part.startswith(HIDDEN) for part in PurePosixPath(name).parts)
        return name.lower().endswith(self.suffixes) and not hidden


def unpacked(
    source: Path,
    name: str,
    suffixes: tuple[str, ...],
    *,
    kind: str = "corpora",
    what: str = "audio and no table",
) -> Path:
    """Unpack a zip or tar file into the cache, unless it is there already.

    Args:
        source: the archive; a tar may be compressed (gzip, bzip2, xz)
        name: beginning of the folder's name; the rest is a digest of the archive's content
        suffixes: of the files that are wanted, in lower case
        kind: folder in the cache
        what: what an archive without such files is said to lack

    Returns:
        the folder

    Raises:
        ArchiveError: if the archive cannot be read or unpacked, is encrypted, holds links or paths
            that would lead outside the folder, or nothing that is wanted, or is a bomb
        storage.OutputError: if the cache cannot be written
    """
    form, unpack = ("tar", _unpacked_tar) if _is_tar(source) else ("zip", _unpacked_zip)
    try:
        return unpack(source, _Wanted(kind, name, suffixes, what))
    except UserError:  # before its base class ValueError, which `zipfile` raises
        raise
    except (*UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ArchiveError(
                f"{source} could not be unpacked ({error.strerror}): make room, let VALENCE_OUTPUT "
                "name another folder, or unpack it yourself and name the folder instead."
            ) from error
        reason = str(error).partition("\n")[0].rstrip(":")
        raise ArchiveError(
            f"{source} is not a {form} file that can be read ({reason}): make or download it again."
        ) from error


def _is_tar(source: Path) -> bool:
    """Whether it is a tar, or else a zip; perhaps a damaged one, as its name says."""
    if not source.is_file():
        raise ArchiveError(f"{source} is a pipe or a device: name a folder or a zip file instead.")
    called = source.name.lower()
    try:
        with open(source, "rb") as file:
            other = file.read(8).startswith(OTHERS)
    except OSError as error:
        raise ArchiveError(
            f"{source} cannot be read ({error.strerror or error}): give yourself the right to read "
            "it, or name a copy."
        ) from error
    with contextlib.suppress(*UNREADABLE, OSError):  # damaged: found again later
        if other:
            called = ""
        elif tarfile.is_tarfile(source):
            return True
        elif zipfile.is_zipfile(source):
            return False
    if called.endswith((*ZIP, *TAR)):
        return called.endswith(TAR)
    raise ArchiveError(
        f"{source} is neither a folder nor a zip or tar file: if it is an archive, unpack it and "
        "name the folder instead."
    )


def _unpacked_zip(source: Path, asked: _Wanted) -> Path:
    with zipfile.ZipFile(source) as archive:
        # Not by `is_dir`, which fails for a member without a name.
        members = [m for m in archive.infolist() if not m.filename.endswith("/")]
        for member in members:
            member.filename = _zipped_name(member)
            _refuse_unsafe(member.filename, stat.S_ISLNK(member.external_attr >> 16), source)
            if member.flag_bits & 0x1:
                raise ArchiveError(
                    f"{source} is encrypted: unpack it with its password and name the folder "
                    "instead."
                )
        # Of members with the same name the last counts, as zips are updated by adding to them.
        by_name = {m.filename: m for m in members if asked.has(m.filename)}
        wanted = list(by_name.values())
        _refuse_empty(wanted, [member.filename for member in members], source, asked.what)
        _refuse_bomb(sum(member.file_size for member in wanted), source)
        key = digest("\n".join(f"{m.filename} {m.file_size} {m.CRC}" for m in wanted))
        folder = asked.folder(key)
        with _whole(folder) as partial:
            for member in bar(wanted if partial else [], desc="unpacking", unit="file"):
                try:
                    archive.extract(member, partial)
                except UNREADABLE:  # a damaged clip is later rejected, as an empty file
                    (partial / member.filename).write_bytes(b"")
    return folder


def _zipped_name(member: zipfile.ZipInfo) -> str:
    """With slashes, whatever the system; in UTF-8, which some write without saying so."""
    name = member.filename.replace("\\", "/")
    if not member.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            return name.encode("cp437").decode()
    return name


def _unpacked_tar(source: Path, asked: _Wanted) -> Path:
    """Unpack a tar; no part of it, since what follows damaged bytes is lost."""
    folder = asked.folder(digest(f"{hash_of_file(source)} {asked.suffixes}"))
    with _whole(folder) as partial:
        if partial is None:
            return folder
        size, names, wanted = 0, [], []
        with tarfile.open(source) as archive:
            for member in bar(archive, desc="unpacking", unit="file"):
                if member.isdir():
                    continue
                _refuse_unsafe(member.name, not member.isreg(), source)
                size += member.size
                _refuse_bomb(size, source)  # before its bytes are passed over
                names.append(member.name)
                if asked.has(member.name):
                    archive.extract(member, partial, filter="data")
                    wanted.append(member)
            _refuse_damaged(archive, len(names))
        _refuse_empty(wanted, names, source, asked.what)
    return folder


def _refuse_damaged(archive: tarfile.TarFile, files: int) -> None:
    """Refuse a tar with a header that `tarfile` cannot read and takes for the end, a zero block."""
    rest = archive.fileobj
    rest.seek(archive.offset)
    if rest.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"it is damaged or ends after {files} files")
    while rest.read(2**20):  # to its end, where the checksum is
        pass


def _refuse_unsafe(name: str, link: bool, source: Path) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or re.match("[A-Za-z]:", name) or ".." in path.parts or link:
        raise ArchiveError(
            f"{source} holds {name!r}, which would land outside its folder: "
            "make it again without links and with paths that stay inside it."
        )


def _refuse_empty(wanted: list[Any], names: list[str], source: Path, what: str) -> None:
    if not wanted:
        example = f" but {names[0]!r}" if names else ""
        example += f" and {len(names) - 1} others" if len(names) > 1 else ""
        raise ArchiveError(f"{source} holds no {what}{example}: name one with both, or a folder.")


def _refuse_bomb(size: int, source: Path) -> None:
    """Judge by the sizes that the archive states; no more than those is ever unpacked."""
    if size > max(HARMLESS, LARGEST_RATIO * source.stat().st_size):
        raise ArchiveError(
            f"{source} would unpack to {size / 1e9:.1f} GB, which is over {LARGEST_RATIO} times "
            "its own size: if it is meant to, unpack it yourself and name the folder instead."
        )


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path | None]:
    """Let a folder be filled beside its place, so that a killed run leaves no half of it.

    What killed runs left is removed: of this thread's number at once, of others by its age, since
    they may be running on another machine.

    Yields:
        the folder to fill, or None if `folder` is there
    """
    if folder.exists():
        yield None
        return
    partial = folder.with_name(f"{folder.name}.{mine()}.partial")
    for left in folder.parent.glob("*.partial"):
        with contextlib.suppress(OSError):  # another run may have removed it
            if left == partial or time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left)
    try:
        partial.mkdir()
        yield partial
        os.replace(partial, folder)
    except OSError:
        if not folder.exists():  # else another run was faster, and its files are the same
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
