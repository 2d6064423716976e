"""How good predictions are, with intervals, and where the errors are: notebooks 3 and 5."""

from helpers.evaluation.acoustics import LOW_FREQUENCY, acoustic_facts, describe
from helpers.evaluation.bootstrap import ENOUGH_SPEAKERS, resamples
from helpers.evaluation.errors import (
    bias_by_rating,
    by_speaker,
    calibration,
    clip_errors,
    part_of,
    slopes,
    worst,
)
from helpers.evaluation.groups import by_group
from helpers.evaluation.listeners import covered_share, one_listener
from helpers.evaluation.metrics import (
    METRICS,
    as_dict,
    compare,
    drawn,
    known_speakers,
    mae_difference,
    rounded,
    scores,
    verdict,
)
from helpers.evaluation.occlusion import occlusion
from helpers.evaluation.significance import (
    claims,
    error_against,
    speakers_differ,
    worst_against_rest,
)
from helpers.evaluation.tables import joined, p_value, plain, readable
from helpers.evaluation.variance_components import VarianceComponents, variance_components
