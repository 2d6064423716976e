"""Which parts of a long recording are speech, so that its pauses get no valence.

Every window is normalised, which makes speech at full scale of the noise in a pause. Levels alone
decide: any other sound that is as loud as speech, and changes as much, counts as speech.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d

from helpers import audio

#: Seconds of a frame, whose level is its standard deviation.
FRAME = 0.05

#: Seconds below `threshold` that are a pause. Shorter ones belong to the phrase, as in clips.
PAUSE = 1.0

#: Seconds around speech that are kept with it, for soft consonants.
MARGIN = 0.1

#: Seconds in which speech falls to the level of the noise at least once, and noise hardly changes
#: (minimum statistics, Martin 2001).
NOISE = 1.0

#: Decibels by which the level of speech rises above that of the noise.
RISE = 10.0

#: Decibels from the loudest second of a recording down to its softest speech. With all clips of a
#: RAVDESS actor in a row, from shouted to hardly audible, 1,428 of 1,440 clips count as speech.
RANGE = 40.0

#: Decibels below the loudest second that always count as speech, however loud the noise may be.
LOUD = 3.0


def threshold(levels: np.ndarray) -> np.ndarray:
    """The level above which a frame is speech: `RISE` above the noise around it.

    It lies from `RANGE` to `LOUD` below the level of the loudest second.

    Args:
        levels: of frames, in decibels [frames]

    Returns:
        decibels [frames]
    """
    second = min(round(1 / FRAME), len(levels))
    power = np.convolve(10 ** (levels / 10), np.full(second, 1 / second), mode="valid")
    loudest = 10 * np.log10(power.max())
    # Before and after each frame, since at the edge of a pause one of them is speech.
    size = round(NOISE / FRAME)
    before = minimum_filter1d(levels, size, origin=size // 2 - 1)
    after = minimum_filter1d(levels, size, origin=-(size // 2))
    return np.clip(np.maximum(before, after) + RISE, loudest - RANGE, loudest - LOUD)


def stretches(y: np.ndarray, sample_rate: int, *, pause: float = PAUSE) -> list[tuple[int, int]]:
    """Cut a recording at its pauses, also at those before the first word and after the last.

    Args:
        y: waveform [samples]
        sample_rate: in Hz
        pause: seconds that a pause has at least

    Returns:
        first sample of each stretch of speech, and the one after its last, in their order

    Raises:
        audio.UnusableError: if no frame is louder than `audio.SILENCE`

    See: notebooks/07_your_speech.ipynb
    """
    size = max(1, round(FRAME * sample_rate))
    deviation = y[: len(y) // size * size].reshape(-1, size).std(axis=1)
    if not (deviation > audio.SILENCE).any():
        raise audio.UnusableError("is silent or constant")
    levels = 20 * np.log10(np.maximum(deviation, audio.SILENCE))
    speech = np.flatnonzero((deviation > audio.SILENCE) & (levels > threshold(levels)))
    breaks = np.flatnonzero(np.diff(speech) > pause / FRAME) + 1
    found = []
    for part in np.split(speech, breaks):
        start, end = (part[0] - MARGIN / FRAME) * size, (part[-1] + 1 + MARGIN / FRAME) * size
        found.append((max(0, round(start)), min(len(y), round(end))))
    if found[0][0] < pause * sample_rate:
        found[0] = (0, found[0][1])
    if len(y) - found[-1][1] < pause * sample_rate:
        found[-1] = (found[-1][0], len(y))
    return found
