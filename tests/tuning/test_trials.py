"""What is stored of trainings, under which keys, and what is read again."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from helpers import corpora, features, models, training, tuning
from helpers.storage import PROJECT, Store, cache_folder
from helpers.tuning import Study, TuningError, trials
from tests.tuning.conftest import GRID, SMALL, files, numbers, of_the_first_seed


def test_a_trial_is_the_training_that_its_row_names(searched):
    corpus, table = searched
    row = table.query("dropout == 0.5 and epochs == 3 and seed == 1").iloc[0]
    code = f"""
import json
from helpers import corpora, features, models, splits, training
from tests.tuning.conftest import SMALL
models.limit_threads(1)
corpus = corpora.load({str(corpus.clips["path"][0])!r}.rsplit("/audio", 1)[0])
matrix = features.extract(corpus, features.MelSettings(), duration=3)
small = dict(SMALL)
batch_size = small.pop("batch_size")
run = training.train(
    models.parallel_cnn(matrix.shape[1:], dropout=0.5, **small), matrix, corpus.clips["valence"],
    splits.speaker_split(corpus.clips, seed=0), batch_size=batch_size, epochs=3, seed=1,
)
print(json.dumps([run.scores["validation"], run.validation[-1].tolist()]))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    mae, predicted = json.loads(found.stdout.splitlines()[-1])
    assert row["validation_mae"] == mae
    np.testing.assert_array_equal(tuning.predictions(table)[row.name], np.float32(predicted))


def test_combinations_that_differ_in_epochs_share_one_training_to_the_bit(searched, monkeypatch):
    corpus, table = searched
    assert len(table) == 8 and len(files()) == 4
    monkeypatch.setenv("VALENCE_OUTPUT", str(cache_folder("trials").parents[2] / "separate"))
    alone = tuning.search(corpus, {"dropout": [0.5], "epochs": [1]}, seeds=1, jobs=1, **SMALL)
    same = of_the_first_seed(table.query("dropout == 0.5 and epochs == 1"))
    pd.testing.assert_frame_equal(numbers(alone), same, check_exact=True)


def test_a_search_that_was_done_is_only_read(searched):
    corpus, table = searched
    before = files()
    again = tuning.search(corpus, tuning.grid(GRID), seeds=2, **SMALL)
    pd.testing.assert_frame_equal(again, table)
    assert files() == before
    longer = Study.from_corpus(corpus).training({**SMALL, "dropout": 0.5, "epochs": 4}, seed=0)
    assert (
        longer.key == table["key"].iloc[-2] and Study.from_corpus(corpus).store.load(longer) is None
    )


def test_whatever_decides_the_numbers_gives_another_file(corpus, monkeypatch):
    study = Study.from_corpus(corpus)
    settings = {**SMALL, "dropout": 0.1, "learning_rate": 1e-2}
    reference = study.training(settings, seed=0)
    assert study.training(dict(reversed(settings.items())), seed=0).key == reference.key
    assert study.training({**settings, "epochs": 3}, seed=0).key == reference.key
    other = corpora.Corpus(corpus.name, corpus.scale, corpus.clips.copy(), corpus.rejected)
    other.clips.loc[0, "valence"] = 2.0
    keys = {
        reference.key,
        study.training(settings, seed=1).key,
        Study.from_corpus(corpus, seed=1).training(settings, seed=0).key,
        Study.from_corpus(other).training(settings, seed=0).key,
    }
    for name in ("filters", "batch_size", "dropout", "learning_rate", "weight_decay"):
        keys.add(study.training({**settings, name: settings.get(name, 0) + 1}, seed=0).key)
    for name in ("kernels", "units"):
        keys.add(study.training({**settings, name: settings[name][:1]}, seed=0).key)
    for module, name in ((trials, "VERSION"), (features, "VERSION"), (trials, "THREADS")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 99)
            keys.add(Study.from_corpus(corpus).training(settings, seed=0).key)
    assert len(keys) == 1 + 3 + 5 + 2 + 3


def test_hyperparameters_have_the_defaults_of_the_functions_that_they_are_for():
    def defaults(function):
        parameters = inspect.signature(function).parameters.values()
        return {each.name: each.default for each in parameters if each.default is not each.empty}

    of_the_corpus = {"scale": (1.0, 5.0)}
    assert defaults(models.parallel_cnn) == trials.NETWORK_HYPERPARAMETERS | of_the_corpus
    assert trials.TRAINING_HYPERPARAMETERS.items() <= defaults(training.train).items()


@pytest.fixture
def stored(searched, tmp_path):
    """A training, its record as it was stored, and an empty store."""
    study = Study.from_corpus(searched[0])
    training = study.training({**SMALL, "dropout": 0.5, "epochs": 3}, seed=0)
    return study, training, Store(tmp_path)


def test_a_torn_or_foreign_file_counts_as_missing(stored):
    study, training, elsewhere = stored
    whole = study.store.path(training).read_bytes()
    other = study.training({**SMALL, "dropout": 0.5}, seed=1)
    assert study.store.load(training)["made_by"]["settings"]["dropout"] == 0.5
    assert elsewhere.load(training) is None
    for content in (
        *(b"", whole[: len(whole) // 2], study.store.path(other).read_bytes()),
        *(b"[]", b"null", b"{}", b"\xff\x00"),
    ):
        elsewhere.path(training).write_bytes(content)
        assert elsewhere.load(training) is None
    elsewhere.path(training).write_bytes(whole)
    assert elsewhere.load(training) == study.store.load(training)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["history"]["validation_mae"].pop(),
        lambda record: record["history"].pop("train_mae"),
        lambda record: record["validation"].pop(),
        lambda record: record["validation"][0].pop(),
        lambda record: record["validation"].__setitem__(0, "?"),
        lambda record: record["history"]["train_mae"].__setitem__(0, None),
        lambda record: record.update(seconds="1"),
        lambda record: record.update(failure=1),
        lambda record: record.update(failure={"epoch": 1}),
        lambda record: record.update(history=[]),
    ],
)
def test_a_spoilt_record_counts_as_missing(stored, change):
    study, training, elsewhere = stored
    record = study.store.load(training)
    change(record)
    elsewhere.path(training).write_text(json.dumps(record))
    assert elsewhere.load(training) is None


@pytest.mark.parametrize("content", [None, "{}", '{"made_by": {}}'])
@pytest.mark.parametrize("read", [tuning.predictions, tuning.learning_curves])
def test_a_table_whose_trials_are_gone_says_how_to_fix_it(
    searched, tmp_path, monkeypatch, content, read
):
    _, table = searched
    monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path))
    if content:
        for key in table["key"]:
            (cache_folder("trials") / f"{key}.json").write_text(content)
    with pytest.raises(TuningError, match=r"\.json is gone or spoilt: run the search again"):
        read(table)
