"""Corpora as a whole: folders and zips, errors, summaries."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import cli, comparison, corpora, features, plots, splits, tuning
from helpers.corpora import CorpusError
from tests.conftest import voice, write_corpus
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
    edit_labels(corpus_folder, 1, "valence", "1.5")
    relabelled = corpora.load(corpus_folder).fingerprint
    soundfile.write(corpus_folder / "audio" / "clip00.wav", voice(0.8, seed=99), 16000)
    assert len({before, relabelled, corpora.load(corpus_folder).fingerprint}) == 3


def test_the_fingerprint_is_the_same_on_every_system(corpus_folder, monkeypatch):
    corpus = corpora.load(corpus_folder)
    here = corpus.fingerprint
    monkeypatch.setattr(os, "linesep", "\n" if os.linesep == "\r\n" else "\r\n")
    assert corpus.fingerprint == here


def test_the_fingerprint_is_the_same_for_whole_numbers_however_they_are_written(corpus_folder):
    labels, found = pd.read_csv(corpus_folder / "labels.csv"), set()
    for valence in ([1, 5] * 6, [1.0, 5.0] * 6):
        labels.assign(valence=valence).to_csv(corpus_folder / "labels.csv", index=False)
        found.add(corpora.load(corpus_folder).fingerprint)
    assert len(found) == 1


def test_speakers_who_may_be_one_are_named(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["speaker"] = ["Anna", "anna", "7", "07", "10", "1"] * 2
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    assert corpora.load(corpus_folder).notes == (
        "the speakers 07 and 7 differ in case or zeros only and count as 2",
        "the speakers Anna and anna differ in case or zeros only and count as 2",
    )


def test_unknown_speakers_are_called_unknown_all_the_way(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="speaker")
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].isna().all() and len(corpus.fingerprint) == 16
    said = "unknown (the columns of the labels are file, valence)"
    assert corpora.summary(corpus)["speakers"] == said
    found = splits.available(corpus.clips, seed=0)
    assert list(found) == ["clip"]
    counts = splits.summary(corpus.clips, found["clip"])
    assert counts["clips"].tolist() == [7, 2, 3]
    assert set(counts["speakers"]) == set(counts["also in training"]) == {"unknown"}
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
        labels.write_text("file,valence,val\nclip00.wav,3,4\n")
    elif kind == "not a table":
        labels.write_bytes(b"\xff\xfe\x00\x01" * 40)
    elif kind == "words":
        labels.write_text("file,valence\nclip00.wav,good\n")
    elif kind == "percent":
        labels.write_text("file,valence\nclip00.wav,80\nclip01.wav,10\n")
    elif kind == "one value":
        labels.write_text("file,valence\nclip00.wav,3\nclip01.wav,3\n")
    elif kind == "a workbook":
        labels.rename(folder / "labels.xlsx")
    elif kind == "a pointer":
        labels.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
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
        ("no table", "no labels table, .* and is no known corpus: add a CSV with the columns"),
        ("two tables", r"has 2 labels tables \(labels.csv, more.csv\): keep one"),
        ("no rows", "no rating that is a number"),
        (
            "no valence",
            r"of valence: name one valence or else emotion, .* \(its columns are file, arousal\)",
        ),
        ("two valences", r"has 2 columns of valence \(valence, val\): keep one"),
        ("not a table", "is not a table that can be read"),
        ("words", "no rating that is a number"),
        ("percent", "from 10 to 80, which do not clearly fit one of the known scales"),
        ("one value", "has the single valence 3, so that there is nothing to predict"),
        ("a workbook", "labels.xlsx is (a workbook|not a table).*: save it as CSV"),
        ("a pointer", "labels.csv is a git-lfs pointer .*: run `git lfs pull`"),
        ("all absent", "no usable clip: .* lists 12, the first of them clip00.wav, is not in"),
        ("missing", "nowhere.zip does not exist: name a folder or a zip file"),
        ("too long", "longlong does not exist: name a folder or a zip file"),
        ("nobody's", "~nobody-of-this-name/speech does not exist"),
        ("not a zip", "is not a zip file that can be read"),
    ],
)
def test_an_unusable_corpus_is_one_sentence_and_exit_code_2(corpus_folder, capsys, kind, sentence):
    source = broken(corpus_folder, kind)
    scale = (1, 5) if kind == "one value" else None
    with pytest.raises(CorpusError, match=sentence):
        corpora.load(source, scale=scale)
    assert cli.run(corpora.main, [str(source), *(("--scale", "1", "5") if scale else ())]) == 2
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
    assert corpora.main([str(corpus_folder), "--scale", "1", "5"]) == 0
    lines = capsys.readouterr().out.split("rejected:\n")[1].splitlines()
    assert lines == [
        "     3 clip00.wav is clipped: 4.0 % of its samples are at full scale",
        "       clip01.wav is clipped: 5.0 % of its samples are at full scale",
        "       clip02.wav is clipped: 6.0 % of its samples are at full scale",
        "     1 clip07.wav has the rating 9, which is outside the scale 1 to 5",
    ]


def test_the_summary_names_all_that_is_left_out_or_says_how_to(corpus_folder, capsys):
    with open(corpus_folder / "labels.csv", "a") as table:
        table.write("".join(f"absent{i}.wav,3,s1\n" for i in range(22)) + ",3,s1\n")
    assert corpora.main([str(corpus_folder)]) == 0
    lines = capsys.readouterr().out.split("rejected:\n")[1].splitlines()
    assert lines[0] == "    23 absent0.wav is not in the corpus"
    assert lines[19:] == [
        "       absent19.wav is not in the corpus",
        "       and 3 more; in Python, corpora.load(PATH).rejected has all",
    ]


@pytest.mark.parametrize("package", [corpora, features, tuning, comparison])
def test_every_command_takes_a_scale(corpus_folder, capsys, package):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels.assign(valence=labels["valence"] + 0.5).to_csv(corpus_folder / "labels.csv", index=False)
    path = str(corpus_folder)
    assert cli.run(package.main, [path]) == cli.run(package.main, [path, "--scale", "9", "-3"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "say which scale it is, as --scale LOW HIGH" in errors[0] and "9 to -3" in errors[1]


def test_what_was_told_of_the_scale_reaches_the_corpus(corpus_folder, capsys):
    assert features.main([str(corpus_folder), "--scale", "-3", "7.5", "--jobs", "1"]) == 0
    assert "12 clips" in capsys.readouterr().out


def test_a_command_that_names_no_corpus_takes_that_of_the_study(corpus_folder, capsys, monkeypatch):
    monkeypatch.setenv("VALENCE_CORPUS", str(corpus_folder))
    monkeypatch.setenv("VALENCE_SCALE", "-3,7.5")
    assert corpora.main([]) == 0
    of_study = capsys.readouterr().out
    assert "rating scale        -3 to 7.5" in of_study
    assert corpora.main([str(corpus_folder), "--scale", "-3", "7.5"]) == 0
    assert capsys.readouterr().out == of_study
    # The scale of the study is not that of another corpus.
    assert corpora.main([str(second_corpus(corpus_folder))]) == 0
    assert "rating scale        1 to 9" in capsys.readouterr().out


def second_corpus(folder, scale=(1, 9)):
    """A copy of a corpus under another name, with other sounds and ratings on another scale."""
    other = shutil.copytree(folder, folder.with_name("other"))
    labels = pd.read_csv(other / "labels.csv")
    labels["valence"] = 2 * labels["valence"] - 1  # from 1..5 to 1..9
    labels.to_csv(other / "labels.csv", index=False)
    for number, file in enumerate(labels["file"][1:], start=1):  # the first is in both
        path = next(other.rglob(Path(file).name))
        soundfile.write(path, voice(0.9, seed=200 + number), 16000)
    return other


def test_several_corpora_become_one_with_speakers_apart_and_ratings_on_one_scale(corpus_folder):
    first, other = corpora.load(corpus_folder), second_corpus(corpus_folder)
    second = corpora.load(other, scale=(1, 9))
    whole = corpora.together([first, second])
    assert whole.name == "my_corpus_other" and whole.scale == first.scale
    assert whole.clips["corpus"].value_counts().to_dict() == {
        "my_corpus": len(first.clips),
        "other": len(second.clips) - 1,
    }
    expected = [*first.clips["valence"], *((second.clips["valence"] + 1) / 2)[1:]]
    assert whole.clips["valence"].tolist() == pytest.approx(expected)
    assert whole.clips["speaker"].nunique() == 2 * first.clips["speaker"].nunique()
    assert whole.clips["file"].is_unique and whole.clips["file"][0].startswith("my_corpus/")
    assert "other: its ratings from 1 to 9 are mapped to 1 to 5" in whole.notes


def test_of_several_corpora_a_scale_is_that_of_the_whole_and_of_each_that_is_not_clear(
    corpus_folder, capsys
):
    clear, other = corpora.load(corpus_folder), second_corpus(corpus_folder)
    labels = pd.read_csv(other / "labels.csv")
    labels.loc[labels["valence"] == 9, "valence"] = 8.5  # so that 1 to 9 is not clear
    labels.to_csv(other / "labels.csv", index=False)
    both = f"{corpus_folder},{other}"
    with pytest.raises(CorpusError, match="has ratings from 1 to 8.5.*say which scale it is"):
        corpora.load(both)
    whole = corpora.load(both, scale=(1, 9))
    expected = [*(2 * clear.clips["valence"] - 1), *labels["valence"][1:]]
    assert whole.scale == (1, 9) and whole.clips["valence"].tolist() == pytest.approx(expected)
    told = "other: its scale is taken to be 1 to 9, since it is not clear by itself"
    assert told in whole.notes
    assert "my_corpus: its ratings from 1 to 5 are mapped to 1 to 9" in whole.notes
    assert corpora.main([both, "--scale", "1", "9"]) == 0
    assert told in capsys.readouterr().out
    with pytest.raises(CorpusError, match="The scale 9 to 1 is none"):
        corpora.together([clear], scale=(9, 1))


def test_a_clip_that_is_in_two_corpora_counts_once_and_is_listed(corpus_folder):
    whole = corpora.load(f"{corpus_folder},{second_corpus(corpus_folder)}")
    again = whole.rejected.iloc[-1]
    first = whole.clips["file"][0]
    assert again["reason"] == f"is the same clip as {first}" and again["file"].startswith("other/")
    assert not whole.clips["sha256"].duplicated().any()


def test_the_same_samples_in_another_format_are_one_clip_of_two_corpora(corpus_folder):
    (other := corpus_folder.with_name("other")).mkdir()
    y, rate = soundfile.read(corpus_folder / "audio" / "clip03.wav", dtype="int16")
    soundfile.write(other / "copy.flac", y, rate)
    soundfile.write(other / "own.flac", voice(1, seed=99), rate)
    (other / "labels.csv").write_text("file,valence\ncopy,2\nown,4\n")
    whole = corpora.load(f"{corpus_folder},{other}", scale=(1, 5))
    assert whole.clips["corpus"].tolist() == ["my_corpus"] * 12 + ["other"]
    again = whole.rejected.iloc[-1]
    assert again["file"] == "other/copy"
    assert again["reason"] == "is the same clip as my_corpus/clip03.wav"


def test_single_ratings_are_kept_for_each_corpus_that_has_them(corpus_folder):
    first = corpora.load(corpus_folder)
    raters = pd.DataFrame({"a": first.clips["valence"], "b": first.clips["valence"] + 0.5})
    second = corpora.load(second_corpus(corpus_folder), scale=(1, 9))
    whole = corpora.together([dataclasses.replace(first, raters=raters), second])
    assert whole.raters.index.equals(whole.clips.index)
    assert whole.raters["my_corpus b"].notna().sum() == len(first.clips)


def test_ratings_beside_emotions_are_not_said_to_be_their_valence(tmp_path, output, capsys):
    for name, seconds in (("rated", 0.5), ("acted", 0.6)):
        labels = write_corpus(tmp_path / name, clips=6, seconds=seconds)
        labels = labels.assign(emotion=["sad", "happy"] * 3)
        labels = labels if name == "rated" else labels.drop(columns="valence")
        labels.to_csv(tmp_path / name / "labels.csv", index=False)
    assert corpora.main([f"{tmp_path}/rated,{tmp_path}/acted"]) == 0
    printed = capsys.readouterr().out
    said = (
        "ratings of valence (rated); one valence for each emotion category, and no ratings (acted)"
    )
    assert f"labels              {said}\n" in printed
    for line in (
        "happy                4.62      3 clips",
        "sad                  1.74      3 clips",
    ):
        assert line in printed


def test_two_corpora_of_one_name_are_refused(corpus_folder):
    with pytest.raises(CorpusError, match="my_corpus, my_corpus, two have the same name: rename"):
        corpora.load(f"{corpus_folder},{corpus_folder}")


def test_folds_by_corpus_test_on_a_whole_corpus(corpus_folder):
    whole = corpora.load(f"{corpus_folder},{second_corpus(corpus_folder)}")
    parts = splits.folds(whole.clips, 2, by="corpus", seed=0)
    assert [set(whole.clips["corpus"].iloc[part.test]) for part in parts] in (
        [{"my_corpus"}, {"other"}],
        [{"other"}, {"my_corpus"}],
    )


@pytest.mark.parametrize("name", ["human voices", "voices", "Demo", "parts"])
def test_no_corpus_has_the_name_of_what_the_project_ships(tmp_path, output, name):
    write_corpus(tmp_path / name, clips=3, seconds=0.3)
    assert corpora.load(tmp_path / name).name == f"{name.replace(' ', '_')}_"
