"""One reproducible training run.

The seed alone decides the initial weights, the batch order and the dropout, so that two runs with
the same arguments on the same machine end with the same bits. Features are standardised here,
with the mean and the standard deviation of the training set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.features import is_padding
from helpers.models import jit_compile, keras, seed_everything
from helpers.progress import bar
from helpers.splits import Split
from helpers.training import losses
from helpers.training.augmentation import Augmentation, augment

#: What is done to a batch of clips and to its ratings, of which `predict` has none.
Change = Callable[..., tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Run:
    """A trained network and how it came about.

    Attributes:
        model: the trained network; it expects standardised features, see `predict`
        history: a row an epoch: ``epoch``, ``train_mae`` (mean over the epoch's batches, with
            dropout) and ``validation_mae`` (after the epoch; absent without a validation part)
        scores: MAE of the final weights: ``train`` and ``validation``
        settings: every argument that decided the weights, the number of ``parameters``, and the
            ``mean`` and ``deviation`` (decibels) that features are standardised with: numbers, or
            lists [n_mels, 1]
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
    settings: dict[str, Any]
    seconds: float
    validation: np.ndarray | None
    features: np.ndarray
    ratings: np.ndarray
    split: Split


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
    loss: str = "mae",
    balanced: bool = False,
    schedule: Literal["constant", "cosine"] = "constant",
    averaging: float = 0.0,
    per_band: bool = False,
    by_length: bool = False,
    augmentation: Augmentation | None = None,
    weights: list[np.ndarray] | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Run:
    """Train a network with Adam, by default on the mean absolute error, the report's metric.

    Args:
        model: the architecture. Its weights are neither used nor changed: training starts from a
            copy
        features: decibels, float32 [clips, n_mels, frames], see `features.extract`
        ratings: valence of each clip [clips]
        split: row numbers; the test part is not looked at
        batch_size: clips in a training step
        epochs: passes over the training part
        learning_rate: of Adam
        weight_decay: share of each weight, times the learning rate, that a step takes away
            (Loshchilov & Hutter 2019); 0 is plain Adam
        seed: of initial weights, batch order, dropout and augmentation
        loss: see `losses.named`
        balanced: weigh clips by how rare their rating is, see `rarity`
        schedule: of the learning rate: ``"cosine"`` lets it rise for a tenth of the steps and then
            fall to a tenth (Loshchilov & Hutter 2017)
        averaging: of the weights over the steps, exponentially: the share that the average keeps at
            each step, such as 0.99. The averages are what the trained network has
        per_band: standardise each mel band with its own mean and deviation
        by_length: put clips that are about as long into one batch, and leave out the frames that
            are padding in all of them; for networks that take any number of frames
        augmentation: how training clips are changed each time they are seen
        weights: to begin with, as from another corpus (``run.model.get_weights()``); drawn from
            `seed` if None
        on_epoch: called after each epoch with its number and its errors, as in `Run.history`; what
            it raises ends the training

    Raises:
        ValueError: if the number of ratings is not that of the features, or the training part is
            empty, or the loss or schedule is unknown, or batches are to be made by length for a
            network that takes clips of one length only
        FloatingPointError: if the loss is no longer a number

    See: notebooks/03_model.ipynb
    """
    ratings = np.asarray(ratings, dtype=np.float32)
    if len(ratings) != len(features):
        raise ValueError(f"There are {len(ratings)} ratings for the features of {len(features)}.")
    if len(split.train) == 0:
        raise ValueError("The training part of the split is empty.")
    if by_length and model.input_shape[2] is not None:
        raise ValueError(
            f"The network takes clips of {model.input_shape[2]} frames only: build it for "
            f"({model.input_shape[1]}, None) to train by_length."
        )
    error = losses.named(loss, model)
    mean, deviation = (band_statistics if per_band else statistics)(features, split.train)
    importance = rarity(ratings, split.train) if balanced else None
    seed_everything(seed)
    model = keras.models.clone_model(model)
    if weights is not None:
        model.set_weights(weights)
    steps = epochs * -(-len(split.train) // batch_size)
    adam = keras.optimizers.Adam(
        _schedule(schedule, learning_rate, steps),
        weight_decay=weight_decay or None,
        use_ema=averaging > 0,
        ema_momentum=averaging or 0.99,
    )
    adam.build(model.trainable_variables)  # else the first step is traced twice
    model.compile(adam, loss=error, jit_compile=jit_compile())
    settings = {
        "model": model.name,
        "parameters": model.count_params(),
        "batch_size": batch_size,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "seed": seed,
        "loss": loss,
        "balanced": balanced,
        "schedule": schedule,
        "averaging": averaging,
        "per_band": per_band,
        "by_length": by_length,
        "augmentation": asdict(augmentation) if augmentation else None,
        "mean": mean,
        "deviation": deviation,
    }
    run = Run(model, pd.DataFrame(), {}, settings, 0.0, None, features, ratings, split)
    change = _changed(augmentation, mean, seed)
    lengths = _lengths(features, split.train) if by_length else None
    order = np.random.default_rng(seed)
    history, validation = [], []
    start = time.perf_counter()
    with bar(total=epochs, desc=model.name, unit="epoch") as progress:
        for epoch in range(1, epochs + 1):
            total = 0.0
            batches = _batches(order.permutation(split.train), batch_size)
            if lengths is not None:
                batches = _as_long(batches, lengths, order)
            for rows, inputs, targets in _ready(run, features, batches, ratings, change, lengths):
                weight = None if importance is None else importance[rows]
                total += len(rows) * float(model.train_on_batch(inputs, targets, weight))
            errors = {"train_mae": total / len(split.train)}
            if averaging and epoch == epochs:
                adam.finalize_variable_values(model.trainable_variables)
            if len(split.validation):
                validation.append(predict(run, features, split.validation))
                errors["validation_mae"] = _mae(validation[-1], ratings[split.validation])
            if not np.isfinite(list(errors.values())).all():
                raise FloatingPointError(
                    f"The loss is no longer a number in epoch {epoch}: lower the learning rate "
                    f"(it is {learning_rate:g})."
                )
            history.append({"epoch": epoch, **errors})
            progress.set_postfix({name: f"{value:.3f}" for name, value in errors.items()})
            progress.update()
            if on_epoch is not None:
                on_epoch(epoch, errors)
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
    )


