"""Files from the internet: downloaded once, resumed after any interruption, checked on every use.

What can be downloaded, and what is done with it, is left to `corpora` and `features`.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import filelock

from helpers.cli import UserError
from helpers.progress import bar
from helpers.storage import hash_of_file, write_file, writing

#: Sent with each request: Zenodo refuses the name that requests sends by default, and bytes that
#: were compressed for the transfer could not be counted.
HEADERS = {"User-Agent": "valence-from-speech", "Accept-Encoding": "identity"}

#: Seconds without an answer or without another byte.
TIMEOUT = 30

#: Bytes that are written at once; a broken connection loses no more.
CHUNK = 2**16


class DownloadError(UserError):
    """A file that cannot be downloaded, or is not the one that was published."""


@dataclass(frozen=True)
class Download:
    """A zip that anyone may download.

    Attributes:
        url: where it is
        licence: the terms of use
        size: in bytes; None if it is not known before the download
        md5: the hash of the zip, as Zenodo publishes it; None if it is not known here. Then the
            hash of the first download is kept beside it, and later ones are compared with that
    """

    url: str
    licence: str
    size: int | None = None
    md5: str | None = None


def fetch(file: Download, path: Path) -> Path:
    """Download a file, or find it where an earlier call put it.

    Two calls at once download once. The file is checked on every call, so that it may also be put
    there by hand.

    Args:
        file: see `Download`
        path: where it is to be

    Returns:
        the path

    Raises:
        DownloadError: if it cannot be downloaded, or is not the file that was published
        storage.OutputError: if it cannot be written
    """
    import requests  # here, since it takes long

    part = path.with_name(f"{path.name}.part")
    with writing(path), filelock.FileLock(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            try:
                _download(file, part, desc=f"downloading {path.stem}")
            except requests.RequestException as error:
                came = f"{_size(part) / 1e6:.0f}"
                came += f" of {file.size / 1e6:.0f} MB" if file.size else " MB"
                raise DownloadError(
                    f"{file.url} stopped at {came} ({_cause(error)}): run the same command again "
                    f"to go on from there, or download it elsewhere and put it at {path}."
                ) from error
            os.replace(part, path)
        _check(file, path)
    return path


def _check(file: Download, path: Path) -> None:
    """Remove and refuse what is not the published file."""
    kind, expected = ("MD5", file.md5) if file.md5 else ("SHA-256", _first_hash(file, path))
    found = hash_of_file(path, "md5" if file.md5 else "sha256")
    if found == expected:
        return
    path.unlink()
    newer = "" if file.md5 else f", or remove {_hash_file(path)} first if a newer one was published"
    raise DownloadError(
        f"{path} was not what {file.url} should be (its {kind} is not {expected}) "
        f"and is removed: run the same command again{newer}."
    )


def _first_hash(file: Download, path: Path) -> str:
    """The hash of the first file that came; of this one, if it is the first and is whole."""
    kept = _hash_file(path)
    if not kept.exists():
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
        except (zipfile.BadZipFile, NotImplementedError):
            damaged = "all of it"
        if damaged:
            path.unlink()
            raise DownloadError(
                f"{path} was not the zip that {file.url} should be (damaged: {damaged}) and is "
                "removed: run the same command again."
            )
        write_file(kept, hash_of_file(path) + "\n")
    return kept.read_text(encoding="utf-8").strip()


def _hash_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _download(file: Download, part: Path, *, desc: str) -> None:
    """Complete `part`, from where an earlier download ended."""
    import requests

    have = _size(part)
    if file.size and have >= file.size:  # the last run was stopped before it could rename the part
        return
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if have and response.status_code == requests.codes.range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{have}" and not file.size:
                return  # all of it came before
            part.unlink()  # longer than the server's file: start over
            _download(file, part, desc=desc)
            return
        if not response.ok:
            raise requests.HTTPError(f"the server answers {response.status_code} {response.reason}")
        if response.status_code != requests.codes.partial_content:
            have = 0  # the server ignores ranges and sends all of it
        offered = response.headers.get("Content-Length", "an unknown number of")
        if file.size and offered != str(file.size - have):  # e.g. a proxy's page: keep the part
            raise requests.RequestException(
                f"the server offers {offered} bytes instead of {file.size - have}"
            )
        total = have + int(offered) if offered.isdecimal() else file.size
        with (
            open(part, "ab" if have else "wb") as opened,
            bar(total=total, initial=have, desc=desc, unit="B", unit_scale=True) as progress,
        ):
            for chunk in response.iter_content(CHUNK):
                progress.update(opened.write(chunk))


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _cause(error: BaseException) -> str:
    """The innermost reason: the errors around it only repeat the address."""
    while error.__context__:
        error = error.__context__
    return str(error)
