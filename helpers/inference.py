"""A trained network in one file, and the valence of any recording.

`save` puts everything that a prediction needs into the ``.keras`` file itself: beside Keras's
weights and architecture lies ``valence.json``, which says how audio is prepared, on what scale the
answer is, how sure it is and what the network was trained on. `load` reads both, on any backend.

From a terminal, ``python -m helpers.inference MODEL`` prints what a model is, and ``python -m
helpers.inference MODEL CLIP...`` the valence of recordings.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import zipfile
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import soxr

from helpers import audio, cards, checks, features, training
from helpers.backend import keras
from helpers.cards import Card
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.progress import bar
from helpers.settings import OutputError, make_folder, whole, write_whole

if TYPE_CHECKING:
    from typing_extensions import TypeIs

#: What `save` adds to Keras's file, and the version of what is in it.
MEMBER = "valence.json"
FORMAT = 1

#: Windows that the network is given at once.
BATCH = 32

COLUMNS = ["clip", "valence", "low", "high", "problem"]

#: A path, or a waveform [samples] or [samples, channels] with its sampling rate in Hz.
Clip = str | os.PathLike[str] | tuple[np.ndarray, int]


class ModelError(ValueError):
    """A file that is no model of this study; the message names it and the mend."""


class Model(NamedTuple):
    """A network that is ready to predict, see `load`.

    Attributes:
        network: takes standardised mel spectrograms
        card: how they are made, and what is known of the network
    """

    network: keras.Model
    card: Card


# Saving and loading


def save(
    run: training.Run,
    path: str | Path,
    *,
    corpus: Corpus | None = None,
    mel: MelSettings = MelSettings(),  # noqa: B008 frozen
    duration: float | None = None,
) -> None:
    """Write a trained network with all that its use needs into one file, whole or not at all.

    The test part of the split is predicted here, for the scores in the file.

    The intervals are those of split conformal prediction (Vovk et al. 2005; Lei et al. 2018): with
    n validation clips, the ceil((n + 1) 0.9)-th smallest of their absolute errors to each side. If
    a new clip is exchangeable with them, the interval holds its rating with a probability of at
    least 90 %, whatever the network and the distribution. Voices that were in no part are not
    exchangeable with the speakers of the validation part, so the coverage on the test part says
    more than the promise.

    Args:
        run: see `training.train`
        path: file to write, ending in ``.keras``
        corpus: that the run was trained on; without it, the file does not know the rating scale
        mel: settings of the features that the run was trained on
        duration: that they were extracted with, in seconds; None is the whole seconds that have as
            many frames as the network takes

    Raises:
        ValueError: if the path does not end in ``.keras``, the run has no validation part, the
            corpus is not the run's, or such features do not fit the network
        settings.OutputError: if the file cannot be written

    See: notebooks/07_your_speech.ipynb
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"{path} is no name for a model: let it end in .keras.")
    duration = _duration(run.model, mel, duration)
    card = cards.of(run, corpus, mel=mel, duration=duration)
    network = keras.Model.from_config(run.model.get_config())  # without optimiser and loss
    network.set_weights(run.model.get_weights())
    make_folder(path.parent)
    with whole(path) as partial:
        network.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(MEMBER, json.dumps({"format": FORMAT, **asdict(card)}, indent=1))


def _duration(network: keras.Model, mel: MelSettings, duration: float | None) -> float:
    rows, frames = network.input_shape[1:3]
    if duration is None:
        duration = math.ceil((frames - 1) * mel.hop_length / mel.sample_rate)
    if (rows, frames) != (mel.rows, mel.frames(duration)):
        raise ValueError(
            f"The network takes {rows} rows x {frames} frames and {duration:g} s of audio "
            f"are {mel.rows} x {mel.frames(duration)}: pass the mel settings and the duration "
            "that its features were extracted with."
        )
    return float(duration)


def load(path: str | Path) -> Model:
    """Read a model that `save` wrote; on this backend, whichever wrote it.

    Nothing in the file is executed: Keras's safe mode is on, and the rest is JSON.

    Args:
        path: see `save`

    Raises:
        ModelError: if there is no such file, or it is none of ours

    See: notebooks/07_your_speech.ipynb
    """
    from helpers import layers  # noqa: F401 registers what the networks are made of

    if not os.path.isfile(path):  # noqa: PTH113 that of a Path raises if a name is too long
        raise ModelError(f"There is no file {path}: `make report` writes a model to models/.")
    try:
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read(MEMBER))
        found = content.pop("format")
        if found != FORMAT:
            raise ModelError(
                f"{path} has format {found} and this version of the study reads {FORMAT}: train "
                "the model again, or use the version that wrote it."
            )
        mel = MelSettings(**content.pop("mel"))
        scale = content.pop("scale")
        card = Card(**content, mel=mel, scale=scale and tuple(scale))
        network = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except ModelError:
        raise
    except Exception as error:  # a zip, its JSON or Keras's part can be spoilt in any way
        raise ModelError(
            f"{path} is no model of this study: use a file that `inference.save` wrote."
        ) from error
    return Model(network, card)


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
            if cut or window.std(dtype=np.float64) >= checks.SILENCE:
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


def read(clip: Clip, sample_rate: int) -> tuple[np.ndarray, int]:
    """Read a recording that the network can hear something in.

    Args:
        clip: one path, or a waveform with its sampling rate, see `predict`
        sample_rate: wanted sampling rate in Hz

    Returns:
        waveform at that rate, float32 [samples], and the rate that the recording had

    Raises:
        ValueError: if it cannot be decoded, is truncated, silent or too short for speech, or has
            samples that are not numbers; the message goes on after its name
        OSError: if the file cannot be read at all
    """
    if not isinstance(clip, str | os.PathLike):
        return _listen(audio.waveform(*clip), sample_rate), clip[1]
    if os.path.isdir(clip):  # noqa: PTH112 as in `load`
        raise ValueError(f"is a folder without audio ({', '.join(audio.SUFFIXES)})")
    with audio.opened(clip) as file:
        return _listen(file, sample_rate), file.sample_rate


def _listen(recording: audio.Audio, sample_rate: int) -> np.ndarray:
    """Check and resample block by block: only the result is ever whole in memory."""
    signal = checks.Signal()
    resampler = soxr.ResampleStream(recording.sample_rate, sample_rate, 1, quality="soxr_hq")
    pieces = []
    for block in recording.blocks:
        y = audio.mono(block)
        signal.add(y)
        pieces.append(resampler.resample_chunk(y))
    signal.refuse_useless(recording)
    pieces.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    samples = math.ceil(signal.frames * sample_rate / recording.sample_rate)
    return features.fit_duration(np.concatenate(pieces), samples)


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
    try:
        model = load(options.model)
        if not options.clip:
            print(cards.markdown(model.card), end="")
            return 0
        table = predict(model, options.clip)
        if options.csv:
            write_whole(options.csv, table.to_csv(index=False))
        if options.json:
            write_whole(options.json, table.to_json(orient="records", indent=1, force_ascii=False))
    except (ModelError, OutputError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.csv or options.json:
        unknown = table["valence"].isna()
        print(f"{len(table)} recordings, {unknown.sum()} of them without a valence")
        for row in table[unknown].itertuples():
            print(f"{row.clip} {row.problem}", file=sys.stderr)
    else:
        print(table.round(2).to_string(index=False))
    return int(table["valence"].isna().any())


if __name__ == "__main__":
    sys.exit(main())
