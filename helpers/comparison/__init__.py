"""Models and baselines on the same folds: notebook 6."""

from helpers.comparison.baselines import median as median
from helpers.comparison.baselines import svr as svr
from helpers.comparison.contenders import NAMED as NAMED
from helpers.comparison.contenders import NAMES as NAMES
from helpers.comparison.contenders import Model as Model
from helpers.comparison.contenders import named as named
from helpers.comparison.contenders import recommended as recommended
from helpers.comparison.contenders import statistics as statistics
from helpers.comparison.fits import Fits as Fits
from helpers.comparison.fits import fit_all as fit_all
from helpers.comparison.ideas import ablation as ablation
from helpers.comparison.tables import as_dict as as_dict
from helpers.comparison.tables import averaged as averaged
from helpers.comparison.tables import main as main
from helpers.comparison.tables import table as table
