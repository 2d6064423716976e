"""A search beyond the grid: each trial is proposed from the results of the trials before it.

Optuna's tree-structured Parzen estimator (TPE, Bergstra et al. 2011) proposes the hyperparameters,
and a trial that is worse than the median of those before it is stopped early. The search is
compared with a grid of the same cost: the number of all training epochs, `tuning.cost`.

Only the trainings are stored, see `trials`: a search that was killed proposes the same
hyperparameters again, and finds their trainings in the store.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from helpers.corpora import Corpus
from helpers.progress import bar
from helpers.storage import Record
from helpers.tuning.execution import carry_out
from helpers.tuning.trials import Study, Training, TuningError

#: Trials that are proposed together and trained side by side. It is one number on every machine,
#: because it decides what is proposed.
TOGETHER = 4

#: Trials that have to finish before the first one may be stopped early, Optuna's default.
STARTUP = 5


def space(filters: int) -> dict[str, optuna.distributions.BaseDistribution]:
    """The range in which each hyperparameter is searched.

    Args:
        filters: most filters of a branch, so that an epoch never takes longer than in a grid with
            that number

    Returns:
        by name; ``units`` is the width of the first dense layer, the second has half of it, as in
        the original study

    See: notebooks/04_tuning.ipynb
    """
    return {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "weight_decay": FloatDistribution(1e-4, 1e-1, log=True),
        "filters": IntDistribution(max(1, filters // 4), filters, log=True),
        "units": IntDistribution(50, 400, log=True),
        "dropout": FloatDistribution(0.0, 0.7),
        "batch_size": CategoricalDistribution((16, 32, 64)),
    }


def explore(
    corpus: Corpus,
    *,
    cost: int,
    epochs: int = 20,
    filters: int = 24,
    jobs: int = -1,
    seed: int = 0,
    **fixed: Any,
) -> pd.DataFrame:
    """Search the `space` with TPE and median pruning.

    The best of many single trials is partly luck: train it with other seeds, by `tuning.search`,
    before it is compared with the best of a grid.

    Args:
        corpus: see `corpora.load`
        cost: training epochs to spend; a last trial that would exceed it is not begun
        epochs: of a trial that is not stopped
        filters: see `space`
        jobs: see `tuning.search`
        seed: of the split, the trainings and the proposals
        **fixed: hyperparameters that all trials share; they are taken out of the `space`

    Returns:
        a row a trial, as in `tuning.search`, with whether it was ``pruned`` (its errors are then
        missing) and its ``cost`` in epochs. A trial that failed costs as much as a whole one

    Raises:
        TuningError: if a hyperparameter is unknown, or the cost is too low for one trial
        cli.UserError: if `jobs` is 0

    See: notebooks/04_tuning.ipynb
    """
    if cost < epochs:
        raise TuningError(f"{cost} training epochs are not enough for one trial of {epochs}.")
    ranges = {name: each for name, each in space(filters).items() if name not in fixed}
    study = Study.from_corpus(corpus, seed=seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    proposals = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    rows, left = [], cost
    with bar(total=cost, desc="exploring", unit="epoch") as progress:
        while together := min(TOGETHER, left // epochs):
            limits = _medians(proposals)
            trials = [proposals.ask(ranges) for _ in range(together)]
            settings = [{**_settings(trial), "epochs": epochs} for trial in trials]
            trainings = [
                study.training({**fixed, **each}, seed=seed, limits=limits) for each in settings
            ]
            records, missing = study.store.load_all(trainings)
            progress.update(sum(_cost(t, records[t.key]) for t in trainings if t.key in records))
            for training, record, _ in carry_out(study, missing, jobs=jobs):
                records[training.key] = record
                progress.update(_cost(training, record))
            for trial, chosen, training in zip(trials, settings, trainings, strict=True):
                outcome = _report(proposals, trial, training, records[training.key])
                rows.append({**chosen, **outcome})
                left -= outcome["cost"]
            best = pd.DataFrame(rows)["validation_mae"].min()
            progress.set_postfix(best=f"{best:.3f}", refresh=False)
    return pd.DataFrame(rows)


def _settings(trial: optuna.Trial) -> dict[str, Any]:
    """The proposed hyperparameters, as `HYPERPARAMETERS` names them."""
    settings = dict(trial.params)
    if "units" in settings:
        settings["units"] = (settings["units"], settings["units"] // 2)
    return settings


def _medians(proposals: optuna.Study) -> np.ndarray:
    """Median validation error of the finished trials, epoch by epoch; empty before `STARTUP`.

    A trial is stopped when the best of its errors so far is above the median at that epoch, as by
    `optuna.pruners.MedianPruner`. Here only trials count that ended before it began, since the
    progress of trials beside it depends on the machine.
    """
    whole = proposals.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(whole) < STARTUP:
        return np.array([])
    return np.median([list(trial.intermediate_values.values()) for trial in whole], axis=0)


def _cost(training: Training, record: Record) -> int:
    return training.stopped(record["history"]["validation_mae"]) or training.epochs


def _report(
    proposals: optuna.Study, trial: optuna.Trial, training: Training, record: Record
) -> dict[str, Any]:
    """Report the result of a proposal to the sampler; its row of the table."""
    row = {**training.outcome(record), "cost": _cost(training, record)}
    row["pruned"] = row["error"] is None and np.isnan(row["validation_mae"])
    for epoch, mae in enumerate(record["history"]["validation_mae"][: row["cost"]], start=1):
        trial.report(mae, epoch)
    if np.isnan(row["validation_mae"]):
        proposals.tell(trial, state=TrialState.PRUNED if row["pruned"] else TrialState.FAIL)
    else:
        proposals.tell(trial, row["validation_mae"])
    return row
