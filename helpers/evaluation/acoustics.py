"""Acoustic facts of clips, a few numbers to compare with a network's errors.

They are no features for a network: those are the spectrograms of `features`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.signal

from helpers import audio
from helpers.features import MelSettings

#: Frequency in Hz below which the original study saw dense energy in the clips with the highest
#: errors.
LOW_FREQUENCY = 1024.0


def describe(y: np.ndarray, settings: MelSettings) -> dict[str, float]:
    r"""Spectral facts and level of a waveform, before it is normalised.

    The spectrum is the long-term average: Welch's mean of power spectra (Hann windows of ``n_fft``
    samples). Taken as a distribution of power over frequency, its mean is :math:`m` and its spread
    the standard deviation, :math:`\sqrt{\sum_f p_f (f - m)^2}` (Peeters 2004).

    Args:
        y: waveform at ``settings.sample_rate`` [samples], full scale from -1 to 1, not constant
        settings: sampling rate and window

    Returns:
        ``low share``, the share of power below `LOW_FREQUENCY`, from 0 to 1; ``spread`` in Hz; and
        ``level``, the root mean square in dB below full scale (0 is a square wave at full scale)

    Examples:
        >>> hum = 0.5 * np.sin(2 * np.pi * 200 * np.arange(8000) / 8000)
        >>> {name: round(value, 2) for name, value in describe(hum, MelSettings()).items()}
        {'low share': 1.0, 'spread': 2.26, 'level': -9.03}

    See: notebooks/05_error_analysis.ipynb
    """
    y = y - y.mean(dtype=np.float64)
    hertz, power = scipy.signal.welch(
        y, fs=settings.sample_rate, nperseg=min(settings.n_fft, len(y)), detrend=False
    )
    share = power / power.sum()
    mean = share @ hertz
    return {
        "low share": float(share[hertz < LOW_FREQUENCY].sum()),
        "spread": float(np.sqrt(share @ (hertz - mean) ** 2)),
        "level": float(10 * np.log10(np.mean(y**2))),
    }


def acoustic_facts(clips: pd.DataFrame, settings: MelSettings, *, duration: float) -> pd.DataFrame:
    """Acoustic facts of some clips, and what fitting them to one duration did to each.

    Args:
        clips: rows of `corpora.Corpus.clips`
        settings: see `describe`
        duration: seconds that every clip is cut or padded to

    Returns:
        a row a clip, with the index of `clips`: ``low share``, ``spread`` and ``level`` (see
        `describe`), ``duration`` in seconds, ``padding`` (the share of the network's input that is
        padding) and ``cut`` (1 if the clip lost its end, else 0)

    Raises:
        audio.UnusableError: if a clip cannot be used, see `audio.read`

    See: notebooks/05_error_analysis.ipynb
    """
    rate = settings.sample_rate
    described = [describe(audio.read(path, rate)[0], settings) for path in clips["path"]]
    seconds = clips["duration"]
    return pd.DataFrame(described, index=clips.index).assign(
        duration=seconds,
        padding=(1 - seconds / duration).clip(lower=0),
        cut=(seconds > duration).astype(int),
    )
