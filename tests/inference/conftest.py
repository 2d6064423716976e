"""A small study that was trained and saved, for all tests of this folder."""

from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from helpers import corpora, features, inference, models, splits, training
from tests.conftest import voice, write_corpus

MEL = features.MelSettings(n_mels=32)
RATE = 16000


class Study(NamedTuple):
    corpus: corpora.Corpus
    run: training.Run
    path: object

    def save(self, run, path, **changes):
        """Save a run on this corpus, and load it."""
        inference.save(run, path, **{"corpus": self.corpus, "mel": MEL, "duration": 1, **changes})
        return inference.load(path)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A corpus of voices from 0.96 to 1.44 s, and a network for clips of 1 s."""
    folder = tmp_path_factory.mktemp("study")
    write_corpus(folder / "speech", clips=40, speakers=8, seconds=1.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALENCE_OUTPUT", str(folder))
        corpus = corpora.load(folder / "speech")
        matrix = features.extract(corpus, MEL, duration=1)
    rows = np.random.default_rng(0).permutation(len(corpus.clips))
    split = splits.Split(rows[:20], rows[20:32], rows[32:])
    network = models.parallel_cnn(matrix.shape[1:], filters=4, kernels=((6, 6),), units=(8, 4))
    run = training.train(network, matrix, corpus.clips["valence"], split, epochs=4)
    made = Study(corpus, run, folder / "models" / "voices.keras")
    made.save(run, made.path)
    return made


@pytest.fixture(scope="session")
def model(study):
    return inference.load(study.path)


@pytest.fixture(scope="session")
def distribution(study):
    """A run of a network that predicts a distribution, on the same clips."""
    run, corpus = study.run, study.corpus
    shape = run.model.input_shape[1:]
    network = models.recommended(shape, scale=corpus.scale, pitch=False)
    clips = run.features, run.ratings, run.split
    return training.train(network, *clips, epochs=2, loss="distribution")


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, voice(1.2, RATE, pitch=200), RATE)
    return path
