"""Labels tables under any names, in any format."""

import json
import unicodedata

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import corpora
from helpers.corpora import CorpusError
from tests.conftest import voice, write_corpus
from tests.corpora.conftest import reasons


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


def test_words_for_no_speaker_are_no_speaker(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    nobody = ["Unknown", "nan", "None", "n/a", "?", " ", ""]
    labels["speaker"] = [*nobody, *["s0"] * (len(labels) - len(nobody))]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].isna().sum() == len(nobody)
    assert corpora.summary(corpus)["speakers"] == "1, unknown for 7 of 12 clips"


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


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_and_a_byte_order_mark_are_recognised(corpus_folder, separator, encoding):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["speaker"] = "Zoë"
    labels.to_csv(corpus_folder / "labels.csv", index=False, sep=separator, encoding=encoding)
    assert set(corpora.load(corpus_folder).clips["speaker"]) == {"Zoë"}


def relabelled(folder, **columns):
    """Replace columns of a corpus's labels; ``_`` is a blank in their names."""
    labels = pd.read_csv(folder / "labels.csv")
    for name, values in columns.items():
        labels[name.replace("_", " ")] = values
    labels.to_csv(folder / "labels.csv", index=False)
    return labels


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
    with pytest.raises(CorpusError, match=r"decimal commas.csv is not a table that can be read"):
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


SINGLE = np.array([[1.0, 2, 3], [4, 5, 4.5], [2, 2, 2.5]] * 4)


@pytest.mark.parametrize("form", ["a{}_V", "rater_{}", "Valence {}", "V{}", "rater{}_valence"])
def test_a_column_for_each_rater_gives_their_mean(corpus_folder, form):
    columns = {form.format(n + 1): SINGLE[:, n] for n in range(3)}
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="valence").assign(**columns)
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert np.allclose(corpus.clips["valence"], SINGLE.mean(axis=1))
    assert np.array_equal(corpus.raters.to_numpy(), SINGLE) and corpus.scale == (1, 5)
    assert corpora.summary(corpus)["raters"].startswith("3, each against the mean of the others")


def test_a_row_for_each_rater_gives_their_mean(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    rows = [
        {"file": name, "rater": f"r{n}", "valence": SINGLE[i, n], "speaker": speaker, "time": n}
        for n in (2, 0, 1)
        for i, (name, speaker) in enumerate(zip(labels["file"], labels["speaker"], strict=True))
        if (i, n) != (3, 0)
    ]
    pd.DataFrame([*rows, rows[0]]).to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    expected = SINGLE.copy()
    expected[3, 0] = np.nan
    assert corpus.clips["file"].tolist() == labels["file"].tolist() and corpus.rejected.empty
    assert np.array_equal(corpus.raters.to_numpy(), expected, equal_nan=True)
    assert np.allclose(corpus.clips["valence"], np.nanmean(expected, axis=1))
    assert corpus.clips["speaker"].nunique() == 4 and "time" not in corpus.clips
    assert corpora.summary(corpus)["raters"].startswith("3 (2 to 3 a clip), each against")


def test_a_rating_that_one_rater_gave_wrongly_costs_the_clip(corpus_folder):
    cells = SINGLE.astype(str)
    cells[0, 1], cells[1, 2], cells[2, 0], cells[4, :] = "good", "9", "", ""
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="valence")
    for n in range(3):
        labels[f"rater {n}"] = cells[:, n]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder, scale=(1, 5))
    assert reasons(corpus) == {
        "clip00.wav": "has the rating 'good', which is not a number",
        "clip01.wav": "has the rating 9, which is outside the scale 1 to 5",
        "clip04.wav": "has no rating",
    }
    assert corpus.clips["valence"][0] == 2.25 and len(corpus.raters) == len(corpus.clips) == 9


def test_raters_without_any_number_are_no_raters(corpus_folder):
    relabelled(corpus_folder, rater_1="Ann", rater_2="Bob")
    assert corpora.load(corpus_folder).raters is None
    labels = relabelled(corpus_folder, a1_V="good", a2_V="bad").rename(columns=str.strip)
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    with pytest.raises(CorpusError, match="has no rating that is a number"):
        corpora.load(corpus_folder)
    (corpus_folder / "labels.csv").write_text("file,a1_V,a2_V\n")
    with pytest.raises(CorpusError, match="has no rating that is a number"):
        corpora.load(corpus_folder)


def test_a_rater_who_rated_a_clip_twice_and_differently_costs_the_clip(corpus_folder):
    rows = [(f"clip{i:02d}.wav", rater, v) for i, v in enumerate([1, 5, 3]) for rater in "ab"]
    table = pd.DataFrame([*rows, ("clip00.wav", "a", 2)], columns=["file", "rater", "valence"])
    table.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder, scale=(1, 5))
    assert reasons(corpus)["clip00.wav"] == "has the rating '1 and 2', which is not a number"


def test_a_rating_beside_those_of_raters_stays_the_rating(corpus_folder):
    before = corpora.load(corpus_folder)
    labels = pd.read_csv(corpus_folder / "labels.csv")
    for n in range(3):
        labels[f"rater_{n}"] = SINGLE[:, n]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["valence"].equals(before.clips["valence"]) and corpus.raters.shape == (
        12,
        3,
    )
    assert corpus.fingerprint == before.fingerprint


