"""One reproducible training run.

The seed alone decides the initial weights, the batch order and the dropout, so that two runs with
the same arguments on the same machine end with the same bits. Features are standardised here,
with the mean and the standard deviation of the training set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from helpers.backend import jit_compile, keras, seed_everything
from helpers.progress import bar
from helpers.splits import Split


@dataclass(frozen=True)
class Run:
    """A trained network and how it came about.

    Attributes:
        model: the trained network; it expects standardised features, see `predict`
        history: a row an epoch: ``epoch``, ``train_mae`` (mean over the epoch's batches, with
            dropout) and ``validation_mae`` (after the epoch; absent without a validation part)
        scores: MAE of the final weights: ``train`` and ``validation``
        settings: every argument that decided the weights, the number of ``parameters``, and the
            ``mean`` and ``deviation`` (decibels) that features are standardised with
        seconds: time that training took
        validation: predictions after each epoch, float32 [epochs, validation clips]; None without
            a validation part
        features: what `train` was given, not a copy
        ratings: of every clip, float32 [clips]
        split: row numbers of its parts
    """

    model: keras.Model
    history: pd.DataFrame
    scores: dict[str, float]
    settings: dict
    seconds: float
    validation: np.ndarray | None = None
    features: np.ndarray | None = None
    ratings: np.ndarray | None = None
    split: Split | None = None


def train(
    model: keras.Model,
    features: np.ndarray,
    ratings: np.ndarray,
    split: Split,
    *,
    batch_size: int = 16,
    epochs: int = 20,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Run:
    """Train a network with Adam on the mean absolute error, the report's metric.

    Args:
        model: the architecture. Its weights are neither used nor changed: training starts from a
            copy with initial weights drawn from `seed`
        features: decibels, float32 [clips, n_mels, frames], see `features.extract`
        ratings: valence of each clip [clips]
        split: row numbers; the test part is not looked at
        batch_size: clips in a training step
        epochs: passes over the training part
        learning_rate: of Adam
        weight_decay: share of each weight, times the learning rate, that a step takes away
            (Loshchilov & Hutter 2019); 0 is plain Adam
        seed: of initial weights, batch order and dropout
        on_epoch: called after each epoch with its number and its errors, as in `Run.history`; what
            it raises ends the training

    Raises:
        ValueError: if the number of ratings is not that of the features, or the training part is
            empty
        FloatingPointError: if the loss is no longer a number

    See: notebooks/03_model.ipynb
    """
    ratings = np.asarray(ratings, dtype=np.float32)
    if len(ratings) != len(features):
        raise ValueError(f"There are {len(ratings)} ratings for the features of {len(features)}.")
    if len(split.train) == 0:
        raise ValueError("The training part of the split is empty.")
    mean, deviation = statistics(features, split.train)
    seed_everything(seed)
    model = keras.models.clone_model(model)
    adam = keras.optimizers.Adam(learning_rate, weight_decay=weight_decay or None)
    adam.build(model.trainable_variables)  # else the first step is traced twice
    model.compile(adam, loss="mean_absolute_error", jit_compile=jit_compile())
    settings = {
        "model": model.name,
        "parameters": model.count_params(),
        "batch_size": batch_size,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "seed": seed,
        "mean": mean,
        "deviation": deviation,
    }
    run = Run(model, pd.DataFrame(), {}, settings, 0.0)
    order = np.random.default_rng(seed)
    history, validation = [], []
    start = time.perf_counter()
    with bar(total=epochs, desc=model.name, unit="epoch") as progress:
        for epoch in range(1, epochs + 1):
            total = 0.0
            batches = _batches(order.permutation(split.train), batch_size)
            for rows, inputs in _ready(run, features, batches):
                total += len(rows) * float(model.train_on_batch(inputs, ratings[rows]))
            losses = {"train_mae": total / len(split.train)}
            if len(split.validation):
                validation.append(predict(run, features, split.validation))
                losses["validation_mae"] = _mae(validation[-1], ratings[split.validation])
            if not np.isfinite(list(losses.values())).all():
                raise FloatingPointError(
                    f"The loss is no longer a number in epoch {epoch}: lower the learning rate "
                    f"(it is {learning_rate:g})."
                )
            history.append({"epoch": epoch, **losses})
            progress.set_postfix({name: f"{value:.3f}" for name, value in losses.items()})
            progress.update()
            if on_epoch is not None:
                on_epoch(epoch, losses)
    seconds = time.perf_counter() - start
    scores = {"train": _mae(predict(run, features, split.train), ratings[split.train])}
    if validation:
        scores["validation"] = history[-1]["validation_mae"]
    return replace(
        run,
        history=pd.DataFrame(history),
        scores=scores,
        seconds=seconds,
        validation=np.stack(validation) if validation else None,
        features=features,
        ratings=ratings,
        split=split,
    )


def _batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _ready(
    run: Run, features: np.ndarray, batches: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and standardised features of each batch, read while the network is at the one before."""
    with ThreadPoolExecutor(1) as reader:
        coming = None
        for rows in batches:
            now, coming = coming, (rows, reader.submit(_standardised, run, features, rows))
            if now:
                yield now[0], now[1].result()
        if coming:
            yield coming[0], coming[1].result()


def _standardised(run: Run, features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    mean, deviation = np.float32(run.settings["mean"]), np.float32(run.settings["deviation"])
    return (features[rows] - mean) / deviation


def _mae(predicted: np.ndarray, ratings: np.ndarray) -> float:
    return float(np.abs(predicted - ratings).mean())


def statistics(features: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of some clips' features, read a clip at a time.

    Args:
        features: decibels [clips, n_mels, frames]
        rows: row numbers of the clips, those of the training part

    Returns:
        mean and standard deviation over clips, bands and frames, in decibels

    Raises:
        ValueError: if the features are constant
    """
    means = np.array([features[row].mean(dtype=np.float64) for row in rows])
    variances = np.array([features[row].var(dtype=np.float64) for row in rows])
    deviation = float(np.sqrt(variances.mean() + means.var()))  # law of total variance
    if deviation == 0:
        raise ValueError("The features of the training part are constant.")
    return float(means.mean()), deviation


def predict(run: Run, features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Predict the valence of some clips.

    Args:
        run: see `train`
        features: decibels, float32 [clips, n_mels, frames]
        rows: row numbers of the clips

    Returns:
        valence on the scale of the ratings, float32 [rows]

    See: notebooks/03_model.ipynb
    """
    batches = _batches(np.asarray(rows), run.settings["batch_size"])
    predicted = [run.model.predict_on_batch(x) for _, x in _ready(run, features, batches)]
    return np.concatenate(predicted)[:, 0]
