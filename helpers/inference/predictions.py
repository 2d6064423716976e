"""A trained network in one file, and the valence of any recording.

`save` puts everything that a prediction needs into the ``.keras`` file itself: beside Keras's
weights and architecture lies ``valence.json``, which says how audio is prepared, on what scale the
answer is, how sure it is and what the network was trained on. `load` reads both, on any backend.

From a terminal, ``python -m helpers.inference MODEL`` prints what a model is, and ``python -m
helpers.inference MODEL CLIP...`` the valence of recordings.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from helpers import audio, features
from helpers.audio import Clip, read
from helpers.inference import cards
from helpers.inference.cards import Card
from helpers.inference.model_file import Model, load
from helpers.progress import bar
from helpers.storage import write_file

if TYPE_CHECKING:
    from typing_extensions import TypeIs

#: Windows that the network is given at once.
BATCH = 32


COLUMNS = ["clip", "valence", "low", "high", "problem"]


# Predicting


class _Windows(NamedTuple):
    """What the network is to see of a recording; none if it cannot be used."""

    clip: str
    levels: np.ndarray  # decibels [windows, n_mels, frames]
    seconds: np.ndarray  # middle of each window [windows]
    problem: str = ""


def predict(model: Model, clips: Clip | Iterable[Clip]) -> pd.DataFrame:
    """Predict the valence of recordings.

    A recording no longer than the longest training clip is cut or padded as in training, and gets
    the same number. A longer one is divided into windows that overlap by half or more, each treated
    as a clip of its own; its valence is their mean. The interval was calibrated on single clips.

    Args:
        model: see `load`
        clips: path of a recording or of a folder of them (wav, flac, ogg, mp3; m4a where FFmpeg is
            installed), or a waveform [samples] or [samples, channels] with its sampling rate in Hz,
            as a tuple; or any iterable of those, which is read as it is needed

    Returns:
        a row a recording, in their order: ``clip`` (path, or number of a waveform), ``valence``,
        the ``low`` and ``high`` end of the interval that holds the rating with a probability of 90
        % (see `save`), and ``problem``: empty, or why there is no valence, or why to doubt it

    See: notebooks/07_your_speech.ipynb
    """
    again = _is_one(clips) or isinstance(clips, Collection)  # else it may be read only once
    total = sum(1 for _ in _each(clips)) if again else None
    rows = list(bar(stream(model, clips), total=total, desc="predicting", unit="recording"))
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"valence": float, "low": float, "high": float}
    )


def stream(model: Model, clips: Clip | Iterable[Clip]) -> Iterator[dict[str, Any]]:
    """The rows of `predict` one by one, as soon as a batch of them is known.

    Memory does not grow with their number.

    Args:
        model: see `load`
        clips: see `predict`

    Returns:
        an iterator of rows, with the columns of `predict` as keys
    """
    waiting: list[_Windows] = []
    for recording in _ahead(_each(clips), model.card):
        waiting.append(recording)
        if sum(len(each.levels) for each in waiting) >= BATCH or len(waiting) >= 4 * BATCH:
            yield from _rows(model, waiting)
            waiting = []
    yield from _rows(model, waiting)


def curve(model: Model, clip: Clip) -> pd.DataFrame:
    """Valence over the time of one recording, in windows that overlap by half or more.

    Args:
        model: see `load`
        clip: one path, or a waveform with its sampling rate, see `predict`

    Returns:
        a row a window: ``seconds`` (its middle), ``valence``, ``low`` and ``high``; a window
        without sound is left out

    Raises:
        ValueError: if the recording cannot be used

    See: notebooks/07_your_speech.ipynb
    """
    windows = _prepare("The recording", clip, model.card, whole=True)
    if not len(windows.levels):
        raise ValueError(f"{windows.clip} {windows.problem}.")
    valence = _valence(model, windows.levels).astype(float)
    low, high = model.card.interval(valence)
    return pd.DataFrame({"seconds": windows.seconds, "valence": valence, "low": low, "high": high})


def _each(clips: Clip | Iterable[Clip]) -> Iterator[tuple[str, Clip]]:
    """Name and source of every recording."""
    for number, clip in enumerate([clips] if _is_one(clips) else clips, start=1):
        if not isinstance(clip, str | os.PathLike):
            yield f"waveform {number}", clip
        elif os.path.isdir(clip):  # noqa: PTH112 as in `load`
            inside = sorted(Path(clip).rglob("*"))
            found: list[str | os.PathLike[str]] = [
                path for path in inside if path.suffix.lower() in audio.SUFFIXES
            ]
            yield from ((str(path), path) for path in found or [clip])
        else:
            yield os.fspath(clip), clip


def _is_one(clips: Clip | Iterable[Clip]) -> TypeIs[Clip]:
    return isinstance(clips, str | os.PathLike) or (
        isinstance(clips, tuple) and len(clips) == 2 and isinstance(clips[0], np.ndarray)
    )


def _ahead(recordings: Iterable[tuple[str, Clip]], card: Card) -> Iterator[_Windows]:
    """Prepare recordings in threads before they are asked for, in their order.

    However long they are, memory holds a batch or two of windows beside what the threads work on.
    """
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[_Windows]] = deque()
        for name, clip in recordings:
            coming.append(pool.submit(_prepare, name, clip, card))
            while _is_enough(coming, 2 * threads):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _is_enough(coming: Collection[Future[_Windows]], tasks: int) -> bool:
    done = [each.result() for each in coming if each.done()]
    return (
        len(coming) - len(done) >= tasks
        or sum(len(each.levels) for each in done) >= 2 * BATCH
        or len(done) >= 4 * BATCH
    )


def _prepare(name: str, clip: Clip, card: Card, *, whole: bool = False) -> _Windows:
    """Read a recording as `features.clip_features` does, in windows if it is long or `whole`."""
    mel = card.mel
    try:
        y, rate = read(clip, mel.sample_rate)
        size = int(card.duration * mel.sample_rate)
        cut = len(y) <= size or (not whole and len(y) <= math.ceil(card.longest * mel.sample_rate))
        starts = [0] if cut else _starts(len(y), size)
        levels, middles = [], []
        for start in starts:
            window = y if cut else y[start : start + size]
            if cut or window.std(dtype=np.float64) >= audio.SILENCE:
                window = features.fit_duration(features.normalise(window), size)
                levels.append(features.waveform_features(window, mel))
                middles.append((start + min(size, len(y)) / 2) / mel.sample_rate)
        if not levels:
            raise ValueError("is silent or constant")
        stacked = np.stack(levels)
    except OSError as error:
        return _no_windows(name, f"cannot be read ({error.strerror or error})")
    except ValueError as error:
        return _no_windows(name, str(error).rstrip("."))
    doubts = _doubts(stacked, rate, card)
    return _Windows(name, stacked, np.array(middles), "; ".join(doubts))


def _no_windows(name: str, problem: str) -> _Windows:
    return _Windows(name, np.empty((0, 0, 0), np.float32), np.empty(0), problem)


def _starts(samples: int, size: int) -> np.ndarray:
    """First sample of each window: evenly spread, the first at the start, the last at the end."""
    count = 1 + math.ceil((samples - size) / (size / 2))
    return np.linspace(0, samples - size, count).astype(int)


def _doubts(levels: np.ndarray, rate: int, card: Card) -> list[str]:
    """Why a recording may be unlike what the network was trained on."""
    doubts = []
    if rate < card.mel.sample_rate:
        doubts.append(
            f"has a sampling rate of {rate} Hz; the model listens at {card.mel.sample_rate} Hz"
        )
    mean, deviation = (np.array(card.familiar[name]) for name in ("mean", "deviation"))
    distance = np.median([cards.distance(cards.profile(each), mean, deviation) for each in levels])
    if distance > card.familiar["limit"]:
        doubts.append(
            f"sounds unlike the training clips ({distance:.1f} standard deviations away; of those, "
            f"{100 * cards.FAMILIAR:.0f} % are within {card.familiar['limit']:.1f})"
        )
    return doubts


def _valence(model: Model, levels: np.ndarray) -> np.ndarray:
    card = model.card
    mean, deviation = (np.asarray(each, np.float32) for each in (card.mean, card.deviation))
    predicted = []
    for start in range(0, len(levels), BATCH):
        batch = (levels[start : start + BATCH] - mean) / deviation
        batch = batch.reshape(len(batch), *model.network.input_shape[1:])
        predicted.append(np.asarray(model.network.predict_on_batch(batch)))
    return np.concatenate(predicted)[:, 0]


def _rows(model: Model, recordings: list[_Windows]) -> Iterator[dict[str, Any]]:
    usable = [each.levels for each in recordings if len(each.levels)]
    predicted = deque(_valence(model, np.concatenate(usable)) if usable else ())
    for each in recordings:
        windows = [predicted.popleft() for _ in each.levels]
        valence = float(np.mean(windows, dtype=np.float64)) if windows else np.nan
        low, high = (float(end) for end in model.card.interval(valence))
        yield dict(zip(COLUMNS, (each.clip, valence, low, high, each.problem), strict=True))


# From a terminal


def main(arguments: list[str] | None = None) -> int:
    """Print what a model is, or the valence of recordings.

    The exit code is 0, or 1 if a recording has no valence, or 2 with one sentence if nothing does.
    """
    parser = argparse.ArgumentParser(prog="python -m helpers.inference", description=main.__doc__)
    parser.add_argument("model", help="a .keras file that `make report` or inference.save wrote")
    parser.add_argument("clip", nargs="*", help="recordings, or folders of them")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write the table to this file")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rows to this file")
    options = parser.parse_args(arguments)
    model = load(options.model)
    if not options.clip:
        print(cards.markdown(model.card), end="")
        return 0
    table = predict(model, options.clip)
    if options.csv:
        write_file(options.csv, table.to_csv(index=False))
    if options.json:
        write_file(options.json, table.to_json(orient="records", indent=1, force_ascii=False))
    if options.csv or options.json:
        unknown = table["valence"].isna()
        print(f"{len(table)} recordings, {unknown.sum()} of them without a valence")
        for row in table[unknown].itertuples():
            print(f"{row.clip} {row.problem}", file=sys.stderr)
    else:
        print(table.round(2).to_string(index=False))
    return int(table["valence"].isna().any())
