"""Any rated speech as one table: notebook 1."""

from helpers.corpora.checks import Clipping, as_checked
from helpers.corpora.corpus import (
    DEMO,
    Corpus,
    add_arguments,
    from_arguments,
    load,
    load_part,
    main,
    remarks,
    summary,
    together,
)
from helpers.corpora.errors import CorpusError
from helpers.corpora.layouts import LABELS
from helpers.corpora.raters import against_others, agreement, reliability
