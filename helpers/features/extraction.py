"""Audio as mel spectrograms of one size, kept in one memory-mapped file.

The order is the report's: mono, resample, mean 0 and standard deviation 1, cut or zero-pad, mel
spectrogram, decibels. Standardising over the corpus is not done here: its statistics may only come
from the training set, which `training` knows.

From a terminal, ``python -m helpers.features [PATH] [--jobs N]`` fills the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
import pandas as pd
import threadpoolctl

from helpers import corpora
from helpers.audio import fit_duration, normalise, read_clip
from helpers.corpora import Corpus, as_checked
from helpers.features.spectrograms import MelSettings, _mel_basis, _window, waveform_features
from helpers.progress import bar
from helpers.storage import cache_folder, cached_array, writing

#: Clips that one task reads before it writes them, which bounds the memory of a worker.
CLIPS_PER_TASK = 16


#: Clips from which processes are worth starting, which takes some seconds.
CLIPS_WORTH_PROCESSES = 2000


#: Changes whenever the same clip would give other features, so that no old cache is read.
VERSION = 3


def target_duration(seconds: np.ndarray | pd.Series, *, percentile: float = 75) -> int:
    """Duration that all clips are cut or padded to.

    Args:
        seconds: durations of the clips
        percentile: share of clips, in percent, that are not cut

    Returns:
        the percentile of the durations, rounded up to whole seconds

    Raises:
        ValueError: if there are no durations

    Examples:
        >>> target_duration([2.0, 4.0, 5.74, 9.0], percentile=50)
        5

    See: notebooks/01_exploration.ipynb
    """
    if len(seconds) == 0:
        raise ValueError("There are no durations to take a percentile of.")
    return math.ceil(np.percentile(seconds, percentile))


def clip_features(path: str | Path, settings: MelSettings, *, duration: float) -> np.ndarray:
    """The whole way from an audio file to what a network is given, before standardising.

    Args:
        path: audio file
        settings: see `MelSettings`
        duration: seconds that the clip is cut or padded to

    Returns:
        float32 [rows, frames], see `waveform_features`

    Raises:
        ValueError: if the clip is constant at this sampling rate
    """
    y = normalise(read_clip(path, settings.sample_rate))
    y = fit_duration(y, int(duration * settings.sample_rate))
    return waveform_features(y, settings)


def extract(corpus: Corpus, settings: MelSettings, *, duration: float, jobs: int = -1) -> np.memmap:
    """Features of every clip of a corpus, from the cache where they are there.

    The cache file is keyed by the content of the clips and the settings. Work that was killed goes
    on where it was; two runs at once wait for each other.

    Args:
        corpus: see `corpora.load`
        settings: see `MelSettings`
        duration: seconds that every clip is cut or padded to
        jobs: parallel workers; -1 is one for each core

    Returns:
        read-only memory map, float32 [clips, rows, frames], see `waveform_features`

    Raises:
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        settings.OutputError: if the cache cannot be written; what is done is kept

    See: notebooks/02_preprocessing.ipynb
    """
    path = cache_folder("features") / f"{corpus.name}-{_key(corpus, settings, duration)}.npy"
    shape = (len(corpus.clips), settings.rows, settings.frames(duration))
    with writing(path), filelock.FileLock(path.with_suffix(".lock")):
        matrix = cached_array(path, shape)
        if matrix is None:
            clips = list(zip(corpus.clips["path"], corpus.clips["sha256"], strict=True))
            _extract_to(path, clips, settings, duration, jobs)
            matrix = np.load(path, mmap_mode="r")
    return matrix


def _key(corpus: Corpus, settings: MelSettings, duration: float) -> str:
    content = [VERSION, asdict(settings), duration, corpus.clips["sha256"].tolist()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _extract_to(
    path: Path, clips: list[tuple[str, str]], settings: MelSettings, duration: float, jobs: int
) -> None:
    """Fill ``<path>.partial`` task by task, noting each in ``<path>.done``, then rename it.

    Clips are paths, each with the SHA-256 that it had when it was checked.
    """
    partial, done = path.with_suffix(".partial"), path.with_suffix(".done")
    shape = (len(clips), settings.rows, settings.frames(duration))
    if not (partial.exists() and done.exists()):
        done.unlink(missing_ok=True)
        _reserve(partial, shape)
        done.touch()
    finished = set(done.read_text().split("\n")[:-1])  # a line cut short by a kill does not count
    tasks = [start for start in range(0, len(clips), CLIPS_PER_TASK) if str(start) not in finished]
    missing = sum(min(CLIPS_PER_TASK, len(clips) - start) for start in tasks)

    _mel_basis(settings), _window(settings.n_fft)  # made once, before the workers need them
    with (
        threadpoolctl.threadpool_limits(1),
        open(done, "a") as log,
        bar(total=len(clips), desc="extracting", unit="clip") as progress,
    ):
        progress.update(len(clips) - missing)
        parallel = joblib.Parallel(
            n_jobs=jobs,
            return_as="generator_unordered",
            pre_dispatch="2*n_jobs",
            **_workers(missing),
        )
        for left in parallel(
            joblib.delayed(_extract_block)(
                partial, clips[start:][:CLIPS_PER_TASK], len(clips) - start, settings, duration
            )
            for start in tasks
        ):
            log.write(f"{len(clips) - left}\n")
            log.flush()
            progress.update(min(CLIPS_PER_TASK, left))
    os.replace(partial, path)
    done.unlink()


def _workers(clips: int) -> dict[str, Any]:
    """Threads, or processes where there is enough to do to be worth starting them.

    Threads share one interpreter, which decoding and filtering hold for half of the time. Processes
    end soon after they have nothing to do: those of a run that was killed would wait for more.
    """
    if clips < CLIPS_WORTH_PROCESSES:
        return {"prefer": "threads"}
    return {"backend": "loky", "idle_worker_timeout": 5}


def _extract_block(
    partial: Path, clips: list[tuple[str, str]], left: int, settings: MelSettings, duration: float
) -> int:
    """Write the features of some clips to their place, with `left` clips from it to the end."""
    found = []
    for path, sha256 in clips:
        with as_checked(path, sha256):
            found.append(clip_features(path, settings, duration=duration))
    block = np.stack(found)
    # Written, not mapped: pages of a map that were touched count as this process's memory.
    with open(partial, "r+b") as file:
        file.seek(partial.stat().st_size - left * block[0].nbytes)
        file.write(block.tobytes())
    return left


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """Make a file for an array of zeros, which takes no room until they are written over."""
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, about)
        file.truncate(file.tell() + 4 * math.prod(shape))


def main(arguments: list[str] | None = None) -> int:
    """Extract the features of a corpus into the cache; 0, or 2 with one sentence if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m helpers.features", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder, zip or name; left out, the demo corpus")
    parser.add_argument("--jobs", type=int, default=-1, help="parallel workers (-1: all cores)")
    options = parser.parse_args(arguments)
    corpus = corpora.load(options.path)
    duration = target_duration(corpus.clips["duration"])
    features = extract(corpus, MelSettings(), duration=duration, jobs=options.jobs)
    clips, n_mels, frames = features.shape
    print(f"{corpus.name}: {clips} clips of {duration} s, {n_mels} mel bands x {frames} frames")
    return 0
