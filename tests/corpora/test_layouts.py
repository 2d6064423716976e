"""Each known layout as a small tree with audio that is made here."""

import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import comparison, corpora, splits
from helpers.corpora import layouts
from tests.conftest import voice, write_corpus


def write(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(0.3, seed=zlib.crc32(name.encode())), 16000)


def ravdess(folder):
    write(
        folder,
        [
            "Actor_01/03-01-03-01-01-01-01.wav",
            "Actor_01/03-01-05-02-02-01-01.wav",
            "Actor_02/03-01-02-01-01-02-02.wav",
            "Actor_03/03-01-01-01-02-01-03.wav",
        ],
    )
    return {"valence": [4.62, 1.98, 4.36, 3.0], "speaker": ["01", "01", "02", "03"]}


def emodb(folder):
    write(folder, ["wav/03a01Fa.wav", "wav/03a01Wa.wav", "wav/08a02Nc.wav", "wav/16b10Lb.wav"])
    return {"valence": [4.62, 1.98, 3.0, 1.7], "speaker": ["03", "03", "08", "16"]}


CREMAD = ("1001_DFA_ANG_XX", "1001_IEO_HAP_HI", "1002_DFA_NEU_XX", "1003_TIE_SAD_LO")


def cremad(folder):
    write(folder, [f"AudioWAV/{name}.wav" for name in CREMAD])
    return {"valence": [1.98, 4.62, 3.0, 1.74], "speaker": ["1001", "1001", "1002", "1003"]}


def cremad_with_votes(folder):
    expected = cremad(folder)
    votes = [
        # the voice alone (1) counts, the face (2) and both (3) do not
        ("1001_DFA_ANG_XX", 1, "A"), ("1001_DFA_ANG_XX", 1, "N"), ("1001_DFA_ANG_XX", 2, "H"),
        ("1001_IEO_HAP_HI", 1, "H"), ("1001_IEO_HAP_HI", 3, "S"), ("1002_DFA_NEU_XX", 1, "S"),
        ("1003_TIE_SAD_LO", 1, "F"),
    ]  # fmt: skip
    table = pd.DataFrame(votes, columns=["clipName", "queryType", "respEmo"])
    table.to_csv(folder / "finishedResponses.csv")
    return expected | {"valence": [(1.98 + 3) / 2, 4.62, 1.74, 1.72]}


def iemocap(folder):
    names = [
        "Ses01F_impro01_F000",
        "Ses01F_impro01_M000",
        "Ses02M_script01_1_F003",
        "Ses02M_script01_1_M004",
    ]
    write(
        folder,
        [f"Session{n[4]}/sentences/wav/{n.rsplit('_', 1)[0]}/{n}.wav" for n in names]
        + ["Session1/dialog/wav/Ses01F_impro01.wav"],
    )
    for n in "12":
        (folder / f"Session{n}/dialog/EmoEvaluation/Categorical").mkdir(parents=True)
    ratings = [[2.5, 2.0, 3.0], [4.3333, 3.0, 2.0], [1.0, 4.5, 4.0], [5.0, 3.0, 3.0]]
    for name, three in zip(names, ratings, strict=True):
        text = folder / f"Session{name[4]}/dialog/EmoEvaluation/{name.rsplit('_', 1)[0]}.txt"
        with text.open("a") as lines:
            lines.write("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n")
            values = ", ".join(f"{v:.4f}" for v in three)
            lines.write(f"[6.2901 - 8.2357]\t{name}\tneu\t[{values}]\nC-E2:\tNeutral;\t()\n")
    other = folder / "Session1/dialog/EmoEvaluation/Categorical/x.txt"
    other.write_text(f"[0 - 1]\t{names[0]}\tang\t[5.0, 5.0, 5.0]\n")
    return {
        "valence": [2.5, 4.3333, 1.0, 5.0],
        "speaker": ["Ses01F", "Ses01M", "Ses02F", "Ses02M"],
    }


