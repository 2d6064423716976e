import re

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


def test_a_fifth_is_held_out_and_a_fifth_of_the_rest_is_for_validation():
    clips = table(np.repeat(range(20), 5))
    assert [len(rows) for rows in splits.random_split(clips, seed=0)] == [64, 16, 20]
    assert [len(rows) for rows in splits.speaker_split(clips, seed=0)] == [60, 20, 20]


@given(st.lists(st.integers(0, 30), min_size=30, max_size=150), st.integers(0, 2**32 - 1))
def test_a_speaker_split_holds_each_clip_once_and_each_speaker_on_one_side(speakers, seed):
    clips = table(speakers)
    if clips["speaker"].nunique() < 3:
        return
    split = splits.speaker_split(clips, seed=seed)
    assert sorted(np.concatenate(split)) == list(range(len(clips)))
    heard = [set(clips["speaker"].iloc[rows]) for rows in split]
    assert not (heard[0] & heard[1] or heard[0] & heard[2] or heard[1] & heard[2])


@pytest.mark.parametrize("by", ["speaker", "clip"])
def test_folds_test_each_clip_once(by):
    clips = table(np.repeat(range(12), 7))
    found = splits.folds(clips, 6, by=by, seed=0)
    assert len(found) == 6
    assert sorted(np.concatenate([split.test for split in found])) == list(range(84))
    for split in found:
        assert sorted(np.concatenate(split)) == list(range(84))
        assert len(split.validation) == 14  # two speakers, or a fifth of 70 clips
        if by == "speaker":
            heard = [set(clips["speaker"].iloc[rows]) for rows in split]
            assert sum(map(len, heard)) == 12


def test_folds_do_not_all_validate_on_the_same_few_speakers():
    clips = table(np.repeat(range(24), 2))
    found = splits.folds(clips, 6, seed=0)
    times = pd.Series([s for split in found for s in clips["speaker"][split.validation].unique()])
    assert times.nunique() >= 15 and times.value_counts().max() <= 3


def test_folds_are_by_speaker_unless_said_and_the_seed_decides_them():
    clips = table(np.repeat(range(12), 7))
    found = splits.folds(clips, 4, seed=1)
    for same, split in zip(splits.folds(clips, 4, by="speaker", seed=1), found, strict=True):
        assert all(map(np.array_equal, same, split))
    for by in ("speaker", "clip"):
        one, same, other = (splits.folds(clips, 4, by=by, seed=seed)[0] for seed in (1, 1, 2))
        assert all(map(np.array_equal, one, same))
        assert not np.array_equal(one.test, other.test)


def test_folds_by_clip_need_no_speakers():
    unknown = table(range(10)).assign(speaker=None)
    assert len(splits.folds(unknown, 5, by="clip", seed=0)) == 5
    with pytest.raises(ValueError, match="have no speaker"):
        splits.folds(unknown, 5, seed=0)


def test_folds_by_sentence_test_words_that_were_not_trained_on():
    clips = table(np.repeat(range(6), 8)).assign(sentence=np.tile(list("abcd"), 12))
    for split in splits.folds(clips, 4, by="sentence", seed=0):
        said = [set(clips["sentence"].iloc[rows]) for rows in split]
        assert len(said[2]) == 1 and sum(map(len, said)) == 4
        assert clips["speaker"].iloc[split.test].nunique() == 6  # of voices that are known
    for unknown, count in (
        (clips.drop(columns="sentence"), 48),
        (clips.assign(sentence=clips["sentence"].where(clips.index > 1)), 2),
    ):
        with pytest.raises(
            splits.SplitError, match=f"^{count} of 48 clips have no sentence, .* add"
        ):
            splits.folds(unknown, 4, by="sentence", seed=0)


def test_folds_can_be_made_of_two_speakers_with_a_validation_part_by_clip():
    clips = table(np.repeat([0, 1], 10))
    found = splits.folds(clips, 2, seed=0)
    for split in found:
        assert clips["speaker"].iloc[split.test].nunique() == 1 and len(split.test) == 10
        assert sorted(np.concatenate(split)) == list(range(20)) and len(split.validation) == 2
    with pytest.raises(ValueError, match="^Folds by speaker cannot be made of a single speaker"):
        splits.folds(table([0] * 10), 2, seed=0)


