"""Clips that cannot be used, each with its reason, and the facts that the cache keeps."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import audio, corpora
from helpers.corpora import checks
from tests.conftest import voice
from tests.corpora.conftest import edit_labels, reasons


def at_full_scale(share):
    """A voice and, in one stretch of it, a square wave at full scale."""
    y = voice(0.5)
    y[: round(share * len(y))] = np.where(np.arange(round(share * len(y))) % 80 < 40, 1, -1)
    return y


SOUNDS = {
    "silent": (np.zeros(8000), "is silent or constant"),
    "constant": (np.full(8000, 0.5), "is silent or constant"),
    "opposite channels": (
        np.outer(voice(0.5), [1, -1]),
        "is silent or constant as the mean of its channels",
    ),
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


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
@pytest.mark.parametrize(("share", "clipped"), [(0.032, True), (0.008, False)])
def test_a_clipped_recording_of_a_telephone_is_rejected(corpus_folder, subtype, share, clipped):
    path = corpus_folder / "audio" / "clip03.wav"
    soundfile.write(path, at_full_scale(share), 16000, subtype=subtype)
    said = {"clip03.wav": "is clipped: 3.2 % of its samples are at full scale"}
    assert reasons(corpora.load(corpus_folder)) == (said if clipped else {})


HOT = {
    "peaks at full scale": voice(0.5) / np.abs(voice(0.5)).max(),
    "clipped here and there": at_full_scale(0.008),
    "beyond full scale, in a file of floats": 8 * voice(0.5) / np.abs(voice(0.5)).max(),
}


@pytest.mark.parametrize("kind", HOT)
def test_a_hot_recording_is_kept(corpus_folder, kind):
    soundfile.write(corpus_folder / "audio" / "clip03.wav", HOT[kind], 16000, subtype="FLOAT")
    corpus = corpora.load(corpus_folder)
    assert corpus.rejected.empty
    assert any("1 of 12 clips have samples beyond" in note for note in corpus.notes) == (
        "beyond" in kind
    )


@pytest.mark.parametrize("block", [100, 682, 1000])
def test_silence_is_measured_however_small_the_blocks_of_a_decoder_are(block):
    """FFmpeg gives pieces of 8192 bytes: of six channels, less than a frame of 20 ms."""
    y = np.concatenate([np.zeros(9600), voice(1), np.zeros(6400)]).astype(np.float32)[:, None]
    blocks = (y[start : start + block] for start in range(0, len(y), block))
    frames, _, quiet, _ = checks._decode(audio.Audio(16000, 1, 0, 0, blocks))
    assert frames == 32000 and quiet == pytest.approx(1, abs=0.04)


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


def test_an_mp3_whose_last_frame_is_cut_off_is_read(corpus_folder):
    path = corpus_folder / "audio" / "clip03.mp3"
    soundfile.write(path, voice(2), 16000, bitrate_mode="CONSTANT", compression_level=0.5)
    (corpus_folder / "audio" / "clip03.wav").unlink()
    content = path.read_bytes()
    second = content.index(content[:2], 4)  # the first frame holds the count and no sound
    assert b"Info" in content[:second]
    path.write_bytes(content[second:-50])
    duration = corpora.load(corpus_folder).clips["duration"][3]
    assert 2 < duration < 2.2


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100])
def test_unreadable_audio_is_rejected_with_its_reason(corpus_folder, content):
    (corpus_folder / "audio" / "clip03.wav").write_bytes(content)
    reason = reasons(corpora.load(corpus_folder))["clip03.wav"]
    assert reason.startswith(("is not readable audio (", "is in no format that is read without"))


@pytest.mark.skipif(os.name == "nt", reason="links need an administrator")
def test_links_to_nowhere_cost_only_their_clips(corpus_folder):
    (corpus_folder / "audio" / "clip03.wav").unlink()
    for name in ("audio/clip03.wav", "notes.csv"):
        (corpus_folder / name).symlink_to("nowhere")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": "cannot be read (No such file or directory)"}


def test_a_truncated_flac_is_rejected(corpus_folder):
    soundfile.write(corpus_folder / "audio" / "clip03.flac", voice(1.0), 16000)
    (corpus_folder / "audio" / "clip03.wav").unlink()
    whole = (corpus_folder / "audio" / "clip03.flac").read_bytes()
    (corpus_folder / "audio" / "clip03.flac").write_bytes(whole[: len(whole) // 2])
    assert list(reasons(corpora.load(corpus_folder))) == ["clip03.wav"]


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
    corpus = corpora.load(corpus_folder, scale=(1, 5))
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


@pytest.mark.parametrize("form", ["audio/{}.wav", "{}", "{}.wav", "./audio/{}", "audio\\{}.wav"])
def test_files_are_found_with_or_without_folder_and_suffix(corpus_folder, form):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels["file"] = [form.format(name.removesuffix(".wav")) for name in labels["file"]]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    assert len(corpora.load(corpus_folder).clips) == 12


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always Unicode")
def test_a_file_name_that_is_not_unicode_can_be_printed(corpus_folder, capsys):
    name = os.fsencode(corpus_folder / "audio") + b"/M\xfcller.wav"
    shutil.copy(corpus_folder / "audio" / "clip03.wav", name)
    assert corpora.main([str(corpus_folder)]) == 0
    assert "1 audio/M?ller.wav has a name that is no text: rename it" in capsys.readouterr().out


def test_a_file_listed_twice_counts_once_and_with_two_ratings_not_at_all(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    labels = pd.concat([labels, labels.iloc[[0, 1]]])
    labels.iloc[-1, labels.columns.get_loc("valence")] = 4.5
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    differ = "is listed with different ratings: if several listeners gave them, add a column rater"
    reasons = [differ, "is listed more than once", differ]
    assert corpus.rejected["reason"].tolist() == reasons
    assert len(corpus.clips) == 11


def test_a_name_that_fits_several_files_is_rejected(corpus_folder):
    (corpus_folder / "other").mkdir()
    soundfile.write(corpus_folder / "other" / "clip03.wav", voice(1.0, seed=99), 16000)
    corpus = corpora.load(corpus_folder)
    reason = "matches 2 files, as audio/clip03.wav and other/clip03.wav: add its folder to the name"
    assert reasons(corpus) == {"clip03.wav": reason}


def test_of_copies_one_is_used_and_the_others_are_listed(corpus_folder):
    (corpus_folder / "other").mkdir()
    shutil.copy(corpus_folder / "audio" / "clip03.wav", corpus_folder / "other")
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12
    assert reasons(corpus) == {
        "other/clip03.wav": "is the same clip as audio/clip03.wav, which is used"
    }


def copied(folder, name, **labels):
    """Another file with the bytes of clip03, with labels of its own."""
    (folder / name).parent.mkdir(exist_ok=True)
    shutil.copy(folder / "audio" / "clip03.wav", folder / name)
    table = pd.read_csv(folder / "labels.csv")
    table.loc[len(table)] = table.loc[3].to_dict() | {"file": name} | labels
    table.to_csv(folder / "labels.csv", index=False)


@pytest.mark.parametrize("name", ["audio/copy.wav", "again/take 2.wav"])
def test_the_same_clip_under_two_names_counts_once(corpus_folder, name):
    before = corpora.load(corpus_folder)
    copied(corpus_folder, name, speaker="somebody else")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {name: "is the same clip as audio/clip03.wav, which is used"}
    assert corpus.fingerprint == before.fingerprint


def test_of_the_same_clip_with_different_ratings_none_counts(corpus_folder):
    copied(corpus_folder, "audio/copy.wav")
    copied(corpus_folder, "audio/more.wav", valence=1.5)
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {
        "clip03.wav": "has the same content as audio/more.wav, with a different rating",
        "audio/copy.wav": "has the same content as audio/clip03.wav, with a different rating",
        "audio/more.wav": "has the same content as audio/clip03.wav, with a different rating",
    }
    assert len(corpus.clips) == 11


def test_the_copy_of_a_clip_that_is_not_used_is_used(corpus_folder):
    copied(corpus_folder, "audio/copy.wav")
    edit_labels(corpus_folder, 3, "valence", "")
    corpus = corpora.load(corpus_folder)
    assert reasons(corpus) == {"clip03.wav": "has no rating"}
    assert "audio/copy.wav" in set(corpus.clips["file"])


def test_every_clip_of_ravdess_in_two_folders_is_used_once(tmp_path, output):
    """As Kaggle has it."""
    names = [f"03-01-0{e}-01-01-01-0{a}.wav" for a in (1, 2) for e in (1, 3, 5)]
    for seed, name in enumerate(names):
        for folder in (f"Actor_{name[-6:-4]}", f"audio_speech_actors_01-24/Actor_{name[-6:-4]}"):
            (tmp_path / "kaggle" / folder).mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "kaggle" / folder / name, voice(0.5, seed=seed), 16000)
    corpus = corpora.load(tmp_path / "kaggle")
    assert corpus.layout == "RAVDESS"
    assert [Path(file).name for file in corpus.clips["file"]] == names
    assert len(corpus.rejected) == 6
    assert corpus.rejected["reason"].str.startswith("is the same clip as Actor_0").all()


def test_a_truncated_wav_is_rejected(corpus_folder):
    path = corpus_folder / "audio" / "clip03.wav"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert reasons(corpora.load(corpus_folder))["clip03.wav"].startswith("is truncated: ")


@pytest.mark.parametrize("level", [0, 1e-4])  # the voice's is 0.1
@pytest.mark.parametrize("rate", [8000, 44100])
def test_seconds_before_and_after_the_speech_are_measured(tmp_path, level, rate, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 2**15)  # no multiple of a frame
    y = level * np.random.default_rng(0).normal(size=3 * rate)
    y[rate : 2 * rate] += voice(1, rate)
    y[round(1.4 * rate) : round(1.7 * rate)] = 0  # a pause in it counts as speech
    soundfile.write(tmp_path / "a.wav", y, rate)
    soundfile.write(tmp_path / "b.wav", y[rate : 2 * rate], rate)
    paths = [f"{tmp_path}/{name}" for name in ("a.wav", "b.wav", "absent.wav")]
    table = pd.DataFrame({"file": paths, "path": paths, "valence": 3.0})
    table["reason"] = pd.Series([None] * 3, dtype=object)
    quiet = checks.audio_files(table, tmp_path)["quiet"]
    np.testing.assert_allclose(quiet, [2, 0, np.nan], atol=0.05)
    assert not {"quiet", "peak"} & set(table)


def test_the_summary_says_how_many_clips_have_long_ends_without_speech(corpus_folder):
    assert "also" not in corpora.summary(corpora.load(corpus_folder))
    for name in ("clip03", "clip07"):
        path = corpus_folder / "audio" / f"{name}.wav"
        y, rate = soundfile.read(path)
        soundfile.write(path, np.concatenate([np.zeros(rate), y, np.zeros(rate)]), rate)
    assert corpora.summary(corpora.load(corpus_folder))["also"] == (
        "2 of 12 clips have over 1 s of silence or noise before and after the speech"
    )


# The facts in the cache


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


@pytest.mark.parametrize("content", ["", "{", "\x00", "[]", '{"a.wav": 1}', '{"a.wav": [[1], 2]}'])
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