def msp_podcast(folder):
    names = [f"MSP-PODCAST_0001_000{i}.wav" for i in range(6)]
    write(folder, [f"Audios/{name}" for name in names])
    (folder / "Labels").mkdir()
    pd.DataFrame(
        {
            "FileName": names,
            "EmoClass": ["H", "N", "A", "S", "N", "N"],
            "EmoAct": [4.0, 3.0, 6.0, 2.0, 4.0, 4.0],
            "EmoVal": [6.2, 4.0, 1.5, 2.25, 4.0, 4.5],
            "EmoDom": [4.0, 4.0, 5.0, 3.0, 4.0, 4.0],
            "SpkrID": ["7", "7", "12", "Unknown", "9", "10"],
            "Gender": ["Male", "Male", "Female", "Unknown", "Male", "Male"],
            "Split_Set": ["Train", "Development", "Test1", "Test2", "Test3", "Private"],
        }
    ).to_csv(folder / "Labels" / "labels_consensus.csv", index=False)
    return {
        "valence": [6.2, 4.0, 1.5, 2.25, 4.0, 4.5],
        "speaker": ["7", "7", "12", None, "9", "10"],
    }


def ravdess_song(folder):
    names = ["03-02-03-01-01-01-01", "03-02-05-02-02-01-01", "03-02-01-01-01-01-02"]
    write(folder, [f"Actor_{name[-2:]}/{name}.wav" for name in names])
    return {"valence": [4.62, 1.98, 3.0], "speaker": ["01", "01", "02"]}


def cremad_with_tabulated_votes(folder):
    expected = cremad(folder)
    (folder / "processedResults").mkdir()
    votes = [
        # the voice alone (100001...) counts, the face (200001...) and both (300001...) do not
        (100001, 1, 0, 0, 0, 1, 0, CREMAD[0]), (100002, 0, 0, 0, 3, 1, 0, CREMAD[1]),
        (100003, 0, 0, 0, 0, 0, 2, CREMAD[2]), (200001, 0, 0, 0, 9, 0, 0, CREMAD[0]),
        (300001, 0, 0, 0, 9, 0, 0, CREMAD[3]), (100004, 0, 0, 1, 0, 0, 0, CREMAD[3]),
    ]  # fmt: skip
    table = pd.DataFrame(votes, columns=["", *"ADFHNS", "fileName"]).assign(numResponses=9)
    table.to_csv(folder / "processedResults" / "tabulatedVotes.csv", index=False)
    values = [(1.98 + 3) / 2, (3 * 4.62 + 3) / 4, 1.74, 1.72]
    return expected | {"valence": values}


def tess(folder):
    inner = "TESS Toronto emotional speech set data/TESS Toronto emotional speech set data"
    names = ["OAF_angry/OAF_back_angry", "OAF_neutral/OA_bite_neutral"]
    names += ["YAF_pleasant_surprised/YAF_back_ps", "YAF_sad/YAF_back_sad"]
    write(folder, [f"{inner}/{name}.wav" for name in names])
    return {"valence": [1.98, 3.0, 3.8, 1.74], "speaker": ["OAF", "OAF", "YAF", "YAF"]}


def savee(folder):
    write(folder, ["AudioData/DC/a01.wav", "AudioData/DC/sa02.wav", "AudioData/KL/su03.wav"])
    (folder / "Info.txt").write_text("a anger, d disgust")
    return {"valence": [1.98, 1.74, 3.8], "speaker": ["DC", "DC", "KL"]}


def savee_flat(folder):
    write(folder, ["ALL/DC_a01.wav", "ALL/DC_sa02.wav", "ALL/KL_su03.wav"])
    return {"valence": [1.98, 1.74, 3.8], "speaker": ["DC", "DC", "KL"]}


def nemo(folder):
    names = ["MK0_anger_1.wav", "WR0_happiness_2.wav", "WR0_surprised_2.wav"]
    write(folder, [f"samples/{name}" for name in names])
    table = pd.DataFrame({"file_id": names, "emotion": ["anger", "happiness", "surprised"]})
    table["speaker_id"], table["gender"] = ["    MK0", "    WR0", "    WR0"], ["f", "m", "m"]
    table.to_csv(folder / "data.tsv", sep="\t", index=False)
    return {"valence": [1.98, 4.62, 3.8], "speaker": ["MK0", "WR0", "WR0"]}


