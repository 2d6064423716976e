"""Labels tables under any names, in any format."""

import json
import unicodedata

import numpy as np
import pandas as pd
import pytest

from helpers import corpora
from helpers.corpora import CorpusError
from tests.conftest import write_corpus
from tests.corpora.conftest import reasons, relabelled


@pytest.mark.parametrize(
    ("file", "valence", "speaker"),
    [
        ("filename", "EmoVal", "SpkrID"),
        ("PATH", "Val", "Actor"),
        ("file_id", "VALENCE", "speaker_id"),
        ("File Name", " valence ", "speakerID"),
        ("file-path", "Val.", "Speaker ID"),
        ("Audio", "valence", "spk_id"),
        ("clip", "valence", "participant"),
        ("clip", "valence", "Subject"),
        ("File Name", " valence_mean", "speakerID"),
        ("Paths", "V", "Speaker ID"),
        ("audio-path", "Valence Rating", "spk_id"),
        ("wav", "pleasure", "participant"),
        ("clip", "val", "Subjects"),
    ],
)
def test_columns_are_recognised_by_their_common_names(corpus_folder, file, valence, speaker):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels.columns = [file, valence, speaker]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    clips = corpora.load(corpus_folder).clips
    assert clips["speaker"].nunique() == 4 and len(clips) == 12


@pytest.mark.parametrize(
    ("one", "other"), [("7", "7.0"), (unicodedata.normalize("NFC", "José"), "Jose\u0301")]
)
def test_a_speaker_is_one_however_a_table_is_written(corpus_folder, one, other):
    """pandas writes whole numbers as floats where one is missing."""
    relabelled(corpus_folder, speaker=[one, other, "s.0", "7.5"] * 3)
    assert set(corpora.load(corpus_folder).clips["speaker"]) == {one, "s.0", "7.5"}


def test_words_for_no_speaker_are_no_speaker(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    nobody = ["Unknown", "nan", "None", "n/a", "?", " ", ""]
    labels["speaker"] = [*nobody, *["s0"] * (len(labels) - len(nobody))]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].isna().sum() == len(nobody)
    assert corpora.summary(corpus)["speakers"] == "1, unknown for 7 of 12 clips"


