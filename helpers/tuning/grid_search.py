"""Many training runs: every combination of a grid, each with several seeds, and what they say.

A training costs much and a look at it nothing, so combinations that differ only in their epochs
share one training and are read from it at their epoch. A search that was killed goes on with what
is missing, see `trials`.

From a terminal, ``python -m helpers.tuning [PATH] [--profile quick|full] [--jobs N]
[--scheduler ADDRESS]`` runs the report's grid.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from helpers import corpora, evaluation, features, splits
from helpers.corpora import Corpus
from helpers.features import MelSettings
from helpers.progress import bar
from helpers.settings import PROFILES
from helpers.splits import Split
from helpers.storage import cache_folder
from helpers.training import Run, predict, train
from helpers.tuning.execution import carry_out
from helpers.tuning.trials import (
    DEFAULTS,
    NETWORK,
    NETWORK_SETTINGS,
    Study,
    Training,
    TuningError,
    check_settings,
)

#: The values of each setting, every combination of which is tried; or the combinations.
Grid = Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]]

#: The combinations in the report's table.
GRID = {"dropout": [0.3, 0.5, 0.7], "batch_size": [16, 32], "epochs": [10, 20]}

#: Those that the report's text names, some of which its table leaves out.
BROAD_GRID = {"dropout": [0.3, 0.5, 0.7], "batch_size": [16, 32, 64], "epochs": [10, 15, 20]}

#: The table of the report that this study began with, in the form of `search` (its seeds are not
#: known, only that there were three). Another corpus, another split: to be looked at beside one's
#: own table, not compared with it.
REPORTED = pd.DataFrame(
    [
        (dropout, batch_size, epochs, trial, mae)
        for (dropout, batch_size, epochs), maes in {
            (0.3, 16, 10): (0.6031, 0.6349, 0.5927),
            (0.3, 16, 20): (0.5862, 0.5561, 0.5677),
            (0.3, 32, 10): (0.6094, 0.5967, 0.6459),
            (0.3, 32, 20): (0.5868, 0.5685, 0.5749),
            (0.5, 16, 10): (0.6068, 0.6170, 0.6086),
            (0.5, 16, 20): (0.5583, 0.5532, 0.5580),
            (0.5, 32, 10): (0.6506, 0.6242, 0.5957),
            (0.5, 32, 20): (0.5623, 0.5907, 0.5703),
            (0.7, 16, 10): (0.5996, 0.6439, 0.7757),
            (0.7, 16, 20): (0.5689, 0.5645, 0.5545),
            (0.7, 32, 10): (0.5947, 0.6692, 0.6578),
            (0.7, 32, 20): (0.5786, 0.5825, 0.5838),
        }.items()
        for trial, mae in enumerate(maes)
    ],
    columns=["dropout", "batch_size", "epochs", "seed", "validation_mae"],
)

#: Mean absolute error of that report's best network on its test set.
REPORTED_TEST_MAE = 0.516


def grid(choices: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Every combination of some choices, the last named varying fastest.

    Args:
        choices: values of each setting; settings are the keys of `DEFAULTS`

    Raises:
        TuningError: if a setting is unknown or has no list of values

    Examples:
        >>> grid({"dropout": [0.3, 0.5], "epochs": [10]})
        [{'dropout': 0.3, 'epochs': 10}, {'dropout': 0.5, 'epochs': 10}]

    See: notebooks/04_tuning.ipynb
    """
    check_settings(choices)
    lists = []
    for name, values in choices.items():
        some = isinstance(values, Iterable) and not isinstance(values, str)
        lists.append(list(values) if some else [])
        if not lists[-1]:
            raise TuningError(f"{name} is {values!r}: give the values to try as a list.")
    return [dict(zip(choices, each, strict=True)) for each in itertools.product(*lists)]


