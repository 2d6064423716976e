import hashlib
import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import checks, corpora, plots, splits
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


def test_unknown_speakers_are_called_unknown_all_the_way(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="speaker")
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].isna().all() and len(corpus.fingerprint) == 16
    assert corpora.summary(corpus)["speakers"] == "unknown"
    found = splits.available(corpus.clips, seed=0)
    assert list(found) == ["clip"]
    counts = splits.summary(corpus.clips, found["clip"])
    assert counts["clips"].tolist() == [7, 2, 3]
    assert set(counts["speakers"]) == set(counts["heard in training"]) == {"unknown"}
    ax = plots.speakers(corpus.clips, corpus.scale).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["unknown"]


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
    ],
)
def test_a_bad_rating_is_rejected_with_its_reason_and_the_rest_goes_on(
    corpus_folder, column, value, reason
):
    edit_labels(corpus_folder, 5, column, value)
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip05.wav": reason}
    assert len(corpus.clips) == 11


@pytest.mark.parametrize("name", ["absent.wav", "../../etc/passwd", ""])
def test_a_label_without_audio_and_audio_without_a_label_are_both_rejected(corpus_folder, name):
    edit_labels(corpus_folder, 5, "file", name)
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {name: "is not in the corpus", "audio/clip05.wav": "has no label"}
    assert corpus.rejected["path"].isna().tolist() == [True, False]
    assert Path(corpus.rejected["path"][1]).samefile(corpus_folder / "audio" / "clip05.wav")
    assert len(corpus.clips) == 11


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always Unicode")
def test_a_file_name_that_is_not_unicode_can_be_printed(corpus_folder, capsys):
    name = os.fsencode(corpus_folder / "audio") + b"/M\xfcller.wav"
    shutil.copy(corpus_folder / "audio" / "clip03.wav", name)
    assert corpora.main([str(corpus_folder)]) == 0
    assert "1 audio/M?ller.wav has no label" in capsys.readouterr().out


def test_a_decimal_comma_is_a_decimal_point(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["valence"] = [f"{v:.2f}".replace(".", ",") for v in labels["valence"]]
    labels.to_csv(corpus_folder / "labels.csv", index=False, sep=";")
    assert corpora.load(corpus_folder).clips["valence"].iloc[-1] == 5


def at_full_scale(share):
    """A voice and, in one stretch of it, a square wave at full scale."""
    y = voice(0.5)
    y[: round(share * len(y))] = np.where(np.arange(round(share * len(y))) % 80 < 40, 1, -1)
    return y


SOUNDS = {
    "silent": (np.zeros(8000), "is silent or constant"),
    "constant": (np.full(8000, 0.5), "is silent or constant"),
    "opposite channels": (np.outer(voice(0.5), [1, -1]), "is silent or constant"),
    "zero length": (np.zeros(0), "has no samples"),
    "short": (voice(0.02), "lasts 20 ms, too short for speech"),
    "not numbers": (np.full(8000, np.nan), "has samples that are not numbers"),
    "infinite": (np.resize([np.inf, -np.inf], 8000), "has samples that are not numbers"),
    "clipped": (at_full_scale(0.032), "is clipped: 3.2 % of its samples are at full scale"),
    "one channel of two clipped": (
        np.stack([at_full_scale(0.05), voice(0.5)], axis=1),
        "is clipped: 2.5 % of its samples are at full scale",
    ),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_clip_that_cannot_be_used_is_rejected_with_its_reason(corpus_folder, kind):
    y, reason = SOUNDS[kind]
    soundfile.write(corpus_folder / "audio" / "clip03.wav", y, 16000, subtype="FLOAT")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": reason}
    assert len(corpus.clips) == 11


HOT = {
    "peaks at full scale": voice(0.5) / np.abs(voice(0.5)).max(),
    "clipped here and there": at_full_scale(0.008),
    "beyond full scale, in a file of floats": 8 * voice(0.5) / np.abs(voice(0.5)).max(),
}


@pytest.mark.parametrize("kind", HOT)
def test_a_hot_recording_is_kept(corpus_folder, kind):
    soundfile.write(corpus_folder / "audio" / "clip03.wav", HOT[kind], 16000, subtype="FLOAT")
    assert corpora.load(corpus_folder).rejected.empty


def test_a_clip_of_more_than_ten_minutes_is_rejected_by_its_header(corpus_folder):
    folder = corpus_folder / "audio"
    soundfile.write(folder / "clip03.wav", np.resize(voice(1, 1000), 601 * 1000), 1000)
    soundfile.write(folder / "clip04.wav", np.resize(voice(1, 1000), 599 * 1000), 1000)
    # A header that claims an hour, before bytes that no decoder would accept.
    soundfile.write(folder / "clip05.flac", voice(1.0), 16000)
    (folder / "clip05.wav").unlink()
    content = bytearray((folder / "clip05.flac").read_bytes())
    content[22:26] = (3600 * 16000).to_bytes(4, "big")
    content[100:] = b"\xff" * 100
    (folder / "clip05.flac").write_bytes(content)
    reason = "lasts over 10 minutes, too long for one rating: cut it up"
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": reason, "clip05.wav": reason}
    assert corpus.clips["duration"].max() == 599


def test_an_mp3_whose_length_is_estimated_may_be_a_little_shorter(corpus_folder):
    path = corpus_folder / "audio" / "clip03.mp3"
    soundfile.write(path, voice(2), 16000, bitrate_mode="CONSTANT", compression_level=0.5)
    (corpus_folder / "audio" / "clip03.wav").unlink()
    content = path.read_bytes()
    second = content.index(content[:2], 4)  # the first frame holds the count and no sound
    assert b"Info" in content[:second]
    path.write_bytes(content[second:-50])
    with soundfile.SoundFile(path) as file:
        estimated = file.frames
    clips = corpora.load(corpus_folder).clips
    assert 2 < clips["duration"][3] < estimated / 16000 < 2.2


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100])
def test_unreadable_audio_is_rejected_with_its_reason(corpus_folder, content):
    (corpus_folder / "audio" / "clip03.wav").write_bytes(content)
    assert reasons(corpora.load(corpus_folder))["clip03.wav"].startswith("is not readable audio (")


