"""Any rated speech as one table: notebook 1."""

from helpers.corpora.checks import Clipping, as_checked
from helpers.corpora.command import add_arguments, from_arguments, main, remarks, summary
from helpers.corpora.corpus import DEMO, Corpus, listed, load, load_part, together
from helpers.corpora.errors import CorpusError
from helpers.corpora.layouts import LABELS
from helpers.corpora.raters import against_others, agreement, reliability
