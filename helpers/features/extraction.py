"""The features of a whole corpus, in one memory-mapped file of the cache.

From a terminal, ``python -m helpers.features [PATH] [--scale LOW HIGH] [--jobs N]`` fills the
cache.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
import pandas as pd
import threadpoolctl

from helpers import audio, corpora, workers
from helpers.corpora import Corpus, as_checked
from helpers.features.spectrograms import MelSettings, hann_window, mel_basis, waveform_features
from helpers.progress import bar
from helpers.storage import cache_folder, cached_array, digest, writing

#: Clips that one task reads before it writes them, which bounds the memory of a worker.
CLIPS_PER_TASK = 16

#: Clips from which processes are worth starting. On two cores, threads are as fast for fewer.
CLIPS_WORTH_PROCESSES = 10_000

#: Bytes that a worker needs: its libraries, and the audio and features of a task.
WORKER_MEMORY = 5e8

#: Seconds of the shortest input: the largest kernel of `models.parallel_cnn`, pooled to two places
#: in time, needs 41 frames, which are 2.6 s.
SHORTEST_INPUT = 3

#: Changes whenever the same clip would give other features, so that no old cache is read.
VERSION = 3

#: Packages that read, resample and transform sound: another version may give other features.
READERS = ("librosa", "soundfile", "soxr")

#: From the path of a clip to its features.
Make = Callable[[str], np.ndarray]


def target_duration(seconds: np.ndarray | pd.Series, *, percentile: float = 75) -> int:
    """A percentile of the durations, rounded up to whole seconds; see `input_duration`.

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


def input_duration(corpus: Corpus) -> int:
    """Seconds that all clips of a corpus are cut or padded to, as the input of a network.

    This is `target_duration` of its clips, but `SHORTEST_INPUT` for a corpus of short clips.

    Raises:
        ValueError: if the corpus has no clips

    Examples:
        >>> input_duration(corpora.load())
        6

    See: notebooks/01_exploration.ipynb
    """
    return max(target_duration(corpus.clips["duration"]), SHORTEST_INPUT)


def clip_features(path: str | Path, settings: MelSettings, *, duration: float) -> np.ndarray:
    """All steps from an audio file to the input of a network, except standardising.

    Args:
        path: audio file
        settings: see `MelSettings`
        duration: seconds that the clip is cut or padded to

    Returns:
        float32 [rows, frames], see `waveform_features`

    Raises:
        audio.UnusableError: if the clip cannot be used, see `audio.read`
        OSError: if the file cannot be read at all

    See: notebooks/02_preprocessing.ipynb
    """
    y, _ = audio.read(path, settings.sample_rate)
    y = audio.fit_duration(audio.normalise(y), int(duration * settings.sample_rate))
    return waveform_features(y, settings)


def extract(corpus: Corpus, settings: MelSettings, *, duration: float, jobs: int = -1) -> np.memmap:
    """The features of every clip of a corpus, cached.

    An extraction that was killed is resumed; two at once wait for each other.

    Args:
        corpus: see `corpora.load`
        settings: see `MelSettings`
        duration: seconds that every clip is cut or padded to
        jobs: parallel workers; -1 is one for each core, as far as memory goes

    Returns:
        read-only memory map, float32 [clips, rows, frames], see `waveform_features`

    Raises:
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        storage.OutputError: if the cache cannot be written; finished clips are kept
        cli.UserError: if `jobs` is 0

    See: notebooks/02_preprocessing.ipynb
    """
    key = [VERSION, asdict(settings), duration]
    shape = (len(corpus.clips), settings.rows, settings.frames(duration))
    clips = list(zip(corpus.clips["path"], corpus.clips["sha256"], strict=True))
    make = functools.partial(clip_features, settings=settings, duration=duration)

    def fill(path: Path) -> None:
        mel_basis(settings), hann_window(settings.n_fft)  # made once, before the workers need them
        extract_to(path, shape, clips, make, jobs, per_task=CLIPS_PER_TASK)

    return cached("features", corpus, key, shape, fill)


def cached(
    kind: str, corpus: Corpus, key: list[Any], shape: tuple[int, ...], fill: Callable[[Path], None]
) -> np.memmap:
    """An array about the clips of a corpus, from the cache if it is there.

    Args:
        kind: folder in the cache
        corpus: see `corpora.load`
        key: all that the array depends on besides the content of the clips and `READERS`
        shape: of the array
        fill: writes the array to a path; two runs never do so at once

    Returns:
        read-only memory map, float32
    """
    content = json.dumps([*key, *map(version, READERS), corpus.clips["sha256"].tolist()])
    path = cache_folder(kind) / f"{corpus.name}-{digest(content)}.npy"
    with writing(path), filelock.FileLock(path.with_suffix(".lock")):
        array = cached_array(path, shape)
        if array is None:
            fill(path)
            array = np.load(path, mmap_mode="r")
    return array


