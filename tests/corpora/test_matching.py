"""Audio files by the names that people write."""

import unicodedata

import pandas as pd
import pytest
import soundfile

from helpers import corpora
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
