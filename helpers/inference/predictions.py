"""The valence of any recording, from a trained network.

From a terminal, ``python -m helpers.inference MODEL`` prints the card of a model, and ``python -m
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
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from helpers import audio, features
from helpers.audio import Clip
from helpers.cli import UserError
from helpers.inference import cards
from helpers.inference.cards import Card
from helpers.inference.model_file import Model, load
from helpers.progress import bar
from helpers.storage import write_file

#: Windows that the network is given at once.
BATCH = 32

COLUMNS = ("clip", "valence", "low", "high", "problem")


class Analysis(NamedTuple):
    """One recording, read once and predicted once.

    Attributes:
        waveform: at the model's sampling rate, float32 [samples]
        curve: see `curve`
        row: of the recording, see `predict`
    """

    waveform: np.ndarray
    curve: pd.DataFrame
    row: dict[str, Any]


def predict(model: Model, clips: Clip | Iterable[Clip]) -> pd.DataFrame:
    """Predict the valence of recordings.

    A recording no longer than the longest training clip is cut or padded as in training, and gets
    the same prediction. A longer one is divided into windows that overlap by half or more. Each
    window is treated as a clip; the valence is their mean. The interval is that of single clips.

    Args:
        model: see `load`
        clips: path of a recording or of a folder of them (wav, flac, ogg, mp3; m4a where FFmpeg is
            installed), or a waveform [samples] or [samples, channels] with its sampling rate in Hz,
            as a tuple; or any iterable of those, which is read as it is needed

    Returns:
        a row a recording, in their order: ``clip`` (path, or number of a waveform), ``valence``,
        the ``low`` and ``high`` end of the interval that holds the rating with a probability of 90
        % (see `save`), and ``problem``: empty, or why there is no valence, or why it may be wrong

    See: notebooks/07_your_speech.ipynb
    """
    # An iterator can be read only once, so that its length is not known.
    total = None if isinstance(clips, Iterator) else sum(1 for _ in _each(clips))
    rows = list(bar(stream(model, clips), total=total, desc="predicting", unit="recording"))
    numbers = dict.fromkeys(("valence", "low", "high"), float)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(numbers)


def stream(model: Model, clips: Clip | Iterable[Clip]) -> Iterator[dict[str, Any]]:
    """The rows of `predict` one by one, as soon as a batch of them is known.

    Memory does not grow with their number.

    Args:
        model: see `load`
        clips: see `predict`

    Returns:
        an iterator of rows, with the columns of `predict` as keys
    """
    waiting: list[_Prepared] = []
    for recording in _prefetch(_each(clips), model.card):
        waiting.append(recording)
        if sum(len(each.levels) for each in waiting) >= BATCH or len(waiting) >= 4 * BATCH:
            yield from _rows(model, waiting)
            waiting = []
    if waiting:
        yield from _rows(model, waiting)


def _each(clips: Clip | Iterable[Clip]) -> Iterator[tuple[str, Clip]]:
    """Name and source of one recording or of several, also of those in folders."""
    waveform = isinstance(clips, tuple) and len(clips) == 2 and isinstance(clips[0], np.ndarray)
    is_one = waveform or isinstance(clips, str | os.PathLike)
    for number, clip in enumerate(cast("Iterable[Clip]", [clips] if is_one else clips), start=1):
        if isinstance(clip, str | os.PathLike):
            path = os.fspath(clip)
            files = sorted(Path(path).rglob("*")) if os.path.isdir(path) else []  # noqa: PTH112
            inside = [str(file) for file in files if file.suffix.lower() in audio.SUFFIXES]
            yield from ((name, name) for name in inside or [path])
        else:
            yield f"waveform {number}", clip


class _Prepared(NamedTuple):
    clip: str
    levels: np.ndarray  # see `_windows`; none if the recording cannot be used
    problem: str


def _prefetch(recordings: Iterable[tuple[str, Clip]], card: Card) -> Iterator[_Prepared]:
    """Prepare recordings in threads before they are needed, in their order.

    Memory holds a batch or two of windows besides the recordings that the threads work on, however
    long these are.
    """
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[_Prepared]] = deque()
        for name, clip in recordings:
            coming.append(pool.submit(_prepare, name, clip, card))
            while _is_enough(coming, 2 * threads):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _is_enough(coming: Collection[Future[_Prepared]], tasks: int) -> bool:
    done = [each.result() for each in coming if each.done()]
    windows = sum(max(1, len(each.levels)) for each in done)  # unusable recordings have none
    return len(coming) - len(done) >= tasks or windows >= 2 * BATCH


def _prepare(name: str, clip: Clip, card: Card) -> _Prepared:
    try:
        y, rate = _read(clip, card)
        levels, _ = _windows(y, card, cut=len(y) <= _longest(card))
    except audio.UnusableError as error:
        none = np.empty((0, card.mel.rows, card.mel.frames(card.duration)), np.float32)
        return _Prepared(name, none, str(error))
    return _Prepared(name, levels, _warnings(levels, rate, card))


def _read(clip: Clip, card: Card) -> tuple[np.ndarray, int]:
    try:
        return audio.read(clip, card.mel.sample_rate)
    except OSError as error:
        raise audio.UnusableError(f"cannot be read ({error.strerror or error})") from error


def _longest(card: Card) -> int:
    """Samples of the longest recording that is cut as in training."""
    return math.ceil(card.longest * card.mel.sample_rate)


def _windows(y: np.ndarray, card: Card, *, cut: bool) -> tuple[np.ndarray, np.ndarray]:
    """Decibels [windows, n_mels, frames] and the second of the middle of each window.

    With `cut`, there is one window, made as `features.clip_features` does. Else windows are spread
    evenly from the start to the end of the recording, and silent ones are left out.
    """
    rate = card.mel.sample_rate
    size = int(card.duration * rate)
    if cut or len(y) <= size:
        windows = {0: y}  # `audio.read` has checked it
    else:
        count = 1 + math.ceil((len(y) - size) / (size / 2))
        starts = np.linspace(0, len(y) - size, count).astype(int).tolist()
        parts = {start: y[start : start + size] for start in starts}
        windows = {at: y for at, y in parts.items() if y.std(dtype=np.float64) > audio.SILENCE}
    if not windows:
        raise audio.UnusableError("is silent or constant")
    fitted = (audio.fit_duration(audio.normalise(each), size) for each in windows.values())
    levels = np.stack([features.waveform_features(each, card.mel) for each in fitted])
    return levels, (np.array(list(windows)) + min(size, len(y)) / 2) / rate


def _warnings(levels: np.ndarray, rate: int, card: Card) -> str:
    """Why a recording may be unlike what the network was trained on; empty if it is not."""
    found = []
    if rate < card.mel.sample_rate:
        found.append(
            f"has a sampling rate of {rate} Hz; the model needs {card.mel.sample_rate} Hz or more"
        )
    mean, deviation = (np.array(card.familiar[name]) for name in ("mean", "deviation"))
    distance = np.median([cards.distance(cards.profile(each), mean, deviation) for each in levels])
    if distance > card.familiar["limit"]:
        found.append(
            f"sounds unlike the training clips ({distance:.1f} standard deviations away; "
            f"{100 * cards.FAMILIAR:.0f} % of them are within {card.familiar['limit']:.1f})"
        )
    return "; ".join(found)


def _valence(model: Model, levels: np.ndarray) -> np.ndarray:
    """Prediction for each window [windows]."""
    network, card = model
    mean, deviation = (np.asarray(each, np.float32) for each in (card.mean, card.deviation))
    predicted = np.empty(len(levels), np.float32)
    for start in range(0, len(levels), BATCH):
        batch = (levels[start : start + BATCH] - mean) / deviation
        batch = batch.reshape(-1, *network.input_shape[1:])
        predicted[start : start + BATCH] = network.predict_on_batch(batch)[:, 0]
    return predicted


def _rows(model: Model, recordings: list[_Prepared]) -> Iterator[dict[str, Any]]:
    predicted = _valence(model, np.concatenate([each.levels for each in recordings]))
    ends = np.cumsum([len(each.levels) for each in recordings])
    for each, windows in zip(recordings, np.split(predicted, ends[:-1]), strict=True):
        yield _row(model.card, each.clip, windows, each.problem)


def _row(card: Card, clip: str, windows: np.ndarray, problem: str) -> dict[str, Any]:
    """A row of `predict`, from the predictions for its windows."""
    valence = float(windows.mean(dtype=np.float64)) if len(windows) else np.nan
    low, high = (float(end) for end in card.interval(valence))
    return dict(zip(COLUMNS, (clip, valence, low, high, problem), strict=True))


def curve(model: Model, clip: Clip) -> pd.DataFrame:
    """Valence over the time of one recording, in windows that overlap by half or more.

    Args:
        model: see `load`
        clip: one path, or a waveform with its sampling rate, see `predict`

    Returns:
        a row a window: ``seconds`` (its middle), ``valence``, ``low`` and ``high``; windows without
        sound are left out

    Raises:
        cli.UserError: if the recording cannot be used

    See: notebooks/07_your_speech.ipynb
    """
    return analyse(model, clip).curve


def analyse(model: Model, clip: Clip) -> Analysis:
    """Read one recording and predict its valence, as a whole and over time, in one pass.

    Args:
        model: see `load`
        clip: one path, or a waveform with its sampling rate, see `predict`

    Raises:
        cli.UserError: if the recording cannot be used
    """
    card = model.card
    try:
        y, rate = _read(clip, card)
        levels, seconds = _windows(y, card, cut=False)
        whole = slice(None)  # the windows whose mean is the valence of the whole recording
        if card.duration * card.mel.sample_rate < len(y) <= _longest(card):
            whole = slice(len(levels), None)
            levels = np.concatenate([levels, _windows(y, card, cut=True)[0]])
    except audio.UnusableError as error:
        raise UserError(f"The recording {error}.") from error
    valence = _valence(model, levels).astype(float)
    curve = pd.DataFrame({"seconds": seconds, "valence": valence[: len(seconds)]})
    curve["low"], curve["high"] = card.interval(curve["valence"].to_numpy())
    problem = _warnings(levels[whole], rate, card)
    return Analysis(y, curve, _row(card, "recording", valence[whole], problem))


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
        print(cards.card_markdown(model.card), end="")
        return 0
    table = predict(model, options.clip)
    unknown = table["valence"].isna()
    if options.csv:
        write_file(options.csv, table.to_csv(index=False))
    if options.json:
        write_file(options.json, table.to_json(orient="records", indent=1, force_ascii=False))
    if options.csv or options.json:
        print(f"{len(table)} recordings, {unknown.sum()} of them without a valence")
        for row in table[unknown].itertuples():
            print(f"{row.clip} {row.problem}", file=sys.stderr)
    else:
        print(table.round(2).to_string(index=False))
    return int(unknown.any())
