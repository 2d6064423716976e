"""Predictors on top of a pretrained network, which itself is not trained here."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import features
from helpers.comparison.baselines import tuned_on_inner_folds
from helpers.comparison.contenders import PRETRAINED
from helpers.corpora import Corpus

#: Penalties that the head is chosen from.
ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)

#: Folds inside the training part that choose the penalty.
INNER_FOLDS = 5


def pretrained_valence(
    embeddings: np.ndarray, ratings: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Predict with the network's own valence, mapped to the rating scale by a straight line.

    Args:
        embeddings: see `features.embeddings` [clips, 1024 + 3]
        ratings: valence of each clip [clips]
        train: row numbers of the training clips; the line has the least squared error on them
        test: row numbers of the clips to predict

    Returns:
        valence [test]
    """
    valence = embeddings[:, -1:]
    return LinearRegression().fit(valence[train], ratings[train]).predict(valence[test])


def pretrained_head(
    embeddings: np.ndarray,
    ratings: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    *,
    speakers: np.ndarray | None = None,
) -> np.ndarray:
    """Predict with a ridge regression on the network's standardised hidden states.

    The penalty is the one of `ALPHAS` with the lowest mean absolute error on inner folds of the
    training part, by speaker.

    Args:
        embeddings: see `features.embeddings` [clips, 1024 + 3]
        ratings: valence of each clip [clips]
        train: row numbers of the training clips
        test: row numbers of the clips to predict
        speakers: of each training clip [train]; None makes the inner folds by clip

    Returns:
        valence [test]
    """
    states = embeddings[:, : features.STATES]
    pipeline = make_pipeline(StandardScaler(), Ridge())
    grid = {"ridge__alpha": ALPHAS}
    return tuned_on_inner_folds(
        pipeline, grid, states, ratings, train, test, speakers=speakers, folds=INNER_FOLDS
    )


def notes(corpus: Corpus, names: Collection[str]) -> list[str]:
    """What a comparison has to say about the pretrained network that it uses.

    Args:
        corpus: see `corpora.load`
        names: of the contenders

    Returns:
        sentences; none if no contender is one of `PRETRAINED`
    """
    if not set(names) & set(PRETRAINED):
        return []
    model = features.pretrained_model()
    licence = f" (licence: {model.licence})" if model.licence else ""
    found = [f"The pretrained network is {model.path}{licence}."]
    if model.licence and "MSP-Podcast" in corpus.layout:
        found.append(
            "It was fine-tuned on MSP-Podcast: its scores on clips of that corpus may be too good."
        )
    return found
