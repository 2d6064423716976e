"""Labels tables under any names, in any format."""

import pandas as pd
import pytest

from helpers import corpora
from helpers.corpora import CorpusError
from tests.conftest import write_corpus


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


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([-0.5, 0.0, 0.9], (-1, 1)),
        ([1.0, 3.25, 5.0], (1, 5)),
        ([1.0, 6.5, 7.0], (1, 7)),
        ([3.0] * 19 + [6.0], (1, 5)),  # one slip among twenty does not make it another scale
    ],
)
def test_the_scale_is_the_narrowest_that_holds_the_ratings(tmp_path, output, ratings, scale):
    write_corpus(tmp_path / "c", clips=len(ratings), seconds=0.1)
    labels = pd.read_csv(tmp_path / "c" / "labels.csv").assign(valence=ratings)
    labels.to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.scale == scale
    assert corpus.clips["valence"].between(*scale).all()


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
        "two.csv": b"file,valence,val\nclip00.wav,3,3\n",
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
