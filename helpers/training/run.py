"""One reproducible training run.

The seed alone decides the initial weights, the batch order and the dropout. Two runs with the same
arguments on the same machine end with the same bits. Features are standardised here, with the mean
and the standard deviation of the training part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.models import ClipStatistics, jit_compile, keras, quantiles, seed_everything
from helpers.progress import bar
from helpers.splits import Split
from helpers.training import losses
from helpers.training.batches import bucket_by_length as bucketed
from helpers.training.batches import in_batches, prefetch, sounding_frames
from helpers.training.normalisation import BatchStatistics

#: Changes decibels and ratings of a batch of training clips; see `augmentation.augment`.
Transform = Callable[..., tuple[np.ndarray, np.ndarray]]

#: A number for each row of the features, such as a mel band [rows, 1].
Bands = list[list[float]]

#: Called after each epoch with its number and its errors.
OnEpoch = Callable[[int, dict[str, float]], None]


class Start(NamedTuple):
    """Where a training begins, if not with random weights: at a trained network.

    Attributes:
        weights: of all its layers, as Keras's ``get_weights`` gives them
        mean: that its features were standardised with, see `Run.settings`
        deviation: likewise
    """

    weights: Sequence[np.ndarray]
    mean: float | Bands
    deviation: float | Bands


@dataclass(frozen=True)
class Run:
    """A trained network and how it was trained.

    Attributes:
        model: the trained network; it expects standardised features, see `predict`
        history: a row for each epoch: ``epoch``, ``train_mae`` (mean over the epoch's batches, with
            dropout and `transform`; ``train_loss`` in its place where the loss is another, or clips
            have weights) and ``validation_mae`` (after the epoch; absent without a validation part)
        scores: MAE of the final weights: ``train`` and ``validation``
        settings: every argument that decided the weights (for `sample_weight`, `transform` and
            `start`, whether there was one), the number of ``parameters``, and the ``mean`` and
            ``deviation`` (decibels) that features are standardised with: numbers, or lists
            [rows, 1]
        seconds: duration of the training
        validation: predictions after each epoch, float32 [epochs, validation clips]; None without
            a validation part
        features: as passed to `train`, not a copy
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
    ratings: ArrayLike,
    split: Split,
    *,
    batch_size: int = 16,
    epochs: int = 20,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    loss: str = "mae",
    schedule: Literal["constant", "cosine"] = "constant",
    per_band: bool = False,
    bucket_by_length: bool = False,
    sample_weight: ArrayLike | None = None,
    transform: Transform | None = None,
    start_at_median: bool = True,
    refit_statistics: bool = True,
    start: Start | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train a network with Adam, by default on the mean absolute error, as the original study does.

    A network that ends in one linear unit predicts the median of the training ratings before the
    first step, for every clip: the unit's bias is the median and its weights are 0 (as Zhang,
    Dauphin & Ma 2019, Fixup's first rule, start a last layer). Keras's own start, near 0, lies
    outside a scale such as 1 to 5. Before a network predicts, the statistics of its batch
    normalisation are taken anew, see `refit`.

    Args:
        model: the architecture. Its weights are neither used nor changed: training starts from a
            copy with weights drawn from `seed`, or with those of `start`
        features: decibels, float32 [clips, rows, frames], see `features.extract`
        ratings: valence of each clip [clips]
        split: row numbers; the test part is not used
        batch_size: clips in a training step
        epochs: passes over the training part
        learning_rate: of Adam
        weight_decay: share of each weight, times the learning rate, that is subtracted in a step
            (Loshchilov & Hutter 2019); 0 is plain Adam
        seed: of initial weights, batch order, dropout and `transform`
        loss: ``"mae"``, ``"mae+ccc"`` or ``"distribution"``, see `losses.named`
        schedule: of the learning rate: ``"cosine"`` lets it rise for a tenth of the steps and then
            fall to a tenth (Loshchilov & Hutter 2017)
        per_band: standardise each mel band with its own mean and deviation
        bucket_by_length: put clips of similar length into one batch, and cut off the frames that
            are padding in all of them; for networks that take any number of frames
        sample_weight: weight of each clip in the loss [clips], such as `losses.rarity`
        transform: ``transform(clips, ratings, rng=rng)`` returns changed decibels [batch, rows,
            frames] and ratings [batch] of each training batch, such as `augmentation.augment`
        start_at_median: False starts a linear unit as Keras does, with random weights and bias 0
        refit_statistics: False predicts with moving averages, as Keras does
        start: weights to begin with, and what features are standardised with; None draws random
            weights, and standardises by the training part
        on_epoch: called after each epoch with its number and its errors, as in `Run.history`; an
            exception that it raises ends the training

    Raises:
        ValueError: if there is not one rating and weight a clip, or one is not a number, the
            training part is empty or its features are constant, the loss is unknown or does not fit
            the network, the schedule is unknown, or clips are to be bucketed by length for a
            network that takes clips of one length only
        FloatingPointError: if the loss is no longer a number

    See: notebooks/03_model.ipynb
    """
    used = np.concatenate([split.train, split.validation])
    ratings = _one_each(ratings, "ratings", features, used)
    weights = None
    if sample_weight is not None:
        weights = _one_each(sample_weight, "weights", features, used)
    _check(model, split, schedule, bucket_by_length)
    if start is None:
        mean, deviation = (band_statistics if per_band else statistics)(features, split.train)
    else:
        mean, deviation = start.mean, start.deviation
    settings = {
        "model": model.name,
        "parameters": model.count_params(),
        "batch_size": batch_size,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "seed": seed,
        "loss": loss,
        "schedule": schedule,
        "per_band": per_band,
        "bucket_by_length": bucket_by_length,
        "sample_weight": sample_weight is not None,
        "transform": transform is not None,
        "start_at_median": start_at_median,
        "refit_statistics": refit_statistics,
        "start": start is not None,
        "mean": mean,
        "deviation": deviation,
    }

    seed_everything(seed)
    model = keras.models.clone_model(model)
    if start is not None:
        model.set_weights(start.weights)
    elif start_at_median:
        _begin_at(np.median(ratings[split.train]), model)
    run = Run(model, pd.DataFrame(), {}, settings, 0.0, None, features, ratings, split)
    began = time.perf_counter()
    fitted = run if transform or bucket_by_length else _without_statistics(run)
    _compile(fitted.model, settings, epochs * -(-len(split.train) // batch_size))
    history, validation = _fit(fitted, weights, transform, on_epoch)
    seconds = time.perf_counter() - began
    scores = {"train": _mae(predict(run, features, split.train), ratings[split.train])}
    if validation is not None:
        scores["validation"] = float(history["validation_mae"].iloc[-1])
    return replace(run, history=history, scores=scores, seconds=seconds, validation=validation)


def _one_each(values: ArrayLike, what: str, features: np.ndarray, used: np.ndarray) -> np.ndarray:
    """One number for each clip, float32 [clips]; only those of the used rows are looked at."""
    numbers = np.asarray(values, dtype=np.float32)
    if numbers.shape != (len(features),):
        raise ValueError(
            f"There must be one of the {what} for each of {len(features)} clips: their shape is "
            f"{numbers.shape}."
        )
    if not np.isfinite(numbers[used]).all():
        raise ValueError(f"{what.capitalize()} must be numbers: leave out clips without one.")
    return numbers


def _check(model: keras.Model, split: Split, schedule: str, bucket_by_length: bool) -> None:
    if len(split.train) == 0:
        raise ValueError("The training part of the split is empty.")
    if schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule is {schedule!r}: it is 'constant' or 'cosine'.")
    if bucket_by_length and model.input_shape[2] is not None:
        raise ValueError(
            f"The network takes clips of {model.input_shape[2]} frames only: build it for "
            f"({model.input_shape[1]}, None) to train with bucket_by_length."
        )


def _begin_at(rating: float, model: keras.Model) -> None:
    """Let a network that ends in one linear unit predict a rating, whatever the clip."""
    *_, unit, last = model.layers
    if isinstance(last, keras.layers.Rescaling):
        rating = (rating - last.offset) / last.scale
    else:
        unit = last
    if isinstance(unit, keras.layers.Dense) and unit.units == 1:
        unit.kernel.assign(np.zeros(unit.kernel.shape))
        unit.bias.assign([rating])


def _compile(model: keras.Model, settings: dict[str, Any], steps: int) -> None:
    """Give the network its loss, and Adam with a learning rate for each of the steps."""
    rate = settings["learning_rate"]
    if settings["schedule"] == "cosine":
        rise = max(1, steps // 10)
        # It falls to a tenth of the highest, where it began, too.
        rate = keras.optimizers.schedules.CosineDecay(
            rate / 10, max(1, steps - rise), alpha=0.1, warmup_target=rate, warmup_steps=rise
        )
    adam = keras.optimizers.Adam(rate, weight_decay=settings["weight_decay"] or None)
    adam.build(model.trainable_variables)  # else the first step is traced twice
    model.compile(adam, losses.named(settings["loss"], model), jit_compile=jit_compile())


def _without_statistics(run: Run) -> Run:
    """The same run for the layers after `models.ClipStatistics`, if the network begins with it.

    That layer has no weights and no chance, so what it gives is computed once and not in each
    epoch. The two networks share all other layers.
    """
    first = run.model.layers[1]
    if not isinstance(first, ClipStatistics):
        return run
    rows = np.union1d(run.split.train, run.split.validation)
    front = keras.Model(run.model.inputs, first.output)
    found = np.full((len(run.features), first.output.shape[1]), np.nan, np.float32)
    found[rows] = _outputs(front, run.features, rows, run.settings)
    settings = {**run.settings, "mean": 0.0, "deviation": 1.0}
    rest = keras.Model(first.output, run.model.outputs, name=run.model.name)
    return replace(run, model=rest, features=found, settings=settings)


def _fit(
    run: Run, weights: np.ndarray | None, transform: Transform | None, on_epoch: OnEpoch | None
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Train the network of an empty run; returns `Run.history` and `Run.validation`."""
    model, settings, features, split = run.model, run.settings, run.features, run.split
    order = np.random.default_rng(settings["seed"])
    changes = np.random.default_rng([settings["seed"], 1])  # other numbers than the order's
    batch_statistics = BatchStatistics(model)
    lengths = _lengths(run)
    is_mae = settings["loss"] == "mae" and weights is None

    def read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Inputs, targets and weights of a batch."""
        clips, targets = _clips(features, rows, lengths), run.ratings[rows]
        if transform is not None:
            clips, targets = transform(clips, targets, rng=changes)
        return _standardised(clips, settings), targets, None if weights is None else weights[rows]

    history, validation = [], []
    with bar(total=settings["epochs"], desc=model.name, unit="epoch") as progress:
        for epoch in range(1, settings["epochs"] + 1):
            batches = in_batches(order.permutation(split.train), settings["batch_size"])
            if lengths is not None:
                batches = bucketed(batches, lengths, order)
            total = 0.0
            for batch in prefetch(read, batches):
                total += len(batch[0]) * float(model.train_on_batch(*batch))
            errors = {"train_mae" if is_mae else "train_loss": total / len(split.train)}
            if settings["refit_statistics"] and (
                len(split.validation) or epoch == settings["epochs"]
            ):
                _refit(run, batch_statistics, lengths)
            if len(split.validation):
                validation.append(predict(run, features, split.validation))
                errors["validation_mae"] = _mae(validation[-1], run.ratings[split.validation])
            if not np.isfinite(list(errors.values())).all():
                raise FloatingPointError(
                    f"The loss is no longer a number in epoch {epoch}: lower the learning rate "
                    f"(it is {settings['learning_rate']:g})."
                )
            history.append({"epoch": epoch, **errors})
            progress.set_postfix({name: f"{value:.3f}" for name, value in errors.items()})
            progress.update()
            if on_epoch is not None:
                on_epoch(epoch, errors)
    return pd.DataFrame(history), np.stack(validation) if validation else None


def refit(run: Run) -> None:
    """Take the statistics of batch normalisation anew, from training clips (Wu & Johnson 2021).

    `train` does it where it is not told otherwise.

    Args:
        run: its network is changed in place; which clips are used depends on its seed alone

    See: notebooks/03_model.ipynb
    """
    _refit(run, BatchStatistics(run.model), _lengths(run))


def _refit(run: Run, statistics: BatchStatistics, lengths: np.ndarray | None) -> None:
    settings = run.settings
    rows = np.random.default_rng([settings["seed"], 2]).permutation(run.split.train)

    def read(batch: np.ndarray) -> np.ndarray:
        return _standardised(_clips(run.features, batch, lengths), settings)

    statistics.refit(read, rows, batch_size=settings["batch_size"], lengths=lengths)


def _lengths(run: Run) -> np.ndarray | None:
    """Frames of the training clips before their padding, if batches are made by them."""
    if not run.settings["bucket_by_length"]:
        return None
    return sounding_frames(run.features, run.split.train)


def _clips(features: np.ndarray, rows: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """Some clips [rows, ...], without the frames that are padding in all of them."""
    clips = features[rows]
    return clips if lengths is None else clips[:, :, : lengths[rows].max()]


def _mae(predicted: np.ndarray, ratings: np.ndarray) -> float:
    return float(np.abs(predicted - ratings).mean())


def statistics(features: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of some clips' features, read a clip at a time.

    Args:
        features: decibels [clips, rows, frames]
        rows: row numbers of the clips, those of the training part

    Returns:
        mean and standard deviation over clips, bands and frames, in decibels

    Raises:
        ValueError: if the features are constant
    """
    mean, deviation = _moments(features, rows, axis=None)
    if deviation == 0:
        raise ValueError("The features of the training part are constant.")
    return float(mean), float(deviation)


