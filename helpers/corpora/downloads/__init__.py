"""Open corpora by name: where to download them, and under which licence.

Only corpora that need no signed agreement are here. `fetch` downloads one of `CORPORA` into the
cache, once. An interrupted download, even one that was killed, is resumed. Reading the file is left
to the rest of `corpora`.

From a terminal, ``python -m helpers.corpora.downloads NAME`` prints where the file is, and its
licence.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from helpers import downloads
from helpers.corpora.errors import CorpusError, of_its_file
from helpers.corpora.layouts import KNOWN
from helpers.downloads import Download
from helpers.storage import cache_folder

#: By the names that users type; see ``known.toml``.
CORPORA = {name: Download(**about) for name, about in KNOWN["downloads"].items()}


def fetch(name: str) -> Path:
    """Download a corpus into the cache, or find it there, see `downloads.fetch`.

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
    with of_its_file():
        return downloads.fetch(CORPORA[name], cache_folder("downloads") / f"{name}.zip")


def main(arguments: list[str] | None = None) -> int:
    """Download a corpus by its name, and print where it is and its licence."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.corpora.downloads", description=main.__doc__
    )
    parser.add_argument("name", nargs="?", default="", help=", ".join(CORPORA))
    path = fetch(parser.parse_args(arguments).name)
    print(f"{path} (licence: {CORPORA[path.stem].licence})")
    return 0
