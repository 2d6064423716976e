"""Which clips form a batch, and reading the next batch while one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from helpers.features import is_padding

#: Lengths are rounded up to so many frames, since TensorFlow prepares a network for each anew.
FRAMES = 32

#: Batches are made by length out of so many batches' clips, so that they differ in each epoch.
POOLED = 8

T = TypeVar("T")


def prefetch(read: Callable[[np.ndarray], T], batches: Iterable[np.ndarray]) -> Iterator[T]:
    """Yield ``read(rows)`` for each batch; while one is used, a thread reads the next.

    Args:
        read: reads the clips of these rows
        batches: row numbers of each batch
    """
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for rows in batches:
            now, coming = coming, thread.submit(read, rows)
            if now:
                yield now.result()
        if coming:
            yield coming.result()


def in_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Row numbers in groups of `size`; the last may be smaller."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def sounding_frames(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Frames of clips before their padding, rounded up to `FRAMES` [clips]; 0 for other rows."""
    lengths = np.zeros(len(features), dtype=int)
    for row in rows:
        known = np.flatnonzero(~is_padding(features[row : row + 1]))
        lengths[row] = FRAMES * -(-(known.max(initial=0) + 1) // FRAMES)
    return lengths


def bucket_by_length(
    batches: list[np.ndarray], lengths: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """The same clips in batches of clips of similar length, in random order.

    Args:
        batches: row numbers of each batch
        lengths: frames of each clip [clips]
        rng: random numbers for the order of the batches
    """
    found = []
    for start in range(0, len(batches), POOLED):
        rows = np.concatenate(batches[start : start + POOLED])
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        found += in_batches(rows, len(batches[0]))
    return [found[number] for number in rng.permutation(len(found))]
