"""Models and baselines on the same folds, and across corpora: notebooks 6 and 8."""

from helpers.comparison.baselines import median, svr
from helpers.comparison.command import main
from helpers.comparison.contenders import NAMES, ComparisonError, Contender, named, tuned
from helpers.comparison.few_clips import few_clips
from helpers.comparison.fine_tuning import has_seen
from helpers.comparison.fits import FoldPredictions, fit_all
from helpers.comparison.ideas import ideas
from helpers.comparison.pretrained import pretrained_head, pretrained_valence
from helpers.comparison.shrinkage import known_clips, numbers_known
from helpers.comparison.tables import (
    ablation_table,
    as_dict,
    averaged,
    cross_val_predict,
    out_of_fold,
    score_table,
)
from helpers.comparison.transfer import COMPARED, Transfer, fit_transfers, onto, shifted, transfers
from helpers.comparison.transfer_tables import (
    Fits,
    TransferTables,
    bias_table,
    from_records,
    gain_table,
    own_and_others,
    records,
    transfer_table,
)
from helpers.comparison.voices import groups_of_voices, median_pitch, voice_table
