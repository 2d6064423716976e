"""Many training runs: every combination of a grid, each with several seeds, and the results.

Combinations that differ only in their epochs share one training, which is read at each of these
epochs. A search that was killed goes on with what is missing, see `trials`.

From a terminal, ``python -m helpers.tuning [PATH] [--scale LOW HIGH] [--profile quick|full]
[--jobs N] [--scheduler ADDRESS]`` runs the grid of the original study.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import corpora, evaluation
from helpers.corpora import Corpus
from helpers.progress import bar
from helpers.settings import PROFILES, Settings
from helpers.splits import Split
from helpers.storage import Record, cache_folder
from helpers.training import Run, predict
from helpers.tuning.execution import carry_out
from helpers.tuning.trials import HYPERPARAMETERS, Study, Training, TuningError, check_names, stored

#: The values of each hyperparameter, every combination of which is tried; or the combinations.
Grid = Mapping[str, Collection[Any]] | Sequence[Mapping[str, Any]]

#: The combinations in the table of the original study.
GRID = {"dropout": [0.3, 0.5, 0.7], "batch_size": [16, 32], "epochs": [10, 20]}

#: The table of the original study, in the form of `search` (its three seeds are not known). Corpus
#: and split are others: put it beside one's own table, but do not compare the numbers.
REPORTED = pd.read_csv(Path(__file__).with_name("original_study.csv"))

#: Mean absolute error of the original study's best network on its test set.
REPORTED_TEST_MAE = 0.516


def grid(choices: Mapping[str, Collection[Any]]) -> list[dict[str, Any]]:
    """Every combination of some choices, the last named varying fastest.

    Args:
        choices: values of each hyperparameter, named as in `HYPERPARAMETERS`

    Raises:
        TuningError: if a hyperparameter is unknown or has no list of values

    Examples:
        >>> grid({"dropout": [0.3, 0.5], "epochs": [10]})
        [{'dropout': 0.3, 'epochs': 10}, {'dropout': 0.5, 'epochs': 10}]

    See: notebooks/04_tuning.ipynb
    """
    check_names(choices)
    for name, values in choices.items():
        if isinstance(values, str) or not isinstance(values, Collection) or not len(values):
            raise TuningError(f"{name} is {values!r}: give the values to try as a list.")
    combinations = itertools.product(*choices.values())
    return [dict(zip(choices, each, strict=True)) for each in combinations]


def cost(grid: Grid, *, seeds: int = 3, **fixed: Any) -> int:
    """Training epochs that a search of a grid takes; searches are compared by them.

    Args:
        grid: see `search`
        seeds: trainings of each combination
        **fixed: hyperparameters that all combinations share

    Raises:
        TuningError: if a hyperparameter is unknown

    Examples:
        >>> len(grid(GRID)), cost(GRID)
        (12, 360)

    See: notebooks/04_tuning.ipynb
    """
    combinations = _combinations(grid, **fixed)
    table = pd.DataFrame([{**HYPERPARAMETERS, **fixed, **each} for each in combinations])
    others = table.drop(columns="epochs").astype(str).agg(" ".join, axis=1)
    return seeds * int(table["epochs"].groupby(others).max().sum())


def _combinations(choices: Grid, **fixed: Any) -> list[dict[str, Any]]:
    """The combinations of a grid, each with all hyperparameters that any of them names."""
    rows = grid(choices) if isinstance(choices, Mapping) else list(choices)
    names = list(dict.fromkeys(name for row in rows for name in row))
    check_names([*names, *fixed])
    if not names:
        raise TuningError("The grid is empty: name a hyperparameter and the values to try.")
    others = {**HYPERPARAMETERS, **fixed}
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
        grid: values of each hyperparameter, see `grid`, or a list of combinations
        seeds: trainings of each combination
        jobs: trainings at once on this machine; -1 is one for each core, as far as memory goes.
            On one GPU, use 1
        scheduler: address of a Dask scheduler, whose workers then do the training. They need this
            package, and the cache folder under the same path as here
        seed: of the split, and of the first trial; the others count up from it
        **fixed: hyperparameters that all combinations share, as in ``filters=24``

    Returns:
        a row a trial, combination by combination: its hyperparameters, ``seed``,
        ``validation_mae`` and ``train_mae`` after its last epoch, ``seconds`` of the training that
        it is read from, ``error`` (why it failed; missing if it did not) and ``key``, the name of
        its file in the store. A training that diverged stays failed; one whose process was killed
        is tried again by the next search

    Raises:
        TuningError: if a hyperparameter is unknown, or the scheduler or a worker cannot be used
        splits.SplitError: if the corpus cannot be split
        models.KernelSizeError: if a kernel is too large for the clips
        cli.UserError: if `jobs` is 0

    See: notebooks/04_tuning.ipynb
    """
    combinations = _combinations(grid, **fixed)
    study = Study.from_corpus(corpus, seed=seed)
    trials = [
        (combination, study.training({**fixed, **combination}, seed=seed + i))
        for combination in combinations
        for i in range(seeds)
    ]
    longest: dict[str, Training] = {}
    for _, each in trials:
        longest[each.key] = max(each, longest.get(each.key, each), key=lambda some: some.epochs)
    records, missing = study.store.load_all(longest.values())
    with bar(total=len(longest), initial=len(records), desc="tuning", unit="training") as progress:
        for each, record, running in carry_out(study, missing, jobs=jobs, scheduler=scheduler):
            records[each.key] = record
            progress.set_postfix(running=running, best=_best(records.values()), refresh=False)
            progress.update()
    return pd.DataFrame(
        [{**combination, **each.outcome(records[each.key])} for combination, each in trials]
    )


