"""Nothing in silence: what is not used, doubled or not clear is said, or refused."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import audio, comparison, corpora, features
from helpers.corpora import CorpusError, columns, corpus
from helpers.inference import predictions
from helpers.storage import NO_TEXT
from tests.conftest import write_corpus
from tests.corpora.conftest import reasons


def table(folder, **columns):
    """Write the labels with other columns, in place of those of the same names."""
    labels = pd.read_csv(folder / "labels.csv").assign(**columns)
    labels.to_csv(folder / "labels.csv", index=False)
    return labels


def notes(folder):
    return " / ".join(corpora.load(folder).notes)


def test_a_table_beside_the_labels_that_has_no_ratings_is_named(corpus_folder):
    (corpus_folder / "people.csv").write_text("file,speaker,gender\nclip00.wav,s0,f\n")
    said = notes(corpus_folder)
    assert "people.csv is not used as labels: it has no column of valence: name one" in said
    assert str(corpus_folder) not in said
    (corpus_folder / "zzz.csv").write_text("file,speaker\nclip00.wav,s0\n")
    assert "people.csv is not used as labels (nor is another table): it has" in notes(corpus_folder)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("x.wav,3,Jürgen\n", "it is not a table that can be read"),
        ("x.wav,3,a\ny.wav,4,a\n", "it lists 2 files, none of which is in the corpus"),
    ],
)
def test_a_part_of_a_split_that_cannot_be_used_is_named(corpus_folder, rows, said):
    (corpus_folder / "labels.csv").rename(corpus_folder / "train.csv")
    test = f"file,valence,speaker\n{rows}".encode("cp1252")
    (corpus_folder / "test.csv").write_bytes(test)
    assert f"test.csv is not used as labels: {said}" in notes(corpus_folder)


def test_emotions_of_a_table_beside_files_whose_names_have_them_are_not_used(tmp_path, output):
    folder = tmp_path / "c"
    write_corpus(folder)
    for number, path in enumerate(sorted((folder / "audio").glob("*.wav"))):
        path.rename(folder / "audio" / f"03-01-0{1 + number % 4}-01-01-01-{number + 1:02d}.wav")
    clip = next((folder / "audio").glob("*.wav")).name
    (folder / "labels.csv").write_text(f"file,emotion,note\n{clip},sad,loud\n")
    said = notes(folder)
    assert "emotion of labels.csv is not used, since RAVDESS has its own" in said
    assert "note from labels.csv" in said


@pytest.mark.parametrize(
    ("rows", "speakers", "notes"),
    [
        (["clip{n:02},happy,s{n}"], 12, ["emotion, speaker from people.csv"]),
        (
            ["clip{n:02},sad,s{n}", "clip00,sad,x"],
            0,
            [
                "emotion from people.csv",
                "speaker of people.csv is left out, since it differs between rows of a file",
            ],
        ),
        (
            ["clip1{n:02},sad,s{n}", "stray,sad,x"],
            0,
            ["people.csv is not used, since it says nothing about the clips of labels.csv"],
        ),
    ],
)
def test_emotions_and_speakers_of_another_table_join_the_ratings(
    corpus_folder, rows, speakers, notes
):
    labels = table(corpus_folder)[["file", "valence"]]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    soundfile.write(corpus_folder / "stray.wav", np.zeros(16000), 16000)
    lines = [row.format(n=n) for n in range(12) for row in rows]
    (corpus_folder / "people.csv").write_text("\n".join(["file,emotion,speaker", *lines]))
    corpus = corpora.load(corpus_folder)
    assert corpus.labels == "rated" and list(corpus.notes) == notes
    assert corpus.clips["speaker"].nunique() == speakers


@pytest.mark.parametrize("column", ["valence", "emotion"])
def test_speakers_of_folders_join_the_labels_of_a_table(corpus_folder, column):
    labels = table(corpus_folder)
    for n, name in enumerate(labels["file"]):
        folder = corpus_folder / f"Actor_{n % 3}" / ("sad" if n % 2 else "happy")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(corpus_folder / "audio" / name, folder / name)
    labels = labels.assign(emotion=["happy", "sad"] * 6)[["file", column]]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].tolist() == ["0", "1", "2"] * 4
    added = "emotion, speaker" if column == "valence" else "speaker"
    assert corpus.notes == (f"{added} from the folders' names",)


@pytest.mark.parametrize(
    ("start", "end", "unit"),
    [
        ("start_sec", "end_sec", 1),
        ("xmin", "xmax", 1),
        ("segment_start", "segment_end", 1),
        ("start_ms", "end_ms", 1000),
        ("Start (ms)", "End (ms)", 1000),
    ],
)
def test_parts_are_cut_under_many_names_of_their_times(corpus_folder, start, end, unit):
    table(corpus_folder, **{start: [0.1 * unit] * 12, end: [0.6 * unit] * 12})
    assert corpora.load(corpus_folder).clips["duration"].to_numpy() == pytest.approx(0.5, abs=0.01)


def test_a_part_may_have_a_start_and_a_duration_in_milliseconds(corpus_folder):
    table(corpus_folder, start_ms=100, duration_ms=400)
    assert corpora.load(corpus_folder).clips["duration"].to_numpy() == pytest.approx(0.4)
    table(corpus_folder, start_ms="", duration_ms=400)
    clips = corpora.load(corpus_folder).clips
    assert clips["duration_ms"].tolist() == [400] * 12


def test_an_error_comes_with_the_notes_on_the_table(corpus_folder):
    table(corpus_folder, valence=3, onset=0.1)
    said = "onset of labels.csv is not used: a part of a recording has a start and an end"
    with pytest.raises(CorpusError, match=rf"\(usable clips: 12; {said}\): add other ratings"):
        corpora.load(corpus_folder, scale=(1, 5))
    table(corpus_folder, file=[f"x{n}" for n in range(12)])
    with pytest.raises(CorpusError, match=f"has no usable clip: .*; {said}."):
        corpora.load(corpus_folder, scale=(1, 5))


@pytest.mark.parametrize("name", ["label", "class"])
def test_numbers_where_emotions_are_expected_are_to_be_called_valence(corpus_folder, name):
    labels = table(corpus_folder).rename(columns={"valence": name})
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    said = "has numbers such as 1.0 and not words for emotions: call their column valence if they"
    with pytest.raises(CorpusError, match=said):
        corpora.load(corpus_folder)


def test_times_that_are_not_understood_are_named(corpus_folder):
    table(corpus_folder, start_frame=0, end_frame=8000)
    assert "start_frame and end_frame of labels.csv are not used" in notes(corpus_folder)
    table(corpus_folder, endorsement=3)
    assert "endorsement" not in notes(corpus_folder)


def test_two_columns_of_one_name_are_refused(corpus_folder):
    text = (corpus_folder / "labels.csv").read_text().splitlines()
    lines = ["file,Valence,Valence", *(f"{row.rsplit(',', 1)[0]},2" for row in text[1:])]
    (corpus_folder / "labels.csv").write_text("\n".join(lines))
    with pytest.raises(CorpusError, match="several columns called Valence: number them Valence_1"):
        corpora.load(corpus_folder)


def test_listeners_who_are_called_participants_are_refused(corpus_folder):
    labels = table(corpus_folder).drop(columns="speaker")
    raised = [labels["valence"].clip(1 + n) for n in range(3)]
    rows = pd.concat(
        [labels.assign(participant=f"p{n}", valence=each) for n, each in enumerate(raised)]
    )
    rows.to_csv(corpus_folder / "labels.csv", index=False)
    with pytest.raises(CorpusError, match="if they are those who listened, call that column rater"):
        corpora.load(corpus_folder)
    rows.rename(columns={"participant": "user"}).to_csv(corpus_folder / "labels.csv", index=False)
    assert corpora.load(corpus_folder, scale=(1, 5)).raters.shape == (12, 3)


def test_a_clip_that_is_listed_for_two_speakers_says_so(corpus_folder):
    labels = table(corpus_folder)
    pd.concat([labels, labels.head(1).assign(speaker="other")]).to_csv(
        corpus_folder / "labels.csv", index=False
    )
    (reason,) = reasons(corpora.load(corpus_folder)).values()
    assert reason == "is listed more than once, with different speakers"


def test_the_same_samples_in_another_format_count_once(corpus_folder):
    y, rate = soundfile.read(corpus_folder / "audio" / "clip03.wav", dtype="int16")
    soundfile.write(corpus_folder / "audio" / "copy.flac", y, rate)
    labels = table(corpus_folder)
    more = labels[labels["file"] == "clip03.wav"].assign(file="copy.flac")
    pd.concat([labels, more]).to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12
    assert reasons(corpus) == {"copy.flac": "is the same clip as audio/clip03.wav, which is used"}


def test_cells_of_a_split_that_are_no_part_are_counted(corpus_folder):
    table(corpus_folder, split=["train"] * 6 + ["eval"] * 2 + ["test"] * 3 + [""])
    assert "2 of 12 rows of labels.csv are in no part of the split, as 'eval'" in notes(
        corpus_folder
    )


@pytest.mark.parametrize(
    ("folders", "emotions", "said"),
    [
        (["happy", "not_happy", "02-sad"], {"happy": 4, "sad": 4}, ""),
        (["Cold_Anger", "01 pleasant surprise"], {"cold anger": 6, "surprised": 6}, ""),
        (["sad", "hot_anger"], {"sad": 6, "angry": 6}, "hot_anger as angry"),
        (
            ["A_sad", "OAF_Fear", "B_sad", "YAF_pleasant_surprised"],
            {"fearful": 3, "sad": 6, "surprised": 3},
            "A_sad as sad, B_sad as sad, OAF_Fear as fearful and 1 more",
        ),
    ],
)
def test_a_folder_has_the_emotion_of_its_whole_name_or_a_note_says_of_which_word(
    tmp_path, output, folders, emotions, said
):
    write_corpus(tmp_path / "c")
    (tmp_path / "c" / "labels.csv").unlink()
    for n, clip in enumerate(sorted((tmp_path / "c" / "audio").glob("*.wav"))):
        folder = tmp_path / "c" / folders[n % len(folders)]
        folder.mkdir(exist_ok=True)
        shutil.move(clip, folder / clip.name)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.clips["emotion"].value_counts().to_dict() == emotions
    assert len(corpus.rejected) == 12 - sum(emotions.values())
    note = f"folders count as the one emotion in their names: {said}"
    assert corpus.notes == ((note,) if said else ())


def test_one_emotion_has_one_name(corpus_folder):
    labels = table(corpus_folder, emotion=["happy", "Happiness", "HAP", "sad"] * 3)
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    assert set(corpora.load(corpus_folder).clips["emotion"]) == {"happy", "sad"}


def test_a_scale_far_beyond_one_is_not_clipping(corpus_folder):
    y = 20000 * np.sin(np.linspace(0, 3000, 16000)).astype(np.float32)
    y[::2] = 0.9995  # small steps of such a scale
    soundfile.write(corpus_folder / "audio" / "clip03.wav", y, 16000, subtype="FLOAT")
    corpus = corpora.load(corpus_folder)
    assert corpus.rejected.empty and "1 of 12 clips have samples beyond" in " ".join(corpus.notes)


def test_clips_that_fill_only_some_of_the_bands_are_counted(corpus_folder):
    y, _ = soundfile.read(corpus_folder / "audio" / "clip03.wav")
    soundfile.write(corpus_folder / "audio" / "clip03.wav", y[::4], 4000)
    assert "1 of 12 clips have fewer than 8000 samples a second" in notes(corpus_folder)
    assert features.MelSettings().sample_rate == corpus.RATE


@pytest.mark.parametrize("name", ["very pleasant", "3/5", "40%"])
def test_ratings_that_are_words_are_quoted(corpus_folder, name):
    table(corpus_folder, valence=name)
    with pytest.raises(CorpusError, match=f"but such as '{name}': write numbers"):
        corpora.load(corpus_folder)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1,000", "1,5"] * 6, [1, 1.5]),  # the other comma is a decimal one
        (["4,125", "0,250"] * 6, [4.125, 0.25]),  # no thousands begin with 0
        (["1,000", "20", *"45" * 5], [4, 5, 20]),
        (["1,000", "2.5", *"45" * 5], [2.5, 4, 5]),
    ],
)
def test_a_comma_of_thousands_or_decimals_is_a_decimal_one_only_beside_others(
    corpus_folder, written, read
):
    table(corpus_folder, valence=written)
    corpus = corpora.load(corpus_folder, scale=(0, 20))
    assert sorted(set(corpus.clips["valence"])) == sorted(read) and corpus.notes == ()
    said = (
        "has the rating '1,000', whose comma may mark thousands or decimals: write a decimal "
        "point, or no comma"
    )
    assert reasons(corpus) == ({} if 1 in read or 0.25 in read else {"clip00.wav": said})


def test_a_comma_of_which_nothing_says_what_it_means_is_a_decimal_one_and_a_note_says_so(
    corpus_folder,
):
    table(corpus_folder, valence=["3,667", "2,333", "1,000", "2"] * 3)
    corpus = corpora.load(corpus_folder, scale=(1, 5))
    assert sorted(set(corpus.clips["valence"])) == [1, 2, 2.333, 3.667]
    note = "3,667 in valence of labels.csv is read as 3.667, with a decimal comma"
    assert corpus.notes == (note,)


def test_a_time_with_a_comma_of_thousands_or_decimals_costs_its_clip(corpus_folder):
    table(corpus_folder, start=["0.1"] * 11 + ["1,250"], end="0.5")
    said = "has the start '1,250', which is no time such as 83.5 or 1:23.5"
    assert reasons(corpora.load(corpus_folder, scale=(1, 5))) == {"clip11.wav": said}
    table(corpus_folder, start=["0,1"] * 11 + ["0:00,250"], end="0,500")
    assert corpora.load(corpus_folder).rejected.empty


def test_a_minus_of_typography_is_a_minus(corpus_folder):
    table(corpus_folder, valence=["−1", "1", "−0.5", "0"] * 3)
    assert sorted(set(corpora.load(corpus_folder).clips["valence"])) == [-1, -0.5, 0, 1]


def test_a_table_for_each_session_is_one_corpus(tmp_path, output):
    labels = write_corpus(tmp_path / "c")
    (tmp_path / "c" / "labels.csv").unlink()
    for number in range(3):
        session = tmp_path / "c" / f"session{number}"
        session.mkdir()
        for row in (mine := labels.iloc[number::3]).itertuples():
            shutil.move(tmp_path / "c" / "audio" / row.file, session / row.file)
        mine.to_csv(session / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert len(corpus.clips) == 12 and corpus.rejected.empty
    assert "the labels are the rows of 3 tables: session0/labels.csv, " in " ".join(corpus.notes)


def test_names_that_no_audio_has_are_shown_beside_those_of_the_audio(corpus_folder):
    table(corpus_folder, file=[f"{n}" for n in range(12)])
    with pytest.raises(CorpusError, match=r"whose audio files are called audio/clip00\.wav or aud"):
        corpora.load(corpus_folder)
    shutil.rmtree(corpus_folder / "audio")
    with pytest.raises(CorpusError, match="if it is in an archive there, unpack that"):
        corpora.load(corpus_folder)


def test_files_that_differ_in_their_suffix_are_told_apart_by_it(corpus_folder):
    y, rate = soundfile.read(corpus_folder / "audio" / "clip04.wav")
    soundfile.write(corpus_folder / "audio" / "clip03.flac", y, rate)
    table(corpus_folder, file=[f"clip{n:02d}" for n in range(12)])
    reason = reasons(corpora.load(corpus_folder))["clip03"]
    assert reason.endswith(
        "matches 2 files, as audio/clip03.flac and audio/clip03.wav: add its suffix to the name"
    )


def test_a_table_is_to_be_named_by_its_folder(corpus_folder):
    with pytest.raises(CorpusError, match="labels.csv is a table: name the folder that it is in"):
        corpora.load(corpus_folder / "labels.csv")


MODELS = {"recommended 1": 3.0, "recommended 2": 3.1, "median": 3.0}


@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels.rename(columns={"file": "clip"}).assign(low=1, high=5, problem=""),
        lambda labels: labels[["file", "speaker", "valence"]].assign(**MODELS),
    ],
)
def test_predictions_are_no_ratings(corpus_folder, form):
    before, labels = corpora.load(corpus_folder), table(corpus_folder)
    form(labels).to_csv(corpus_folder / "out.csv", index=False)
    corpus = corpora.load(corpus_folder)
    said = "holds predictions, and ratings belong in a table of their own"
    assert corpus.notes == (f"out.csv is not used as labels: it {said}",)
    assert corpus.fingerprint == before.fingerprint
    (corpus_folder / "labels.csv").unlink()
    with pytest.raises(CorpusError, match=f"out.csv {said}."):
        corpora.load(corpus_folder)


def test_ratings_beside_their_median_are_ratings(corpus_folder):
    labels = table(corpus_folder)[["file", "speaker", "valence"]].assign(median=3.0)
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    assert len(corpora.load(corpus_folder).clips) == 12


def test_tables_of_predictions_are_known_by_the_columns_that_they_are_written_with():
    known = columns.PREDICTIONS
    assert known["inference"] == list(predictions.COLUMNS)
    assert {*known["models"], "median"} == set(comparison.NAMES)


def test_the_demo_corpus_has_a_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert corpora.load("demo").name == "demo"


def test_blanks_between_several_corpora_do_not_count(tmp_path, output, monkeypatch):
    for name in "ab":
        write_corpus(tmp_path / name, clips=6 if name == "a" else 7)
    for path in Path(tmp_path / "b" / "audio").iterdir():
        y, rate = soundfile.read(path)
        soundfile.write(path, 0.5 * y, rate)
    monkeypatch.chdir(tmp_path)
    assert corpora.load(f"a, {os.curdir}/b").name == "a_b"


def named_without_text(path):
    """Give a file or a folder such a name as one from a zip of another system, if that can be."""
    try:
        return path.rename(path.with_name(f"caf\udce9{path.suffix}"))
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")


@pytest.mark.parametrize(
    ("name", "left"),
    [("audio/clip03.wav", "audio/caf?.wav"), ("more", "caf?/x.wav"), ("x.csv", "caf?.csv")],
)
@pytest.mark.parametrize("tree", [False, True])
def test_a_name_that_is_no_text_costs_no_other_file(corpus_folder, name, left, tree):
    (corpus_folder / "more").mkdir()
    (corpus_folder / "more" / "x.wav").touch()
    (corpus_folder / "x.csv").write_text("file,valence\nclip00.wav,3\n")
    named_without_text(corpus_folder / name)
    (corpus_folder / "x.csv").unlink(missing_ok=True)
    if tree:
        (corpus_folder / "labels.csv").unlink()
        with pytest.raises(CorpusError, match=re.escape(f"{left} {NO_TEXT}.")):
            corpora.load(corpus_folder)
        return
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus)[left] == "has a name that is no text: rename it"
    assert len(corpus.clips) == 12 - ("clip03" in name)


def test_a_folder_whose_name_is_no_text_is_refused(corpus_folder):
    odd = named_without_text(corpus_folder)
    with pytest.raises(CorpusError, match=r"caf\? has a name that is no text: rename it"):
        corpora.load(odd)
    with pytest.raises(audio.UnusableError, match=r"^has a name that is no text: rename it"):
        audio.read(odd / "audio" / "clip00.wav")


@pytest.mark.parametrize("named", ["{}, ", ",{}"])
def test_a_comma_too_many_is_no_other_corpus(corpus_folder, monkeypatch, named):
    monkeypatch.chdir(corpus_folder)  # which an empty name would be
    corpus = corpora.load(named.format(corpus_folder))
    assert corpus.name == "my_corpus" and len(corpus.clips) == 12


def test_a_folder_in_the_users_home_may_have_a_comma_in_its_name(corpus_folder, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(corpus_folder.parent))
    corpus_folder.rename(corpus_folder.parent / "speech, 2024")
    assert corpora.load("~/speech, 2024").name == "speech_2024"


@pytest.mark.parametrize("name", ["", " , "])
def test_an_empty_name_is_not_the_current_folder(corpus_folder, monkeypatch, name):
    monkeypatch.chdir(corpus_folder)
    with pytest.raises(CorpusError, match=f"'{name}' names no corpus: name a folder"):
        corpora.load(name)
