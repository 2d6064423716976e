import hashlib
import os
import sys

import numpy as np
import pytest

from helpers import storage


def test_a_digest_is_the_beginning_of_a_sha256_even_of_what_is_no_text():
    assert storage.digest("a") == hashlib.sha256(b"a").hexdigest()[:16]
    assert storage.digest("name \udce9") == storage.digest("name ?")  # no UTF-8


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    storage.write_file(path, "old")
    with pytest.raises(KeyError), storage.atomic_write(path) as partial:
        partial.write_text("half of the n")
        raise KeyError
    assert path.read_text() == "old"
    storage.write_file(path, b"new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named_with_the_way_out(tmp_path):
    missing = tmp_path / "no folder" / "table.csv"
    with pytest.raises(storage.OutputError, match=r"no folder.table\.csv cannot be written"):
        storage.write_file(missing, "x")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(path.read_bytes().replace(b"v\x00{", b"n\x00{")),  # length
        lambda path: path.write_bytes(b"\x93NUMPY no array"),
        lambda path: np.save(path, np.zeros((2, 3))),  # in double precision
        lambda path: np.save(path, np.zeros((3, 2), np.float32)),
        lambda path: np.save(path, np.asfortranarray(np.zeros((2, 3), np.float32))),
    ],
)
def test_an_array_in_the_cache_is_as_good_as_none_unless_it_is_whole_and_ours(tmp_path, spoil):
    path = tmp_path / "features.npy"
    np.save(path, np.ones((2, 3), np.float32))
    assert storage.cached_array(path, (2, 3)).sum() == 6
    spoil(path)
    assert storage.cached_array(path, (2, 3)) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_folders_are_followed_and_none_twice(tmp_path):
    for name in ("data/a/1.wav", "data/2.wav", "here/b/3.wav", "here/.hidden/4.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    here = tmp_path / "here"
    for name, target in {"audio": "data", "again": "data/a", "loop": "here", "c": "here/b"}.items():
        (here / name).symlink_to(tmp_path / target)
    (tmp_path / "data" / "back").symlink_to(here)
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    (here / "5.wav").symlink_to(tmp_path / "data" / "2.wav")
    found, closed = storage.files_below(here)
    assert closed == []
    assert sorted(parts[-1] for parts in found) == ["1.wav", "2.wav", "3.wav", "5.wav"]
    assert {("audio", "2.wav"), ("b", "3.wav"), ("5.wav",)} <= set(found)


@pytest.mark.parametrize("writable", ["librosa", "home", "none"])
def test_numba_has_a_cache_of_ours_only_if_it_has_no_other(output, tmp_path, monkeypatch, writable):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    may = os.access  # root may write everywhere
    closed = {"librosa": "home", "home": "librosa", "none": ""}[writable]
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: may(path, mode) and (mode == os.F_OK or closed not in str(path)),
    )
    storage.let_numba_cache("librosa")
    ours = str(output / ".cache" / "numba") if writable == "none" else None
    assert os.environ.get("NUMBA_CACHE_DIR") == ours