def test_a_blank_is_no_gender_and_no_sentence(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["gender"] = ["female", " ", "unknown"] * 4
    labels["sentence"] = ["", "well, well"] * 6
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    clips = corpora.load(corpus_folder, scale=(1, 5)).clips
    assert clips["gender"].dropna().unique().tolist() == ["female"]
    assert clips["sentence"].isna().tolist() == [True, False] * 6


def test_where_no_speaker_is_found_the_summary_says_which_columns_there_are(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv").rename(columns={"speaker": "who"})
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    said = corpora.summary(corpora.load(corpus_folder))["speakers"]
    assert said == "unknown (the columns of the labels are file, valence, who)"


def test_a_table_of_emotions_and_paths_needs_no_other_names(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    emotions = pd.DataFrame({"Emotions": ["happy", "sad"] * 6, "Path": labels["file"]})
    emotions.to_csv(corpus_folder / "labels.csv", index=False)
    assert corpora.load(corpus_folder).clips["valence"].tolist() == [4.62, 1.74] * 6


def test_a_missing_rating_is_asked_for_with_the_emotions_that_would_do_as_well(corpus_folder):
    pd.DataFrame({"file": ["clip00.wav"]}).to_csv(corpus_folder / "labels.csv", index=False)
    with pytest.raises(CorpusError, match="no column of valence: name one valence or .* emotion"):
        corpora.load(corpus_folder)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_and_a_byte_order_mark_are_recognised(corpus_folder, separator, encoding):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["speaker"] = "Zoë"
    labels.to_csv(corpus_folder / "labels.csv", index=False, sep=separator, encoding=encoding)
    assert set(corpora.load(corpus_folder).clips["speaker"]) == {"Zoë"}


@pytest.mark.parametrize("told", ["sep=;\n", '"sep=;"\r\n'])
def test_a_table_may_tell_its_separator_as_excel_has_it(corpus_folder, told):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["speaker"] = "a, b"
    (corpus_folder / "labels.csv").write_text(told + labels.to_csv(index=False, sep=";"))
    assert set(corpora.load(corpus_folder).clips["speaker"]) == {"a, b"}


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([-1.0, 0.25, 1.0], (-1, 1)),
        ([1.0, 3.25, 5.0], (1, 5)),
        ([1.0, 6.5, 7.0], (1, 7)),
        ([1.0, 5.5, 8.0, 9.0], (1, 9)),
    ],
)
def test_the_scale_is_the_known_one_whose_ends_the_ratings_reach(tmp_path, output, ratings, scale):
    write_corpus(tmp_path / "c", clips=len(ratings), seconds=0.1)
    relabelled(tmp_path / "c", valence=ratings)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.scale == scale
    assert corpus.clips["valence"].tolist() == ratings


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([1.9, 4.2, 6.6], (1, 9)),  # means of raters
        ([*[2.0] * 10, *[6.0] * 10, 7.5], (1, 9)),  # a tenth beyond 1 to 7
        ([*[1.0] * 10, *[5.0] * 10, 9.0], (1, 9)),  # perhaps 1 to 5 and a slip
        ([10.0, 55.0, 100.0], (0, 100)),
        ([-3.0, 0.0, 3.0], (-3, 3)),
        ([0.0, 0.5, 1.0], (0, 1)),
    ],
)
def test_a_scale_that_is_not_clear_is_asked_for_and_any_can_be_told(
    tmp_path, output, capsys, ratings, scale
):
    write_corpus(tmp_path / "c", clips=len(ratings), seconds=0.1)
    relabelled(tmp_path / "c", valence=ratings)
    with pytest.raises(CorpusError) as caught:
        corpora.load(tmp_path / "c")
    assert "\n" not in str(caught.value)
    for way in ("--scale LOW HIGH", "make report SCALE=LOW,HIGH", "VALENCE_SCALE=LOW,HIGH"):
        assert way in str(caught.value)
    corpus = corpora.load(tmp_path / "c", scale=scale)
    assert (corpus.scale, corpus.clips["valence"].tolist()) == (scale, ratings)
    assert corpora.main([str(tmp_path / "c"), "--scale", *map(str, scale)]) == 0
    assert f"{scale[0]} to {scale[1]}\n" in capsys.readouterr().out


@pytest.mark.parametrize("scale", [(5, 1), (1, 1), (1, float("nan"))])
def test_a_scale_without_an_inside_is_refused(corpus_folder, scale):
    with pytest.raises(CorpusError, match="give the lowest possible rating and then the highest"):
        corpora.load(corpus_folder, scale=scale)


def test_emotions_are_placed_on_the_scale_that_is_told(corpus_folder):
    labels = relabelled(corpus_folder, emotion=["Happy", "neutral", "angry"] * 4)
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    found = corpora.load(corpus_folder, scale=(-1, 1)).clips["valence"].tolist()
    assert np.allclose(found, [0.81, 0, -0.51] * 4)