def emotale(folder):
    names = ["DK_001_A_1.wav", "DK_001_H_2.wav", "EN_007_N_5.wav"]
    write(folder, [f"wav/{name}" for name in names])
    table = pd.DataFrame({"file": names, "a1_A": 5.0, "a1_V": [1.5, 4, 3], "a1_D": 4.5})
    table["a1_cat"], table["a2_A"], table["a2_V"] = list("AHN"), 2.0, [2.5, 4.5, 3]
    table.assign(gt_emotion=list("AHN")).to_csv(folder / "annotations.csv", index=False)
    info = pd.DataFrame({"speaker": ["001", "007"], "gender": ["F", "F"], "age": [22, 27]})
    info.to_csv(folder / "speaker_info.csv", index=False)
    return {"valence": [2.0, 4.25, 3.0], "speaker": ["001", "001", "007"]}


def older_msp_podcast(folder):
    expected = msp_podcast(folder)
    (folder / "Labels/labels_consensus.csv").rename(folder / "labels_concensus.csv")
    return expected


TREES = {
    "RAVDESS": ravdess,
    "EMO-DB": emodb,
    "CREMA-D": cremad,
    "CREMA-D with votes": cremad_with_votes,
    "IEMOCAP": iemocap,
    "MSP-Podcast": msp_podcast,
    "RAVDESS song": ravdess_song,
    "TESS": tess,
    "SAVEE": savee,
    "nEMO": nemo,
    "EmoTale": emotale,
}


@pytest.mark.parametrize(
    ("tree", "name", "labels", "scale"),
    [
        (ravdess, "RAVDESS", "categorical", (1, 5)),
        (emodb, "EMO-DB", "categorical", (1, 5)),
        (cremad, "CREMA-D", "categorical", (1, 5)),
        (cremad_with_votes, "CREMA-D", "perceived", (1, 5)),
        (iemocap, "IEMOCAP", "rated", (1, 5)),
        (msp_podcast, "MSP-Podcast", "rated", (1, 7)),
        (older_msp_podcast, "MSP-Podcast", "rated", (1, 7)),
        (ravdess_song, "RAVDESS song", "categorical", (1, 5)),
        (cremad_with_tabulated_votes, "CREMA-D", "perceived", (1, 5)),
        (tess, "TESS", "categorical", (1, 5)),
        (savee, "SAVEE", "categorical", (1, 5)),
        (savee_flat, "SAVEE", "categorical", (1, 5)),
        (nemo, "nEMO", "categorical", (1, 5)),
        (emotale, "EmoTale", "rated", (1, 5)),
    ],
)
def test_a_known_corpus_is_recognised_by_its_content(tmp_path, output, tree, name, labels, scale):
    expected = tree(tmp_path / "some folder")
    corpus = corpora.load(tmp_path / "some folder")
    assert (corpus.layout, corpus.labels, corpus.scale) == (name, labels, scale)
    assert corpus.citation and corpus.licence and corpus.rejected.empty
    clips = corpus.clips.sort_values("path")
    np.testing.assert_allclose(clips["valence"], expected["valence"])
    assert (
        clips["speaker"].astype(object).where(clips["speaker"].notna(), None).tolist()
        == (expected["speaker"])
    )


def test_the_partitions_of_msp_podcast_are_train_validation_and_test(tmp_path, output):
    msp_podcast(tmp_path / "c")
    parts = corpora.load(tmp_path / "c").clips["split"]
    assert parts.fillna("none").tolist() == [
        "train", "validation", "test", "test", "test", "none",
    ]  # fmt: skip


def test_the_official_split_of_msp_podcast_leaves_out_what_is_in_no_part(tmp_path, output):
    msp_podcast(tmp_path / "c")
    clips = corpora.load(tmp_path / "c").clips
    split = splits.official_split(clips, seed=0)
    assert [list(rows) for rows in split] == [[0], [1], [2, 3, 4]]
    assert list(splits.available(clips, seed=0)) == ["official", "clip"]
    assert splits.summary(clips, split).to_dict("index") == {
        "train": {"clips": 1, "speakers": 1, "also in training": 1},
        "validation": {"clips": 1, "speakers": 1, "also in training": 1},
        "test": {"clips": 3, "speakers": "unknown", "also in training": "unknown"},
    }


@pytest.mark.parametrize("name", [*TREES][:6])  # three speakers are the least
def test_no_speaker_of_a_known_corpus_is_in_two_parts(tmp_path, output, name):
    speakers = TREES[name](tmp_path / "c")["speaker"]
    clips = corpora.load(tmp_path / "c").clips
    if None in speakers:
        with pytest.raises(ValueError, match="1 of 6 clips have no speaker"):
            splits.speaker_split(clips, seed=0)
        return
    parts = [set(clips["speaker"].iloc[rows]) for rows in splits.speaker_split(clips, seed=0)]
    assert all(parts) and sorted(s for part in parts for s in part) == sorted(set(speakers))


