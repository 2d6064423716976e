"""Arrays and tables to draw: every figure of the package, by name."""

import itertools

import numpy as np
import pandas as pd

from helpers import evaluation, features, models, plots

RANDOM = np.random.default_rng(0)
SECONDS = RANDOM.gamma(9, 0.5, 200)
TRUTH = RANDOM.integers(4, 21, 200) / 4
PREDICTIONS = {"median": np.full(200, 3.0), "network": TRUTH + RANDOM.normal(size=200)}
MEL = features.MelSettings()
LEVELS = RANDOM.normal(size=(MEL.n_mels, 20))
HISTORY = pd.DataFrame({"epoch": [1, 2], "train_mae": [2.0, 1], "validation_mae": [1.5, 1]})
CLIPS = pd.DataFrame({"speaker": np.repeat(["a", "b", None, "d"], 50), "valence": TRUTH})
PREDICTED = CLIPS.assign(prediction=PREDICTIONS["network"])
WORST = evaluation.worst(PREDICTED.assign(duration=SECONDS), 3)
CURVE = pd.DataFrame({"seconds": [3, 6], "valence": [2.0, 3], "low": [1.0, 2], "high": [3.0, 4]})
RATINGS = {"edges": [1.0, 3, 5], "counts": [10, 20]}
COSTS = evaluation.compare(TRUTH, PREDICTIONS)
for column, cost in {"seconds": [0, 9.0], "parameters": [0, 1e4], "milliseconds": [0, 0.1]}.items():
    COSTS["cost", column] = cost
SETTINGS = ["dropout", "batch_size", "epochs"]
TRIALS = pd.DataFrame(
    [(*each, RANDOM.uniform(0.5, 0.7)) for each in np.ndindex(3, 2, 2, 3)],
    columns=[*SETTINGS, "seed", "validation_mae"],
)
EXPLORED = TRIALS.assign(units=[(8, 4)] * 36, dropout=0.1 + TRIALS["dropout"])
EXPLORED.loc[::5, "validation_mae"] = np.nan
MAPS = np.stack([LEVELS] * 3)
NETWORK = models.parallel_cnn((128, 94), filters=3)
RESPONSES = RANDOM.normal(size=(111, 10))
VOICES = pd.DataFrame(
    {"pitch": [90.0, 120, 200], "corpus": ["low", "low", "high"]}, ["a", "c", "b"]
)
TRANSFERS = pd.DataFrame(
    [
        (trained, tested, model, RANDOM.uniform(-0.1, 1))
        for trained, tested in [*itertools.product("abc", "abc"), ("b + c", "a"), ("a + c", "b")]
        for model in ("median", "three_views")
    ],
    columns=["trained on", "tested on", "model", ("ccc", "value")],
).set_index(["trained on", "tested on", "model"])
TRANSFERS.columns = pd.MultiIndex.from_tuples(TRANSFERS.columns)
FEW = pd.concat(
    {
        (kind, count): evaluation.compare(TRUTH, PREDICTIONS).rename_axis(index="way")
        for kind in ("any clips", "pleasant clips")
        for count in (1, 5, 18)
    },
    names=["known", "clips"],
)

FIGURES = {
    "durations": lambda: plots.durations(SECONDS, 6),
    "padding": lambda: plots.padding(SECONDS, 6),
    "ratings": lambda: plots.ratings(TRUTH, (1, 5)),
    "ratings of any value": lambda: plots.ratings(TRUTH + 0.1 * SECONDS / 60, (1, 5)),
    "categories": lambda: plots.categories(
        CLIPS.assign(emotion=np.where(TRUTH > 3, "happy", "sad"))
    ),
    "speakers": lambda: plots.speakers(CLIPS, (1, 5)),
    "voices": lambda: plots.voices(VOICES),
    "waveforms": lambda: plots.waveforms(
        {"a": (np.sin(np.arange(900)), 100), "b": (np.ones(50), 10)}
    ),
    "spectrogram": lambda: plots.spectrogram(LEVELS, MEL),
    "spectrograms": lambda: plots.spectrograms({"a": (LEVELS, MEL), "b": (LEVELS, MEL)}),
    "mel_filters": lambda: plots.mel_filters(MEL),
    "learning_curves": lambda: plots.learning_curves(
        {"a": HISTORY, "b": HISTORY}, {"median predictor": 1.2}
    ),
    "max_pooling": lambda: plots.max_pooling(LEVELS, RESPONSES),
    "trials": lambda: plots.trials(TRIALS, SETTINGS, reference=0.75),
    "trials of one combination": lambda: plots.trials(TRIALS[:3], SETTINGS, reference=0.75),
    "explored": lambda: plots.explored(EXPLORED, ["dropout", "units"], log=["dropout"]),
    "predicted_against_true": lambda: plots.predicted_against_true(TRUTH, PREDICTIONS, (1, 5)),
    "error_grid": lambda: plots.error_grid(MAPS, WORST, MEL),
    "joint": lambda: plots.joint(TRUTH, PREDICTIONS["network"], (1, 5)),
    "residuals": lambda: plots.residuals(PREDICTED, evaluation.bias_by_rating(PREDICTED, (1, 5))),
    "calibration": lambda: plots.calibration(evaluation.calibration(PREDICTED)),
    "error_by_speaker": lambda: plots.error_by_speaker(PREDICTED),
    "occlusion": lambda: plots.occlusion(MAPS, MAPS, WORST, MEL),
    "recording": lambda: plots.recording(
        np.sin(np.arange(80000)), LEVELS, MEL, CURVE, CURVE.mean(), RATINGS
    ),
    "intervals": lambda: plots.intervals(CURVE, np.array([2.0, 4]), (1, 5)),
    "comparison": lambda: plots.comparison(evaluation.compare(TRUTH, PREDICTIONS)),
    "gains": lambda: plots.comparison(COSTS, "mae gain"),
    "costs": lambda: plots.costs(COSTS),
    "few_clips": lambda: plots.few_clips(FEW),
    "transfer_heatmap": lambda: plots.transfer_heatmap(TRANSFERS, ["three_views", "median"]),
}
