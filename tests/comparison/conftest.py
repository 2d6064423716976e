"""Contenders that are fitted in seconds, in the process of the test."""

import dataclasses

import pytest

from helpers import comparison, corpora
from helpers.comparison import fits


def fast(contender):
    """The same contender, trained for two epochs."""
    return dataclasses.replace(contender, training={**contender.training, "epochs": 2})


def statistics(**training):
    contender = fast(comparison.ideas()["statistics"])
    return dataclasses.replace(contender, training={**contender.training, **training})


@pytest.fixture
def corpus(corpus_folder, monkeypatch):
    """A corpus whose contenders are fitted in this process: TensorFlow takes seconds to start."""
    monkeypatch.setattr(
        fits.workers, "each", lambda run, tasks, jobs: ((task, run(task)) for task in tasks)
    )
    monkeypatch.setattr(fits.models, "limit_threads", lambda number: None)
    monkeypatch.setattr(fits, "_made", {})
    return corpora.load(corpus_folder)
