"""Zip files that are malicious or damaged."""

import os
import stat
import struct
import warnings
import zipfile

import pytest

from helpers import cli, corpora
from helpers.corpora import CorpusError, archives
from helpers.storage import OutputError
from tests.conftest import write_corpus
from tests.corpora.conftest import zipped


@pytest.fixture
def folder(tmp_path):
    write_corpus(tmp_path / "speech", clips=4, seconds=0.3)
    return tmp_path / "speech"


def test_a_bomb_is_refused_before_a_byte_is_written(folder, output, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS", 10**6)
    bomb = zipped(folder)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("silence.wav", bytes(30 * 10**6))
    with pytest.raises(CorpusError, match=r"would unpack to 0\.0 GB, .* over 100 times"):
        corpora.load(bomb)
    assert not (output / ".cache" / "corpora").exists()


def test_real_speech_is_far_from_the_limits(folder, output, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS", 0)
    assert len(corpora.load(zipped(folder)).clips) == 4


def test_a_member_that_lies_about_its_size_ends_there(folder, output):
    path = zipped(folder)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("audio/clip00.wav")
    data = bytearray(path.read_bytes())
    for marker, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.index(marker) + offset
        assert struct.unpack_from("<I", data, at) == (member.file_size,)
        struct.pack_into("<I", data, at, 100)
    path.write_bytes(data)
    corpus = corpora.load(path)
    assert corpus.rejected["file"].tolist() == ["clip00.wav"]
    unpacked = next((output / ".cache" / "corpora").iterdir())
    assert (unpacked / "audio" / "clip00.wav").stat().st_size <= 100


def test_of_two_members_of_one_name_the_last_counts(folder, output):
    path = zipped(folder)
    labels = (folder / "labels.csv").read_text().splitlines()
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Duplicate name
        archive.writestr("labels.csv", "\n".join(labels[:3]))
    assert corpora.load(path).clips["file"].tolist() == ["clip00.wav", "clip01.wav"]


def test_a_name_that_is_a_file_and_a_folder_is_refused(folder, output):
    path = zipped(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.csv/more.wav", b"")
    with pytest.raises(CorpusError, match=r"could not be unpacked \(.*unpack it yourself"):
        corpora.load(path)
    assert not any((output / ".cache" / "corpora").iterdir())


def test_a_member_without_a_name_is_passed_over(folder, output):
    path = zipped(folder)
    data = path.read_bytes()
    named = b"audio/clip00.wav"
    at = data.rindex(named)  # in the directory, where its length is 18 bytes before it
    (length,) = struct.unpack_from("<H", data, at - 18)
    assert length == len(named)
    data = bytearray(data[:at] + data[at + length :])
    struct.pack_into("<H", data, at - 18, 0)
    size = data.rindex(b"PK\x05\x06") + 12  # of the directory
    struct.pack_into("<I", data, size, struct.unpack_from("<I", data, size)[0] - length)
    path.write_bytes(data)
    assert len(corpora.load(path).clips) == 3


def test_a_name_too_long_for_the_disk_is_refused(folder, output):
    path = zipped(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x" * 300 + ".wav", b"")
    with pytest.raises(CorpusError, match=r"could not be unpacked \(File name too long\)"):
        corpora.load(path)


def test_zip64_is_read(folder, output):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(folder.rglob("*.*")):
            with archive.open(str(each.relative_to(folder)), "w", force_zip64=True) as member:
                member.write(each.read_bytes())
    assert len(corpora.load(path).clips) == 4


def test_a_zip_that_may_not_be_read_says_so(folder, output, monkeypatch):
    path = zipped(folder)

    def refuse(*arguments, **options):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(CorpusError, match=r"speech\.zip .*Permission denied"):
        corpora.load(path)


def test_a_zip_gives_the_same_clips_as_its_folder(corpus_folder, tmp_path):
    folder = corpora.load(corpus_folder)
    archive = corpora.load(zipped(corpus_folder, tmp_path / "my corpus.zip"))
    assert archive.fingerprint == folder.fingerprint
    assert archive.name == folder.name


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


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda archive: archive.writestr("../a.wav", b""), "would land outside its folder: make"),
        (lambda archive: encrypt(archive.infolist()[0]), "is encrypted: unpack it with its"),
        (lambda archive: archive.writestr("bomb.wav", bytes(10**7)), "would unpack to 0.0 GB"),
    ],
    ids=["unsafe", "encrypted", "bomb"],
)
def test_a_refusal_is_one_sentence_that_says_nothing_else(
    folder, output, monkeypatch, capsys, spoil, sentence
):
    monkeypatch.setattr(archives, "HARMLESS", 10**5)
    path = zipped(folder)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.txt", b"")  # so that the directory is written anew
        spoil(archive)
    assert cli.run(corpora.main, [str(path)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"{path} ") and sentence in printed
    assert "not a zip file" not in printed and len(printed.splitlines()) == 1


def encrypt(member):
    """Mark a member as encrypted in the zip's directory."""
    member.flag_bits |= 0x1


def test_a_cache_that_cannot_be_written_is_named_and_not_the_zip(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VALENCE_OUTPUT", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="file/.cache/corpora cannot be written"):
        corpora.load(zipped(folder))
