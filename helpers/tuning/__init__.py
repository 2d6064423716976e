"""Many training runs: grid, search, resume, cluster: notebook 4."""

from helpers.tuning.bayesian import explore as explore
from helpers.tuning.bayesian import space as space
from helpers.tuning.execution import carry_out as carry_out
from helpers.tuning.grid_search import BROAD_GRID as BROAD_GRID
from helpers.tuning.grid_search import GRID as GRID
from helpers.tuning.grid_search import REPORTED as REPORTED
from helpers.tuning.grid_search import REPORTED_TEST_MAE as REPORTED_TEST_MAE
from helpers.tuning.grid_search import against_best as against_best
from helpers.tuning.grid_search import best as best
from helpers.tuning.grid_search import cost as cost
from helpers.tuning.grid_search import final as final
from helpers.tuning.grid_search import grid as grid
from helpers.tuning.grid_search import learning_curves as learning_curves
from helpers.tuning.grid_search import main as main
from helpers.tuning.grid_search import predictions as predictions
from helpers.tuning.grid_search import search as search
from helpers.tuning.grid_search import settings_of as settings_of
from helpers.tuning.grid_search import trial_table as trial_table
from helpers.tuning.trials import DEFAULTS as DEFAULTS
from helpers.tuning.trials import NETWORK as NETWORK
from helpers.tuning.trials import Study as Study
from helpers.tuning.trials import Training as Training
from helpers.tuning.trials import TuningError as TuningError
from helpers.tuning.trials import check_settings as check_settings