def test_the_agreement_of_raters_is_that_of_shrout_and_fleiss():
    judged = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    raters = pd.DataFrame(judged, columns=list("abcd"), dtype=float)
    assert round(corpora.reliability(raters), 2) == 0.62  # their table 4
    each = corpora.agreement(raters)
    others = raters[["b", "c", "d"]].mean(axis=1)
    assert each.loc["a", "mae"] == pytest.approx((raters["a"] - others).abs().mean())
    pair = np.array([raters["a"], others])
    ccc = (
        2 * np.cov(pair, ddof=0)[0, 1] / (pair.var(axis=1).sum() + np.diff(pair.mean(axis=1)) ** 2)
    )
    assert each.loc["a", "ccc"] == pytest.approx(ccc[0]) and set(each["clips"]) == {6}
    crowd = pd.concat([raters.assign(d=np.nan), raters.assign(a=np.nan)], ignore_index=True)
    assert np.isnan(corpora.reliability(crowd)) and corpora.agreement(crowd)["mae"].notna().all()


WINDOWS, MACHINE = "D:\\data\\Speech\\audio\\", "/home/ann/speech/Audio/"


@pytest.mark.parametrize(
    "form",
    [
        str.upper,
        lambda name: WINDOWS + name,
        lambda name: MACHINE + name.replace(".wav", ".WAV"),
        lambda name: "file:///x/" + name,
        lambda name: name.replace(".wav", ".flac"),
        lambda name: "../audio/" + name + " ",
    ],
)
def test_files_are_found_whatever_machine_wrote_the_table(corpus_folder, form):
    names = pd.read_csv(corpus_folder / "labels.csv")["file"]
    relabelled(corpus_folder, file=names.map(form))
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12 and corpus.rejected.empty


@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_forms_of_unicode_do_not_matter(corpus_folder, in_table, on_disk):
    audio = corpus_folder / "audio"
    (audio / "clip00.wav").rename(audio / unicodedata.normalize(on_disk, "Zoë.wav"))
    names = pd.read_csv(corpus_folder / "labels.csv")["file"]
    relabelled(corpus_folder, file=[unicodedata.normalize(in_table, "Zoë.wav"), *names[1:]])
    assert len(corpora.load(corpus_folder).clips) == 12


def test_the_folder_in_a_name_and_the_letters_tell_similar_files_apart(tmp_path, output):
    names = ["a/one.wav", "b/one.wav", "b/Two.wav", "b/two.wav"]
    for seed, name in enumerate(names):
        path = tmp_path / "c" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        soundfile.write(path, voice(0.3, seed=seed), 16000)
    if len(list((tmp_path / "c" / "b").iterdir())) < 3:
        pytest.skip("files that differ by case are one here")
    table = "file,valence\nC:\\x\\A\\ONE.wav,1\nb/one,5\nTwo.wav,2\ntwo.wav,3\none.wav,4\n"
    (tmp_path / "c" / "labels.csv").write_text(table)
    corpus = corpora.load(tmp_path / "c")
    paths = [path.split("/c/")[1] for path in corpus.clips["path"]]
    assert paths == names
    assert reasons(corpus) == {
        "one.wav": "matches 2 files, as a/one.wav and b/one.wav: add its folder to the name"
    }


def test_files_beside_the_table_are_meant_first(tmp_path, output):
    for part in ("train", "test"):
        write_corpus(tmp_path / "c" / part, clips=4)
    for seed, path in enumerate(sorted((tmp_path / "c").rglob("*.wav"))):
        soundfile.write(path, voice(0.3, seed=seed), 16000)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.rejected.empty and corpus.clips["path"].nunique() == 8
    assert corpus.clips["split"].tolist() == ["test"] * 4 + ["train"] * 4


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


@pytest.mark.parametrize("form", ["{:g}", "0 days 00:00:{:09.6f}"])
def test_each_rated_part_of_a_recording_is_a_clip(tmp_path, output, form):
    (tmp_path / "c").mkdir()
    sound = np.concatenate([voice(1, seed=n, pitch=100 + 40 * n) for n in range(4)])
    soundfile.write(tmp_path / "c" / "long.wav", sound, 16000)
    soundfile.write(tmp_path / "c" / "cut.wav", voice(1, seed=9), 16000)
    parts = [("long.wav", 0, 1, 1), ("long.wav", 1, 2.5, 5), ("long.wav", 2.5, None, 3)]
    parts += [("long.wav", 3, 9, 2), ("cut.wav", 40, 41, 4), ("cut.wav", 0, None, 4)]
    rows = [
        (name, form.format(start), "NaT" if end is None else form.format(end), rating)
        for name, start, end, rating in parts
    ]
    table = pd.DataFrame(rows, columns=["file", "start", "end", "valence"])
    table.to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert np.allclose(corpus.clips["duration"], [1, 1.5, 1.5, 1])
    assert corpus.clips["valence"].tolist() == [1, 5, 3, 4]
    y, _ = soundfile.read(corpus.clips["path"][1])
    assert np.allclose(y, sound[16000:40000], atol=1e-4)
    assert corpus.rejected["reason"].tolist() == [
        "3 to 9 s are not in the recording of 4.0 s",
        "is listed more than once",
    ]
    assert corpora.load(tmp_path / "c").clips.equals(corpus.clips)


def test_parts_of_a_recording_that_cannot_be_read_are_rejected(tmp_path, output):
    write_corpus(tmp_path / "c", clips=3)
    (tmp_path / "c" / "audio" / "clip01.wav").write_bytes(b"RIFF")
    relabelled(tmp_path / "c", start=0.1, end=0.5)
    corpus = corpora.load(tmp_path / "c")
    assert len(corpus.clips) == 2
    assert reasons(corpus)["clip01.wav"].startswith("is not readable audio (")