@pytest.mark.parametrize("name", TREES)
def test_audio_without_a_label_is_listed_beside_a_known_corpus(tmp_path, output, name):
    expected = TREES[name](tmp_path / "c")
    # One clip of another known corpus is no corpus.
    other = f"Song/03-0{1 if name == 'RAVDESS song' else 2}-01-01-01-01-01.wav"
    write(tmp_path / "c", [other, "stray.wav"])
    corpus = corpora.load(tmp_path / "c")
    assert len(corpus.clips) == len(expected["valence"])
    assert corpus.rejected["file"].tolist() == [other, "stray.wav"]
    assert set(corpus.rejected["reason"]) == {"has no label"}


def test_ratings_in_a_table_say_more_than_emotions_in_names(tmp_path, output):
    ravdess(tmp_path / "c")
    table = "file,valence\n03-01-03-01-01-01-01,2.5\n03-01-05-02-02-01-01,3.5\n"
    (tmp_path / "c" / "ratings.csv").write_text(table)
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert (corpus.layout, corpus.labels) == ("labels table", "rated")
    assert corpus.clips["valence"].tolist() == [2.5, 3.5]
    assert corpus.clips["speaker"].tolist() == ["01", "01"]
    assert corpora.summary(corpus)["also"] == (
        "emotion, intensity, sentence, repetition, speaker from the files' names (RAVDESS); by "
        "their names, the files are those of RAVDESS, with its licence"
    )


def test_who_rates_a_known_corpus_still_has_its_citation(tmp_path, output):
    ravdess(tmp_path / "c")
    table = "file,valence\n03-01-03-01-01-01-01,2.5\n03-01-05-02-02-01-01,3.5\n"
    (tmp_path / "c" / "ratings.csv").write_text(table)
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert "Livingstone" in corpus.citation and corpus.licence
    assert comparison.has_seen(corpus) == [corpus.citation]


@pytest.mark.parametrize("rated", [True, False])
def test_recordings_of_others_with_names_as_in_nemo_are_not_called_nemo(tmp_path, output, rated):
    names = [f"VP{n}_{word}_0{n}.wav" for n in (1, 2) for word in ("neutral", "anger", "sadness")]
    write(tmp_path / "c", names)
    rows = "\n".join(f"{name},{n % 5 + 1}" for n, name in enumerate(names))
    if rated:
        (tmp_path / "c" / "ratings.csv").write_text(f"file,valence\n{rows}\n")
        corpus = corpora.load(tmp_path / "c")
        assert (corpus.layout, corpus.citation, corpus.licence) == ("labels table", "", "")
        assert corpus.notes == () and corpus.clips["speaker"].isna().all()
    else:
        with pytest.raises(corpora.CorpusError, match="is no known corpus"):
            corpora.load(tmp_path / "c")


def test_ratings_in_a_table_say_more_than_emotions_that_listeners_chose(tmp_path, output):
    expected = cremad_with_votes(tmp_path / "c")
    rows = [f"{name},{n + 1}" for n, name in enumerate(CREMAD)]
    (tmp_path / "c" / "ratings.csv").write_text("\n".join(["file,valence", *rows]))
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert corpus.labels == "rated" and corpus.clips["valence"].tolist() == [1, 2, 3, 4]
    assert corpus.clips["speaker"].tolist() == expected["speaker"]


@pytest.mark.parametrize("name", ["IEMOCAP", "MSP-Podcast"])
def test_a_table_beside_a_rated_corpus_is_not_used_and_a_note_says_so(tmp_path, output, name):
    expected = TREES[name](tmp_path / "c")
    file = layouts.files(tmp_path / "c").clips[0]
    (tmp_path / "c" / "mine.csv").write_text(f"file,valence\n{file},1\n")
    corpus = corpora.load(tmp_path / "c")
    assert corpus.clips["valence"].tolist() == expected["valence"]
    assert corpus.notes == (f"mine.csv is not used, since {name} has ratings of its own",)