def _best(records: Iterable[Record]) -> str:
    maes = [mae for each in records for mae in each["history"]["validation_mae"]]
    return f"{min(maes, default=np.nan):.3f}"


def trial_table(trials: pd.DataFrame) -> pd.DataFrame:
    """The table of the original study: a row a combination, a column a trial.

    Args:
        trials: see `search`

    Returns:
        the hyperparameters, validation MAE as ``trial 1``, ``trial 2`` ..., and their ``mean`` and
        ``standard deviation``. These are missing where a trial failed: a combination that sometimes
        diverges must not be chosen for its other trials

    Examples:
        >>> trial_table(REPORTED).iloc[5].round(4).to_dict()  # doctest: +NORMALIZE_WHITESPACE
        {'dropout': 0.5, 'batch_size': 16.0, 'epochs': 20.0, 'trial 1': 0.5583, 'trial 2': 0.5532,
         'trial 3': 0.558, 'mean': 0.5565, 'standard deviation': 0.0029}

    See: notebooks/04_tuning.ipynb
    """
    settings, rows = _rows(trials)
    maes = pd.DataFrame(trials.groupby(rows)["validation_mae"].agg(list).tolist())
    table = settings.join(maes.rename(columns=lambda number: f"trial {number + 1}"))
    table["mean"] = maes.mean(axis=1, skipna=False)
    table["standard deviation"] = maes.std(axis=1, skipna=False)
    return table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The errors of a table of trials in two columns.

    Args:
        table: see `trial_table`

    Returns:
        ``trials``, the MAE of each, and ``mean ± sd``, their mean and standard deviation

    Examples:
        >>> readable(trial_table(REPORTED)).iloc[5].to_dict()
        {'trials': '0.56 0.55 0.56', 'mean ± sd': '0.56 ± 0.00'}

    See: notebooks/04_tuning.ipynb
    """
    each = table.filter(regex=r"^trial \d+$")
    cells = {
        "trials": each.apply(lambda row: " ".join(f"{mae:.2f}" for mae in row), axis=1),
        "mean ± sd": table.apply(
            lambda row: f"{row['mean']:.2f} ± {row['standard deviation']:.2f}", axis=1
        ),
    }
    return pd.DataFrame(cells)


def _rows(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The hyperparameters of each combination, and the number of each trial's combination."""
    names = [name for name in trials.columns if name in HYPERPARAMETERS]
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
    """The hyperparameters in a row, as a combination for `search`, in Python's own numbers.

    Args:
        row: see `best`

    Examples:
        >>> settings_of(best(REPORTED))
        {'dropout': 0.5, 'batch_size': 16, 'epochs': 20}

    See: notebooks/04_tuning.ipynb
    """
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in row.items()
        if name in HYPERPARAMETERS
    }


def predictions(trials: pd.DataFrame) -> np.ndarray:
    """What each trial predicted for the validation part, from the store.

    Args:
        trials: see `search`

    Returns:
        float32 [trials, validation clips], not a number where a trial failed

    Raises:
        TuningError: if a trial is no longer in the store

    See: notebooks/04_tuning.ipynb
    """
    columns = trials["key"], trials["epochs"], trials["validation_mae"].notna()
    found = [
        np.asarray(stored(key, epochs)["validation"][epochs - 1]) if finished else np.nan
        for key, epochs, finished in zip(*columns, strict=True)
    ]
    return np.stack(np.broadcast_arrays(*found)).astype(np.float32)


