import shutil
import stat
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import corpora
from helpers.corpora import CorpusError
from tests.conftest import voice, write_corpus


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def edit_labels(folder, row, column, value):
    labels = pd.read_csv(folder / "labels.csv", dtype=str)
    labels.loc[row, column] = value
    labels.to_csv(folder / "labels.csv", index=False)


def reasons(corpus):
    return dict(zip(corpus.rejected["file"], corpus.rejected["reason"], strict=True))


def test_a_folder_gives_a_row_for_each_clip_in_the_order_of_the_labels(corpus_folder):
    corpus = corpora.load(corpus_folder)
    labels = pd.read_csv(corpus_folder / "labels.csv")
    assert corpus.name == "my_corpus"
    assert corpus.clips["file"].tolist() == labels["file"].tolist()
    assert np.allclose(corpus.clips["valence"], labels["valence"])
    assert np.allclose(corpus.clips["duration"].iloc[:3], [0.8, 1.0, 1.2])
    assert corpus.rejected.empty


def test_a_zip_gives_the_same_clips_as_its_folder(corpus_folder, tmp_path):
    folder = corpora.load(corpus_folder)
    archive = corpora.load(zipped(corpus_folder, tmp_path / "my corpus.zip"))
    assert archive.fingerprint == folder.fingerprint
    assert archive.name == folder.name


def test_the_fingerprint_changes_with_a_rating_and_with_a_sound(corpus_folder):
    before = corpora.load(corpus_folder).fingerprint
    edit_labels(corpus_folder, 0, "valence", "1.5")
    relabelled = corpora.load(corpus_folder).fingerprint
    soundfile.write(corpus_folder / "audio" / "clip00.wav", voice(0.8, seed=99), 16000)
    assert len({before, relabelled, corpora.load(corpus_folder).fingerprint}) == 3


@pytest.mark.parametrize(
    ("file", "valence", "speaker"),
    [
        ("filename", "EmoVal", "SpkrID"),
        ("PATH", "Val", "Actor"),
        ("file_id", "VALENCE", "speaker_id"),
    ],
)
def test_columns_are_recognised_by_their_common_names(corpus_folder, file, valence, speaker):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels.columns = [file, valence, speaker]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    clips = corpora.load(corpus_folder).clips
    assert clips["speaker"].nunique() == 4 and len(clips) == 12


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_and_a_byte_order_mark_are_recognised(corpus_folder, separator, encoding):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["speaker"] = "Zoë"
    labels.to_csv(corpus_folder / "labels.csv", index=False, sep=separator, encoding=encoding)
    assert set(corpora.load(corpus_folder).clips["speaker"]) == {"Zoë"}


@pytest.mark.parametrize("form", ["audio/{}.wav", "{}", "{}.wav", "./audio/{}", "audio\\{}.wav"])
def test_files_are_found_with_or_without_folder_and_suffix(corpus_folder, form):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["file"] = [form.format(name.removesuffix(".wav")) for name in labels["file"]]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    assert len(corpora.load(corpus_folder).clips) == 12


def test_speakers_may_be_unknown(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="speaker")
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    assert corpora.load(corpus_folder).clips["speaker"].isna().all()


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


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("valence", "pleasant", "has the rating 'pleasant', which is not a number"),
        ("valence", "", "has no rating"),
        ("valence", "nan", "has the rating 'nan', which is not a number"),
        ("valence", "9", "has the rating 9, which is outside the scale 1 to 5"),
        ("file", "absent.wav", "is not in the corpus"),
        ("file", "../../etc/passwd", "is not in the corpus"),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason_and_the_rest_goes_on(
    corpus_folder, column, value, reason
):
    edit_labels(corpus_folder, 5, column, value)
    corpus = corpora.load(corpus_folder)
    assert list(reasons(corpus).values()) == [reason]
    assert len(corpus.clips) == 11


