"""What the start at the median and the statistics taken anew do, each alone and both together."""

from __future__ import annotations

import contextlib
import functools
import itertools
import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from helpers import workers
from helpers.models import keras, limit_threads
from helpers.progress import bar
from helpers.splits import Split
from helpers.training.run import predict, refit, train


class _Training(NamedTuple):
    start_at_median: bool
    seed: int


def compare_starts(
    model: keras.Model,
    features: np.ndarray,
    ratings: np.ndarray,
    split: Split,
    *,
    seeds: int = 3,
    jobs: int = -1,
    **options: Any,
) -> pd.DataFrame:
    """Test a network that starts at 0 or at the median, before and after `refit`.

    Args:
        model: see `train`
        features: see `train`
        ratings: see `train`
        split: its training part is trained on, its test part predicted
        seeds: trainings from each start, with the seeds 0, 1, ...
        jobs: trainings at once, each in a process with one thread, so that their number does not
            change a bit of the result; -1 is one for each core, as far as memory goes
        **options: of `train`, such as `epochs`

    Returns:
        a row for each ``start`` (``"0"``, ``"median"``), ``statistics`` (``"moving averages"``,
        ``"taken anew"``) and ``seed``: ``MAE``, and ``mean error``, prediction less rating

    Raises:
        workers.KilledError: if a process is killed twice, as the system does when memory runs out
        cli.UserError: if `jobs` is 0

    See: notebooks/03_model.ipynb
    """
    tasks = [_Training(*each) for each in itertools.product((False, True), range(seeds))]
    network = model.to_json()  # a model itself would compute before the threads are limited
    # A process opens a file itself, so that no task holds the features of the whole corpus.
    where: np.ndarray | Path = np.asarray(features)
    if isinstance(features, np.memmap) and isinstance(features.base, mmap.mmap):
        where = Path(features.filename)
    test = functools.partial(_test, network, where, ratings, split, options)
    rows: list[dict[str, Any]] = []
    with (
        bar(total=len(tasks), desc="starts", unit="training") as progress,
        contextlib.closing(
            workers.each(test, tasks, workers.side_by_side(jobs, workers.TRAINING_MEMORY))
        ) as ended,
    ):
        for _, found in ended:
            if isinstance(found, workers.KilledError):
                raise workers.KilledError(f"{found} Use fewer jobs.")
            rows += found
            progress.update()
    return pd.DataFrame(rows).sort_values(["start", "statistics", "seed"], ignore_index=True)


def _test(
    network: str,
    where: np.ndarray | Path,
    ratings: np.ndarray,
    split: Split,
    options: dict[str, Any],
    task: _Training,
) -> list[dict[str, Any]]:
    limit_threads(1)
    features = where if isinstance(where, np.ndarray) else np.load(where, mmap_mode="r")
    model = keras.models.model_from_json(network)
    fitted = split._replace(validation=np.array([], dtype=int))  # nothing is chosen with it
    settings = {**options, **task._asdict(), "refit_statistics": False}
    run = train(model, features, ratings, fitted, **settings)
    rows = []
    for statistics in ("moving averages", "taken anew"):
        if statistics == "taken anew":
            refit(run)
        error = predict(run, features, split.test) - np.asarray(ratings)[split.test]
        rows.append(
            {
                "start": "median" if task.start_at_median else "0",
                "statistics": statistics,
                "seed": task.seed,
                "MAE": np.abs(error).mean(),
                "mean error": error.mean(),
            }
        )
    return rows
