"""What the field would pick without this study: eGeMAPS functionals and a support vector machine.

A functional is a number about a whole clip (the mean of its pitch, the slope of its loudness).
opensmile, which computes them, is imported where it is used.
"""

from __future__ import annotations

import numpy as np


def median(ratings: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predict the training part's median for every clip, the guess that minimises its MAE.

    Args:
        ratings: valence of each clip [clips]
        train: row numbers of the clips that are known
        test: row numbers of the clips to predict

    Returns:
        valence [test]
    """
    return np.full(len(test), np.median(ratings[train]))


def svr(
    features: np.ndarray, ratings: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Predict with a support vector machine (Gaussian kernel, C = 1) on standardised functionals.

    Args:
        features: see `functionals` [clips, functionals]
        ratings: valence of each clip [clips]
        train: row numbers of the clips that it is fitted to; they alone standardise
        test: row numbers of the clips to predict

    Returns:
        valence [test]

    See: notebooks/06_improvements.ipynb
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    fill = SimpleImputer(keep_empty_features=True)  # the training part's mean where there is none
    pipeline = make_pipeline(fill, StandardScaler(), SVR(C=1.0))
    return pipeline.fit(features[train], ratings[train]).predict(features[test])