def test_a_decimal_comma_is_a_decimal_point(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["valence"] = [f"{v:.2f}".replace(".", ",") for v in labels["valence"]]
    labels.to_csv(corpus_folder / "labels.csv", index=False, sep=";")
    assert corpora.load(corpus_folder).clips["valence"].iloc[-1] == 5


def test_a_table_that_cannot_be_read_matters_only_if_there_is_no_other(corpus_folder):
    good = (corpus_folder / "labels.csv").read_text()
    spoilt = {
        "notes.csv": b"\xff\xfe\x00\x01" * 40,
        "empty.csv": b"",
        "long rows.csv": b"file,valence\nclip00.wav,3\nclip01.wav,3,4,5\n",
        "decimal commas.csv": b"file,valence\nclip00.wav,3,5\nclip01.wav,4,5\n",
        "two.csv": b"file,valence,val\nclip00.wav,3,4\n",
    }
    for name, content in spoilt.items():
        (corpus_folder / name).write_bytes(content)
    assert len(corpora.load(corpus_folder).clips) == 12
    (corpus_folder / "labels.csv").unlink()
    for name in sorted(spoilt)[1:]:
        (corpus_folder / name).unlink()
    with pytest.raises(CorpusError, match=r"decimal commas.csv has more cells in line 2 "):
        corpora.load(corpus_folder)
    (corpus_folder / "decimal commas.csv").write_text(good)
    assert len(corpora.load(corpus_folder).clips) == 12


@pytest.mark.parametrize("columns", [("file", "path"), ("path", "file")])
def test_of_two_columns_of_files_the_one_whose_names_are_there_is_taken(corpus_folder, columns):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    names = labels.pop("file")
    labels.insert(0, columns[0], names)
    labels.insert(0, columns[1], [f"take {i}" for i in range(12)])
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12 and corpus.clips["file"].tolist() == names.tolist()
    assert corpus.clips[f"{columns[1]} as written"].tolist()[:2] == ["take 0", "take 1"]


def test_two_columns_that_mean_the_same_are_one(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    relabelled(corpus_folder, path="audio/" + labels["file"], actor=labels["speaker"].str.upper())
    assert len(corpora.load(corpus_folder).clips) == 12


def test_two_columns_that_both_work_are_asked_about(corpus_folder):
    names = pd.read_csv(corpus_folder / "labels.csv")["file"]
    relabelled(corpus_folder, path=names[::-1].to_numpy())
    with pytest.raises(CorpusError, match=r"has 2 columns of file \(file, path\): keep one"):
        corpora.load(corpus_folder)


def test_of_two_columns_of_emotions_the_one_with_known_words_is_taken(corpus_folder):
    labels = relabelled(corpus_folder, label=range(12), emotion=["sad", "happy"] * 6)
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    assert set(corpora.load(corpus_folder).clips["emotion"]) == {"sad", "happy"}


def test_ratings_come_before_emotions_unless_there_are_none(corpus_folder):
    relabelled(corpus_folder, emotion=["sad", "happy"] * 6)
    assert corpora.load(corpus_folder).labels == "rated"
    relabelled(corpus_folder, valence="negative")
    corpus = corpora.load(corpus_folder)
    assert corpus.labels == "categorical" and set(corpus.clips["valence"]) == {1.74, 4.62}


def test_the_table_of_the_notebook_that_is_copied_most_is_read(corpus_folder):
    names = pd.read_csv(corpus_folder / "labels.csv")["file"]
    table = pd.DataFrame(
        {
            "Emotions": ["happy", "sad", "surprise", "fear"] * 3,
            "Path": "/kaggle/input/speech/audio/" + names,
        }
    )
    table.to_csv(corpus_folder / "labels.csv")
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12 and corpus.rejected.empty and corpus.labels == "categorical"


@pytest.mark.parametrize("nobody", ["unknown", "NaN", "none", "?", "", " "])
def test_a_word_for_nobody_is_no_speaker(corpus_folder, nobody):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels.loc[3, "speaker"] = nobody
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].isna().tolist() == [i == 3 for i in range(12)]
    assert corpora.summary(corpus)["speakers"] == "4, unknown for 1 of 12 clips"


def test_where_nobody_is_said_to_speak_the_columns_are_listed(corpus_folder):
    labels = relabelled(corpus_folder, gender="f", take=range(12))
    labels.drop(columns="speaker").to_csv(corpus_folder / "labels.csv", index=False)
    said = corpora.summary(corpora.load(corpus_folder))["speakers"]
    assert said == "unknown (the columns of the labels are file, valence, gender, take)"


def test_a_column_of_the_projects_own_name_is_kept_under_another(corpus_folder):
    relabelled(corpus_folder, reason="fun", duration=9, beside="x")
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12 and corpus.clips["duration"].max() < 2
    assert set(corpus.clips["reason as written"]) == {"fun"}
    assert set(corpus.clips["duration as written"]) == {9}


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("joy", "Joyful"), 4.52),
        (("ps", "pleasant surprise", "Pleasant_Surprised", "sur"), 3.8),
        (("excited", "exc"), 4.24),
        (("frustrated", "fru"), 1.72),
        (("anxiety", "anxious"), 3.02),
        (("contempt",), 2.54),
        (("neu",), 3.0),
        (("ang", "01_angry"), 1.98),
        (("hap",), 4.62),
        (("sad",), 1.74),
        (("fea",), 1.72),
        (("dis",), 1.8),
    ],
)
def test_words_and_codes_have_the_published_valence(corpus_folder, capsys, words, value):
    words = [words[i % len(words)] for i in range(10)]
    labels = relabelled(corpus_folder, emotion=[*words, "interest", "bored"])
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["valence"].tolist() == [*[value] * 10, 4.28, 1.7]
    assert corpora.main([str(corpus_folder)]) == 0
    printed = capsys.readouterr().out
    assert (
        "Russell & Mehrabian 1977" in printed
        and "bored                1.70      1 clips" in printed
    )


