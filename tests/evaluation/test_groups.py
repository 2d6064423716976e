"""Scores of groups of voices."""

import numpy as np
import pandas as pd
import pytest

from helpers import evaluation

RANDOM = np.random.default_rng(0)
SPEAKERS = np.repeat(["a", "b", "c", "d", "e"], 4)
CLIPS = pd.DataFrame(
    {
        "speaker": SPEAKERS,
        "valence": np.tile([1.0, 2, 4, 5], 5),
        "gender": np.repeat(["female", "male", None], [8, 8, 4]),
        "language": np.tile(["DK", "EN"], 10),
        "accent": "none",
    }
)
PREDICTION = CLIPS["valence"].to_numpy() + RANDOM.normal(0, 0.5, (2, 20))
ERROR = np.abs(PREDICTION - CLIPS["valence"].to_numpy()).mean(axis=0)


def test_each_group_has_its_scores_and_the_number_of_its_speakers():
    table = evaluation.by_group(CLIPS, PREDICTION)
    assert table.index.tolist() == [
        ("gender", "female"), ("gender", "male"), ("language", "DK"), ("language", "EN")
    ]  # fmt: skip
    assert table["size", "clips"].tolist() == [8, 8, 10, 10]
    assert table["size", "speakers"].tolist() == [2, 2, 5, 5]
    men = slice(8, 16)
    assert table.loc[("gender", "male"), ("mae", "value")] == pytest.approx(ERROR[men].mean())
    expected = evaluation.compare(
        CLIPS["valence"][men], {"m": PREDICTION[:, men]}, groups=SPEAKERS[men]
    ).loc["m"]
    for score in ("mae", "ccc"):
        assert table.loc[("gender", "male"), score].equals(expected[score])


def test_a_difference_is_that_to_the_other_groups_with_the_same_speakers_drawn_for_both():
    found = evaluation.by_group(CLIPS, PREDICTION)["mae difference"]
    women, men = ERROR[:8], ERROR[8:16]
    assert found.loc[("gender", "female"), "value"] == pytest.approx(women.mean() - men.mean())
    assert found.loc["gender"].iloc[0].to_numpy() == pytest.approx(
        -found.loc["gender"].iloc[1, [0, 2, 1]].to_numpy()
    )
    # Each speaker says as much in both languages, with an error that is larger by 1 in one.
    paired = np.where(CLIPS["language"] == "EN", 1.5, 0.5) * np.repeat([1, 1, 1, 1, 1.0], 4)
    table = evaluation.by_group(CLIPS, CLIPS["valence"].to_numpy() + paired)
    assert table.loc[("language", "EN"), "mae difference"].tolist() == pytest.approx([1, 1, 1])


def test_the_interval_of_a_difference_draws_speakers_and_is_the_same_each_time():
    speakers = np.repeat([f"s{number}" for number in range(6)], 40)
    clips = pd.DataFrame(
        {"speaker": speakers, "valence": 3.0, "language": np.tile(["DK", "EN"], 120)}
    )
    # Half of the speakers have an error of 1 in one language; no other clip has one.
    error = np.where((clips["language"] == "EN") & (speakers < "s3"), 1.0, 0.0)
    table = evaluation.by_group(clips, 3 + error)
    assert table.index.names == ["column", "group"]
    found = table.loc[("language", "EN"), "mae difference"]
    assert found["value"] == 0.5 and found["low"] < 0.2 and found["high"] > 0.8
    each = CLIPS.assign(speaker=[f"s{number}" for number in range(len(CLIPS))])
    first, again, other = (evaluation.by_group(each, PREDICTION, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again) and not first.equals(other)
    assert first.equals(evaluation.by_group(each, PREDICTION))


def test_one_speaker_alone_has_no_intervals():
    alone = CLIPS.assign(gender=np.repeat(["female", "male"], [4, 16]))
    table = evaluation.by_group(alone, PREDICTION).loc["gender"]
    assert table.loc["female", [("mae", "low"), ("mae difference", "low")]].isna().all()
    assert pd.isna(table.loc["male", ("mae difference", "high")])
    assert table.loc["male", ("mae", "low")] < table.loc["male", ("mae", "value")]


def test_clips_are_drawn_where_a_speaker_is_unknown():
    unknown = CLIPS.assign(speaker=None)
    table = evaluation.by_group(unknown, PREDICTION[0])
    assert (table["size", "speakers"] == 0).all()
    known = evaluation.by_group(CLIPS, PREDICTION[0])
    assert table["mae", "value"].equals(known["mae", "value"])
    assert not table["mae", "low"].equals(known["mae", "low"])


def test_where_no_column_makes_groups_there_is_no_table():
    assert evaluation.by_group(CLIPS[["speaker", "valence", "accent"]], PREDICTION).empty