def test_a_decimal_comma_is_a_decimal_point(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["valence"] = [f"{v:.2f}".replace(".", ",") for v in labels["valence"]]
    labels.to_csv(corpus_folder / "labels.csv", index=False, sep=";")
    assert corpora.load(corpus_folder).clips["valence"].iloc[-1] == 5


SOUNDS = {
    "silent": (np.zeros(8000), "is silent or constant"),
    "constant": (np.full(8000, 0.5), "is silent or constant"),
    "opposite channels": (np.outer(voice(0.5), [1, -1]), "is silent or constant"),
    "zero length": (np.zeros(0), "has no samples"),
    "not numbers": (np.full(8000, np.nan), "has samples that are not numbers"),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_clip_without_sound_is_rejected_with_its_reason(corpus_folder, kind):
    y, reason = SOUNDS[kind]
    soundfile.write(corpus_folder / "audio" / "clip03.wav", y, 16000, subtype="FLOAT")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": reason}
    assert len(corpus.clips) == 11


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100])
def test_unreadable_audio_is_rejected_with_its_reason(corpus_folder, content):
    (corpus_folder / "audio" / "clip03.wav").write_bytes(content)
    assert reasons(corpora.load(corpus_folder))["clip03.wav"].startswith("is not readable audio (")


def test_a_truncated_flac_is_rejected(corpus_folder):
    soundfile.write(corpus_folder / "audio" / "clip03.flac", voice(1.0), 16000)
    (corpus_folder / "audio" / "clip03.wav").unlink()
    whole = (corpus_folder / "audio" / "clip03.flac").read_bytes()
    (corpus_folder / "audio" / "clip03.flac").write_bytes(whole[: len(whole) // 2])
    assert list(reasons(corpora.load(corpus_folder))) == ["clip03.wav"]


def test_a_file_listed_twice_counts_once_and_with_two_ratings_not_at_all(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels = pd.concat([labels, labels.iloc[[0, 1]]])
    labels.iloc[-1, labels.columns.get_loc("valence")] = 4.5
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.rejected["reason"].tolist() == [
        "is listed with different ratings",
        "is listed more than once",
        "is listed with different ratings",
    ]
    assert len(corpus.clips) == 11


def test_a_name_that_fits_several_files_is_rejected(corpus_folder):
    (corpus_folder / "other").mkdir()
    shutil.copy(corpus_folder / "audio" / "clip03.wav", corpus_folder / "other")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": "matches 2 files; add its folder to the name"}


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
        ("not a zip", "is not a zip file that can be read"),
    ],
)
def test_an_unusable_corpus_is_one_sentence_and_exit_code_2(corpus_folder, capsys, kind, sentence):
    source = broken(corpus_folder, kind)
    with pytest.raises(CorpusError, match=sentence):
        corpora.load(source)
    assert corpora.main([str(source)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1


def test_an_error_names_a_file_as_it_is_in_the_zip(corpus_folder, tmp_path):
    (corpus_folder / "labels.csv").write_text("file,arousal\nclip00.wav,3\n")
    path = zipped(corpus_folder, tmp_path / "c.zip")
    with pytest.raises(CorpusError) as raised:
        corpora.load(path)
    assert str(raised.value).startswith(f"{path}/labels.csv has no column of valence")


@pytest.mark.parametrize(
    "name", ["../escaped.wav", "/tmp/escaped.wav", "a/../../b.wav", "C:\\x.wav"]
)
def test_a_zip_entry_that_would_escape_is_refused(corpus_folder, tmp_path, name):
    path = zipped(corpus_folder, tmp_path / "c.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(CorpusError, match="would land outside its folder"):
        corpora.load(path)
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_link_in_a_zip_is_refused(corpus_folder, tmp_path):
    path = zipped(corpus_folder, tmp_path / "c.zip")
    link = zipfile.ZipInfo("link.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(CorpusError, match=r"link.wav.*without links"):
        corpora.load(path)


def test_a_damaged_entry_of_a_zip_costs_only_its_clip(corpus_folder, tmp_path):
    path = zipped(corpus_folder, tmp_path / "c.zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("audio/clip07.wav").header_offset
    content = bytearray(path.read_bytes())
    content[start + 2000] ^= 0xFF
    path.write_bytes(content)
    corpus = corpora.load(path)
    assert corpus.rejected["file"].tolist() == ["clip07.wav"] and len(corpus.clips) == 11


def test_the_summary_names_counts_scale_and_reasons(corpus_folder, capsys):
    edit_labels(corpus_folder, 5, "file", "absent.wav")
    assert corpora.main([str(corpus_folder)]) == 0
    printed = capsys.readouterr().out
    for line in ("clips +11", "rejected +1", "speakers +4", "rating scale +1 to 5"):
        assert pd.Series([printed]).str.contains(line).all(), line
    assert "is not in the corpus" in printed