def band_statistics(features: np.ndarray, rows: np.ndarray) -> tuple[Bands, Bands]:
    """Mean and standard deviation of each mel band over some clips, read a clip at a time.

    Args:
        features: decibels [clips, rows, frames]
        rows: row numbers of the clips, those of the training part

    Returns:
        mean and standard deviation in decibels, lists [rows, 1], as a results file takes them; a
        band that never changes has a deviation of 1
    """
    mean, deviation = _moments(features, rows, axis=1)
    deviation[deviation == 0] = 1
    return mean[:, None].tolist(), deviation[:, None].tolist()


def _moments(features: np.ndarray, rows: np.ndarray, axis: int | None) -> tuple[Any, Any]:
    """Mean and standard deviation over the clips and an axis, by the law of total variance."""
    means = np.array([features[row].mean(axis=axis, dtype=np.float64) for row in rows])
    variances = np.array([features[row].var(axis=axis, dtype=np.float64) for row in rows])
    return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))


def predict(run: Run, features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Predict the valence of some clips, as they are: whole and unchanged.

    Args:
        run: a trained network, see `train`
        features: decibels, float32 [clips, rows, frames]
        rows: row numbers of the clips

    Returns:
        valence on the scale of the ratings, float32 [rows]

    See: notebooks/03_model.ipynb
    """
    return _outputs(run.model, features, np.asarray(rows), run.settings)[:, 0]


def predict_with_quantiles(
    run: Run, features: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the valence of some clips, with quantiles of the predicted distributions.

    Args:
        run: see `predict`
        features: see `predict`
        rows: see `predict`

    Returns:
        valence [rows], and `models.quantiles` [rows, 2]

    See: notebooks/07_your_speech.ipynb
    """
    outputs = _outputs(run.model, features, np.asarray(rows), run.settings)
    return outputs[:, 0], quantiles(run.model, outputs)


def _outputs(
    model: keras.Model, features: np.ndarray, rows: np.ndarray, settings: dict[str, Any]
) -> np.ndarray:
    """All that a network gives for some clips [rows, outputs]."""
    batches = in_batches(rows, settings["batch_size"])
    inputs = prefetch(lambda batch: _standardised(features[batch], settings), batches)
    return np.concatenate([model.predict_on_batch(each) for each in inputs])


def _standardised(clips: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    mean, deviation = (np.asarray(settings[name], np.float32) for name in ("mean", "deviation"))
    return (clips - mean) / deviation