def extract_to(
    path: Path,
    shape: tuple[int, ...],
    clips: list[tuple[str, str]],
    make: Make,
    jobs: int,
    *,
    per_task: int,
    processes: bool | None = None,
) -> None:
    """Fill ``<path>.partial`` task by task, noting each in ``<path>.done``, then rename it.

    Args:
        path: of the finished array
        shape: of the array
        clips: paths, each with the SHA-256 that it had when it was checked
        make: see `Make`
        jobs: parallel workers; -1 is one for each core
        per_task: clips that one task reads before it writes them
        processes: use them, and not threads; None uses them from `CLIPS_WORTH_PROCESSES` clips on

    Raises:
        cli.UserError: if `jobs` is 0
    """
    jobs = workers.side_by_side(jobs, WORKER_MEMORY)
    partial, done = path.with_suffix(".partial"), path.with_suffix(".done")
    if not (partial.exists() and done.exists()):
        done.unlink(missing_ok=True)
        # Zeros, which take no room yet.
        np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        done.touch()
    # A line cut short by a kill or a full disk does not count, nor does the next one continue it.
    lines, end, _ = done.read_bytes().rpartition(b"\n")
    os.truncate(done, len(lines + end))
    finished = set(lines.decode().split())
    starts = range(0, len(clips), per_task)
    tasks = {n: clips[n : n + per_task] for n in starts if str(n) not in finished}
    missing = sum(map(len, tasks.values()))

    with (
        threadpoolctl.threadpool_limits(1),
        open(done, "a", encoding="utf-8") as log,
        bar(total=len(clips), desc="extracting", unit="clip") as progress,
    ):
        progress.update(len(clips) - missing)
        parallel = joblib.Parallel(
            jobs,
            return_as="generator_unordered",
            pre_dispatch="2*n_jobs",
            **_workers(missing, processes),
        )
        for start in parallel(
            joblib.delayed(_extract_block)(partial, start, block, make)
            for start, block in tasks.items()
        ):
            log.write(f"{start}\n")
            log.flush()
            progress.update(len(tasks[start]))
    os.replace(partial, path)
    done.unlink()


def _workers(clips: int, processes: bool | None) -> dict[str, Any]:
    """Threads, or processes if they are asked for, or there are enough clips to be worth them.

    Threads share one interpreter, which they wait for on many cores. Processes end soon after their
    last task, and give their memory back.
    """
    if not (clips >= CLIPS_WORTH_PROCESSES if processes is None else processes):
        return {"prefer": "threads"}
    return {
        "backend": "loky",
        "idle_worker_timeout": 5,
        "initializer": workers.prepare,
        "initargs": (os.getpid(),),
    }


def _extract_block(partial: Path, start: int, clips: list[tuple[str, str]], make: Make) -> int:
    """Write the features of some clips, from number `start` on, into a .npy file; `start`."""
    found = []
    for path, sha256 in clips:
        with as_checked(path, sha256):
            found.append(make(path))
    block = np.stack(found)
    header = np.load(partial, mmap_mode="r").offset
    # Written, not mapped: pages of a map that were touched count as this process's memory.
    with open(partial, "r+b") as file:
        file.seek(header + start * block[0].nbytes)
        file.write(block.tobytes())
    return start


def main(arguments: list[str] | None = None) -> int:
    """Extract the features of a corpus into the cache."""
    parser = argparse.ArgumentParser(prog="python -m helpers.features", description=main.__doc__)
    corpora.add_arguments(parser)
    parser.add_argument(
        "--jobs", type=int, default=-1, help="parallel workers (-1: as many as fit)"
    )
    options = parser.parse_args(arguments)
    corpus = corpora.from_arguments(options)
    for remark in corpora.remarks(corpus):
        print(remark)
    duration = input_duration(corpus)
    features = extract(corpus, MelSettings(), duration=duration, jobs=options.jobs)
    clips, n_mels, frames = features.shape
    longer = (corpus.clips["duration"] > duration).sum()
    print(f"{corpus.name}: {clips} clips of {duration} s, {n_mels} mel bands x {frames} frames")
    print(f"{longer} of them are longer and cut, the others padded")
    return 0
