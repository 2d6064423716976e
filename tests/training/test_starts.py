import numpy as np
import pytest

from helpers import models, training, workers
from helpers.splits import Split
from helpers.training import starts

RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.normal(-40, 10, (24, 40, 50)).astype(np.float32)
RATINGS = RANDOM.uniform(3, 5, 24)
SPLIT = Split(np.arange(12), np.arange(12, 16), np.arange(16, 24))
OPTIONS = {"batch_size": 4, "epochs": 1, "learning_rate": 1e-4}


@pytest.fixture(scope="module")
def table():
    return training.compare_starts(network(), CLIPS, RATINGS, SPLIT, seeds=2, jobs=2, **OPTIONS)


def network():
    return models.parallel_cnn((40, 50), filters=2, kernels=((4, 4),), units=(4, 2))


def test_each_row_is_a_training_of_its_own(table):
    assert list(table.columns) == ["start", "statistics", "seed", "MAE", "mean error"]
    assert len(table) == 2 * 2 * 2 and not table.duplicated(["start", "statistics", "seed"]).any()
    assert table["MAE"].nunique() == 8
    # Ratings of 3 to 5 are far from 0, where a training of three steps has not got away from.
    error = table.groupby("start")["mean error"].mean()
    assert error["0"] < -2 < error["median"]


def test_the_numbers_are_those_of_the_same_training_here(table):
    fitted = Split(SPLIT.train, np.array([], dtype=int), SPLIT.test)
    run = training.train(network(), CLIPS, RATINGS, fitted, seed=1, **OPTIONS)
    error = training.predict(run, CLIPS, SPLIT.test) - RATINGS[SPLIT.test]
    both = table.set_index(["start", "statistics", "seed"]).loc["median", "taken anew", 1]
    np.testing.assert_allclose(both["MAE"], np.abs(error).mean(), atol=1e-4)
    np.testing.assert_allclose(both["mean error"], error.mean(), atol=1e-4)


def test_one_process_and_features_in_a_file_change_no_bit(table, tmp_path, monkeypatch):
    np.save(tmp_path / "features.npy", CLIPS)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    found = training.compare_starts(network(), mapped, RATINGS, SPLIT, seeds=2, jobs=1, **OPTIONS)
    assert table.equals(found)
    sent = []
    monkeypatch.setattr(
        starts.workers, "each", lambda test, *_: (each for each in sent.append(test.args) or [])
    )
    for features in (mapped, mapped[:20]):
        with pytest.raises(KeyError):  # for lack of results
            training.compare_starts(network(), features, RATINGS, SPLIT, **OPTIONS)
    assert sent[0][1] == tmp_path / "features.npy"
    assert np.array_equal(sent[1][1], CLIPS[:20])  # a part of a file is no file


def test_a_process_that_is_killed_twice_is_an_error(monkeypatch):
    killed = workers.KilledError("Its process was killed twice.")
    monkeypatch.setattr(starts.workers, "each", lambda *_: (each for each in [(None, killed)]))
    with pytest.raises(workers.KilledError, match="killed twice"):
        training.compare_starts(network(), CLIPS, RATINGS, SPLIT, **OPTIONS)
