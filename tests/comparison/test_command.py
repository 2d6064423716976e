"""``python -m helpers.comparison``."""

import shutil
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import cli, comparison, corpora, evaluation
from helpers.comparison import command
from tests.conftest import voice, write_corpus

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, 80)
PREDICTION = 0.6 * TRUTH + 1 + RANDOM.normal(0, 0.5, 80)


@pytest.mark.parametrize("more", [False, True])
def test_the_command_compares_what_it_was_asked_to(
    corpus_folder, tmp_path, monkeypatch, capsys, more
):
    fit_all, score_table = MagicMock(), MagicMock()
    monkeypatch.setattr(command, "fit_all", fit_all)
    monkeypatch.setattr(command, "score_table", score_table)
    made = ["file", "speaker", "valence"]
    monkeypatch.setattr(
        command, "out_of_fold", lambda corpus, fits: corpus.clips[made].assign(median=3)
    )
    scores = evaluation.compare(TRUTH, {"a model": PREDICTION})
    scores["cost", "seconds"] = 1.239
    score_table.return_value = scores
    out = tmp_path / "table.csv"
    arguments = [str(corpus_folder)]
    if more:
        arguments += ["--models", "cnn_blstm,median", "--by", "clip", "--folds", "3"]
        arguments += ["--seeds", "2", "--jobs", "4", "--normalise", "--csv", str(out)]
    assert comparison.main(arguments) == 0

    (corpus, contenders), options = fit_all.call_args
    names = ["cnn_blstm", "median"] if more else list(command.USUAL)
    assert corpus.fingerprint == corpora.load(corpus_folder).fingerprint
    assert contenders == {name: comparison.named(name, by_speaker=more) for name in names}
    asked = {"by": "clip", "folds": 3, "seeds": 2, "jobs": 4}
    default = {"by": "speaker", "folds": 4, "seeds": 1, "jobs": -1}  # of four speakers
    assert options == (asked if more else default)
    reference = "cnn_blstm" if more else "egemaps_svr"
    score_table.assert_called_once_with(
        corpus, fit_all.return_value, reference=reference, listener=True
    )

    title, *shown = capsys.readouterr().out.split("\n\n")
    sizes = (
        "3 folds by clip, trainings of a network in each: 2"
        if more
        else "4 folds by speaker, trainings of a network in each: 1"
    )
    note = "" if more else "There are 4 folds and not 6: the corpus has 4 speakers.\n"
    assert title == (
        f"{note}{corpus.name}, valence from 1 to 5: {sizes}; gains are over {reference}. "
        "95 % intervals: 4 speakers drawn anew, too few (below eight, such intervals "
        "are too narrow)."
    )
    cost = scores["cost"].round(2).to_string()
    *shown, legend = shown
    assert "1.24" in cost and shown == [evaluation.readable(scores).to_string(), cost]
    explained = [line[:15].strip() for line in legend.splitlines()]  # what is in the table, no more
    assert explained == ["mae", "ccc", "pearson", "bias", "mae gain", "ccc gain", "seconds"]
    assert out.exists() == more
    if more:
        written = pd.read_csv(out, index_col="model")
        assert list(written.columns[:3]) == ["mae value", "mae low", "mae high"]
        found = written.loc["a model"].tolist()
        assert found == pytest.approx(scores.loc["a model"].tolist(), nan_ok=True)
        clips = pd.read_csv(tmp_path / "table_clips.csv")
        assert clips["file"].tolist() == corpus.clips["file"].tolist()
    assert comparison.main([*arguments, "--by", "speaker"]) == 0  # what is asked last counts