def test_links_to_nowhere_cost_only_their_clips(corpus_folder):
    (corpus_folder / "audio" / "clip03.wav").unlink()
    for name in ("audio/clip03.wav", "notes.csv"):
        (corpus_folder / name).symlink_to("nowhere")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": "is not readable audio (System error)"}


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


# What is remembered of files


@pytest.fixture
def remembered(corpus_folder, output, monkeypatch):
    """A corpus that was loaded once, its files being old enough; the cache file."""
    monkeypatch.setattr(checks, "SETTLED", 0)
    corpora.load(corpus_folder)
    (cache,) = (output / ".cache" / "checks").iterdir()
    return cache


def test_a_file_that_did_not_change_is_not_decoded_again(corpus_folder, remembered):
    first = corpora.load(corpus_folder)
    # Had the file been read again, the mark would not come back.
    remembered.write_text(remembered.read_text().replace(first.clips["sha256"][4], "marked"))
    clips = corpora.load(corpus_folder).clips
    assert clips["sha256"][4] == "marked"
    pd.testing.assert_frame_equal(clips.drop(index=4), first.clips.drop(index=4))


def test_a_file_that_changed_is_checked_again_even_with_its_old_size_and_time(
    corpus_folder, remembered
):
    before = corpora.load(corpus_folder)
    path = corpus_folder / "audio" / "clip04.wav"
    about = path.stat()
    soundfile.write(path, voice(before.clips["duration"][4], seed=99), 16000)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)
    after = corpora.load(corpus_folder)
    assert after.fingerprint != before.fingerprint
    assert after.clips["sha256"][4] == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(bytes(about.st_size))
    assert list(reasons(corpora.load(corpus_folder))) == ["clip04.wav"]


def test_a_file_that_was_only_just_written_is_not_taken_as_unchanged(corpus_folder, output):
    corpora.load(corpus_folder)
    assert not list((output / ".cache" / "checks").iterdir())


def test_what_is_rejected_is_checked_again_each_time(corpus_folder, remembered):
    path = corpus_folder / "audio" / "clip04.wav"
    path.write_bytes(b"")
    assert len(corpora.load(corpus_folder).rejected) == 1
    assert "clip04" not in remembered.read_text()
    assert len(corpora.load(corpus_folder).rejected) == 1


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_a_damaged_cache_is_made_anew(corpus_folder, remembered, content):
    before = remembered.read_text()
    remembered.write_text(content)
    assert len(corpora.load(corpus_folder).clips) == 12
    assert remembered.read_text() == before


def test_a_corpus_is_read_where_nothing_can_be_written(corpus_folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / "file"))
    monkeypatch.setattr(checks, "SETTLED", 0)
    assert len(corpora.load(corpus_folder).clips) == 12


# Labels tables


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
