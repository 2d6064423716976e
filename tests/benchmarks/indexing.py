"""How long a large corpus takes to load, and whether memory grows with its size.

A hundred thousand clips are hard links to eight voices of the demo corpus, in nested folders, so
that every file is opened, decoded and hashed but the disk's own speed is left out.
"""

from __future__ import annotations

import os
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
    """Make voices of 2 to 4 s in folders of a hundred, with one labels table; code to load them."""
    folder = folder / f"{clips}"
    voices = corpora.load().clips.query("2 < duration < 4").head(8)["path"]
    originals = [folder / "originals" / f"{i}.wav" for i in range(len(voices))]
    originals[0].parent.mkdir(parents=True)
    for voice, original in zip(voices, originals, strict=True):
        soundfile.write(original, *soundfile.read(voice))
    rows = []
    for i in range(clips):
        name = f"part{i // 10_000}/speaker{i // 100}/clip{i}.wav"
        path = folder / "corpus" / name
        if i % 100 == 0:
            path.parent.mkdir(parents=True)
        os.link(originals[i % len(originals)], path)
        rows.append((name, 1 + i % 17 / 4, f"speaker{i // 100}"))
    table = pd.DataFrame(rows, columns=["file", "valence", "speaker"])
    table.to_csv(folder / "corpus" / "labels.csv", index=False)
    time.sleep(SETTLED + 1)  # only files left alone that long are remembered
    return LOAD.format(output=str(folder), corpus=str(folder / "corpus"), clips=clips)
