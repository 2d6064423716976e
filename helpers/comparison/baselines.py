"""Predictors without a network, which every network has to beat."""

from __future__ import annotations

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR


def median(ratings: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predict the training part's median for every clip, the constant that minimises its MAE.

    Args:
        ratings: valence of each clip [clips]
        train: row numbers of the training clips
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
        features: see `features.functionals` [clips, functionals]
        ratings: valence of each clip [clips]
        train: row numbers of the training clips; only they decide how features are standardised
        test: row numbers of the clips to predict

    Returns:
        valence [test]

    See: notebooks/06_improvements.ipynb
    """
    fill = SimpleImputer(keep_empty_features=True)  # the training part's mean for missing values
    pipeline = make_pipeline(fill, StandardScaler(), SVR(C=1.0))
    return pipeline.fit(features[train], ratings[train]).predict(features[test])
