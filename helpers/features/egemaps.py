"""Clips as eGeMAPS functionals, the features of the field's standard baseline.

A functional is one number about a whole clip, such as the mean of its pitch or the slope of its
loudness. opensmile, which computes them, is imported where it is used.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from joblib.externals import loky

from helpers import audio
from helpers.corpora import Corpus, as_checked
from helpers.features.extraction import CLIPS_PER_TASK, cached
from helpers.progress import bar
from helpers.storage import atomic_write

#: The extended Geneva minimalistic acoustic parameter set (Eyben et al. 2016), 88 functionals.
FEATURE_SET = "eGeMAPSv02"

#: Functionals in it.
FUNCTIONALS = 88

#: Changes whenever the same clip would give other functionals, so that no old cache is read.
FUNCTIONALS_VERSION = 1


def functionals(corpus: Corpus, *, jobs: int = -1) -> np.ndarray:
    """The eGeMAPS functionals of every clip of a corpus, cached.

    They are taken at the clip's own sampling rate, over its whole duration.

    Args:
        corpus: see `corpora.load`
        jobs: parallel workers; -1 is one for each core

    Returns:
        float32 [clips, 88]; not a number where a clip is too short for a functional

    Raises:
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        storage.OutputError: if the cache cannot be written

    See: notebooks/06_improvements.ipynb
    """
    key = [FUNCTIONALS_VERSION, version("opensmile"), FEATURE_SET]

    def fill(path: Path) -> None:
        with atomic_write(path) as partial:
            np.save(partial, _extract(corpus.clips, jobs))

    return np.array(cached("functionals", corpus, key, (len(corpus.clips), FUNCTIONALS), fill))


def _extract(clips: pd.DataFrame, jobs: int) -> np.ndarray:
    starts = range(0, len(clips), CLIPS_PER_TASK)
    tasks = [clips.iloc[start : start + CLIPS_PER_TASK] for start in starts]
    # In fresh processes: opensmile crashes where TensorFlow is loaded, and in threads.
    with loky.ProcessPoolExecutor(joblib.effective_n_jobs(jobs)) as processes:
        done = processes.map(_extract_block, tasks)
        blocks = list(bar(done, total=len(tasks), desc="eGeMAPS", unit="task"))
    return np.concatenate(blocks)


def _extract_block(clips: pd.DataFrame) -> np.ndarray:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        smile = _smile(Path(folder))  # one a task, since it keeps a state
        for path, sha256 in zip(clips["path"], clips["sha256"], strict=True):
            with as_checked(path, sha256):
                y, rate = audio.read(path)
            rows.append(smile.process_signal(y, rate).to_numpy(dtype=np.float32)[0])
    return np.stack(rows)


def _smile(folder: Path) -> Any:
    """The extractor; with a copy of its files in `folder` if it cannot read their path."""
    import opensmile

    class Smile(opensmile.Smile):  # type: ignore[misc] # it has no types
        __module__ = opensmile.Smile.__module__  # by which opensmile looks up its version

        @functools.cached_property
        def default_config_root(self) -> str:
            root = super().default_config_root
            if root.isascii():
                return root
            return str(shutil.copytree(root, folder, dirs_exist_ok=True))

    return Smile(opensmile.FeatureSet[FEATURE_SET])
