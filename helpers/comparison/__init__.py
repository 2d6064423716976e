"""Models and baselines on the same folds, and across corpora: notebooks 6 and 8."""

from helpers.comparison.baselines import median, svr
from helpers.comparison.contenders import NAMES, ComparisonError, Contender, named, tuned
from helpers.comparison.fine_tuning import has_seen
from helpers.comparison.fits import FoldPredictions, fit_all
from helpers.comparison.ideas import ideas
from helpers.comparison.pretrained import pretrained_head, pretrained_valence
from helpers.comparison.tables import (
    as_dict,
    averaged,
    cross_val_predict,
    main,
    out_of_fold,
    score_table,
)
from helpers.comparison.transfer import (
    Transfer,
    fit_transfers,
    onto,
    shifted,
    transfer_table,
    transfers,
)
