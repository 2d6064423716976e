"""Corpora as a whole: folders and zips, errors, summaries."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import cli, corpora, plots, splits
from helpers.corpora import CorpusError
from tests.conftest import voice
from tests.corpora.conftest import edit_labels
from tests.corpora.test_checks import at_full_scale


def test_a_folder_gives_a_row_for_each_clip_in_the_order_of_the_labels(corpus_folder):
    corpus = corpora.load(corpus_folder)
    labels = pd.read_csv(corpus_folder / "labels.csv")
    assert corpus.name == "my_corpus"
    assert corpus.clips["file"].tolist() == labels["file"].tolist()
    assert np.allclose(corpus.clips["valence"], labels["valence"])
    assert np.allclose(corpus.clips["duration"].iloc[:3], [0.8, 1.0, 1.2])
    assert corpus.rejected.empty


def test_the_fingerprint_changes_with_a_rating_and_with_a_sound(corpus_folder):
    before = corpora.load(corpus_folder).fingerprint
    edit_labels(corpus_folder, 0, "valence", "1.5")
    relabelled = corpora.load(corpus_folder).fingerprint
    soundfile.write(corpus_folder / "audio" / "clip00.wav", voice(0.8, seed=99), 16000)
    assert len({before, relabelled, corpora.load(corpus_folder).fingerprint}) == 3


def test_unknown_speakers_are_called_unknown_all_the_way(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="speaker")
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].isna().all() and len(corpus.fingerprint) == 16
    assert corpora.summary(corpus)["speakers"].startswith("unknown (the columns of the labels are")
    found = splits.available(corpus.clips, seed=0)
    assert list(found) == ["clip"]
    counts = splits.summary(corpus.clips, found["clip"])
    assert counts["clips"].tolist() == [7, 2, 3]
    assert set(counts["speakers"]) == set(counts["heard in training"]) == {"unknown"}
    ax = plots.speakers(corpus.clips, corpus.scale).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["unknown"]


def broken(folder, kind):
    """Spoil a corpus as a whole; return what to load."""
    labels = folder / "labels.csv"
    if kind == "no table":
        labels.unlink()
    elif kind == "two tables":
        shutil.copy(labels, folder / "more.csv")
    elif kind == "no rows":
        labels.write_text("file,valence\n")
    elif kind == "no valence":
        labels.write_text("file,arousal\nclip00.wav,3\n")
    elif kind == "two valences":
        labels.write_text("file,valence,val\nclip00.wav,3,3\n")
    elif kind == "not a table":
        labels.write_bytes(b"\xff\xfe\x00\x01" * 40)
    elif kind == "words":
        labels.write_text("file,valence\nclip00.wav,good\n")
    elif kind == "percent":
        labels.write_text("file,valence\nclip00.wav,80\nclip01.wav,10\n")
    elif kind == "all absent":
        shutil.rmtree(folder / "audio")
    elif kind == "missing":
        return folder / "nowhere.zip"
    elif kind == "too long":
        return folder / ("long" * 100)
    elif kind == "nobody's":
        return Path("~nobody-of-this-name/speech")
    elif kind == "not a zip":
        (folder / "x.zip").write_bytes(b"PK\x03\x04 but no more")
        return folder / "x.zip"
    return folder


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("no table", "no labels table and is no known corpus: add a CSV with the columns"),
        ("two tables", r"has 2 labels tables \(labels.csv, more.csv\): keep one"),
        ("no rows", "no rating that is a number"),
        ("no valence", r"has no column of valence: name one .* \(its columns are file, arousal\)"),
        ("two valences", r"has 2 columns of valence \(valence, val\): keep one"),
        ("not a table", "is not a table that can be read"),
        ("words", "no rating that is a number"),
        ("percent", "from 10 to 80, which fit none of the known scales"),
        ("all absent", "no usable clip: .* lists 12, the first of them clip00.wav, is not in"),
        ("missing", "nowhere.zip does not exist: name a folder or a zip file"),
        ("too long", "longlong does not exist: name a folder or a zip file"),
        ("nobody's", "~nobody-of-this-name/speech does not exist"),
        ("not a zip", "is not a zip file that can be read"),
    ],
)
def test_an_unusable_corpus_is_one_sentence_and_exit_code_2(corpus_folder, capsys, kind, sentence):
    source = broken(corpus_folder, kind)
    with pytest.raises(CorpusError, match=sentence):
        corpora.load(source)
    assert cli.run(corpora.main, [str(source)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1


def test_the_summary_names_counts_scale_and_reasons(corpus_folder, capsys):
    edit_labels(corpus_folder, 5, "file", "absent.wav")
    assert corpora.main([str(corpus_folder)]) == 0
    printed = capsys.readouterr().out
    for line in ("clips +11", "rejected +2", "speakers +4", "rating scale +1 to 5"):
        assert pd.Series([printed]).str.contains(line).all(), line
    assert "1 absent.wav is not in the corpus\n" in printed


def test_the_summary_counts_reasons_of_a_kind_together(corpus_folder, capsys):
    for i, share in enumerate((0.04, 0.05, 0.06)):
        soundfile.write(corpus_folder / "audio" / f"clip{i:02d}.wav", at_full_scale(share), 16000)
    edit_labels(corpus_folder, 7, "valence", "9")
    assert corpora.main([str(corpus_folder)]) == 0
    lines = capsys.readouterr().out.split("rejected:\n")[1].splitlines()
    assert lines == [
        "     3 clip00.wav is clipped: 4.0 % of its samples are at full scale",
        "     1 clip07.wav has the rating 9, which is outside the scale 1 to 5",
    ]
