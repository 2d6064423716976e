"""Bytes that nobody meant: whatever is read, only documented errors come out.

`make test` tries a sample and `make nightly`, which sets ``VALENCE_FUZZ``, more than ten thousand
inputs. Each crash that was found is a test with a name elsewhere.
"""

import os
import random
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import comparison, corpora, features, inference, models, settings, splits, training
from helpers.storage import PROJECT
from report import build
from tests.conftest import voice, write_corpus

INPUTS = int(os.environ.get("VALENCE_FUZZ", 20))  # of each kind
MEL = features.MelSettings()
RESULTS = (
    "corpus.json",
    "errors.json",
    "features.json",
    "improvements.json",
    "model.json",
    "trials.csv",
    "tuning.json",
)

#: What tends to be in the way: ends of lines and fields, signs, numbers out of range.
WORDS = [
    *(word.encode() for word in ["", "\0", "\n", "\r", "\t", ",", ";", '"', "-", "..", "/", "\\"]),
    *(word.encode() for word in ["nan", "inf", "1e999", "\ufeff", "\N{GRINNING FACE}"]),
    *(b"\xff\xfe", b"\xff" * 4, b"\x00" * 8, b"\x7f\xff\xff\xff"),
]


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """The same bytes but for a few places where they were changed, cut, repeated or replaced."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        # Headers and the directory of a zip are at the ends, where most of what matters is.
        end = chance.choice((len(data), min(len(data), 64)))
        at = chance.randrange(end + 1)
        at = chance.choice((at, len(data) - at))
        to = min(len(data), at + chance.choice((1, 2, 4, 8, 100)))
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at:to] = chance.choice(WORDS)
        elif kind == 2:
            data[at:at] = data[at:to] * chance.choice((1, 3))
        elif kind == 3:
            data[at:to] = chance.randbytes(to - at)
        elif kind == 4:
            del data[at : chance.choice((to, len(data)))]
    return bytes(data)


def study(source) -> None:
    """As far as clips are read: a corpus that was accepted gives features."""
    corpus = corpora.load(source)
    assert corpus.clips["valence"].between(*corpus.scale).all()
    assert np.isfinite(corpus.clips["duration"]).all() and (corpus.clips["duration"] > 0).all()
    matrix = features.extract(corpus, MEL, duration=1, jobs=1)
    assert np.isfinite(matrix).all()


def survives(read, *arguments, documented=corpora.CorpusError) -> None:
    try:
        read(*arguments)
    except documented as error:
        assert "\n" not in str(error) and len(str(error)) > 20


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "corpus"
    write_corpus(folder, clips=4, seconds=0.3)
    return folder


@pytest.fixture
def chance(request):
    """The same for a test, whichever others are run."""
    return random.Random(request.node.name)


def test_spoilt_labels(small, tmp_path, output, chance):
    folder = tmp_path / "corpus"
    shutil.copytree(small, folder)
    for _ in range(INPUTS):
        (folder / "labels.csv").write_bytes(spoilt((small / "labels.csv").read_bytes(), chance))
        survives(study, folder)


def by_column(labels):
    """Three raters, a column each."""
    return labels.assign(a1_V=labels["valence"], a2_V=3.5, a3_V=[1, 2, "", 5])


def by_row(labels):
    """Two raters, a row each, in parts of the recordings."""
    both = [labels.assign(rater=rater, start=0, end=0.2) for rater in ("r1", "r2")]
    return pd.concat(both, ignore_index=True)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        (
            "labels.csv",
            lambda labels: by_column(labels).drop(columns="valence").to_csv(index=False),
        ),
        ("labels.csv", lambda labels: by_row(labels).to_csv(index=False, sep=";")),
        ("labels.json", lambda labels: labels.to_json(orient="records")),
        ("labels.json", lambda labels: by_column(labels).set_index("file").to_json(orient="index")),
        ("labels.jsonl", lambda labels: by_row(labels).to_json(orient="records", lines=True)),
    ],
    ids=["column by rater", "row by rater", "records", "by file", "lines"],
)
def test_spoilt_tables_of_other_forms(small, tmp_path, output, chance, name, write):
    folder = tmp_path / "corpus"
    shutil.copytree(small, folder)
    whole = write(pd.read_csv(folder / "labels.csv")).encode()
    (folder / "labels.csv").unlink()
    (folder / name).write_bytes(whole)
    study(folder)
    for _ in range(INPUTS):
        (folder / name).write_bytes(spoilt(whole, chance))
        survives(study, folder)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_spoilt_zips(small, tmp_path, output, chance, packing):
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", packing) as archive:
        for path in small.rglob("*.*"):
            archive.write(path, path.relative_to(small))
    for _ in range(INPUTS):
        (tmp_path / "spoilt.zip").write_bytes(spoilt(whole.read_bytes(), chance))
        survives(study, tmp_path / "spoilt.zip")
        shutil.rmtree(output / ".cache" / "corpora", ignore_errors=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output", "spoilt.zip", "whole.zip"]


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_spoilt_audio(small, tmp_path, output, chance, kind):
    folder = tmp_path / "corpus"
    shutil.copytree(small, folder)
    soundfile.write(folder / f"sound.{kind}", voice(0.3), 16000)
    whole = (folder / f"sound.{kind}").read_bytes()
    with open(folder / "labels.csv", "a") as table:
        table.write(f"sound.{kind},3,s9\n")
    for _ in range(INPUTS):
        (folder / f"sound.{kind}").write_bytes(spoilt(whole, chance))
        study(folder)  # the other clips are usable, whatever became of this one


def test_spoilt_models(tmp_path, output, chance):
    write_corpus(tmp_path / "corpus", clips=9, seconds=0.3)
    corpus = corpora.load(tmp_path / "corpus")
    mel = features.MelSettings(n_mels=8)
    matrix = features.extract(corpus, mel, duration=6)
    split = splits.Split(np.arange(5), np.arange(5, 9), np.array([], int))
    network = models.recommended(matrix.shape[1:], scale=corpus.scale, pitch=False)
    ratings = corpus.clips["valence"].to_numpy()
    run = training.train(network, matrix, ratings, split, epochs=1, loss="distribution")
    inference.save(run, tmp_path / "whole.keras", corpus=corpus, mel=mel, duration=6)
    sound = (voice(1), 8000)
    expected = inference.predict(inference.load(tmp_path / "whole.keras"), sound)["valence"]

    def use(path):
        assert inference.predict(inference.load(path), sound)["valence"].equals(expected)

    for _ in range(INPUTS):
        spoilt_file = tmp_path / "spoilt.keras"
        spoilt_file.write_bytes(spoilt((tmp_path / "whole.keras").read_bytes(), chance))
        survives(use, spoilt_file, documented=inference.ModelError)


def test_spoilt_results(output, chance):
    for kind in ("figures/demo", "report/demo/results"):
        shutil.copytree(PROJECT / kind, output / kind)
    for _ in range(max(1, INPUTS // 4)):
        path = output / "report/demo/results" / chance.choice(RESULTS)
        whole = path.read_bytes()
        path.write_bytes(spoilt(whole, chance))
        survives(build.typeset, "demo", settings.Settings.from_env(), documented=build.ReportError)
        path.write_bytes(whole)


def test_spoilt_stores(small, output, chance):
    """What the cache holds is used if it is whole, and made anew if not."""
    corpus = corpora.load(small)
    compared = {"median": comparison.named("median")}

    def made():
        matrix = features.extract(corpus, MEL, duration=1, jobs=1)
        fits = comparison.fit_all(corpus, compared, by="clip", folds=2)
        return np.array(matrix), fits["median"].predictions

    expected = made()
    stored = [*output.glob(".cache/features/*.npy"), *output.glob(".cache/comparisons/*.json")]
    assert len(stored) == 3
    for _ in range(INPUTS):
        path = chance.choice(stored)
        end = 128 if path.suffix == ".npy" else None  # numbers have no form that could be spoilt
        content = path.read_bytes()
        path.write_bytes(spoilt(content[:end], chance) + (content[end:] if end else b""))
        found = made()
        path.write_bytes(content)
        assert np.array_equal(found[0], expected[0]) and found[1].shape == expected[1].shape


def test_spoilt_choices(monkeypatch, chance):
    for _ in range(INPUTS):
        word = spoilt(b"quick", chance).decode("utf-8", "surrogateescape").replace("\x00", "")
        monkeypatch.setenv("VALENCE_PROFILE", word)
        monkeypatch.setenv(
            "VALENCE_SCALE", spoilt(b"-1,5", chance).decode("latin").replace("\0", "")
        )
        survives(settings.Settings.from_env, documented=settings.SettingsError)
