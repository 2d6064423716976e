"""The valence of any recording, from a trained network.

From a terminal, ``python -m helpers.inference MODEL`` prints the card of a model, and ``python -m
helpers.inference MODEL CLIP...`` the valence of recordings; with ``--model pretrained`` instead of
MODEL, from a pretrained network, see `predict_pretrained`.
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
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from helpers import audio, features, models
from helpers.audio import Clip
from helpers.cli import UserError
from helpers.inference import cards, pauses, sources, speakers
from helpers.inference.cards import Card
from helpers.inference.model_file import Model, load
from helpers.inference.pretrained import predict_pretrained
from helpers.inference.sources import Recording
from helpers.progress import bar
from helpers.storage import OutputError, make_folder, write_file

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


def predict(model: Model, clips: Clip | Iterable[Clip], *, channels: bool = False) -> pd.DataFrame:
    """Predict the valence of recordings.

    A recording no longer than the longest training clip is cut or padded as in training, and gets
    the same prediction. A longer one is cut at its pauses, which are left out, see `pauses`. Each
    stretch of speech is divided into windows that overlap by half or more. Each window is treated
    as a clip. The valence is the mean over the stretches, weighted by their duration, of the mean
    of their windows. The interval is that of single clips.

    Args:
        model: see `load`
        clips: path of a recording or of a folder of them, in any format that `audio` reads; or a
            waveform [samples] or [samples, channels] with its sampling rate in Hz, as a tuple; or
            any iterable of those, which is read as it is needed
        channels: predict each channel of a recording for itself, and not their mean

    Returns:
        a row a recording, in their order: ``clip`` (its path, or the number of a waveform, and
        perhaps the channel), ``valence``, the ``low`` and ``high`` end of the interval that holds
        the rating with a probability of 90 % (see `save`), and ``problem``: empty, or why there is
        no valence, or why it may be wrong, or how much is speech where pauses were left out

    See: notebooks/07_your_speech.ipynb
    """
    # An iterator can be read only once, so that its length is not known.
    each = () if isinstance(clips, Iterator) else sources.recordings(clips, channels=channels)
    total = sum(1 for _ in each) or None
    rows = stream(model, clips, channels=channels)
    rows = bar(rows, total=total, desc="predicting", unit="recording")
    numbers = dict.fromkeys(("valence", "low", "high"), float)
    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(numbers)


def stream(
    model: Model, clips: Clip | Iterable[Clip], *, channels: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of `predict` one by one, as soon as a batch of them is known.

    Memory does not grow with their number.

    Args:
        model: see `load`
        clips: see `predict`
        channels: see `predict`

    Returns:
        an iterator of rows, with the columns of `predict` as keys
    """
    waiting: list[_Prepared] = []
    for recording in _prefetch(sources.recordings(clips, channels=channels), model.card):
        waiting.append(recording)
        if sum(len(each.windows.levels) for each in waiting) >= BATCH or len(waiting) >= 4 * BATCH:
            yield from _rows(model, waiting)
            waiting = []
    if waiting:
        yield from _rows(model, waiting)


class _Windows(NamedTuple):
    """Windows of one recording.

    Attributes:
        levels: decibels [windows, n_mels, frames]
        seconds: the middle of each window [windows]
        weights: of each window in the mean, by the duration of its stretch of speech [windows]
        speech: seconds of speech in the recording
    """

    levels: np.ndarray
    seconds: np.ndarray
    weights: np.ndarray
    speech: float


class _Prepared(NamedTuple):
    name: str
    windows: _Windows  # none if the recording cannot be used
    problem: str


def _prefetch(recordings: Iterable[Recording], card: Card) -> Iterator[_Prepared]:
    """Prepare recordings in threads before they are needed, in their order.

    Each has one BLAS thread meanwhile: with more, they wait for each other, and the pitch of a clip
    takes many times as long. Memory holds a batch or two of windows besides the recordings that the
    threads work on, however long these are.
    """
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, user_api="blas"):
        coming: deque[Future[_Prepared]] = deque()
        for recording in recordings:
            coming.append(pool.submit(_prepare, recording, card))
            while _is_enough(coming, 2 * threads):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _is_enough(coming: Collection[Future[_Prepared]], tasks: int) -> bool:
    done = [each.result() for each in coming if each.done()]
    # An unusable recording has no windows, but takes a place.
    windows = sum(max(1, len(each.windows.levels)) for each in done)
    return len(coming) - len(done) >= tasks or windows >= 2 * BATCH