def cost(grid: Grid, *, seeds: int = 3, **fixed: Any) -> int:
    """Training epochs that a search of a grid takes: the measure in which searches are compared.

    Args:
        grid: see `search`
        seeds: trainings of each combination
        **fixed: settings that all combinations share

    Examples:
        >>> len(grid(GRID)), cost(GRID)
        (12, 360)
    """
    longest: dict[str, int] = {}
    for combination in _combinations(grid, **fixed):
        epochs = combination.pop("epochs", {**DEFAULTS, **fixed}["epochs"])
        longest[str(combination)] = max(epochs, longest.get(str(combination), 0))
    return seeds * sum(longest.values())


def _combinations(choices: Grid, **fixed: Any) -> list[dict[str, Any]]:
    """The combinations of a grid, each with all settings that any of them has."""
    rows = grid(choices) if isinstance(choices, Mapping) else list(choices)
    names = list(dict.fromkeys(name for row in rows for name in row))
    check_settings([*names, *fixed])
    if not names:
        raise TuningError("The grid is empty: name a setting and the values to try.")
    others = {**DEFAULTS, **fixed}
    return [{name: _hashable(row.get(name, others[name])) for name in names} for row in rows]


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def search(
    corpus: Corpus,
    grid: Grid,
    *,
    seeds: int = 3,
    jobs: int = -1,
    scheduler: str | None = None,
    seed: int = 0,
    **fixed: Any,
) -> pd.DataFrame:
    """Train every combination of a grid with several seeds, except what is already stored.

    All trials share one split, so that seeds differ in training alone, and none looks at its test
    part. Neither the number of jobs nor the order in which they end changes a bit of the result.

    Args:
        corpus: see `corpora.load`
        grid: values of each setting, see `grid`, or a list of combinations
        seeds: trainings of each combination
        jobs: trainings at once on this machine; -1 is one for each core, as far as memory goes.
            Those on one GPU are best done one by one
        scheduler: address of a Dask scheduler, whose workers then do the training. They need this
            package, and the cache folder under the path that it has here
        seed: of the split, and of the first trial; the others count up from it
        **fixed: settings that all combinations share, as in ``filters=24``

    Returns:
        a row a trial, combination by combination: its settings, ``seed``, ``validation_mae`` and
        ``train_mae`` after its last epoch, ``seconds`` of the training that it is read from,
        ``error`` (why it failed; missing if it did not) and ``key``, the name of its file in the
        store. A training that diverged stays failed; one whose process died is tried again by the
        next search

    Raises:
        TuningError: if a setting is unknown, or the scheduler or a worker cannot be used
        ValueError: if the corpus cannot be split, or a network cannot be built

    See: notebooks/04_tuning.ipynb
    """
    combinations = _combinations(grid, **fixed)
    study = Study.of(corpus, seed=seed)
    trials = [
        (combination, study.training({**fixed, **combination}, seed=seed + i))
        for combination in combinations
        for i in range(seeds)
    ]
    trainings = _sharing_epochs([each for _, each in trials])
    found = {key: study.stored(each) for key, each in trainings.items()}
    records = {key: record for key, record in found.items() if record is not None}
    missing = [each for key, each in trainings.items() if key not in records]
    with bar(
        total=len(trainings), initial=len(records), desc="tuning", unit="training"
    ) as progress:
        for each, record, running in carry_out(study, missing, jobs=jobs, scheduler=scheduler):
            records[each.key] = record
            progress.set_postfix(running=running, best=_best(records.values()), refresh=False)
            progress.update()
    return pd.DataFrame(
        [{**combination, **each.outcome(records[each.key])} for combination, each in trials]
    )


def _sharing_epochs(trainings: Iterable[Training]) -> dict[str, Training]:
    """By key, so that those which differ only in their epochs are one."""
    shared: dict[str, Training] = {}
    for each in trainings:
        epochs = {*shared.get(each.key, each).checkpoints, *each.checkpoints}
        shared[each.key] = replace(each, checkpoints=tuple(sorted(epochs)))
    return shared


def _best(records: Iterable[dict[str, Any]]) -> str:
    maes = [mae for each in records for mae in each["history"]["validation_mae"]]
    return f"{min(maes, default=np.nan):.3f}"