@pytest.mark.parametrize("word", ["oth", "xxx", "other", "7", "sarcastic"])
def test_a_word_without_a_published_valence_is_rejected(corpus_folder, word):
    labels = relabelled(corpus_folder, emotion=[word, *["happy", "sad"] * 5, "neutral"])
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 11
    assert f"has the emotion '{word}', whose valence" in reasons(corpus)["clip00.wav"]


@pytest.mark.parametrize("parts", [("train", "test"), ("Training_set", "dev", "test-labels")])
def test_a_table_for_each_part_is_an_official_split(corpus_folder, parts):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    (corpus_folder / "labels.csv").unlink()
    for n, part in enumerate(parts):
        labels[n :: len(parts)].to_csv(corpus_folder / f"{part}.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12 and corpus.rejected.empty
    expected = {"train": 12 // len(parts), "test": 12 // len(parts)}
    assert corpus.clips["split"].value_counts().to_dict() == expected | (
        {"validation": 4} if len(parts) == 3 else {}
    )


JSON = {
    "records": lambda table: json.dumps(table.to_dict("records")),
    "columns": lambda table: json.dumps(table.to_dict()),
    "by file": lambda table: json.dumps(table.set_index("file").to_dict("index")),
}


@pytest.mark.parametrize("kind", JSON)
def test_labels_in_json_are_those_in_csv(corpus_folder, kind):
    before = corpora.load(corpus_folder)
    labels = pd.read_csv(corpus_folder / "labels.csv")
    (corpus_folder / "labels.csv").unlink()
    (corpus_folder / "labels.json").write_text(JSON[kind](labels))
    (corpus_folder / "package.json").write_text(json.dumps({"name": "x", "files": ["a", "b"]}))
    corpus = corpora.load(corpus_folder)
    assert corpus.clips.equals(before.clips) and corpus.fingerprint == before.fingerprint


def test_lines_of_json_are_read(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    (corpus_folder / "labels.csv").unlink()
    labels.to_json(corpus_folder / "labels.jsonl", orient="records", lines=True)
    assert len(corpora.load(corpus_folder).clips) == 12


@pytest.mark.parametrize(
    "content", ["3", "null", "[", "[[1, 2], 3]", '{"a": {"b": 1}, "c": 2}', ""]
)
def test_json_that_is_no_table_is_one_sentence(corpus_folder, content):
    (corpus_folder / "labels.csv").unlink()
    (corpus_folder / "labels.json").write_text(content)
    with pytest.raises(CorpusError, match=r"labels\.json (is not a table|has no column)") as caught:
        corpora.load(corpus_folder)
    assert "\n" not in str(caught.value)


def test_a_workbook_is_read_where_that_is_installed(corpus_folder):
    pytest.importorskip("openpyxl")
    labels = pd.read_csv(corpus_folder / "labels.csv")
    (corpus_folder / "labels.csv").unlink()
    labels.to_excel(corpus_folder / "labels.xlsx", index=False)
    assert len(corpora.load(corpus_folder).clips) == 12
