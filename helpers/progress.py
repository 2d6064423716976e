"""One look for every progress bar: only on what takes over two seconds, and gone when it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from IPython.display import DisplayHandle


class CellLine:
    """A line beneath a notebook's cell, as a file for tqdm: what is written replaces what was.

    A widget would be stored with the notebook and would be dead when it is opened again. Of this
    line, an output without content is stored.
    """

    def __init__(self) -> None:
        self._shown: DisplayHandle | None = None

    def write(self, text: str) -> None:
        """Show a line; an empty one leaves nothing to see."""
        line = text.strip()
        content = {"text/plain": line} if line else {}
        if self._shown is not None:
            self._shown.update(content, raw=True)
        elif line:
            from IPython.display import display

            self._shown = display(content, raw=True, display_id=True)

    def flush(self) -> None:
        """Nothing waits to be written."""


def bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """Show progress, as a line of text.

    Args:
        iterable: what to go through, or None to call ``update``
        **options: ``desc``, ``unit``, ``total``, see tqdm

    Returns:
        the bar; none is drawn where the environment has ``TQDM_DISABLE``, or what is drawn goes to
        a file

    See: notebooks/05_error_analysis.ipynb
    """
    if _in_notebook():  # each bar has a line of its own
        options |= {"file": CellLine(), "ncols": 90, "position": 0, "ascii": False}
    disable = None if watched() else True  # None leaves it to tqdm, which asks for a terminal
    return tqdm(iterable, delay=2, leave=False, disable=disable, **options)


def _in_notebook() -> bool:
    """Whether a kernel runs this; IPython, which takes long to import, is then loaded."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def watched() -> bool:
    """Whether someone sees what is shown now; what is only for them is then not stored.

    Returns:
        False where the environment has ``TQDM_DISABLE``, as in `make report` and in tests

    See: notebooks/05_error_analysis.ipynb
    """
    return not os.environ.get("TQDM_DISABLE")
