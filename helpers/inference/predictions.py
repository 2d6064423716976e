"""The valence of any recording, from a trained network."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Event
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from helpers import audio, features, models
from helpers.audio import Clip
from helpers.cli import UserError
from helpers.inference import cards, pauses, sources
from helpers.inference.cards import Card
from helpers.inference.model_file import Model
from helpers.inference.sources import Recording, Sound
from helpers.progress import bar

#: Windows that the network is given at once.
BATCH = 32

#: Seconds of speech below which a valence is marked. The training clips of the network of human
#: voices last 0.87 s or more. Of 40 clips of half of EmoTale, the first 0.2, 0.5, 1 and 2 s get a
#: valence that differs by 0.8, 0.6, 0.4 and 0.1 from that of the whole clip; most are too low.
SHORT = 1.0

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
    of their windows. The interval is that of single clips, and no narrower.

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
        no valence, or why it may be wrong, or what it is of: the beginning of the recording, many
        windows, or its speech without the pauses

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
        levels: decibels [windows, rows, frames]
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
    threads, stop = joblib.effective_n_jobs(-1), Event()
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, user_api="blas"):
        coming: deque[Future[_Prepared]] = deque()
        try:
            for recording in recordings:
                coming.append(pool.submit(_prepare, recording, card, stop))
                while _is_enough(coming, 2 * threads):
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:  # after Ctrl-C, the threads have work left
            stop.set()
            for each in coming:
                each.cancel()


def _is_enough(coming: Collection[Future[_Prepared]], tasks: int) -> bool:
    done = [each.result() for each in coming if each.done()]
    # An unusable recording has no windows, but takes a place.
    windows = sum(max(1, len(each.windows.levels)) for each in done)
    return len(coming) - len(done) >= tasks or windows >= 2 * BATCH


def _prepare(recording: Recording, card: Card, stop: Event) -> _Prepared:
    try:
        sound = sources.read(recording.clip, card.mel.sample_rate, recording.channel)
        y = sound.waveform
        windows = _windows(y, card, cut=len(y) <= _longest(card), stop=stop)
    except audio.UnusableError as error:
        none = np.empty((0, card.mel.rows, card.mel.frames(card.duration)), np.float32)
        nothing = np.empty(0)
        return _Prepared(recording.name, _Windows(none, nothing, nothing, 0), str(error))
    return _Prepared(recording.name, windows, _warnings(sound, windows, card))


def _longest(card: Card) -> int:
    """Samples of the longest recording that is cut as in training."""
    return math.ceil(card.longest * card.mel.sample_rate)


def _windows(y: np.ndarray, card: Card, *, cut: bool, stop: Event | None = None) -> _Windows:
    """The windows of a recording that `audio.read` has checked.

    With `cut`, there is one window, made as `features.clip_features` does. Else windows are spread
    evenly from the start to the end of each stretch of speech. A `CancelledError` ends this before
    its next window when `stop` is set.
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
    levels = []
    for each in _watched(spans, "window"):
        if stop and stop.is_set():
            raise CancelledError
        window = audio.fit_duration(audio.normalise(y[slice(*each)]), size)
        levels.append(features.waveform_features(window, card.mel))
    middles = [start + min(size, end - start) / 2 for start, end in spans]
    speech = sum(end - start for start, end in stretches)
    # The largest weight is 1, so that equal ones change no bit of the mean.
    scaled = np.array(weights) / max(weights)
    return _Windows(np.stack(levels), np.array(middles) / rate, scaled, speech / rate)


def _watched(steps: Sequence[Any], unit: str) -> Iterable[Any]:
    """With a progress bar if they are many, as those of a long recording are."""
    return bar(steps, desc="of one recording", unit=unit) if len(steps) > BATCH else steps


def _warnings(sound: Sound, windows: _Windows, card: Card) -> str:
    """Why a prediction may be wrong, and what it is of; empty if there is nothing to say."""
    y, rate, clipping = sound
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
    if clipping:
        found.append(clipping)
    if windows.speech < SHORT:
        found.append(f"has {windows.speech:.2f} s of speech, too little for a reliable valence")
    seconds, count = len(y) / card.mel.sample_rate, len(windows.levels)
    if count > 1:
        found.append(f"is long: the mean of {count} windows, with the interval of single clips")
    elif card.duration < round(seconds, 1) and len(y) <= _longest(card):
        first = f"only its first {card.duration:g} s are used, as in training"
        found.append(f"lasts {seconds:.1f} s: {first}")
    if windows.speech < seconds:
        found.append(f"has speech in {windows.speech:.1f} of {seconds:.1f} s")
    return "; ".join(found)


def _outputs(model: Model, levels: np.ndarray) -> np.ndarray:
    """Valence and `models.quantiles` of each window [windows, 3]."""
    network, card = model
    mean, deviation = (np.asarray(each, np.float32) for each in (card.mean, card.deviation))
    found = np.empty((len(levels), 3))
    for start in _watched(range(0, len(levels), BATCH), "batch"):
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
        sound = sources.read(clip, card.mel.sample_rate)
        y = sound.waveform
        windows = whole = _windows(y, card, cut=False)
        if card.duration * card.mel.sample_rate < len(y) <= _longest(card):
            whole = _windows(y, card, cut=True)
    except audio.UnusableError as error:
        raise UserError(f"The recording {error}.") from error
    count, more = len(windows.levels), [] if whole is windows else [whole.levels]
    outputs = _outputs(model, np.concatenate([windows.levels, *more]))
    curve = pd.DataFrame({"seconds": windows.seconds, "valence": outputs[:count, 0]})
    curve["low"], curve["high"] = card.interval(outputs[:count, 0], outputs[:count, 1:])
    problem = _warnings(sound, whole, card)
    row = _row(card, "recording", outputs[-len(whole.levels) :], whole.weights, problem)
    return Analysis(y, curve, row)
