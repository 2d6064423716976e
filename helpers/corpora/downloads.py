"""Open corpora by name: what may be had without a signature, from where, under which licence.

`fetch` downloads one of `CORPORA` into the cache, once. A download that was interrupted, however
roughly, goes on where it was. What is in the file is for `corpora` to read.

From a terminal, ``python -m helpers.corpora.downloads NAME`` says where the file is, and its licence.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import filelock
import pooch
import requests

from helpers import cli
from helpers.cli import UserError
from helpers.progress import bar
from helpers.storage import cache_folder

#: Sent with each request: Zenodo refuses the name that requests gives itself, and bytes that were
#: compressed for the way could not be counted.
HEADERS = {"User-Agent": "valence-from-speech", "Accept-Encoding": "identity"}

TIMEOUT = 30  # seconds without an answer or without another byte
CHUNK = 2**16  # bytes; what a broken connection can lose of what came


class DownloadError(UserError):
    """A corpus that cannot be had; the message names what failed and the mend."""


@dataclass(frozen=True)
class Download:
    """A zip that anyone may download.

    Attributes:
        url: where it is
        size: bytes
        md5: its hash, as Zenodo publishes it
        licence: the terms of use
    """

    url: str
    size: int
    md5: str
    licence: str


CORPORA = {
    "ravdess": Download(  # the speech of https://zenodo.org/records/1188976, without the songs
        url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
        size=208_468_073,
        md5="bc696df654c87fed845eb13823edef8a",
        licence="CC BY-NC-SA 4.0",
    ),
}


def fetch(name: str) -> Path:
    """Download a corpus into the cache, or find it there.

    Two calls at once download once. The file is checked on every call, so that one which was put
    there by hand is as good as one that was downloaded.

    Args:
        name: one of `CORPORA`, in any case

    Returns:
        path of the zip

    Raises:
        DownloadError: if there is no such corpus, or it cannot be downloaded, written, or is not
            what was published
    """
    name = name.lower()
    if name not in CORPORA:
        raise DownloadError(
            f"No corpus called {name!r} can be downloaded: name one of {', '.join(CORPORA)}."
        )
    corpus, path = CORPORA[name], cache_folder("downloads") / f"{name}.zip"
    part = path.with_suffix(".zip.part")
    try:
        with filelock.FileLock(path.with_suffix(".zip.lock")):
            if not path.exists():
                _download(corpus, part, desc=f"downloading {name}")
                os.replace(part, path)
            if pooch.file_hash(path, alg="md5") != corpus.md5:
                path.unlink()
                raise DownloadError(
                    f"{path} was not what {corpus.url} should be (its MD5 is not {corpus.md5}) "
                    "and is removed: run the same command again."
                )
    except requests.RequestException as error:
        came = f"{_size(part) / 1e6:.0f} of {corpus.size / 1e6:.0f} MB"
        raise DownloadError(
            f"{corpus.url} stopped at {came} ({_cause(error)}): run the same command again to go "
            f"on from there, or download it elsewhere and put it at {path}."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be written ({error.strerror}): make room, or name another folder with "
            "VALENCE_OUTPUT, and run the same command again."
        ) from error
    return path


def _download(corpus: Download, part: Path, *, desc: str) -> None:
    """Complete `part`. Not `pooch.retrieve`, whose temporary file is lost with the process."""
    have = _size(part)
    if have >= corpus.size:  # the last run was stopped just before it could rename the part
        return
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(corpus.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if have and response.status_code == requests.codes.range_not_satisfiable:
            part.unlink()  # longer than the server's file, so no part of it: start over
            _download(corpus, part, desc=desc)
            return
        if not response.ok:
            raise requests.HTTPError(f"the server answers {response.status_code} {response.reason}")
        if response.status_code != requests.codes.partial_content:
            have = 0  # the server knows no ranges and sends all of it
        offered = response.headers.get("Content-Length", "an unknown number of")
        if offered != str(corpus.size - have):  # a proxy's page, say, for which no part is given up
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
    """Find the innermost reason: those around it repeat the address in other words."""
    while error.__context__:
        error = error.__context__
    return str(error)


def main(arguments: list[str] | None = None) -> int:
    """Download a corpus by its name; 0, or 2 with one sentence if it cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.corpora.downloads", description=main.__doc__
    )
    parser.add_argument("name", nargs="?", default="", help=", ".join(CORPORA))
    path = fetch(parser.parse_args(arguments).name)
    print(f"{path} (licence: {CORPORA[path.stem].licence})")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
