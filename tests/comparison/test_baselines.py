import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

from helpers import comparison
from helpers.comparison import baselines


def test_the_median_looks_at_the_training_part_alone():
    ratings = np.array([1.0, 2.0, 5.0, 100.0])
    assert comparison.median(ratings, np.arange(3), np.array([3, 0])).tolist() == [2, 2]


def test_the_svr_learns():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    ratings = 3 + features[:, 0]
    rows = np.arange(60)
    predicted = comparison.svr(features, ratings, rows[:40], rows[40:])
    assert np.abs(predicted - ratings[40:]).mean() < 0.6 * np.abs(ratings[40:] - 3).mean()


def test_what_is_missing_becomes_the_mean_of_the_training_clips():
    nan = np.nan
    features = np.array([[1, nan, nan], [nan, 4, nan], [3, 8, nan], [nan, 50, 7]], np.float32)
    found = baselines.filled(features, np.arange(3))
    assert found.tolist() == [[1, 6, 0], [2, 4, 0], [3, 8, 0], [2, 50, 7]]
    assert found.dtype == np.float32 and np.isnan(features).any()
    assert baselines.filled(found, np.arange(3)) is found


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_c_is_chosen_by_folds_inside_the_training_part(kernel):
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 5))[speakers] + 0.3 * rng.normal(size=(60, 5))
    ratings = rng.normal(size=6)[speakers]  # which is learnt of known voices alone
    train, test, grid = np.arange(50), np.arange(50, 60), [0.001, 0.1, 10]
    chosen = []
    for groups in (speakers[train], None):
        cut = FunctionTransformer(lambda found: np.minimum(np.maximum(found, -3), 3))
        steps = [("scale", StandardScaler()), ("cut", cut), ("svr", SVR(kernel=kernel))]
        search = GridSearchCV(
            Pipeline(steps),
            {"svr__C": grid},
            scoring="neg_mean_absolute_error",
            cv=GroupKFold(3),
        ).fit(features[train], ratings[train], groups=train if groups is None else groups)
        chosen.append(search.best_params_["svr__C"])
        options = {"kernel": kernel, "grid": grid, "speakers": groups}
        predicted = comparison.svr(features, ratings, train, test, **options)
        assert predicted == pytest.approx(search.predict(features[test]), abs=1e-3)
    assert chosen[0] < chosen[1]


def test_one_huge_functional_does_not_throw_a_prediction_off_the_scale():
    features, rows = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60)
    ratings = 3 + features[:, 0]
    limit = features[:50, 0].mean() + 3 * features[:50, 0].std()
    predicted = []
    for value in (1e9, limit):
        features[50, 0] = value
        predicted.append(comparison.svr(features, ratings, rows[:50], rows[50:], kernel="linear"))
    assert predicted[0] == pytest.approx(predicted[1])
    assert 4 < predicted[0][0] < 7


def test_two_speakers_are_two_inner_folds():
    rng = np.random.default_rng(0)
    features, rows = rng.normal(size=(12, 3)), np.arange(12)
    given = features, features[:, 0], rows[:8], rows[8:]
    speakers = np.repeat(["anna", "ben"], 4)
    two = comparison.svr(*given, speakers=speakers, folds=2)
    assert np.array_equal(comparison.svr(*given, speakers=speakers, folds=3), two)
