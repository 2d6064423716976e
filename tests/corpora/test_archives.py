"""Zip and tar files, among them malicious and damaged ones."""

import gzip
import io
import os
import random
import shutil
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from helpers import archives, cli, corpora, storage
from helpers.corpora import CorpusError
from helpers.storage import OutputError
from tests.conftest import write_corpus
from tests.corpora.conftest import zipped
from tests.test_fuzz import INPUTS, spoilt


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
    clips = corpora.load(path, scale=(1, 5)).clips
    assert clips["file"].tolist() == ["clip00.wav", "clip01.wav"]


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


@pytest.mark.parametrize("name", ["speech.zip", "speech.tar.gz", "speech"])
def test_an_archive_that_may_not_be_read_says_so_and_asks_for_no_room(
    folder, tmp_path, output, monkeypatch, name
):
    (tmp_path / "archives").mkdir()
    path = zipped(folder, tmp_path / "archives" / name)

    def refuse(file, mode):
        raise PermissionError(13, os.strerror(13), file)

    monkeypatch.setattr(archives, "open", refuse, raising=False)  # root may read everything
    said = (
        r"cannot be read \(Permission denied\): give yourself the right to read it, or name a copy"
    )
    with pytest.raises(CorpusError, match=f"{name} {said}"):
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


# Zips of other systems


def test_a_zip_with_backslashes_for_slashes_is_read(folder, output):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(folder.rglob("*.*")):
            name = str(each.relative_to(folder)).replace("/", "\\")
            archive.writestr(zipfile.ZipInfo(name), each.read_bytes())
    corpus = corpora.load(path)
    assert corpus.fingerprint == corpora.load(folder).fingerprint
    assert corpus.clips["path"][0].endswith("/audio/clip00.wav")


@pytest.mark.parametrize("said", [True, False])
def test_names_in_utf_8_are_read_whether_the_zip_says_so_or_not(folder, output, said):
    labels = (folder / "labels.csv").read_text().replace("clip00", "Müller")
    (folder / "labels.csv").write_text(labels, encoding="utf-8")
    os.replace(folder / "audio" / "clip00.wav", folder / "audio" / "Müller.wav")
    path = zipped(folder)
    if not said:  # as zips of macOS
        data = bytearray(path.read_bytes())
        for marker, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
            at = data.index(marker)
            while at >= 0:
                data[at + offset + 1] &= ~0x08
                at = data.find(marker, at + 1)
        path.write_bytes(data)
        with zipfile.ZipFile(path) as archive:
            assert "audio/Müller.wav" not in archive.namelist()
    corpus = corpora.load(path)
    assert corpus.rejected.empty and corpus.clips["file"][0] == "Müller.wav"


def test_what_macos_adds_to_zips_is_left_out(folder, output):
    path = zipped(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/audio/._clip00.wav", b"Mac OS X")
        archive.writestr("audio/._clip01.wav", b"Mac OS X")
        archive.writestr(".DS_Store", b"")
    corpus = corpora.load(path)
    assert corpus.rejected.empty and len(corpus.clips) == 4
    (unpacked,) = (output / ".cache" / "corpora").iterdir()
    assert sorted(each.name for each in unpacked.iterdir()) == ["audio", "labels.csv"]


def test_a_zip_without_audio_or_table_says_so_and_what_it_holds(folder, output):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("slides.pdf", b"")
        archive.writestr("__MACOSX/._clip.wav", b"")
    with pytest.raises(CorpusError) as raised:
        corpora.load(path)
    assert str(raised.value) == (
        f"{path} holds no audio and no table but 'slides.pdf' and 1 others: "
        "name one with both, or a folder."
    )
    assert not (output / ".cache" / "corpora").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("speech.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100)),
        ("speech.rar", b"Rar!\x1a\x07\x01\x00" + bytes(100)),
        ("speech.zip", b"Rar!\x1a\x07\x01\x00" + bytes(100)),
        ("speech.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(100)),
        ("speech.doc", b"file,valence\n"),
    ],
)
def test_another_kind_of_file_is_to_be_unpacked_and_not_to_be_downloaded_again(
    tmp_path, output, name, content
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as raised:
        corpora.load(tmp_path / name)
    assert str(raised.value) == (
        f"{tmp_path / name} is neither a folder nor a zip or tar file: if it is an archive, unpack "
        "it and name the folder instead."
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, output):
    os.mkfifo(tmp_path / "speech.zip")
    with pytest.raises(CorpusError, match="is a pipe or a device: name a folder or a zip"):
        corpora.load(tmp_path / "speech.zip")


# Tar files


def tarred(folder, suffix=".tar"):
    """A tar of a folder, beside it."""
    path = folder.parent / f"{folder.name}{suffix}"
    compression = {"gz": "gz", "bz2": "bz2", "xz": "xz", "tgz": "gz"}.get(suffix.split(".")[-1], "")
    with tarfile.open(path, f"w:{compression}") as archive:
        archive.add(folder, arcname=".")
    return path


def added(path, name, content=b"", **about):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for attribute, value in about.items():
        setattr(member, attribute, value)
    with tarfile.open(path, "a") as archive:
        archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".download"])
