"""A tiny network of the same interface stands in for the pretrained one, which is large."""

import os
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from helpers import corpora, features
from helpers.downloads import DownloadError
from helpers.features import PretrainedError, pretrained
from tests.conftest import voice
from tests.corpora.conftest import zipped
from tests.corpora.test_downloads import Server
from tests.pretrained import expected, of_clips, write_model

#: A copy of the real network, if the one who runs the tests has it.
REAL = os.environ.get("VALENCE_PRETRAINED")


@pytest.fixture(autouse=True)
def no_copy_of_the_user(monkeypatch):
    monkeypatch.delenv("VALENCE_PRETRAINED", raising=False)
    pretrained._downloaded.cache_clear()


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("audonnx", reason="requirements-pretrained.txt is not installed")
    return write_model(tmp_path / "tiny")


def test_missing_packages_are_named_before_anything_is_downloaded(output, monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda package: None)
    monkeypatch.setattr(pretrained.downloads, "fetch", None)
    with pytest.raises(PretrainedError, match="pip install -r requirements-pretrained.txt"):
        features.pretrained_model()


@pytest.fixture
def chosen(folder, monkeypatch):
    monkeypatch.setenv("VALENCE_PRETRAINED", str(folder / "model.onnx"))
    return folder


def test_embeddings_are_what_the_network_says_and_are_cached(corpus_folder, chosen, monkeypatch):
    corpus = corpora.load(corpus_folder)
    found = features.embeddings(corpus, jobs=2)
    assert found.shape == (12, 1027) and found.dtype == np.float32
    assert found == pytest.approx(of_clips(corpus.clips["path"]), abs=1e-5)
    monkeypatch.setattr(pretrained, "extract_to", None)
    assert np.array_equal(features.embeddings(corpus), found)


def test_another_network_at_the_same_place_is_asked_anew(corpus_folder, chosen):
    corpus = corpora.load(corpus_folder)
    before = features.embeddings(corpus, jobs=1)
    write_model(chosen, gain=3)
    found = features.embeddings(corpus, jobs=1)
    assert found == pytest.approx(of_clips(corpus.clips["path"], gain=3), abs=1e-5)
    assert found[:, -1] == pytest.approx(3 * before[:, -1])


def test_a_clip_that_is_gone_is_named(corpus_folder, chosen):
    corpus = corpora.load(corpus_folder)
    Path(corpus.clips["path"].iloc[3]).unlink()
    with pytest.raises(corpora.CorpusError, match=r"clip03\.wav can no longer be used"):
        features.embeddings(corpus, jobs=1)


def test_a_long_waveform_is_the_mean_of_equal_windows(folder):
    y = voice(70, seed=1).astype(np.float32)
    y *= np.linspace(0.1, 1, len(y), dtype=np.float32)
    model = features.pretrained_model(folder)
    each = [expected(window) for window in np.array_split(y, 3)]
    assert features.windows_of(y) == 3
    assert features.embedding(y, model) == pytest.approx(np.mean(each, axis=0), abs=1e-5)
    assert np.ptp([one[-1] for one in each]) > 0.004  # the windows do differ


def test_valence_is_where_the_yaml_says(tmp_path, folder):
    y = voice(1)
    other = write_model(tmp_path / "other", labels=("valence", "arousal", "dominance"))
    found = [features.embedding(y, features.pretrained_model(each)) for each in (folder, other)]
    assert np.array_equal(*found) and found[0] == pytest.approx(expected(y), abs=1e-5)


YAML = "$audonnx.core.model.Model==1.0.1:\n  path: model.onnx\n  labels:\n    logits: {}\n"


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("", "does not label the output logits"),
        ("$audonnx.core.model.Model:\n  labels: null\n", "does not label the output logits"),
        ("]", "does not label the output logits"),
        (YAML.format("[a, b, c]"), r"logits \['a', 'b', 'c'\]: name a model with arousal"),
        (YAML.format("[arousal, valence]"), "name a model with arousal, dominance, valence"),
        (
            YAML.format("[arousal, dominance, valence]") + "  transform:\n    $a.B: {}\n",
            "names a transform, which is code",
        ),
    ],
)
def test_a_yaml_that_does_not_say_what_is_needed_is_named(folder, described, words):
    (folder / "model.yaml").write_text(described)
    with pytest.raises(PretrainedError, match=rf"model\.yaml .*{words}"):
        features.pretrained_model(folder)


def test_code_in_a_yaml_is_never_run(folder, tmp_path):
    target = tmp_path / "run"
    code = f"!!python/object/apply:os.mkdir [{target}]"
    (folder / "model.yaml").write_text(YAML.format(code))
    with pytest.raises(PretrainedError, match="does not label"):
        features.pretrained_model(folder)
    assert not target.exists()