def _batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


#: Lengths are rounded up to so many frames, since TensorFlow prepares a network for each anew.
FRAMES = 32

#: Batches are made by length out of so many batches' clips, so that they are others in each epoch.
POOLED = 8


def _lengths(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Frames of clips until their padding begins, rounded up [clips]; 0 of all other rows."""
    lengths = np.zeros(len(features), dtype=int)
    for row in rows:
        known = np.flatnonzero(~is_padding(features[row : row + 1]))
        lengths[row] = FRAMES * -(-(known.max(initial=0) + 1) // FRAMES)
    return lengths


def _as_long(
    batches: list[np.ndarray], lengths: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """The same clips in batches of clips that are about as long, in any order."""
    found = []
    for start in range(0, len(batches), POOLED):
        rows = np.concatenate(batches[start : start + POOLED])
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        found += _batches(rows, len(batches[0]))
    return [found[number] for number in rng.permutation(len(found))]


def _ready(
    run: Run,
    features: np.ndarray,
    batches: list[np.ndarray],
    ratings: np.ndarray | None = None,
    change: Change = lambda clips, ratings: (clips, ratings),
    lengths: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Rows, standardised features and ratings of each batch, read while the one before is used."""
    mean, deviation = np.float32(run.settings["mean"]), np.float32(run.settings["deviation"])

    def read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        longest = None if lengths is None else lengths[rows].max()
        clips = features[rows][:, :, :longest]
        clips, targets = change(clips, None if ratings is None else ratings[rows])
        return rows, (clips - mean) / deviation, targets

    with ThreadPoolExecutor(1) as reader:
        coming = None
        for rows in batches:
            now, coming = coming, reader.submit(read, rows)
            if now:
                yield now.result()
        if coming:
            yield coming.result()


def _changed(amounts: Augmentation | None, fill: ArrayLike, seed: int) -> Change:
    """What is done to each batch of training clips and their ratings."""
    if amounts is None:
        return lambda clips, ratings: (clips, ratings)
    rng = np.random.default_rng([seed, 1])  # not the numbers of the batch order
    return lambda clips, ratings: augment(clips, ratings, amounts, fill=fill, rng=rng)


def _schedule(
    name: str, learning_rate: float, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if name == "constant":
        return learning_rate
    if name != "cosine":
        raise ValueError(f"schedule is {name!r}: it is 'constant' or 'cosine'.")
    rise = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 10,
        max(1, steps - rise),
        alpha=0.1,  # of the highest, where it began too
        warmup_target=learning_rate,
        warmup_steps=rise,
    )


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


def band_statistics(
    features: np.ndarray, rows: np.ndarray
) -> tuple[list[list[float]], list[list[float]]]:
    """Mean and standard deviation of each mel band over some clips, read a clip at a time.

    Args:
        features: decibels [clips, n_mels, frames]
        rows: row numbers of the clips, those of the training part

    Returns:
        mean and standard deviation in decibels, lists [n_mels, 1], as a results file takes them; a
        band that never changes has a deviation of 1

    See: notebooks/06_improvements.ipynb
    """
    means = np.array([features[row].mean(axis=1, dtype=np.float64) for row in rows])
    variances = np.array([features[row].var(axis=1, dtype=np.float64) for row in rows])
    deviation = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
    deviation[deviation == 0] = 1
    return means.mean(axis=0)[:, None].tolist(), deviation[:, None].tolist()


def rarity(ratings: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Weights that grow with the rarity of a rating, so that rare ones count as much as common.

    Label-distribution smoothing (Yang et al. 2021): the density of the ratings, smoothed by a
    Gaussian of a twentieth of their range, inverted, and its root taken, which is milder.

    Args:
        ratings: valence of each clip [clips]
        rows: row numbers of the training part, which alone has a density

    Returns:
        weight of each clip, 1 on average over the training part, float32 [clips]

    See: notebooks/06_improvements.ipynb
    """
    width = max(np.ptp(ratings[rows]) / 20, 1e-6)
    values, counts = np.unique(ratings[rows], return_counts=True)
    density = np.exp(-0.5 * ((ratings[:, None] - values) / width) ** 2) @ counts
    weights = 1 / np.sqrt(np.maximum(density, 1))
    return (weights / weights[rows].mean()).astype(np.float32)


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
    predicted = [run.model.predict_on_batch(x) for _, x, _ in _ready(run, features, batches)]
    return np.concatenate(predicted)[:, 0]
