"""How long a large corpus takes to load, and whether memory grows with its size.

A hundred thousand clips are half seconds of eight voices of the demo corpus, in nested folders.
Each begins with samples that no other has, since clips with the same content count once. Longer
ones would fill the disk.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pandas as pd
import soundfile

from helpers import corpora
from helpers.corpora.checks import SETTLED
from tests.benchmarks.measuring import Row, in_new_process

CLIPS = 100_000

LOAD = """
import os, time
from helpers import corpora
os.environ["VALENCE_OUTPUT"] = {output!r}
start = time.perf_counter()
corpus = corpora.load({corpus!r})
print(time.perf_counter() - start)
assert len(corpus.clips) == {clips} and corpus.rejected.empty
"""

EXTRACT = """
from helpers import features
features.extract(corpus, features.MelSettings(), duration=4)
"""


def measure() -> list[Row]:
    """Seconds and memory of loading, memory of extraction."""
    with tempfile.TemporaryDirectory() as folder:
        first, again = (in_new_process(code) for code in 2 * [corpus_of(CLIPS, Path(folder))])
        few, many = (
            in_new_process(corpus_of(clips, Path(folder)) + EXTRACT)[-1] for clips in (1000, 10_000)
        )
    load = f"load {CLIPS:,} clips"
    return [
        Row(load, first[0], "s"),
        Row(f"{load}, speed", CLIPS / first[0], "clips/s"),
        Row(f"{load}, memory", first[-1], "MB"),
        Row(f"{load}, again", again[0], "s", "the first time", first[0]),
        Row("extract 1,000 clips, memory", few, "MB"),
        Row("extract 10,000 clips, memory", many, "MB", "1,000 clips", few),
    ]


def corpus_of(clips: int, folder: Path) -> str:
    """Make clips in folders of a hundred, with one labels table; code to load them."""
    folder = folder / f"{clips}"
    voices = []
    for path in corpora.load().clips.query("2 < duration < 4").head(8)["path"]:
        y, rate = soundfile.read(path, start=8000, frames=8000, dtype="int16")
        voices.append(y)
    rows = []
    for i in range(clips):
        name = f"part{i // 10_000}/speaker{i // 100}/clip{i}.wav"
        path = folder / "corpus" / name
        if i % 100 == 0:
            path.parent.mkdir(parents=True)
        y = voices[i % len(voices)].copy()
        y[:2] = i % 256, i // 256
        soundfile.write(path, y, rate)
        rows.append((name, 1 + i % 17 / 4, f"speaker{i // 100}"))
    table = pd.DataFrame(rows, columns=["file", "valence", "speaker"])
    table.to_csv(folder / "corpus" / "labels.csv", index=False)
    time.sleep(SETTLED + 1)  # only files left alone that long are remembered
    return LOAD.format(output=str(folder), corpus=str(folder / "corpus"), clips=clips)
