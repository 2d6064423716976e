"""How good predictions are, how sure one can be of it, and where the errors are: notebooks 3 and 5."""

from helpers.evaluation.acoustics import LOW_FREQUENCY as LOW_FREQUENCY
from helpers.evaluation.acoustics import describe as describe
from helpers.evaluation.acoustics import table as acoustics
from helpers.evaluation.errors import bias_by_rating as bias_by_rating
from helpers.evaluation.errors import by_speaker as by_speaker
from helpers.evaluation.errors import calibration as calibration
from helpers.evaluation.errors import claims as claims
from helpers.evaluation.errors import error_against as error_against
from helpers.evaluation.errors import slopes as slopes
from helpers.evaluation.errors import speakers_differ as speakers_differ
from helpers.evaluation.errors import worst as worst
from helpers.evaluation.errors import worst_against_rest as worst_against_rest
from helpers.evaluation.metrics import METRICS as METRICS
from helpers.evaluation.metrics import as_dict as as_dict
from helpers.evaluation.metrics import compare as compare
from helpers.evaluation.metrics import interval as interval
from helpers.evaluation.metrics import mae_difference as mae_difference
from helpers.evaluation.metrics import readable as readable
from helpers.evaluation.metrics import resamples as resamples
from helpers.evaluation.metrics import scores as scores
from helpers.evaluation.metrics import table as table
from helpers.evaluation.occlusion import occlusion as occlusion