def test_what_is_no_model_is_named(folder, tmp_path):
    for source in (tmp_path / "nothing", tmp_path, folder / "model.yaml"):
        if source == tmp_path:
            write_model(tmp_path / "another")  # two in one folder
        with pytest.raises(PretrainedError, match="is neither an ONNX file nor a folder with one"):
            features.pretrained_model(source)
    (folder / "model.yaml").unlink()
    with pytest.raises(PretrainedError, match=r"model.yaml cannot be read \(No such file"):
        features.pretrained_model(folder)


def test_a_damaged_model_or_one_of_another_interface_is_named(folder, tmp_path):
    small = features.pretrained_model(write_model(tmp_path / "small", states=768))
    with pytest.raises(PretrainedError, match=r"'hidden_states': \[1, 768\].*name a model with"):
        features.embedding(voice(1), small)
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PretrainedError, match="no ONNX model that onnxruntime can load"):
        features.embedding(voice(1), features.pretrained_model(folder))


def test_threads_that_begin_together_load_the_network_once(tmp_path, monkeypatch):
    loaded = []

    def load(path, num_workers):
        loaded.append(path)
        time.sleep(0.1)
        shapes = {"hidden_states": [1, 1024], "logits": [1, 3]}
        network = MagicMock(return_value={name: np.zeros(shape) for name, shape in shapes.items()})
        network.inputs = {"signal": SimpleNamespace(shape=[1, -1])}
        network.outputs = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
        return network

    monkeypatch.setitem(sys.modules, "audonnx", SimpleNamespace(Model=load))
    model = pretrained.Pretrained(tmp_path / "slow.onnx", "hash", pretrained.DIMENSIONS, "")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: features.embedding(np.zeros(160), model), range(4)))
    assert len(loaded) == 1


# The download


@pytest.fixture
def server(folder, output, monkeypatch):
    """What is downloaded is the tiny network, of unknown hash."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = zipped(folder, packing=zipfile.ZIP_STORED).read_bytes()
    with Server(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        file = replace(pretrained.PRETRAINED, url=f"http://127.0.0.1:{server.server_port}/tiny.zip")
        monkeypatch.setattr(pretrained, "PRETRAINED", file)
        yield server
        server.shutdown()


@pytest.fixture
def path(output):
    return output / ".cache" / "downloads" / "tiny.zip"


def test_the_network_is_downloaded_once_and_its_hash_is_kept(server, folder, path):
    first = features.pretrained_model()
    assert first.sha256 == features.pretrained_model(folder).sha256
    assert (first.licence, features.pretrained_model(folder).licence) == ("CC BY-NC-SA 4.0", "")
    assert path.with_name("tiny.zip.sha256").exists()
    pretrained._downloaded.cache_clear()  # as in a new process
    assert features.pretrained_model() == first and server.asked == [None]


def test_an_interrupted_download_goes_on(server, path):
    path.parent.mkdir(parents=True)
    path.with_name("tiny.zip.part").write_bytes(server.content[:1000])
    features.pretrained_model()
    assert server.asked == ["bytes=1000-"] and path.read_bytes() == server.content


def test_another_file_than_the_first_is_refused(server, path):
    features.pretrained_model()
    pretrained._downloaded.cache_clear()
    path.write_bytes(server.content + b"?")
    with pytest.raises(DownloadError, match="its SHA-256 is not .*: run the same command again"):
        features.pretrained_model()
    assert not path.exists()
    assert features.pretrained_model().path.exists() and server.asked == [None, None]


PAGE, SPOILT = (lambda file: b"<html>"), (lambda file: file.replace(b"signal", b"??????"))


@pytest.mark.parametrize("spoil", [PAGE, SPOILT])
def test_what_is_no_whole_zip_is_never_taken_for_the_first(server, path, spoil):
    content, server.content = server.content, spoil(server.content)
    with pytest.raises(DownloadError, match="was not the zip that .* removed: run the same"):
        features.pretrained_model()
    assert not path.exists() and not path.with_name("tiny.zip.sha256").exists()
    server.content = content
    assert features.pretrained_model().path.exists()


@pytest.mark.skipif(REAL is None, reason="VALENCE_PRETRAINED does not name the real network")
def test_the_real_network_says_what_its_authors_printed():
    """In the notebook of github.com/audeering/w2v2-how-to, of a second of white noise."""
    np.random.seed(0)  # noqa: NPY002 the authors' own
    y = np.random.normal(size=16000).astype(np.float32)  # noqa: NPY002
    found = features.embedding(y, features.pretrained_model(REAL))
    assert found[[0, 1, 2, -3, -2, -1]] == pytest.approx(
        [-0.00723587, 0.00645568, -0.00865646, 0.6563389, 0.630771, 0.4762332], abs=1e-4
    )
