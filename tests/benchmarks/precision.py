"""Whether bfloat16 costs accuracy: the quick study's network trained in both, over three seeds."""

from __future__ import annotations

import numpy as np

from helpers import corpora, features, models, splits, training
from helpers.progress import bar
from helpers.settings import PROFILES
from tests.benchmarks.measuring import Row

SEEDS = 3


def measure() -> list[Row]:
    """Validation MAE on unseen speakers of the demo corpus, averaged over the last epochs."""
    corpus = corpora.load()
    duration = features.target_duration(corpus.clips["duration"])
    matrix = features.extract(corpus, features.MelSettings(), duration=duration)
    split = splits.speaker_split(corpus.clips, seed=0)
    quick = PROFILES["quick"]
    maes = {"float32": [], "bfloat16": []}
    for seed in bar(range(SEEDS), desc="precisions", unit="seed"):
        for precision, found in maes.items():
            model = models.parallel_cnn(
                matrix.shape[1:], filters=quick["filters"], precision=precision
            )
            run = training.train(
                model, matrix, corpus.clips["valence"], split, epochs=quick["epochs"], seed=seed
            )
            # One epoch's error jumps by more than seeds differ; the last five say where it is.
            found.append(run.history["validation_mae"].tail(5).mean())
    rows = [
        Row(f"validation MAE, seed {seed}, bfloat16", fast, "points", "float32", exact)
        for seed, (exact, fast) in enumerate(zip(*maes.values(), strict=True))
    ]
    mean = {precision: float(np.mean(found)) for precision, found in maes.items()}
    spread = {precision: float(np.std(found, ddof=1)) for precision, found in maes.items()}
    return [
        *rows,
        Row(
            "validation MAE, mean of seeds, bfloat16",
            mean["bfloat16"],
            "points",
            "float32",
            mean["float32"],
        ),
        Row(
            "validation MAE, deviation over seeds, bfloat16",
            spread["bfloat16"],
            "points",
            "float32",
            spread["float32"],
        ),
    ]