def test_a_tar_gives_the_same_clips_as_its_folder(folder, output, suffix):
    path = tarred(folder, suffix)
    corpus = corpora.load(path)
    assert corpus.name == folder.name
    assert corpus.fingerprint == corpora.load(folder).fingerprint
    assert corpora.load(path).clips["path"].equals(corpus.clips["path"])
    assert len(list((output / ".cache" / "corpora").iterdir())) == 1


def test_a_tar_is_unpacked_once(folder, output, monkeypatch):
    path = tarred(folder, ".tar.gz")
    corpora.load(path)
    monkeypatch.setattr(tarfile.TarFile, "extract", None)
    assert len(corpora.load(path).clips) == 4


def test_what_killed_runs_left_does_not_matter_and_is_removed(folder, output):
    path = tarred(folder)
    (unpacked,) = {Path(clip).parents[1] for clip in corpora.load(path).clips["path"]}
    shutil.rmtree(unpacked)
    own, old, running = (
        unpacked.with_name(f"{name}.partial")
        for name in (f"{unpacked.name}.{storage.mine()}", "speech-1.999999", "speech-2.999998")
    )
    for left in (own, old, running):
        (left / "audio").mkdir(parents=True)
        (left / "audio" / "half.wav").write_bytes(b"RIFF")
    os.utime(old, (0, 0))
    assert len(corpora.load(path).clips) == 4
    assert sorted(unpacked.parent.iterdir()) == sorted([unpacked, running])
    assert not list(unpacked.rglob("half.wav"))


def test_what_macos_adds_to_tars_is_left_out(folder, output):
    path = tarred(folder)
    added(path, "./audio/._clip00.wav", b"Mac OS X")
    assert corpora.load(path).rejected.empty


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("../escaped.wav", {}),
        ("/tmp/escaped.wav", {}),
        ("a/../../b.wav", {}),
        ("link.wav", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("link.wav", {"type": tarfile.LNKTYPE, "linkname": "./labels.csv"}),
        ("pipe.wav", {"type": tarfile.FIFOTYPE}),
        ("device.wav", {"type": tarfile.CHRTYPE}),
    ],
)
def test_a_member_of_a_tar_that_would_escape_is_refused(folder, tmp_path, output, name, about):
    path = tarred(folder)
    added(path, name, **about)
    with pytest.raises(CorpusError, match="would land outside its folder: make it again without"):
        corpora.load(path)
    assert not list(tmp_path.rglob("*escaped*"))
    assert not any((output / ".cache" / "corpora").iterdir())


def test_a_bomb_in_a_tar_is_refused(folder, output, monkeypatch):
    path = tarred(folder)
    added(path, "silence.wav", bytes(30 * 10**6))
    packed = path.with_suffix(".tar.gz")
    with open(path, "rb") as plain, gzip.open(packed, "wb") as archive:
        shutil.copyfileobj(plain, archive)
    monkeypatch.setattr(archives, "HARMLESS", 10**6)
    monkeypatch.setattr(archives, "LARGEST_RATIO", 10)
    with pytest.raises(CorpusError, match=r"would unpack to 0\.0 GB, .* over 10 times"):
        corpora.load(packed)
    assert not any((output / ".cache" / "corpora").iterdir())


def test_a_tar_without_audio_or_table_says_so(tmp_path, output):
    (tmp_path / "speech").mkdir()
    with pytest.raises(CorpusError, match="holds no audio and no table: name one with both"):
        corpora.load(tarred(tmp_path / "speech"))
    (tmp_path / "speech" / "slides.pdf").touch()
    with pytest.raises(CorpusError, match=r"no table but '\./slides\.pdf': name"):
        corpora.load(tarred(tmp_path / "speech"))


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.8])
def test_of_a_truncated_tar_nothing_is_used(folder, output, suffix, share):
    path = tarred(folder, suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CorpusError, match=r"is not a tar file that can be read \(.*\): make or"):
        corpora.load(path)
    assert not any((output / ".cache").glob("corpora/*"))


@pytest.mark.parametrize("damage", ["cut off", "a wrong checksum"])
def test_a_tar_does_not_end_quietly_at_a_header_that_is_missing_or_damaged(folder, output, damage):
    path = tarred(folder)
    with tarfile.open(path) as archive:
        place = archive.getmembers()[-1].offset
    content = bytearray(path.read_bytes())
    content[place + 150] ^= 0xFF
    path.write_bytes(content[:place] if damage == "cut off" else content)
    with pytest.raises(CorpusError, match=r"it is damaged or ends after \d files"):
        corpora.load(path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_spoilt_tars(folder, tmp_path, output, suffix):
    whole = tarred(folder, suffix).read_bytes()
    chance = random.Random(suffix)
    path = tmp_path / f"spoilt{suffix}"
    for _ in range(INPUTS):
        path.write_bytes(spoilt(whole, chance))
        try:
            corpora.load(path)
        except CorpusError as error:
            assert "\n" not in str(error) and len(str(error)) > 20
        assert not list(output.rglob("*.partial"))
        shutil.rmtree(output / ".cache", ignore_errors=True)