def test_a_split_beside_a_known_corpus_is_read_as_in_any_table(tmp_path, output):
    ravdess(tmp_path / "c")
    names = [Path(name).stem for name in layouts.files(tmp_path / "c").clips]
    parts = ["Train", "Dev", "Test", "", ""][: len(names)]
    rows = [f"{name},happy,{part}" for name, part in zip(names, parts, strict=False)]
    (tmp_path / "c" / "parts.csv").write_text("\n".join(["file,emotion,split", *rows]))
    clips = corpora.load(tmp_path / "c").clips
    assert set(clips["split"].dropna()) == {"train", "validation", "test"}


def test_names_say_more_than_a_table_of_emotions_alone(tmp_path, output):
    expected = ravdess(tmp_path / "c")
    table = "file,emotion\n03-01-03-01-01-01-01,happy\n03-01-05-02-02-01-01,angry\n"
    (tmp_path / "c" / "emotions.csv").write_text(table)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.layout == "RAVDESS"
    assert corpus.clips["speaker"].tolist() == expected["speaker"]
    table = "file,valence\n03-01-03-01-01-01-01,1\n03-01-05-02-02-01-01,5\n"
    (tmp_path / "c" / "ratings.csv").write_text(table)
    assert corpora.load(tmp_path / "c").layout == "labels table"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01" * 40, b"", b"file,valence\nx\ny,1,2\n"])
@pytest.mark.parametrize("name", TREES)
def test_a_table_that_cannot_be_read_does_not_stop_a_known_corpus(tmp_path, output, name, content):
    TREES[name](tmp_path / "c")
    (tmp_path / "c" / "a.csv").write_bytes(content)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.layout == name.split(" with")[0] and corpus.rejected.empty


def test_votes_that_are_only_a_pointer_are_called_that(tmp_path, output):
    cremad(tmp_path / "c")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (tmp_path / "c" / "finishedResponses.csv").write_text(pointer)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.labels == "categorical"
    (said,) = [note for note in corpus.notes if note.startswith("finishedResponses.csv")]
    assert "is not used as labels: it is a git-lfs pointer" in said


@pytest.mark.parametrize("kind", ["RAVDESS", "CREMA-D", "TESS", "SAVEE"])
def test_a_known_clip_that_is_there_twice_is_used_once(tmp_path, output, kind):
    expected = TREES[kind](tmp_path / "c")
    for seed, path in enumerate(sorted((tmp_path / "c").rglob("*.wav"))):
        other = tmp_path / "c" / "A copy" / path.relative_to(tmp_path / "c")
        other.parent.mkdir(parents=True, exist_ok=True)
        if seed % 2:
            soundfile.write(other.with_suffix(".mp3"), voice(0.5, seed=seed), 16000)
        else:
            shutil.copy(path, other)
    corpus = corpora.load(tmp_path / "c")
    assert len(corpus.clips) == len(corpus.rejected) == len(expected["valence"])
    assert set(corpus.clips["path"].str[-4:]) == {".wav"}
    assert corpus.rejected["reason"].str.fullmatch("is the same clip as .*, which is used").all()


def test_several_known_corpora_are_one_table(tmp_path, output):
    for name in ("RAVDESS", "EMO-DB", "SAVEE", "CREMA-D with votes"):
        TREES[name](tmp_path / "c" / name)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.layout == "RAVDESS, CREMA-D, EMO-DB, SAVEE" and corpus.labels == "categorical"
    assert corpus.rejected.empty and "Burkhardt" in corpus.citation
    counts = corpus.clips["corpus"].value_counts().to_dict()
    assert counts == {"RAVDESS": 4, "CREMA-D": 4, "EMO-DB": 4, "SAVEE": 3}
    assert {"RAVDESS 03", "EMO-DB 03"} < set(corpus.clips["speaker"])


def test_known_corpora_on_different_scales_are_refused(tmp_path, output):
    for name in ("RAVDESS", "MSP-Podcast"):
        TREES[name](tmp_path / "c" / name)
    write(tmp_path / "c", [f"more/03-01-0{n}-01-01-01-09.wav" for n in range(1, 9)])
    with pytest.raises(corpora.CorpusError, match="MSP-Podcast, RAVDESS, whose rating scales diff"):
        corpora.load(tmp_path / "c")