def against_best(
    trials: pd.DataFrame,
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Which combinations are statistically indistinguishable from the best one.

    A bootstrap of the difference of two errors. Each resample draws speakers of the validation
    part, the same for both combinations, and trainings, for each combination on its own: equal
    seeds do not make two different networks alike. So the interval says how the difference varies
    with the speakers and with the seeds. It does not say what choosing does: the best row is the
    one with the lowest error *here*, partly by luck, so how far the others are behind it is
    overestimated.

    Args:
        trials: see `search`
        truth: ratings of the validation part [validation clips]
        predicted: see `predictions`
        groups: speaker of each validation clip [validation clips], see
            `evaluation.known_speakers`; None draws clips
        seed: of the bootstrap

    Returns:
        a row a combination: its hyperparameters, ``mean`` validation MAE, how far that is
        ``behind`` the best one's with the ``low`` and ``high`` end of its 95 % interval (see
        `evaluation.mae_difference`), and whether it may be ``as good``: no interval shows that it
        is behind. A combination with a trial that failed has no numbers and is not as good

    Raises:
        TuningError: if every combination has a trial that failed

    See: notebooks/04_tuning.ipynb
    """
    settings, rows = _rows(trials)
    means = trial_table(trials)["mean"]
    winner = best(trials).name
    top = predicted[rows == winner]

    def behind(row: int) -> dict[str, float]:
        if row == winner or np.isnan(means[row]):
            return dict.fromkeys(("value", "low", "high"), 0.0 if row == winner else np.nan)
        other = predicted[rows == row]
        return evaluation.mae_difference(
            truth, top, other, groups=groups, draw_trainings=True, seed=seed
        ).to_dict()

    table = settings.assign(mean=means).join(
        pd.DataFrame(map(behind, settings.index)).rename(columns={"value": "behind"})
    )
    return table.assign(**{"as good": table["mean"].notna() & ~table["low"].gt(0)})


def learning_curves(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """History of the best and of the worst combination, each the mean over its seeds.

    Args:
        trials: see `search`

    Returns:
        name and history of both, for `plots.learning_curves`

    Raises:
        TuningError: if a trial is no longer in the store

    See: notebooks/04_tuning.ipynb
    """
    settings, rows = _rows(trials)
    means = trial_table(trials)["mean"]
    curves = {}
    for name, row in {"best": means.idxmin(), "worst": means.idxmax()}.items():
        histories = [
            pd.DataFrame(stored(key, epochs)["history"])[:epochs]
            for key, epochs in trials.loc[rows == row, ["key", "epochs"]].itertuples(index=False)
        ]
        mean = pd.concat(histories).groupby("epoch", as_index=False).mean()
        curves[f"{name}: {in_words(settings.astype(object).loc[row])}"] = mean
    return curves


def in_words(settings: Mapping[str, Any]) -> str:
    """Hyperparameters and their values for a sentence or a legend.

    Examples:
        >>> in_words({"dropout": 0.5, "batch_size": 16})
        'dropout 0.5, batch size 16'

    See: notebooks/04_tuning.ipynb
    """
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def final(
    corpus: Corpus, settings: Mapping[str, Any], *, seed: int = 0, **fixed: Any
) -> tuple[Run, pd.DataFrame]:
    """Train with the chosen hyperparameters on all but the test part, and predict the test part.

    Args:
        corpus: see `corpora.load`
        settings: such as `best` gives, see `settings_of`
        seed: of the search's split, and of the training
        **fixed: hyperparameters that all combinations of the search shared

    Returns:
        the run, and a row a test clip: ``file``, ``speaker``, ``valence`` and ``prediction``

    Raises:
        splits.SplitError: if the corpus cannot be split
        FloatingPointError: if the loss is no longer a number

    See: notebooks/04_tuning.ipynb
    """
    study = Study.from_corpus(corpus, seed=seed)
    train, validation, test = study.split
    study = replace(study, split=Split(np.union1d(train, validation), np.array([], int), test))
    run = study.train(study.training({**fixed, **settings_of(settings)}, seed=seed))
    clips = corpus.clips.iloc[test][["file", "speaker", "valence"]]
    return run, clips.assign(prediction=predict(run, run.features, test))


def main(arguments: list[str] | None = None) -> int:
    """Run the grid of the original study on a corpus."""
    parser = argparse.ArgumentParser(prog="python -m helpers.tuning", description=main.__doc__)
    add = parser.add_argument
    corpora.add_arguments(parser)
    add("--profile", choices=PROFILES, help="size of the search; else VALENCE_PROFILE or quick")
    add("--jobs", type=int, default=-1, help="trainings at once (-1: as many as fit)")
    add("--scheduler", help="address of a Dask scheduler, as tcp://host:8786")
    options = parser.parse_args(arguments)
    profile = options.profile or Settings.from_env().profile
    fixed = dict(PROFILES[profile]["search"])
    choices = {**GRID, "epochs": fixed.pop("epochs")}
    corpus = corpora.from_arguments(options)
    scale = "{:g} to {:g}".format(*corpus.scale)
    print(f"{corpus.name}: {len(corpus.clips)} clips, valence from {scale}, {profile} profile")
    for remark in corpora.remarks(corpus):
        print(remark)
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