def _prepare(recording: Recording, card: Card) -> _Prepared:
    try:
        y, rate = sources.read(recording.clip, card.mel.sample_rate, recording.channel)
        windows = _windows(y, card, cut=len(y) <= _longest(card))
    except audio.UnusableError as error:
        none = np.empty((0, card.mel.rows, card.mel.frames(card.duration)), np.float32)
        nothing = np.empty(0)
        return _Prepared(recording.name, _Windows(none, nothing, nothing, 0), str(error))
    return _Prepared(recording.name, windows, _warnings(y, windows, rate, card))


def _longest(card: Card) -> int:
    """Samples of the longest recording that is cut as in training."""
    return math.ceil(card.longest * card.mel.sample_rate)


def _windows(y: np.ndarray, card: Card, *, cut: bool) -> _Windows:
    """The windows of a recording that `audio.read` has checked.

    With `cut`, there is one window, made as `features.clip_features` does. Else windows are spread
    evenly from the start to the end of each stretch of speech.
    """
    rate = card.mel.sample_rate
    size = int(card.duration * rate)
    if cut or len(y) <= size:
        stretches = [(0, len(y))]
    else:  # pauses of half a window or less, so that each window has some speech
        pause = min(pauses.PAUSE, card.duration / 2)
        stretches = pauses.stretches(y, rate, pause=pause)
    spans, weights = [], []
    for start, end in stretches:
        beyond = 0 if cut else max(0, end - start - size)
        count = 1 + math.ceil(beyond / (size / 2))
        starts = np.linspace(start, start + beyond, count).astype(int)
        spans += [(at, end if cut else min(at + size, end)) for at in starts.tolist()]
        weights += [(end - start) / count] * count
    fitted = (audio.fit_duration(audio.normalise(y[slice(*each)]), size) for each in spans)
    levels = np.stack([features.waveform_features(each, card.mel) for each in fitted])
    middles = [start + min(size, end - start) / 2 for start, end in spans]
    speech = sum(end - start for start, end in stretches)
    # The largest weight is 1, so that equal ones change no bit of the mean.
    scaled = np.array(weights) / max(weights)
    return _Windows(levels, np.array(middles) / rate, scaled, speech / rate)


def _warnings(y: np.ndarray, windows: _Windows, rate: int, card: Card) -> str:
    """Why a prediction may be wrong, and what was left out; empty if there is nothing to say."""
    found = []
    if rate < card.mel.sample_rate:
        found.append(
            f"has a sampling rate of {rate} Hz; the model needs {card.mel.sample_rate} Hz or more"
        )
    mean, deviation = (np.array(card.familiar[name]) for name in ("mean", "deviation"))
    profiles = [cards.profile(each) for each in windows.levels]
    distance = np.median([cards.distance(each, mean, deviation) for each in profiles])
    if distance > card.familiar["limit"]:
        found.append(
            f"sounds unlike the training clips ({distance:.1f} standard deviations away; "
            f"{100 * cards.FAMILIAR:.0f} % of them are within {card.familiar['limit']:.1f})"
        )
    seconds = len(y) / card.mel.sample_rate
    if windows.speech < seconds:
        found.append(f"has speech in {windows.speech:.0f} of {seconds:.0f} s")
    return "; ".join(found)


def _outputs(model: Model, levels: np.ndarray) -> np.ndarray:
    """Valence and `models.quantiles` of each window [windows, 3]."""
    network, card = model
    mean, deviation = (np.asarray(each, np.float32) for each in (card.mean, card.deviation))
    found = np.empty((len(levels), 3))
    for start in range(0, len(levels), BATCH):
        batch = (levels[start : start + BATCH] - mean) / deviation
        batch = batch.reshape(-1, *network.input_shape[1:])
        outputs = network.predict_on_batch(batch)
        found[start : start + BATCH, 0] = outputs[:, 0]
        found[start : start + BATCH, 1:] = models.quantiles(network, outputs)
    return found


def _rows(model: Model, recordings: list[_Prepared]) -> Iterator[dict[str, Any]]:
    outputs = _outputs(model, np.concatenate([each.windows.levels for each in recordings]))
    ends = np.cumsum([len(each.windows.levels) for each in recordings])
    for each, own in zip(recordings, np.split(outputs, ends[:-1]), strict=True):
        yield _row(model.card, each.name, own, each.windows.weights, each.problem)


def _row(
    card: Card, name: str, outputs: np.ndarray, weights: np.ndarray, problem: str
) -> dict[str, Any]:
    """A row of `predict`, from the outputs for its windows."""
    mean = np.average(outputs, axis=0, weights=weights) if len(outputs) else np.full(3, np.nan)
    valence, low, high = map(float, (mean[0], *card.interval(mean[0], mean[1:])))
    return dict(zip(COLUMNS, (name, valence, low, high, problem), strict=True))