@pytest.mark.parametrize(
    ("clips", "k", "by", "expected", "notes"),
    [
        (table(range(6)), 6, None, (6, "speaker"), []),
        (table([0, 0, 1, 1]), 6, None, (2, "speaker"), ["2 folds and not 6: .* has 2 speakers"]),
        (table([0, 0, 1, 1]), 6, "clip", (4, "clip"), ["4 folds and not 6: .* has 4 clips"]),
        (table([0] * 8), 6, None, (6, "clip"), ["by clip.*: all clips have the same speaker"]),
        (table([0] * 8), 6, "speaker", (6, "speaker"), []),  # which `folds` refuses
        (table([0, 1]), 1, None, (1, "speaker"), []),  # this, too
        (
            pd.DataFrame({"speaker": ["a", None, "b"]}),
            6,
            None,
            (3, "clip"),
            ["by clip.*: 1 of 3 clips have no speaker", "3 folds and not 6"],
        ),
        (
            pd.DataFrame({"speaker": ["a", "b"], "split": ["train", "test"]}),
            2,
            None,
            (2, "speaker"),
            ["official split is not used"],
        ),
    ],
)
def test_the_folds_that_a_corpus_allows(clips, k, by, expected, notes):
    *found, said = splits.possible_folds(clips, k, by=by)
    assert tuple(found) == expected and len(said) == len(notes)
    for sentence, pattern in zip(said, notes, strict=True):
        assert re.search(pattern, sentence)


def test_a_validation_part_is_by_speaker_as_long_as_two_are_left():
    clips = table(np.repeat([0, 1, 2], 10))
    for split in splits.folds(clips, 3, seed=0):
        assert [clips["speaker"].iloc[part].nunique() for part in split] == [1, 1, 1]


def test_too_many_folds_are_refused_with_the_most_there_can_be():
    with pytest.raises(ValueError, match="^7 folds by speaker cannot be made of 3: choose 2 to 3"):
        splits.folds(table([0, 1, 2]), 7, seed=0)
    clips = pd.DataFrame({"speaker": "a", "corpus": ["x", "y"]})
    assert splits.possible_folds(clips, 6, by="corpus")[2] == [
        "There are 2 folds and not 6: the corpus has 2 corpora."
    ]


def test_folds_by_speaker_that_were_asked_for_need_speakers():
    with pytest.raises(ValueError, match="have no speaker"):
        splits.possible_folds(pd.DataFrame({"speaker": ["a", None]}), 2, by="speaker")


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
        "train": {"clips": 3, "speakers": 2, "also in training": 2},
        "validation": {"clips": 1, "speakers": 1, "also in training": 1},
        "test": {"clips": 3, "speakers": 2, "also in training": 0},
    }


def test_what_is_unknown_of_speakers_the_summary_says():
    clips = table([0, 0, 1, 1, 2]).assign(speaker=["a", "b", "a", None, "c"])
    known, unknown, other = np.array([0, 1]), np.array([2, 3]), np.array([4])
    found = splits.summary(clips, splits.Split(known, unknown, other))
    assert found["speakers"].tolist() == [2, "unknown", 1]
    assert found["also in training"].tolist() == [2, "unknown", 0]
    found = splits.summary(clips, splits.Split(unknown, known, other))
    assert found["also in training"].tolist() == ["unknown"] * 3


def test_unknown_speakers_cannot_be_split_and_the_error_says_what_to_do():
    clips = pd.DataFrame({"speaker": ["a", None, "b"]})
    sentence = (
        "^1 of 3 clips have no speaker, so they cannot be split by speaker: add a column of "
        "speakers to the labels, or split by clip.$"
    )
    with pytest.raises(ValueError, match=sentence):
        splits.speaker_split(clips, seed=0)


PARTS = st.sampled_from(["train", "validation", "test", None])


def official(parts, speakers=None):
    names = parts if speakers is None else speakers
    return pd.DataFrame({"split": parts, "speaker": names}).astype(object)


@given(st.lists(PARTS, min_size=3, max_size=60), st.integers(0, 2**32 - 1))
def test_the_official_split_is_the_authors(parts, seed):
    clips = official(parts)
    if not {"train", "validation", "test"} <= set(parts):
        return
    split = splits.official_split(clips, seed=seed)
    for name, rows in split._asdict().items():
        assert rows.tolist() == [i for i, part in enumerate(parts) if part == name]