def test_the_command_prints_the_table_and_writes_it(corpus_folder, tmp_path, capsys):
    out = tmp_path / "table.csv"
    arguments = [str(corpus_folder), "--models", "median,egemaps_svr", "--folds", "2"]
    assert comparison.main([*arguments, "--csv", str(out)]) == 0
    assert "egemaps_svr" in capsys.readouterr().out
    assert list(pd.read_csv(out)["model"]) == ["median", "egemaps_svr"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere"),
        (["--models", "crystal_ball"], "'crystal_ball' is no model"),
        (["--models", ""], "'' is no model"),
        (["--models", "median", "--seeds", "0"], "at least one seed"),
        (["--models", "median", "--folds", "1"], "choose 2 to 20"),
        (["--models", "median", "--jobs", "0"], "jobs is 0"),
        (["--models", "median", "--folds", "2", "--csv", "README.md/out.csv"], "README.md"),
    ],
)
def test_the_command_says_in_one_sentence_what_cannot_be_done(output, capsys, arguments, sentence):
    assert cli.run(comparison.main, arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert sentence in said.err


def run(folder, capsys, *arguments):
    """The lines that the command prints before its tables."""
    assert comparison.main([str(folder), "--models", "median", *arguments]) == 0
    return capsys.readouterr().out.split("\n\n")[0].splitlines()


def test_few_speakers_make_few_folds_and_the_command_says_so(corpus_folder, capsys):
    note, title = run(corpus_folder, capsys, "--folds", "50")
    assert note == "There are 4 folds and not 50: the corpus has 4 speakers."
    assert ": 4 folds by speaker," in title
    assert len(run(corpus_folder, capsys, "--folds", "4")) == 1


def test_what_is_left_out_of_the_corpus_is_said(corpus_folder, capsys):
    said = "clip03.wav is not readable audio (the file is empty)"
    (corpus_folder / "audio" / "clip03.wav").write_bytes(b"")
    assert run(corpus_folder, capsys, "--folds", "2")[0] == f"1 clip is left out ({said})"
    (corpus_folder / "audio" / "clip04.wav").write_bytes(b"")
    assert run(corpus_folder, capsys, "--folds", "2")[0] == (
        f"2 clips are left out (for example, {said}): see `python -m helpers.corpora`"
    )


def test_two_speakers_are_enough_for_a_comparison(tmp_path, output, capsys):
    write_corpus(tmp_path / "two", clips=8, speakers=2)
    note, title = run(tmp_path / "two", capsys)
    assert "the corpus has 2 speakers" in note and ": 2 folds by speaker," in title


def test_without_speakers_folds_are_by_clip_and_the_command_says_so(corpus_folder, capsys):
    labels = corpus_folder / "labels.csv"
    labels.write_text(labels.read_text().replace(",s0", ","))
    note, title = run(corpus_folder, capsys)
    assert note == (
        "Folds are by clip, so scores are of known voices: 3 of 12 clips have no speaker."
    )
    assert ": 6 folds by clip," in title
    arguments = [str(corpus_folder), "--models", "median", "--by", "speaker"]
    assert cli.run(comparison.main, arguments) == 2
    assert "3 of 12 clips have no speaker" in capsys.readouterr().err


def test_an_official_split_is_not_used_and_the_command_says_so(corpus_folder, capsys):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    parts = ["train"] * 8 + ["test"] * 4
    labels.assign(split=parts).to_csv(corpus_folder / "labels.csv", index=False)
    note, _ = run(corpus_folder, capsys, "--folds", "3")
    assert note == "The corpus's official split is not used: folds test every clip once."


def test_a_folder_for_the_table_is_made(corpus_folder, tmp_path, capsys):
    out = tmp_path / "new" / "folder" / "table.csv"
    run(corpus_folder, capsys, "--folds", "2", "--csv", str(out))
    assert list(pd.read_csv(out)["model"]) == ["median"]


def refused(capsys, *arguments):
    """What the command says instead of a table."""
    assert cli.run(comparison.main, [str(each) for each in arguments]) == 2
    return capsys.readouterr().err


def test_no_file_is_lost_to_a_table_and_what_cannot_be_written_is_said_first(
    corpus_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(corpora, "from_arguments", lambda *a, **b: pytest.fail("read the corpus"))
    labels, beside = corpus_folder / "labels.csv", tmp_path / "o_clips.csv"
    beside.write_text(labels.read_text())
    for out, reason in {
        labels: f"{labels} is there already, and this command did not write it",
        tmp_path / "o.csv": f"{beside} is there already",
        corpus_folder: "is a folder: name a file",
        tmp_path / "o.xlsx": "has the suffix .xlsx of another kind of file: name one with .csv",
        "-": "'-' is no file",
        f"{tmp_path}/new/": f"{tmp_path}/new/ is a folder: name a file",
        labels / "o.csv": "cannot be written (File exists): name another file",
    }.items():
        assert reason in refused(capsys, corpus_folder, "--csv", out)
    assert beside.read_text() == labels.read_text()


def test_a_table_of_this_command_is_written_anew(corpus_folder, tmp_path, capsys):
    for seeds in ("1", "2"):
        out = tmp_path / "table.tsv"
        run(corpus_folder, capsys, "--folds", "2", "--seeds", seeds, "--csv", str(out))
    assert list(pd.read_csv(out, sep="\t")["model"]) == ["median"]
    assert "median" in pd.read_csv(tmp_path / "table_clips.csv")


def test_a_bug_is_not_turned_into_a_sentence(monkeypatch, output):
    monkeypatch.setattr(command, "fit_all", lambda *a, **b: [].index(1))
    with pytest.raises(ValueError, match="not in list"):
        cli.run(comparison.main, [])


def test_corpora_and_models_may_be_named_as_people_do(corpus_folder, tmp_path, capsys):
    write_corpus(tmp_path / "other", clips=8)
    arguments = [str(corpus_folder), "--scale", "1", "5", str(tmp_path / "other")]
    assert comparison.main([*arguments, "--models", "egemaps_svr, median", "--folds", "2"]) == 0
    assert "my_corpus_other, valence from 1 to 5: 2 folds" in capsys.readouterr().out


@pytest.mark.parametrize("new", [0, 4])
def test_a_test_on_copies_says_how_many_clips_are_none(corpus_folder, tmp_path, capsys, new):
    other = tmp_path / "other"
    shutil.copytree(corpus_folder, other)
    for i in range(new):
        soundfile.write(other / "audio" / f"clip{i:02d}.wav", voice(1, seed=99 + i), 16000)
    on = ["--on", str(other)]
    if new:
        said = run(corpus_folder, capsys, *on)
        assert "tested on its clips that are in none of them (4 of 12), trainings" in said[-1]
    else:
        said = refused(capsys, corpus_folder, *on)
        assert said == (
            "All clips of other are in my_corpus, too: name a corpus with other clips.\n"
        )


@pytest.mark.parametrize("option", [["--folds", "6"], ["--by", "clip"]])
def test_a_test_on_another_corpus_has_no_folds(capsys, option):
    with pytest.raises(SystemExit, match="2"):
        comparison.main(["--on", "nowhere", *option])
    assert "without folds: leave --by and --folds out" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--by", "day"], ["--folds", "few"], ["--seeds", "x"]])
def test_the_command_says_which_choices_there_are(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        comparison.main(arguments)
    assert arguments[0] in capsys.readouterr().err
