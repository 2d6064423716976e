"""Open corpora by name: where to download them, and under which licence.

Only corpora that need no signed agreement are here. `fetch` downloads one of `CORPORA` into the
cache, once. An interrupted download, even one that was killed, is resumed. Reading the file is left
to the rest of `corpora`.

From a terminal, ``python -m helpers.corpora.downloads NAME`` prints where the file is, and its
licence.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import filelock
import requests

from helpers.corpora.errors import CorpusError
from helpers.corpora.layouts import KNOWN
from helpers.progress import bar
from helpers.storage import cache_folder, writing

#: Sent with each request: Zenodo refuses the name that requests sends by default, and bytes that
#: were compressed for the transfer could not be counted.
HEADERS = {"User-Agent": "valence-from-speech", "Accept-Encoding": "identity"}

#: Seconds without an answer or without another byte.
TIMEOUT = 30

#: Bytes that are written at once; a broken connection loses no more.
CHUNK = 2**16


@dataclass(frozen=True)
class Download:
    """A zip that anyone may download.

    Attributes:
        url: where it is
        size: in bytes
        md5: the hash of the zip, as Zenodo publishes it
        licence: the terms of use
    """

    url: str
    size: int
    md5: str
    licence: str


#: By the names that users type; see ``known.toml``.
CORPORA = {name: Download(**about) for name, about in KNOWN["downloads"].items()}


def fetch(name: str) -> Path:
    """Download a corpus into the cache, or find it there.

    Two calls at once download once. The file is checked on every call, so that it may also be put
    there by hand.

    Args:
        name: one of `CORPORA`, in any case

    Returns:
        path of the zip

    Raises:
        CorpusError: if there is no such corpus, it cannot be downloaded, or is not the file that
            was published
        storage.OutputError: if the file cannot be written
    """
    name = name.lower()
    if name not in CORPORA:
        raise CorpusError(
            f"No corpus called {name!r} can be downloaded: name one of {', '.join(CORPORA)}."
        )
    corpus, path = CORPORA[name], cache_folder("downloads") / f"{name}.zip"
    part = path.with_suffix(".zip.part")
    with writing(path), filelock.FileLock(path.with_suffix(".zip.lock")):
        if not path.exists():
            try:
                _download(corpus, part, desc=f"downloading {name}")
            except requests.RequestException as error:
                came = f"{_size(part) / 1e6:.0f} of {corpus.size / 1e6:.0f} MB"
                raise CorpusError(
                    f"{corpus.url} stopped at {came} ({_cause(error)}): run the same command again "
                    f"to go on from there, or download it elsewhere and put it at {path}."
                ) from error
            os.replace(part, path)
        with open(path, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if md5 != corpus.md5:
            path.unlink()
            raise CorpusError(
                f"{path} was not what {corpus.url} should be (its MD5 is not {corpus.md5}) "
                "and is removed: run the same command again."
            )
    return path


def _download(corpus: Download, part: Path, *, desc: str) -> None:
    """Complete `part`, from where an earlier download ended."""
    have = _size(part)
    if have >= corpus.size:  # the last run was stopped just before it could rename the part
        return
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(corpus.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if have and response.status_code == requests.codes.range_not_satisfiable:
            part.unlink()  # longer than the server's file: start over
            _download(corpus, part, desc=desc)
            return
        if not response.ok:
            raise requests.HTTPError(f"the server answers {response.status_code} {response.reason}")
        if response.status_code != requests.codes.partial_content:
            have = 0  # the server ignores ranges and sends all of it
        offered = response.headers.get("Content-Length", "an unknown number of")
        if offered != str(corpus.size - have):  # e.g. a proxy's page: keep the part
            raise requests.RequestException(
                f"the server offers {offered} bytes instead of {corpus.size - have}"
            )
        with (
            open(part, "ab" if have else "wb") as file,
            bar(total=corpus.size, initial=have, desc=desc, unit="B", unit_scale=True) as progress,
        ):
            for chunk in response.iter_content(CHUNK):
                progress.update(file.write(chunk))


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _cause(error: BaseException) -> str:
    """The innermost reason: the errors around it only repeat the address."""
    while error.__context__:
        error = error.__context__
    return str(error)


def main(arguments: list[str] | None = None) -> int:
    """Download a corpus by its name, and print where it is and its licence."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.corpora.downloads", description=main.__doc__
    )
    parser.add_argument("name", nargs="?", default="", help=", ".join(CORPORA))
    path = fetch(parser.parse_args(arguments).name)
    print(f"{path} (licence: {CORPORA[path.stem].licence})")
    return 0
