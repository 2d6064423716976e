import threading

import numpy as np
import pytest

from helpers.training import batches


def test_the_next_item_is_read_while_one_is_used():
    read = [threading.Event() for _ in range(3)]

    def reading(number):
        read[number].set()
        return 10 * number

    found = []
    for item in batches.prefetch(reading, range(3)):
        found.append(item)
        assert read[min(len(found), 2)].wait(timeout=10)
    assert found == [0, 10, 20]


def test_an_error_while_reading_arrives_where_the_item_is_used():
    items = batches.prefetch(lambda number: 1 / number, [1, 0])
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_the_frames_of_a_clip_end_where_its_padding_begins_and_are_rounded_up():
    clips = np.random.default_rng(0).uniform(-60, 0, (4, 3, 100)).astype("float32")
    for clip, length in zip(clips, (100, 64, 65, 1), strict=True):
        clip[:, length:] = -80
    assert batches.FRAMES == 32
    assert batches.sounding_frames(clips, np.array([1, 2, 3])).tolist() == [0, 64, 96, 32]
