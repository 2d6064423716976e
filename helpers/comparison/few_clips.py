"""What normalisation by speaker needs: many clips of each test speaker, and a balanced set of them.

A balanced set of clips has the mean and deviation of the voice. A few clips have those of chance,
and pleasant clips those of their mood. Here the field's baseline is tested with a few clips of each
speaker, normalised as they are and shrunk, see `shrinkage`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers import evaluation
from helpers.comparison.baselines import filled, svr
from helpers.comparison.contenders import ComparisonError, named
from helpers.comparison.fits import inputs
from helpers.comparison.shrinkage import Spread, normalise_by_few, numbers_known
from helpers.corpora import Corpus
from helpers.splits import Split

#: Random draws of the known clips of each test clip.
DRAWS = 3

#: Which other clips are known: of any kind, or only those rated above the speaker's median.
KINDS = ("any clips", "pleasant clips")

#: How functionals are normalised, as tables and figures call it.
WAYS = ("not normalised", "normalised", "shrunk")


def few_clips(corpus: Corpus, parts: Sequence[Split], *, seed: int = 0) -> pd.DataFrame:
    """Scores of the field's baseline, `egemaps_svr`, by how many clips of a speaker are known.

    The known clips of a test clip are the clip itself and some others of its speaker, drawn at
    random. Training clips are normalised in the same way, with the same number of clips of any
    kind: then the machine learns from functionals as reliable as those that it is tested on. Where
    one clip is known, ``"shrunk"`` is a linear map, which standardisation takes back, so it gives
    what ``"not normalised"`` gives.

    Args:
        corpus: see `corpora.load`
        parts: see `splits.folds`, by speaker; the validation parts are trained on, too
        seed: of the draws and of the bootstrap, over speakers

    Returns:
        `evaluation.compare` with gains over ``"not normalised"``, means over `DRAWS` draws: a row
        for each of `KINDS`, number of known ``clips`` and ``way`` of `WAYS`, which name the index.
        The last number is that of the speaker with most clips, and means all. Where a speaker has
        fewer clips of the kind, all of them are known

    Raises:
        ComparisonError: if a speaker is unknown, or a training part has fewer than two speakers
            with at least two clips each

    See: notebooks/06_improvements.ipynb
    """
    speakers = evaluation.known_speakers(corpus.clips)
    if speakers is None:
        raise ComparisonError(
            "A speaker is unknown, or there is only one, so clips cannot be normalised by speaker: "
            "add a column of speakers to the labels."
        )
    values = inputs(corpus, named("egemaps_svr")).astype(np.float64)
    ratings = corpus.clips["valence"].to_numpy(dtype=np.float32)
    by_speaker = pd.Series(ratings).groupby(speakers)
    above = ratings > by_speaker.transform("median").to_numpy()
    allowed = dict(zip(KINDS, (np.full_like(above, True), above), strict=True))
    counts = numbers_known(speakers)
    found = [
        _predicted(values, ratings, speakers, each, counts, allowed, seed, scale=corpus.scale)
        for each in parts
    ]
    rows = np.concatenate([each.test for each in parts])
    tables = {}
    for kind, count in itertools.product(KINDS, counts):
        ways = {way: np.hstack([each[kind, count, way] for each in found]) for way in WAYS}
        how = {"groups": speakers[rows], "seed": seed}
        tables[kind, count] = evaluation.compare(ratings[rows], ways, **how)
    return pd.concat(tables, names=["known", "clips", "way"])


def _predicted(
    values: np.ndarray,
    ratings: np.ndarray,
    speakers: np.ndarray,
    split: Split,
    counts: Sequence[int],
    allowed: Mapping[str, np.ndarray],
    seed: int,
    *,
    scale: tuple[float, float],
) -> dict[tuple[str, int, str], np.ndarray]:
    """Valence of the test part by kind and number of known clips, and way [draws, test]."""
    rows, test = np.union1d(split.train, split.validation), split.test
    own, others = speakers[rows], speakers[test]
    values = filled(values, rows)
    spreads = {WAYS[1]: None, WAYS[2]: Spread.of(values[rows], own)}
    as_they_are = svr(values, ratings, rows, test, speakers=own, scale=scale)[None]
    found = {(kind, count, WAYS[0]): as_they_are for kind in KINDS for count in counts}
    for count, (way, spread) in itertools.product(counts, spreads.items()):
        normalised = functools.partial(normalise_by_few, count=count, spread=spread)
        drawn = [normalised(values[rows], own, seed=(seed, 0))]
        for kind, draw in itertools.product(KINDS, range(1, DRAWS + 1)):
            known = allowed[kind][test]
            drawn.append(normalised(values[test], others, allowed=known, seed=(seed, draw)))
        matrix = np.concatenate(drawn)
        train, tested = np.split(np.arange(len(matrix)), [len(rows)])
        valence = svr(matrix, ratings[rows], train, tested, speakers=own, scale=scale)
        for kind, each in zip(KINDS, valence.reshape(len(KINDS), DRAWS, -1), strict=True):
            found[kind, count, way] = each
    return found