def trial_table(trials: pd.DataFrame) -> pd.DataFrame:
    """The report's table: a row a combination, a column a trial.

    Args:
        trials: see `search`

    Returns:
        the settings, validation MAE as ``trial 1``, ``trial 2`` ..., and their ``mean`` and
        ``standard deviation``, which are missing where a trial failed: a setting that sometimes
        diverges is not to be chosen for the times when it did not

    Examples:
        >>> trial_table(REPORTED).iloc[5].round(4).to_dict()  # doctest: +NORMALIZE_WHITESPACE
        {'dropout': 0.5, 'batch_size': 16.0, 'epochs': 20.0, 'trial 1': 0.5583, 'trial 2': 0.5532,
         'trial 3': 0.558, 'mean': 0.5565, 'standard deviation': 0.0029}

    See: notebooks/04_tuning.ipynb
    """
    settings, rows = _rows(trials)
    place = pd.DataFrame({"row": rows, "trial": trials.groupby(rows).cumcount() + 1})
    place["mae"] = trials["validation_mae"]
    maes = place.pivot(index="row", columns="trial", values="mae")
    table = settings.join(maes.rename(columns="trial {}".format))
    table["mean"] = maes.mean(axis=1, skipna=False)
    table["standard deviation"] = maes.std(axis=1, skipna=False)
    return table