@pytest.mark.parametrize("form", ["{emotion}/{name}", "data/{speaker}/01_{emotion}/x/{name}"])
def test_a_folder_for_each_emotion_is_a_corpus(tmp_path, output, capsys, form):
    clips = [("Angry", "a1"), ("Happy", "h1"), ("Neutral", "n1"), ("Sad", "s1"), ("Smug", "x1")]
    names = [
        form.format(emotion=emotion, name=f"{name}_{n}.wav", speaker=f"Actor {n}")
        for emotion, name in clips
        for n in (1, 2)
    ]
    write(tmp_path / "c", names)
    corpus = corpora.load(tmp_path / "c")
    assert (corpus.layout, corpus.labels) == ("a folder for each emotion", "categorical")
    by_name = corpus.clips.sort_values("path")["valence"].value_counts().to_dict()
    assert by_name == {1.98: 2, 4.62: 2, 3.0: 2, 1.74: 2}
    assert (
        corpus.rejected["reason"].str.contains("has the emotion '.*Smug', whose").tolist()
        == [True] * 2
    )
    if "speaker" in form:
        assert set(corpus.clips["speaker"]) == {"1", "2"}
    else:
        said = "unknown (the columns of the labels are file, valence, emotion)"
        assert corpora.summary(corpus)["speakers"] == said


def test_folders_that_are_mostly_no_emotions_are_no_labels(tmp_path, output):
    write(tmp_path / "c", ["Happy/1.wav", "Tuesday/1.wav", "Friday/2.wav", "3.wav"])
    with pytest.raises(corpora.CorpusError, match="no folder for each emotion"):
        corpora.load(tmp_path / "c")


def test_votes_that_cannot_be_read_leave_the_emotions_that_were_acted(tmp_path, output):
    cremad(tmp_path / "c")
    for content in (b"\xff\xfe\x00", b"clipName,respEmo\n1001_DFA_ANG_XX,A\n"):
        (tmp_path / "c" / "finishedResponses.csv").write_bytes(content)
        assert corpora.load(tmp_path / "c").labels == "categorical"


def test_a_folder_that_cannot_be_read_is_named(tmp_path, output, monkeypatch):
    ravdess(tmp_path / "mine")
    closed = tmp_path / "mine" / "Actor_09"
    closed.mkdir()
    may = os.access  # root may read everything
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and may(path, mode))
    notes = corpora.load(tmp_path / "mine").notes
    assert "Actor_09 is a folder that cannot be read: its files are left out" in notes


def test_unreadable_labels_of_msp_podcast_are_named(tmp_path, output):
    msp_podcast(tmp_path / "c")
    (tmp_path / "c" / "Labels" / "labels_consensus.csv").write_bytes(b"\xff\xfe\x00\x01" * 40)
    with pytest.raises(corpora.CorpusError, match=r"labels_consensus.csv is not a table"):
        corpora.load(tmp_path / "c")


def test_emotions_in_a_table_become_their_published_valence(tmp_path, output):
    labels = write_corpus(tmp_path / "c", clips=4)
    labels["emotion"] = ["Happy", "anger", "neutral", "flabbergasted"]
    labels.drop(columns="valence").to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert corpus.labels == "categorical" and corpus.scale == (1, 5)
    assert corpus.clips["valence"].tolist() == [4.62, 1.98, 3.0]
    assert "'flabbergasted', whose valence is not known (happy, " in corpus.rejected["reason"][0]


def test_the_table_of_valences_is_russell_and_mehrabians(tmp_path, output):
    expected = {
        "happy": 4.62, "calm": 4.36, "surprised": 3.8, "neutral": 3.0, "angry": 1.98,
        "disgusted": 1.8, "sad": 1.74, "fearful": 1.72, "bored": 1.7,
    }  # fmt: skip
    labels = write_corpus(tmp_path / "c", clips=10)
    labels["emotion"] = [*expected, "smug"]
    labels.drop(columns="valence").to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert dict(zip(corpus.clips["emotion"], corpus.clips["valence"], strict=True)) == expected
    assert corpus.rejected["reason"].str.startswith("has the emotion 'smug'").all()


def test_the_summary_names_layout_labels_licence_and_split(tmp_path, output, capsys):
    msp_podcast(tmp_path / "c")
    assert corpora.main([str(tmp_path / "c")]) == 0
    printed = capsys.readouterr().out
    for words in (
        "MSP-Podcast",
        "Lotfian",
        "UT Dallas",
        "1 to 7",
        "train 1",
        "test 3",
        "4, unknown for 1 of 6 clips",
    ):
        assert words in printed
