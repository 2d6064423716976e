"""Clips as eGeMAPS or ComParE functionals, the features of the field's standard baselines.

A functional is one number about a whole clip, such as the mean of its pitch or the slope of its
loudness. opensmile, which computes them, is imported where it is used.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from helpers import audio, workers
from helpers.corpora import Corpus
from helpers.features.extraction import CLIPS_PER_TASK, WORKER_MEMORY, cached, extract_to
from helpers.features.spectrograms import MelSettings

#: Functionals in each set: the extended Geneva minimalistic acoustic parameter set (Eyben et al.
#: 2016), and that of the Computational Paralinguistics Challenge (Schuller et al. 2016).
FUNCTIONALS = {"eGeMAPSv02": 88, "ComParE_2016": 6373}

#: Standard deviation of a preprocessed waveform: 26 dB below full scale, as in telephony.
LEVEL = 0.05

#: The largest sample that opensmile takes, which computes with 16 bits.
FULL_SCALE = 1 - 2**-15

#: Changes whenever the same clip would give other functionals, so that no old cache is read.
FUNCTIONALS_VERSION = 2


def functionals(
    corpus: Corpus,
    *,
    feature_set: str = "eGeMAPSv02",
    preprocessed: bool = False,
    jobs: int = -1,
) -> np.ndarray:
    """The functionals of every clip of a corpus over its whole duration, cached.

    The level, offset and sampling rate of a recording depend on the microphone and its distance,
    too, and change many functionals. With `preprocessed`, functionals are taken of the waveform
    that spectrograms are made of: at 8 kHz, with mean 0 and one level, but without padding. An
    extraction that was killed is resumed.

    Args:
        corpus: see `corpora.load`
        feature_set: one of `FUNCTIONALS`
        preprocessed: resample and normalise each clip first; else it keeps its own sampling rate
            and level, as in the field's baselines
        jobs: processes; -1 is one for each core, as far as memory goes

    Returns:
        float32 [clips, functionals], 88 of eGeMAPS and 6,373 of ComParE; not a number where a clip
        is too short for a functional

    Raises:
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        storage.OutputError: if the cache cannot be written; finished clips are kept
        workers.KilledError: if the process of a clip is killed twice; likewise
        cli.UserError: if `jobs` is 0

    See: notebooks/06_improvements.ipynb
    """
    key = [FUNCTIONALS_VERSION, version("opensmile"), feature_set, preprocessed]
    shape = (len(corpus.clips), FUNCTIONALS[feature_set])
    clips = list(zip(corpus.clips["path"], corpus.clips["sha256"], strict=True))
    count = workers.side_by_side(jobs, WORKER_MEMORY)

    def fill(path: Path) -> None:
        # In fresh processes: opensmile crashes where TensorFlow is loaded, and in threads.
        with tempfile.TemporaryDirectory() as folder, workers.Processes() as processes:

            def make(clip: str) -> np.ndarray:
                found = processes.call(_clip_functionals, clip, feature_set, preprocessed, folder)
                if isinstance(found, workers.KilledError):
                    raise workers.KilledError(f"{found} Use fewer jobs; finished clips are kept.")
                return np.asarray(found)

            extract_to(path, shape, clips, make, count, per_task=CLIPS_PER_TASK, processes=False)

    return np.array(cached("functionals", corpus, key, shape, fill))


def _clip_functionals(path: str, feature_set: str, preprocessed: bool, folder: str) -> np.ndarray:
    y, rate = _waveform(path, preprocessed)
    return _smile(folder, feature_set).process_signal(y, rate).to_numpy(dtype=np.float32)[0]


def _waveform(path: str, preprocessed: bool) -> tuple[np.ndarray, int]:
    """What functionals are taken of, and its sampling rate; samples beyond full scale are cut."""
    if preprocessed:
        rate = MelSettings().sample_rate
        y = LEVEL * audio.normalise(audio.read(path, rate)[0])
    else:
        y, rate = audio.read(path)
    return y.clip(-1, FULL_SCALE), rate  # else opensmile would turn them into the opposite sign


@functools.cache
def _smile(folder: str, feature_set: str) -> Any:
    """The extractor; with a copy of its files below `folder` if it cannot read their path."""
    import opensmile

    class Smile(opensmile.Smile):  # type: ignore[misc] # it has no types
        __module__ = opensmile.Smile.__module__  # by which opensmile looks up its version

        @functools.cached_property
        def default_config_root(self) -> str:
            root = super().default_config_root
            if root.isascii():
                return root
            return str(shutil.copytree(root, Path(folder) / str(os.getpid())))

    return Smile(opensmile.FeatureSet[feature_set])
