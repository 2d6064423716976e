"""What callers may want to catch wherever in the reading of a corpus it comes from."""


class CorpusError(ValueError):
    """A corpus that cannot be used; the message names the file and the mend."""
