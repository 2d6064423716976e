"""Zip files that mean harm, or have come to it. Paths that lead outside are in test_corpora."""

import os
import struct
import warnings
import zipfile

import pytest

from helpers import archives, corpora
from tests.conftest import write_corpus


@pytest.fixture
def folder(tmp_path):
    write_corpus(tmp_path / "speech", clips=4, seconds=0.3)
    return tmp_path / "speech"


def zipped(folder, **options):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for each in sorted(folder.rglob("*.*")):
            archive.write(each, each.relative_to(folder))
    return path


def test_a_bomb_is_refused_before_a_byte_is_written(folder, output, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS", 10**6)
    bomb = zipped(folder)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("silence.wav", bytes(30 * 10**6))
    with pytest.raises(corpora.CorpusError, match=r"would unpack to 0\.0 GB, .* over 100 times"):
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
    with pytest.raises(corpora.CorpusError, match=r"could not be unpacked \(.*unpack it yourself"):
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
    with pytest.raises(corpora.CorpusError, match=r"could not be unpacked \(File name too long\)"):
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
    with pytest.raises(corpora.CorpusError, match=r"speech\.zip .*Permission denied"):
        corpora.load(path)
