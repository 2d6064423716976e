"""One look for every progress bar: only on what takes over two seconds, and gone when it ends."""

from __future__ import annotations

import os

from tqdm.auto import tqdm


def bar(iterable=None, **options) -> tqdm:
    """Show progress, as a widget in notebooks and as text in terminals.

    Args:
        iterable: what to go through, or None to call ``update``
        **options: ``desc``, ``unit``, ``total``, see tqdm

    Returns:
        the bar; none is drawn where the environment has ``TQDM_DISABLE``, which tqdm's own widget
        does not heed
    """
    hidden = bool(os.environ.get("TQDM_DISABLE"))
    return tqdm(iterable, delay=2, leave=False, disable=hidden, **options)
