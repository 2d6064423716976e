"""Any rated speech as one table: notebook 1."""

from helpers.corpora.archives import unpacked as unpacked
from helpers.corpora.checks import as_checked as as_checked
from helpers.corpora.corpus import DEMO as DEMO
from helpers.corpora.corpus import LABELS as LABELS
from helpers.corpora.corpus import Corpus as Corpus
from helpers.corpora.corpus import load as load
from helpers.corpora.corpus import main as main
from helpers.corpora.corpus import summary as summary
from helpers.corpora.errors import CorpusError as CorpusError
