"""The store of finished fits, with records that are made up."""

import threading
import time
from typing import NamedTuple

import pytest

from helpers.storage import OutputError, Store


class Square(NamedTuple):
    number: int

    @property
    def key(self):
        return str(self.number)

    def is_whole(self, record):
        return record["square"] == self.number**2

    def make(self):
        return {"square": self.number**2}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_a_record_is_made_once(store):
    assert store.once(Square(3), Square(3).make) == {"square": 9}
    assert store.once(Square(3), None) == {"square": 9} == store.load(Square(3))
    assert store.path(Square(3)).name == "3.json"


@pytest.mark.parametrize("content", [b"", b'{"square"', b"[]", b'{"square": 8}', b"\xff", b"1"])
def test_a_file_that_is_torn_or_of_another_fit_counts_as_missing(store, content):
    store.path(Square(3)).write_bytes(content)
    assert store.load(Square(3)) is None
    assert store.once(Square(3), Square(3).make) == {"square": 9} == store.load(Square(3))


def test_what_is_stored_is_told_from_what_is_missing_each_once(store):
    store.once(Square(2), Square(2).make)
    records, missing = store.load_all([Square(3), Square(2), Square(3), Square(1)])
    assert records == {"2": {"square": 4}} and missing == [Square(3), Square(1)]


def test_nothing_is_stored_of_a_fit_that_fails(store):
    with pytest.raises(ZeroDivisionError):
        store.once(Square(3), lambda: 1 / 0)
    assert store.load(Square(3)) is None
    assert store.once(Square(3), Square(3).make) == {"square": 9}


def test_one_that_comes_second_waits_for_the_record_of_the_first(store):
    made = []

    def slowly():
        made.append(time.monotonic())
        time.sleep(0.2)
        return Square(3).make()

    threads = [threading.Thread(target=store.once, args=(Square(3), slowly)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_folder_that_cannot_be_written_to_is_named(store, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path / "file").once(Square(3), Square(3).make)
