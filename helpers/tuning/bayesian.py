"""A search beyond the grid: each trial is placed where the trials before it did well.

Optuna's tree-structured Parzen estimator (TPE, Bergstra et al. 2011) proposes the settings, and a
trial that is worse than the median of those before it is stopped early. Compared with a grid at the
same cost: that of all training epochs, `tuning.cost`.

Nothing but the trainings is stored, see `trials`: a search that was killed proposes the same
settings again, and finds them trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from tqdm.auto import tqdm

from helpers import workers
from helpers.corpora import Corpus
from helpers.progress import bar
from helpers.tuning.execution import carry_out
from helpers.tuning.trials import Study, Training, TuningError

#: Trials that are proposed before any of them has ended, so that they can be trained side by side.
#: It is one number wherever they are, because it decides what is proposed.
TOGETHER = 4

#: Whole trials before the first may be stopped early, Optuna's default.
STARTUP = 5


def space(filters: int) -> dict[str, optuna.distributions.BaseDistribution]:
    """What is searched.

    Args:
        filters: most filters of a branch, so that an epoch never takes longer than in a grid with
            that number

    Returns:
        the range of each setting; ``units`` is the width of the first dense layer, the second has
        half of it, as in the report
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
    scheduler: str | None = None,
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
        scheduler: see `tuning.search`
        seed: of the split, the trainings and the proposals
        **fixed: settings that all trials share; those of the `space` are then not searched

    Returns:
        a row a trial, as in `tuning.search`, with whether it was ``pruned`` (its errors are then
        missing) and its ``cost`` in epochs. A trial that failed counts as a whole one

    Raises:
        trials.TuningError: if a setting is unknown, the cost is too low for one trial, or the
            scheduler or a worker cannot be used

    See: notebooks/04_tuning.ipynb
    """
    if cost < epochs:
        raise TuningError(f"{cost} training epochs are not enough for one trial of {epochs}.")
    ranges = {name: each for name, each in space(filters).items() if name not in fixed}
    study, proposals, rows, left = Study.of(corpus, seed=seed), _proposals(seed), [], cost
    with (
        workers.kept() as processes,
        bar(total=cost, desc="exploring", unit="epoch") as progress,
    ):
        options = {"jobs": jobs, "scheduler": scheduler, "processes": processes}
        while together := min(TOGETHER, left // epochs):
            limits = _medians(proposals)
            trials = [proposals.ask(ranges) for _ in range(together)]
            settings = [{**_settings(trial), "epochs": epochs} for trial in trials]
            trainings = [
                study.training({**fixed, **each}, seed=seed, limits=limits) for each in settings
            ]
            records = _records(study, trainings, progress, **options)
            for trial, chosen, training in zip(trials, settings, trainings, strict=True):
                rows.append({**chosen, **_told(proposals, trial, training, records[training.key])})
                left -= rows[-1]["cost"]
            best = pd.DataFrame(rows)["validation_mae"].min()
            progress.set_postfix(best=f"{best:.3f}", refresh=False)
    return pd.DataFrame(rows)


def _records(
    study: Study, trainings: list[Training], progress: tqdm, **options: Any
) -> dict[str, dict[str, Any]]:
    """What came of each training; the bar moves by what it cost."""
    records, missing = {}, []
    for training in trainings:
        record = study.stored(training)
        if record is None:
            missing.append(training)
        else:
            records[training.key] = record
            progress.update(_cost(training, record))
    for training, record, _ in carry_out(study, missing, **options):
        records[training.key] = record
        progress.update(_cost(training, record))
    return records


def _proposals(seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))


def _settings(trial: optuna.Trial) -> dict[str, Any]:
    """The proposed settings as `models.parallel_cnn` and `training.train` know them."""
    settings = dict(trial.params)
    if "units" in settings:
        settings["units"] = (settings["units"], settings["units"] // 2)
    return settings


def _medians(proposals: optuna.Study) -> np.ndarray:
    """Median validation error of the whole trials, epoch by epoch; none before `STARTUP`.

    A trial is stopped when the best of its errors so far is above the median at that epoch, as by
    `optuna.pruners.MedianPruner`, but here by trials that ended before it began: which of those
    beside it are ahead depends on the machine.
    """
    whole = proposals.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(whole) < STARTUP:
        return np.array([])
    return np.median([list(trial.intermediate_values.values()) for trial in whole], axis=0)


def _cost(training: Training, record: dict[str, Any]) -> int:
    return training.stopped(record["history"]["validation_mae"]) or training.checkpoints[-1]


def _told(
    proposals: optuna.Study, trial: optuna.Trial, training: Training, record: dict[str, Any]
) -> dict[str, Any]:
    """Tell the sampler what came of a proposal; the row about it."""
    row = {**training.outcome(record), "cost": _cost(training, record)}
    row["pruned"] = row["error"] is None and np.isnan(row["validation_mae"])
    for epoch, mae in enumerate(record["history"]["validation_mae"][: row["cost"]], start=1):
        trial.report(mae, epoch)
    if row["pruned"]:
        proposals.tell(trial, state=TrialState.PRUNED)
    elif row["error"] is not None:
        proposals.tell(trial, state=TrialState.FAIL)
    else:
        proposals.tell(trial, row["validation_mae"])
    return row
