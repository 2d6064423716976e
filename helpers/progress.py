"""One look for every progress bar: only on what takes over two seconds, and gone when it ends."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """Show progress, as a widget in notebooks and as text in terminals.

    Args:
        iterable: what to go through, or None to call ``update``
        **options: ``desc``, ``unit``, ``total``, see tqdm

    Returns:
        the bar; none is drawn where the environment has ``TQDM_DISABLE``, which tqdm's own widget
        does not heed
    """
    return tqdm(iterable, delay=2, leave=False, disable=not watched(), **options)


def watched() -> bool:
    """Whether someone sees what is shown now; what is only for them is then not stored.

    Returns:
        False where the environment has ``TQDM_DISABLE``, as in `make report` and in tests

    See: notebooks/05_error_analysis.ipynb
    """
    return not os.environ.get("TQDM_DISABLE")
