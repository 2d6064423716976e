"""The error of everything that reads a corpus."""

from __future__ import annotations

from helpers.cli import UserError


class CorpusError(UserError):
    """A corpus that cannot be used; the message names the file and says how to fix it."""