def _rows(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The settings of each combination, and the number of each trial's combination."""
    names = trials.columns[: trials.columns.get_loc("seed")].tolist()
    rows = trials.groupby(names, sort=False).ngroup()
    return trials.loc[~rows.duplicated(), names].reset_index(drop=True), rows


def best(trials: pd.DataFrame) -> pd.Series:
    """The combination with the lowest mean validation MAE over its trials.

    Args:
        trials: see `search`

    Returns:
        its row of `trial_table`

    Raises:
        TuningError: if every combination has a trial that failed

    Examples:
        >>> round(best(REPORTED)["mean"], 4)
        0.5565

    See: notebooks/04_tuning.ipynb
    """
    table = trial_table(trials)
    if table["mean"].isna().all():
        raise TuningError(
            f"No combination finished all its trials: {trials['error'].dropna().iloc[0]}"
        )
    return table.astype(object).loc[table["mean"].idxmin()]


def settings_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a row, as a combination for `search`, in Python's own numbers.

    Args:
        row: see `best`

    Examples:
        >>> settings_of(best(REPORTED))
        {'dropout': 0.5, 'batch_size': 16, 'epochs': 20}
    """
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in row.items()
        if name in DEFAULTS
    }


def predictions(trials: pd.DataFrame) -> np.ndarray:
    """What each trial predicted for the validation part, from the store.

    Args:
        trials: see `search`

    Returns:
        float32 [trials, validation clips], not a number where a trial failed

    See: notebooks/04_tuning.ipynb
    """
    columns = trials["key"], trials["epochs"], trials["validation_mae"].notna()
    found = [
        np.asarray(_stored(key)["validation"][epochs - 1]) if finished else np.nan
        for key, epochs, finished in zip(*columns, strict=True)
    ]
    return np.stack(np.broadcast_arrays(*found)).astype(np.float32)


def _stored(key: str) -> dict[str, Any]:
    return json.loads((cache_folder("trials") / f"{key}.json").read_text(encoding="utf-8"))


def against_best(
    trials: pd.DataFrame, truth: np.ndarray, predicted: np.ndarray, *, seed: int = 0
) -> pd.DataFrame:
    """Which combinations cannot be told from the best: a paired bootstrap over validation clips.

    Args:
        trials: see `search`
        truth: ratings of the validation part [validation clips]
        predicted: see `predictions`
        seed: of the bootstrap

    Returns:
        a row a combination: its settings, ``mean`` validation MAE, how far that is ``behind`` the
        best one's with the ``low`` and ``high`` end of its 95 % interval (see
        `evaluation.mae_difference`; the errors of a clip are averaged over seeds), and whether it
        may be ``as good``, because the interval reaches 0

    See: notebooks/04_tuning.ipynb
    """
    settings, rows = _rows(trials)
    means = trial_table(trials)["mean"]
    top = predicted[rows == means.idxmin()]
    behind = pd.DataFrame(
        evaluation.mae_difference(truth, top, predicted[rows == row], seed=seed)
        for row in settings.index
    )
    table = settings.assign(mean=means).join(behind.rename(columns={"value": "behind"}))
    return table.assign(**{"as good": table["low"] <= 0})


def learning_curves(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """History of the best and of the worst combination, each the mean over its seeds.

    Args:
        trials: see `search`

    Returns:
        name and history of both, for `plots.learning_curves`

    See: notebooks/04_tuning.ipynb
    """
    settings, rows = _rows(trials)
    means = trial_table(trials)["mean"]
    curves = {}
    for name, row in {"best": means.idxmin(), "worst": means.idxmax()}.items():
        histories = [
            pd.DataFrame(_stored(key)["history"])[:epochs]
            for key, epochs in trials.loc[rows == row, ["key", "epochs"]].itertuples(index=False)
        ]
        mean = pd.concat(histories).groupby("epoch", as_index=False).mean()
        curves[f"{name}: {_words(settings.astype(object).loc[row])}"] = mean
    return curves


def _words(settings: pd.Series) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def final(
    corpus: Corpus, settings: Mapping[str, Any], *, seed: int = 0, **fixed: Any
) -> tuple[Run, pd.DataFrame]:
    """Train with the chosen settings on the training and validation parts; predict the test part.

    Args:
        corpus: see `corpora.load`
        settings: such as `best` gives, see `settings_of`
        seed: of the search's split, and of the training
        **fixed: settings that all combinations of the search shared

    Returns:
        the run, and a row a test clip: ``file``, ``speaker``, ``valence`` and ``prediction``

    See: notebooks/04_tuning.ipynb
    """
    chosen = {**DEFAULTS, **fixed, **settings_of(settings)}
    parts = splits.main_split(corpus.clips, seed=seed)
    both = Split(np.union1d(parts.train, parts.validation), np.array([], int), parts.test)
    duration = features.target_duration(corpus.clips["duration"])
    matrix = features.extract(corpus, MelSettings(), duration=duration)
    network = {name: chosen.pop(name) for name in NETWORK_SETTINGS}
    model = NETWORK(matrix.shape[1:], **network)
    run = train(model, matrix, corpus.clips["valence"], both, seed=seed, **chosen)
    clips = corpus.clips.iloc[parts.test][["file", "speaker", "valence"]]
    return run, clips.assign(prediction=predict(run, matrix, parts.test))


def main(arguments: list[str] | None = None) -> int:
    """Run the report's grid on a corpus; 0, or 2 with one sentence if it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m helpers.tuning", description=main.__doc__)
    parser.add_argument("path", nargs="?", help="folder or zip file; left out, the demo corpus")
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="size of the search")
    parser.add_argument(
        "--jobs", type=int, default=-1, help="trainings at once (-1: as many as fit)"
    )
    parser.add_argument("--scheduler", help="address of a Dask scheduler, as tcp://host:8786")
    options = parser.parse_args(arguments)
    fixed = dict(PROFILES[options.profile]["search"])
    choices = {**GRID, "epochs": fixed.pop("epochs")}
    corpus = corpora.load(options.path)
    trials = search(corpus, choices, jobs=options.jobs, scheduler=options.scheduler, **fixed)
    winner = best(trials)
    print(trial_table(trials).round(4).to_string(index=False))
    for key, reason in trials.dropna(subset="error").set_index("key")["error"].items():
        print(f"failed: {key}: {reason}")
    print(
        f"best: dropout {winner['dropout']}, batch size {winner['batch_size']}, "
        f"{winner['epochs']} epochs: MAE {winner['mean']:.4f} ± {winner['standard deviation']:.4f}"
    )
    print(f"trials: {cache_folder('trials')}")
    return 0
