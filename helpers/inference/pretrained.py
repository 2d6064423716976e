"""The valence of any recording from a pretrained network, without a training of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import audio, features, workers
from helpers.audio import Clip
from helpers.inference import sources
from helpers.inference.sources import Recording
from helpers.progress import bar

#: The scale that the network's valence, 0 to 1, is mapped to.
LOWEST, HIGHEST = 1, 5

#: Why a valence has no interval.
NO_INTERVAL = (
    f"has no interval: the pretrained network's valence is mapped from 0..1 to {LOWEST}..{HIGHEST} "
    "without training"
)


def predict_pretrained(
    clips: Clip | Iterable[Clip], source: str | Path | None = None, *, channels: bool = False
) -> pd.DataFrame:
    """Predict the valence of recordings with a pretrained network.

    Its valence, 0 to 1, is mapped to 1 to 5 by a straight line. Nothing is trained, and so nothing
    is known of its errors on recordings like these: there is no interval.

    Args:
        clips: see `predict`; an iterable is read whole before the first prediction
        source: of the network, see `features.pretrained_model`
        channels: predict each channel of a recording for itself, and not their mean

    Returns:
        the table of `predict`; ``low`` and ``high`` are not numbers, and ``problem`` says why

    Raises:
        features.PretrainedError: see `features.pretrained_model`
    """
    model = features.pretrained_model(source)
    recordings = list(sources.recordings(clips, channels=channels))
    with ThreadPoolExecutor(workers.side_by_side(-1, features.WINDOW_MEMORY)) as pool:
        rows = pool.map(lambda each: _row(each, model), recordings)
        rows = bar(rows, total=len(recordings), desc="predicting", unit="recording")
        return pd.DataFrame(list(rows))


def _row(recording: Recording, model: features.Pretrained) -> dict[str, Any]:
    try:
        y, rate, clipping = sources.read(recording.clip, features.SAMPLE_RATE, recording.channel)
    except audio.UnusableError as error:
        return _columns(recording.name, np.nan, str(error))
    valence = LOWEST + (HIGHEST - LOWEST) * float(features.embedding(y, model)[-1])
    found = [NO_INTERVAL]
    if rate < features.SAMPLE_RATE:
        needed = f"the network was trained on {features.SAMPLE_RATE} Hz"
        found.append(f"has a sampling rate of {rate} Hz; {needed}")
    if clipping:
        found.append(clipping)
    if (windows := features.windows_of(y)) > 1:
        found.append(f"is long: the mean of {windows} windows")
    return _columns(recording.name, valence, "; ".join(found))


def _columns(clip: str, valence: float, problem: str) -> dict[str, Any]:
    return {"clip": clip, "valence": valence, "low": np.nan, "high": np.nan, "problem": problem}
