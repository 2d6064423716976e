"""Zip files, unpacked once into the cache; nothing in them can land elsewhere."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from helpers.errors import CorpusError
from helpers.progress import bar
from helpers.settings import cache_folder


def unpacked(source: Path, name: str, suffixes: tuple[str, ...]) -> Path:
    """Unpack a zip file into the cache, unless it is there already.

    Args:
        source: the zip file
        name: what the folder's name begins with; the rest says what was in the zip
        suffixes: of the files that are wanted, in lower case

    Returns:
        the folder

    Raises:
        CorpusError: if the zip cannot be read, is encrypted, or holds links or paths that would
            land outside the folder
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            for member in members:
                _refuse_unsafe(member, source)
            wanted = [m for m in members if m.filename.lower().endswith(suffixes)]
            content = "\n".join(f"{m.filename} {m.file_size} {m.CRC}" for m in wanted)
            key = hashlib.sha256(content.encode(errors="replace")).hexdigest()[:16]
            folder = cache_folder("corpora") / f"{name}-{key}"
            if not folder.exists():
                _unpack(archive, wanted, folder)
            return folder
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CorpusError(
            f"{source} is not a zip file that can be read ({error}): make or download it again."
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


def _unpack(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> None:
    """Unpack beside `folder`, then rename, so that a killed run leaves no half of it."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    for member in bar(members, desc="unpacking", unit="file"):
        target = partial / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            try:
                with archive.open(member) as packed:
                    shutil.copyfileobj(packed, out)
            except (zipfile.BadZipFile, zlib.error, EOFError):
                out.truncate(0)  # a damaged clip is then rejected as unreadable, like any other
    try:
        os.replace(partial, folder)
    except OSError:
        shutil.rmtree(partial)
        if not folder.exists():  # else another run was faster, and its files are the same
            raise