@pytest.mark.parametrize(
    ("speakers", "by_speaker"),
    [
        (["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"], True),
        (["a", "a", "b", "b", "c", "c", "d", "d", "e", None], False),
        (["a"] * 10, False),  # who alone cannot be on one side
    ],
)
def test_a_missing_validation_part_is_taken_from_the_authors_training_part(speakers, by_speaker):
    clips = official(["train"] * 10 + ["test"] * 2, [*speakers, None, "a"])
    split = splits.official_split(clips, seed=1)
    assert split.test.tolist() == [10, 11]
    assert sorted([*split.train, *split.validation]) == list(range(10))
    assert len(split.validation) == 2
    if by_speaker:
        assert not set(clips["speaker"][split.train]) & set(clips["speaker"][split.validation])


def test_two_speakers_are_enough_to_keep_them_apart():
    clips = official(["train"] * 10 + ["test"], [*"aaaaabbbbb", "c"])
    train, validation, _ = splits.official_split(clips, seed=1)
    assert set(clips["speaker"][train]) != set(clips["speaker"][validation])
    assert len(train) == len(validation) == 5


@pytest.mark.parametrize(
    ("clips", "sentence"),
    [
        (
            table([1, 2, 3]),
            "^The corpus has no official split: split it by speaker or by clip.$",
        ),
        (
            official(["train", "validation"]),
            "^The official split has 1 clips for training and 0 for testing and needs both: split "
            "by speaker or by clip.$",
        ),
        (official(["test", "test", None]), "0 clips for training and 2 for testing"),
    ],
)
def test_half_an_official_split_is_none_and_the_error_says_what_to_do(clips, sentence):
    with pytest.raises(ValueError, match=sentence):
        splits.official_split(clips, seed=0)


@pytest.mark.parametrize(
    ("clips", "names"),
    [
        (official(["train", "test"] * 5, list("abcdefghij")), ["official", "speaker", "clip"]),
        (official(["train", "test"] * 5, [None] * 10), ["official", "clip"]),
        (official(["train", None] * 5, list("abcdefghij")), ["speaker", "clip"]),
        (table(range(3)), ["speaker", "clip"]),
        (table([0, 1] * 5), ["clip"]),
    ],
)
def test_all_splits_that_a_corpus_allows_are_available(clips, names):
    found = splits.available(clips, seed=5)
    assert list(found) == names
    for name, split in found.items():
        way = {"clip": splits.random_split, "speaker": splits.speaker_split,
               "official": splits.official_split}[name]  # fmt: skip
        assert all(map(np.array_equal, split, way(clips, seed=5)))


@pytest.mark.parametrize(
    ("split", "clips", "sentence"),
    [
        (splits.random_split, table([1, 2]), "too few clips for three parts"),
        (splits.speaker_split, table([1, 2, 2]), "too few speakers for three parts"),
    ],
)
def test_too_few_for_three_parts_is_one_sentence(split, clips, sentence):
    with pytest.raises(ValueError, match=sentence):
        split(clips, seed=0)


def test_the_main_split_is_by_speaker_only_where_every_speaker_is_known():
    known = table(range(20))
    some = known.assign(speaker=known["speaker"].mask(known.index == 3))
    for clips, split in ((known, splits.speaker_split), (some, splits.random_split)):
        found, expected = splits.main_split(clips, seed=4), split(clips, seed=4)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_folds_within_some_clips_leave_the_others_alone():
    table = pd.DataFrame({"speaker": [f"s{i % 5}" for i in range(30)]})
    rows = np.flatnonzero(table["speaker"] != "s0")
    parts = splits.folds_within(table, rows, 6, seed=0)
    assert len(parts) == 4  # a fold for each speaker
    assert sorted(np.concatenate([part.test for part in parts])) == rows.tolist()
    for part in parts:
        heard = set(table["speaker"].iloc[np.union1d(part.train, part.validation)])
        assert heard.isdisjoint(table["speaker"].iloc[part.test]) and "s0" not in heard
    again = splits.folds_within(table, rows, 6, seed=0)
    assert all(
        np.array_equal(*tests)
        for tests in zip(*([p.test for p in each] for each in (parts, again)), strict=True)
    )
    said = table.assign(sentence=[f"{i % 3}" for i in range(30)])
    for part in splits.folds_within(said, rows, 3, by="sentence", seed=0):
        assert said["sentence"].iloc[part.test].nunique() == 1
