"""The error of everything that reads a corpus."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from helpers.archives import ArchiveError
from helpers.cli import UserError
from helpers.downloads import DownloadError


class CorpusError(UserError):
    """A corpus that cannot be used; the message names the file and says how to fix it."""


class ScaleError(CorpusError):
    """Ratings whose scale is not clear."""


@contextlib.contextmanager
def of_its_file() -> Iterator[None]:
    """Let what is wrong with the archive or the download of a corpus be a `CorpusError`."""
    try:
        yield
    except (ArchiveError, DownloadError) as error:
        raise CorpusError(str(error)) from error
