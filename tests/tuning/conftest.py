"""A small corpus, and a search on it that was not disturbed."""

import pytest

from helpers import corpora, tuning
from helpers.storage import cache_folder
from tests.conftest import write_corpus

#: A network that trains in a second. Batches of another size would be traced anew, so 6 divides
#: the 12, 6 and 6 clips of the parts.
SMALL = {"filters": 2, "kernels": ((8, 6), (4, 10)), "units": (8, 4), "batch_size": 6}
GRID = {"dropout": [0.0, 0.5], "epochs": [1, 3]}


def files():
    """The stored trainings, and when each was written."""
    whole = (path for path in cache_folder("trials").glob("*.json") if ".partial" not in path.name)
    return {path.name: path.stat().st_mtime_ns for path in whole}


def numbers(table):
    return table.drop(columns="seconds")


def of_the_first_seed(table):
    return numbers(table.query("seed == 0").reset_index(drop=True))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A corpus, an output folder with its features, and a search that was not disturbed."""
    folder = tmp_path_factory.mktemp("tuning")
    write_corpus(folder / "corpus", clips=24, speakers=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALENCE_OUTPUT", str(folder / "output"))
        corpus = corpora.load(folder / "corpus")
        table = tuning.search(corpus, GRID, seeds=2, jobs=2, **SMALL)
    return folder, corpus, table


@pytest.fixture
def corpus(shared, output):
    """The same corpus, and an output folder in which nothing is trained yet."""
    return shared[1]


@pytest.fixture
def searched(shared, monkeypatch):
    """The corpus and the trials of the undisturbed search, with its store."""
    folder, corpus, table = shared
    monkeypatch.setenv("VALENCE_OUTPUT", str(folder / "output"))
    return corpus, table
