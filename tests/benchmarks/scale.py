"""What a large corpus costs: 1,000, 10,000 and 100,000 clips through the whole path, in one line.

Clips are half seconds of eight voices of the demo corpus, in nested folders. Each begins with
samples that no other has, since clips with the same content count once. Longer ones would fill the
disk. A row compares what ten times as many clips cost with ten times what the fewer did.
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

SIZES = (1_000, 10_000, 100_000)

STAGES = ("load", "load again", "extract", "train an epoch", "predict")

#: Prints, for each stage, its seconds and the most memory of all processes in it.
STUDY = """
import os
import numpy as np
from helpers import corpora, features, models, splits, training

os.environ["VALENCE_OUTPUT"] = {output!r}
mel = models.RECOMMENDED_MEL

def measured(stage):
    with measuring.Cost() as cost:
        found = stage()
    print(cost.seconds, cost.memory)
    return found

for _ in range(2):
    corpus = measured(lambda: corpora.load({corpus!r}))
assert len(corpus.clips) == {clips} and corpus.rejected.empty
matrix = measured(lambda: features.extract(corpus, mel, duration=1))
rows = np.random.default_rng(0).permutation({clips})
split = splits.Split(rows, rows[:0], rows[:0])
network = models.recommended(matrix.shape[1:], scale=corpus.scale)
options = dict(models.RECOMMENDED_TRAINING, epochs=1)
ratings = corpus.clips["valence"]
run = measured(lambda: training.train(network, matrix, ratings, split, **options))
measured(lambda: training.predict(run, matrix, rows))
"""


def measure() -> list[Row]:
    """Seconds and memory of each stage, for each number of clips."""
    rows: list[Row] = []
    fewer: dict[str, tuple[float, float]] = {}
    for clips in SIZES:
        with tempfile.TemporaryDirectory(prefix="valence-scale-") as folder:
            numbers = in_new_process(corpus_of(clips, Path(folder)))[:-1]
        costs = dict(zip(STAGES, zip(numbers[::2], numbers[1::2], strict=True), strict=True))
        for stage, (seconds, memory) in costs.items():
            what = f"{stage}, {clips:,} clips"
            if not fewer:
                rows += [Row(what, seconds, "s"), Row(f"{what}, memory", memory, "MB")]
                continue
            before, less = fewer[stage]
            rows += [
                Row(what, seconds, "s", "ten times the seconds of a tenth", 10 * before),
                Row(f"{what}, memory", memory, "MB", "a tenth of the clips", less),
            ]
        fewer = costs
    return rows


def corpus_of(clips: int, folder: Path) -> str:
    """Make clips in folders of a hundred, with one labels table; code that studies them."""
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
    return STUDY.format(output=str(folder), corpus=str(folder / "corpus"), clips=clips)