def curve(model: Model, clip: Clip) -> pd.DataFrame:
    """Valence over the time of one recording, in windows that overlap by half or more.

    Args:
        model: see `load`
        clip: one path, or a waveform with its sampling rate, see `predict`

    Returns:
        a row a window: ``seconds`` (its middle), ``valence``, ``low`` and ``high``; pauses are left
        out, see `predict`

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
        y, rate = sources.read(clip, card.mel.sample_rate)
        windows = whole = _windows(y, card, cut=False)
        if card.duration * card.mel.sample_rate < len(y) <= _longest(card):
            whole = _windows(y, card, cut=True)
    except audio.UnusableError as error:
        raise UserError(f"The recording {error}.") from error
    count, more = len(windows.levels), [] if whole is windows else [whole.levels]
    outputs = _outputs(model, np.concatenate([windows.levels, *more]))
    curve = pd.DataFrame({"seconds": windows.seconds, "valence": outputs[:count, 0]})
    curve["low"], curve["high"] = card.interval(outputs[:count, 0], outputs[:count, 1:])
    problem = _warnings(y, whole, rate, card)
    row = _row(card, "recording", outputs[-len(whole.levels) :], whole.weights, problem)
    return Analysis(y, curve, row)


# From a terminal


def main(arguments: list[str] | None = None) -> int:
    """Print what a model is, or the valence of recordings.

    The exit code is 0, or 1 if a recording has no valence, or 2 with one sentence if nothing does.
    """
    options = _arguments(arguments)
    refused = [(path, why) for path in options.clip if (why := sources.refusal(path))]
    if refused and len(refused) == len(options.clip):
        found = "; ".join(f"{sources.encodable(path)} {why}" for path, why in refused)
        raise UserError(f"{found}.")
    for path in filter(None, (options.csv, options.json)):
        make_folder(path.parent)
        if path.is_dir():
            raise OutputError(f"{path} is a folder: name a file.")
    if options.pretrained:
        source = None if options.pretrained == "pretrained" else options.pretrained
        table, spread = predict_pretrained(options.clip, source, channels=options.channels), {}
    else:
        model = load(options.model_file)
        if not options.clip:
            _show(cards.card_markdown(model.card))
            return 0
        table, spread = predict(model, options.clip, channels=options.channels), model.card.spread
    about = ""
    if options.relative:
        about = f"{speakers.in_words(table, spread)}\n"
        table = speakers.relative(table, spread)
    unknown = table["valence"].isna()
    if options.csv:
        write_file(options.csv, table.to_csv(index=False))
    if options.json:
        write_file(options.json, table.to_json(orient="records", indent=1, force_ascii=False))
    if options.csv or options.json:
        _show(f"{len(table)} recordings, {unknown.sum()} of them without a valence\n")
        for row in table[unknown].itertuples():
            print(f"{row.clip} {row.problem}", file=sys.stderr)
    else:
        _show(f"{table.round(2).to_string(index=False)}\n")
    _show(about)
    return int(unknown.any())


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The options, with a ``model_file`` that is no longer among the clips."""
    parser = argparse.ArgumentParser(prog="python -m helpers.inference", description=main.__doc__)
    add = parser.add_argument
    add(
        "clip",
        metavar="[MODEL] CLIP",
        nargs="*",
        help="recordings, or folders of them; before them perhaps a .keras file that `make report` "
        "or inference.save wrote (models/human_voices.keras); alone, its card is printed",
    )
    add(
        "--model",
        dest="pretrained",
        metavar="pretrained|PATH",
        help="instead of a .keras file: the pretrained network of helpers.features, or the .onnx "
        "file or folder of another",
    )
    add("--channels", action="store_true", help="a row for each channel, not for their mean")
    add(
        "--relative",
        action="store_true",
        help="take all recordings as one person's, and say how far each is from what is usual for "
        "that person: the mean, shrunk towards that of other speakers if there are few",
    )
    add("--csv", type=Path, metavar="OUT", help="write the table to this file")
    add("--json", type=Path, metavar="OUT", help="write the rows to this file")
    options = parser.parse_args(arguments)
    named = bool(options.clip) and options.clip[0].endswith(".keras")
    if options.pretrained and (named or not options.clip):
        parser.error("--model takes the place of a .keras file, and needs a recording")
    options.model_file = Path(options.clip.pop(0)) if named else models.HUMAN_VOICES
    if options.relative and not options.clip:
        parser.error("--relative is about recordings: name some")
    if options.relative and options.channels:
        parser.error("--relative takes all recordings as one person's: leave --channels out")
    return options


def _show(text: str) -> None:
    """Print text on a terminal of any encoding."""
    print(sources.encodable(text, sys.stdout.encoding or "utf-8"), end="")
