"""Audio files by the names that people write."""

import unicodedata

import pandas as pd
import pytest
import soundfile

from helpers import corpora
from helpers.corpora import layouts, matching
from tests.conftest import voice, write_corpus
from tests.corpora.conftest import reasons, relabelled

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
    assert corpus.clips["file"][0] == "test/audio/clip00.wav" and corpus.clips["file"].is_unique


def written(folder, names, table):
    """A folder with these recordings and this table of file, valence and speaker."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        soundfile.write(path, voice(0.3, seed=seed), 16000)
    (folder / "labels.csv").write_text("file,valence,speaker\n" + "\n".join(table))
    return corpora.load(folder, scale=(1, 5))


def test_labels_of_folders_that_are_not_there_take_no_other_file(tmp_path, output):
    names = [f"{folder}/{n}.wav" for folder in ("s1", "s2") for n in range(3)]
    table = [f"{name},{1 + n % 5},{name[:2]}" for n, name in enumerate(names)]
    corpus = written(tmp_path / "c", names[:3], table)
    assert corpus.clips["file"].tolist() == names[:3] and corpus.notes == ()
    assert reasons(corpus) == dict.fromkeys(names[3:], "is not in the corpus")


def test_labels_of_several_folders_that_meet_at_one_file_take_none(tmp_path, output):
    table = ["a/0.wav,1,a", "b/0.wav,1,b", "b/1.wav,2,b", "2.wav,3,c"]
    corpus = written(tmp_path / "c", ["x/0.wav", "x/1.wav", "x/2.wav"], table)
    assert corpus.clips["file"].tolist() == ["b/1.wav", "2.wav"]
    assert corpus.notes == (
        "1 of 4 labels name other folders than those of their files: b/1.wav is taken for x/1.wav",
    )


@pytest.mark.parametrize(("there", "absent"), [("s1/0.wav", "0.wav"), ("0.wav", "s1/0.wav")])
def test_a_file_that_a_label_names_exactly_is_that_of_no_other_label(
    tmp_path, output, there, absent
):
    table = [f"{there},1,a", f"{absent},5,b", "x/1.wav,3,a"]
    corpus = written(tmp_path / "c", [there, "1.wav"], table)
    assert corpus.clips["file"].tolist() == [there, "x/1.wav"]
    assert reasons(corpus) == {absent: "is not in the corpus"}


@pytest.mark.parametrize(
    ("table", "files", "add"),
    [
        (["s1/b.wav,1,a", "b.wav,5,b"], ["s1/b.wav", "s2/b.wav"], "folder"),
        (["s1/b.flac,1,a", "b,5,b"], ["s1/b.flac", "s1/b.wav"], "suffix"),
    ],
)
def test_a_name_that_several_files_have_is_not_said_to_be_absent(
    tmp_path, output, table, files, add
):
    corpus = written(tmp_path / "c", [*files, "x.wav"], [*table, "x.wav,3,a"])
    said = f"matches 2 files, as {' and '.join(files)}: add its {add} to the name"
    assert reasons(corpus) == {table[1].split(",")[0]: said}


@pytest.mark.parametrize("form", ["{}.wav", "D:\\{}", "/home/ann/speech/{}.flac"])
def test_files_that_each_speaker_has_are_found_without_comparing_all(monkeypatch, tmp_path, form):
    names = [f"s{speaker}/{n:03d}" for speaker in range(9) for n in range(3)]
    clips = [f"{name}.wav" for name in names]
    finder = matching.Finder(layouts.Files(tmp_path, clips, [], [], [], []))
    monkeypatch.delattr(matching, "_closeness")
    assert [finder.find(form.format(name)) for name in names] == [[clip] for clip in clips]


def test_a_file_that_two_labels_name_by_paths_of_two_machines_is_listed_twice(tmp_path, output):
    table = [f"{MACHINE}0.wav,1,a", f"{WINDOWS}0.wav,5,b", "audio/0.wav,3,a", "1.wav,3,c", "2,4,c"]
    corpus = written(tmp_path / "c", ["audio/0.wav", "1.wav", "2.wav"], table)
    assert corpus.clips["file"].tolist() == ["1.wav", "2"]
    assert corpus.rejected["reason"].str.startswith("is listed with different ratings").all()


def test_only_suffixes_of_recordings_are_no_part_of_a_name(tmp_path, output):
    table = ["a.take2,1,a", "b.flv,2,b", "c,3,c", "d.e,4,d"]
    corpus = written(tmp_path / "c", ["a.wav", "b.wav", "c.wav", "d.e.wav"], table)
    assert corpus.clips["file"].tolist() == ["b.flv", "c", "d.e"]
    assert reasons(corpus) == {"a.take2": "is not in the corpus", "a.wav": "has no label"}


def test_a_file_beside_the_table_is_meant_by_its_name_alone(tmp_path, output):
    table = ["one.wav,1,a", "b/one.wav,5,b"]
    corpus = written(tmp_path / "c", ["b/one.wav", "one.wav"], table)
    assert [path.split("/c/")[1] for path in corpus.clips["path"]] == ["one.wav", "b/one.wav"]


def test_a_recording_whose_suffix_is_none_of_audio_is_named(tmp_path, output):
    folder = tmp_path / "c"
    names = ["a.wav", "b.wav", "c.wav", "d.wav"]
    written(folder, names, [f"{name},{n + 1},x" for n, name in enumerate(names)])
    for name, other in zip(names[2:], ["c.rec", "d"], strict=True):
        (folder / name).rename(folder / other)
    for name in ("notes.pdf", "README", "c.TextGrid", ".hidden.rec", "e.rec", "f.rec", "g.rec"):
        (folder / name).write_bytes(b"x")
    corpus = corpora.load(folder, scale=(1, 5))
    assert reasons(corpus) == {
        f"{name}.wav": f"is there as {there}, whose suffix is none of audio: convert it to wav"
        for name, there in (("c", "c.rec"), ("d", "d"))
    }
    assert corpus.notes == (
        "files whose suffixes are none of audio are left out: c.rec, e.rec, f.rec and 1 more",
    )


@pytest.mark.parametrize("suffix", ["mkv", "avi", "m4v", "mpg", "mpeg", "wv", "spx", "flv"])
def test_what_ffmpeg_reads_is_found_and_a_film_gives_way_to_its_sound(tmp_path, output, suffix):
    folder = tmp_path / "c"
    written(folder, ["a.wav", "b.wav", "c.wav"], ["a,1,x", "b,2,y", f"c.{suffix},3,z"])
    (folder / "b.wav").rename(folder / f"b.{suffix}")  # the content decides
    (folder / f"a.{suffix}").write_bytes(b"a film")
    if suffix in ("wv", "spx"):
        (folder / f"a.{suffix}").unlink()
    corpus = corpora.load(folder, scale=(1, 5))
    found = [path.rpartition("/")[2] for path in corpus.clips["path"]]
    assert found == ["a.wav", f"b.{suffix}", "c.wav"]
