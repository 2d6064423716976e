"""What the field would pick without this study: eGeMAPS functionals and a support vector machine.

A functional is a number about a whole clip (the mean of its pitch, the slope of its loudness).
opensmile, which computes them, is imported where it is used.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
import pandas as pd
from joblib.externals import loky

from helpers.audio import read_clip
from helpers.corpora import Corpus, as_checked
from helpers.progress import bar
from helpers.storage import atomic_write, cache_folder, cached_array, writing

#: The extended Geneva minimalistic acoustic parameter set (Eyben et al. 2016), 88 functionals.
FEATURE_SET = "eGeMAPSv02"


#: Functionals in it.
FUNCTIONALS = 88


#: Changes whenever the same clip would give other functionals, so that no old cache is read.
VERSION = 1


#: Clips that one task reads.
CLIPS_PER_TASK = 16


def functionals(corpus: Corpus, *, jobs: int = -1) -> np.ndarray:
    """The eGeMAPS functionals of every clip of a corpus, from the cache where they are there.

    They are taken at the clip's own sampling rate, over its whole duration.

    Args:
        corpus: see `corpora.load`
        jobs: parallel workers; -1 is one for each core

    Returns:
        float32 [clips, 88]; not a number where a clip is too short for one of them

    Raises:
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        settings.OutputError: if the cache cannot be written

    See: notebooks/06_improvements.ipynb
    """
    content = [VERSION, version("opensmile"), FEATURE_SET, corpus.clips["sha256"].tolist()]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    path = cache_folder("functionals") / f"{corpus.name}-{key}.npy"
    with writing(path), filelock.FileLock(path.with_suffix(".lock")):
        kept = cached_array(path, (len(corpus.clips), FUNCTIONALS))
        if kept is not None:
            return np.array(kept)
        found = _extract(corpus.clips, jobs)
        with atomic_write(path) as partial:
            np.save(partial, found)
        return found


def _extract(clips: pd.DataFrame, jobs: int) -> np.ndarray:
    starts = range(0, len(clips), CLIPS_PER_TASK)
    tasks = [clips.iloc[start : start + CLIPS_PER_TASK] for start in starts]
    # In fresh processes: opensmile crashes where TensorFlow is loaded, and in threads.
    with loky.ProcessPoolExecutor(joblib.effective_n_jobs(jobs)) as processes:
        done = processes.map(_some, tasks)
        blocks = list(bar(done, total=len(tasks), desc="eGeMAPS", unit="task"))
    return np.concatenate(blocks)


def _some(clips: pd.DataFrame) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        smile = _smile(Path(folder))  # one a task: it keeps a state
        rows = []
        for clip in clips.itertuples():
            path, rate = str(clip.path), int(clip.sample_rate)
            with as_checked(path, clip.sha256):
                y = read_clip(path, rate)
            rows.append(smile.process_signal(y, rate).to_numpy(dtype=np.float32)[0])
    return np.stack(rows)


def _smile(folder: Path) -> Any:
    """The extractor; if it lies under a name with letters that it cannot read, by way of a copy."""
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
