"""Training that begins with the network of human voices, and not with random weights.

Who has rated some hundred clips can let a training begin with what `models.HUMAN_VOICES` learnt
from thousands. A corpus that it was trained on is refused, since its speakers are known then.
"""

from __future__ import annotations

import functools

from helpers import models, training
from helpers.comparison.contenders import ComparisonError
from helpers.corpora import Corpus
from helpers.storage import hash_of_file


def start() -> training.Start:
    """The weights of the network of human voices, and what its features are standardised with.

    See: notebooks/08_other_voices.ipynb
    """
    network, about = _human_voices()
    return training.Start(network.get_weights(), about["mean"], about["deviation"])


@functools.cache
def _human_voices() -> models.Stored:
    return models.read(models.HUMAN_VOICES)


def made_by() -> str:
    """The hash of the file, which decides what a training that begins with it predicts."""
    return hash_of_file(models.HUMAN_VOICES)


def has_seen(corpus: Corpus) -> list[str]:
    """The corpora that the network of human voices was trained on, as far as they are in another.

    A corpus is known by its citation, so only if its recordings are recognised (see
    `corpora.load`), whoever rated them.

    Args:
        corpus: see `corpora.load`

    Returns:
        citations

    See: notebooks/06_improvements.ipynb
    """
    trained_on = _human_voices().about["corpus"]["citation"].split("; ")
    return [each for each in trained_on if each in corpus.citation.split("; ")]


def check(corpus: Corpus) -> None:
    """Refuse a corpus that the network of human voices was trained on.

    Args:
        corpus: see `corpora.load`

    Raises:
        ComparisonError: if it was, or a part of it
    """
    if seen := has_seen(corpus):
        raise ComparisonError(
            f"fine_tuned begins with {models.HUMAN_VOICES.name}, which was trained on this corpus "
            f"({'; '.join(seen)}): its speakers would be known already, so leave fine_tuned out."
        )
