import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import splits


def table(speakers):
    return pd.DataFrame({"speaker": [f"s{s}" for s in speakers]})


def parts_of(split):
    return [set(rows) for rows in split]


@given(clips=st.integers(10, 200), seed=st.integers(0, 2**32 - 1))
def test_a_random_split_holds_each_clip_once(clips, seed):
    split = splits.random_split(table([0] * clips), seed=seed)
    assert sorted(np.concatenate(split)) == list(range(clips))
    assert len(split.test) == int(np.ceil(0.2 * clips))


@given(st.lists(st.integers(0, 30), min_size=30, max_size=150), st.integers(0, 2**32 - 1))
def test_a_speaker_split_holds_each_clip_once_and_each_speaker_on_one_side(speakers, seed):
    clips = table(speakers)
    if clips["speaker"].nunique() < 5:
        return
    split = splits.speaker_split(clips, seed=seed)
    assert sorted(np.concatenate(split)) == list(range(len(clips)))
    heard = [set(clips["speaker"].iloc[rows]) for rows in split]
    assert not (heard[0] & heard[1] or heard[0] & heard[2] or heard[1] & heard[2])


@pytest.mark.parametrize("by", ["speaker", "clip"])
def test_folds_test_each_clip_once(by):
    clips = table(np.repeat(range(10), 7))
    found = splits.folds(clips, 5, by=by, seed=0)
    assert sorted(np.concatenate([split.test for split in found])) == list(range(70))
    for split in found:
        assert sorted(np.concatenate(split)) == list(range(70))
        if by == "speaker":
            outside = set(clips["speaker"].iloc[np.r_[split.train, split.validation]])
            assert not outside & set(clips["speaker"].iloc[split.test])


@pytest.mark.parametrize("split", [splits.random_split, splits.speaker_split])
def test_the_seed_decides_the_split(split):
    clips = table(np.repeat(range(20), 5))
    same = [split(clips, seed=3), split(clips, seed=3)]
    assert all(np.array_equal(a, b) for a, b in zip(*same, strict=True))
    assert not np.array_equal(split(clips, seed=4).test, same[0].test)


def test_the_summary_counts_the_speakers_that_were_heard_in_training():
    clips = table([0, 0, 1, 1, 2, 2, 3])
    split = splits.Split(np.array([0, 2, 3]), np.array([1]), np.array([4, 5, 6]))
    assert splits.summary(clips, split).to_dict("index") == {
        "train": {"clips": 3, "speakers": 2, "heard in training": 2},
        "validation": {"clips": 1, "speakers": 1, "heard in training": 1},
        "test": {"clips": 3, "speakers": 2, "heard in training": 0},
    }


def test_unknown_speakers_cannot_be_split_and_the_error_says_what_to_do():
    clips = pd.DataFrame({"speaker": ["a", None, "b"]})
    with pytest.raises(ValueError, match="1 of 3 clips have no speaker.*or split by clip"):
        splits.speaker_split(clips, seed=0)


def test_the_strictest_split_is_by_speaker_only_where_every_speaker_is_known():
    known = table(range(20))
    some = known.assign(speaker=known["speaker"].mask(known.index == 3))
    for clips, split in ((known, splits.speaker_split), (some, splits.random_split)):
        found, expected = splits.strictest_split(clips, seed=4), split(clips, seed=4)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert not np.array_equal(
        splits.strictest_split(known, seed=4).test, splits.strictest_split(some, seed=4).test
    )
