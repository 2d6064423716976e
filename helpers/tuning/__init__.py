"""Many training runs: grid, search, resume, cluster: notebook 4."""

from helpers.tuning.bayesian import explore, space
from helpers.tuning.execution import carry_out
from helpers.tuning.grid_search import (
    GRID,
    REPORTED,
    REPORTED_TEST_MAE,
    against_best,
    best,
    cost,
    final,
    grid,
    in_words,
    learning_curves,
    main,
    predictions,
    readable,
    search,
    settings_of,
    trial_table,
)
from helpers.tuning.trials import (
    HYPERPARAMETERS,
    NETWORK_HYPERPARAMETERS,
    Study,
    Training,
    TuningError,
)
