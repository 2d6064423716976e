"""Groups of voices in one corpus."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import comparison, corpora
from tests.conftest import voice, write_corpus

PITCHES = {"anna": 210.0, "ben": 105.0, "cem": 130.0, "dora": 180.0, "eva": 240.0}


def write_voices(folder, pitches):
    """Three clips of each speaker at a pitch of their own."""
    (folder / "audio").mkdir(parents=True)
    rows = []
    for number, (speaker, pitch) in enumerate(pitches.items()):
        for clip in range(3):
            name = f"{speaker}{clip}.wav"
            y = voice(
                1 + 0.2 * clip, pitch=pitch * (1 + 0.02 * (clip - 1)), seed=10 * number + clip
            )
            soundfile.write(folder / "audio" / name, y, 16000)
            rows.append({"file": name, "valence": 1 + 2 * clip, "speaker": speaker})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return corpora.load(folder)


@pytest.fixture
def voices(tmp_path, output):
    return write_voices(tmp_path / "speech", PITCHES)


def test_the_median_pitch_of_a_speaker_is_that_of_the_voice(voices):
    pitch = comparison.median_pitch(voices)
    assert pitch.index.tolist() == ["ben", "cem", "dora", "anna", "eva"]
    for speaker, expected in PITCHES.items():
        assert pitch[speaker] == pytest.approx(expected, rel=0.03)


def test_a_corpus_is_halved_by_the_pitch_of_its_speakers(voices):
    halves = comparison.groups_of_voices(voices)
    groups = halves.clips.groupby("corpus")["speaker"].unique().map(set).to_dict()
    assert groups == {"low voices": {"ben", "cem"}, "high voices": {"anna", "dora", "eva"}}
    assert halves.fingerprint == voices.fingerprint  # so that features and fits are the same
    table = comparison.voice_table(halves)
    assert table["corpus"].tolist() == ["low voices"] * 2 + ["high voices"] * 3
    assert table["pitch"].is_monotonic_increasing
    assert table["clips"].eq(3).all() and table["valence"].eq(3).all()


def test_each_half_is_predicted_by_the_other_one(voices):
    halves = comparison.groups_of_voices(voices)
    found = comparison.transfers(halves)
    median = {"median": comparison.named("median")}
    fits = comparison.fit_transfers(halves, median, found, folds=2, jobs=1)
    assert {(each.trained_on, each.tested_on) for each in found} == {
        ((trained,), tested)
        for trained in ("low voices", "high voices")
        for tested in ("low voices", "high voices")
    }
    tested = fits[comparison.Transfer(("low voices",), "high voices")]["median"]
    assert set(halves.clips["speaker"].iloc[tested.rows]) == {"anna", "dora", "eva"}


def test_several_corpora_are_groups_as_they_are(tmp_path, output):
    write_corpus(tmp_path / "a", clips=6, speakers=2)
    write_voices(tmp_path / "b", dict(list(PITCHES.items())[:3]))
    whole = corpora.load(f"{tmp_path / 'a'},{tmp_path / 'b'}")
    assert comparison.groups_of_voices(whole) is whole
    table = comparison.voice_table(whole)
    assert table["corpus"].value_counts().to_dict() == {"b": 3, "a": 2}
    alone = whole.clips["speaker"].str.startswith("b ")
    whole.clips.loc[alone, "speaker"] = "b anna"
    with pytest.raises(comparison.ComparisonError, match="b has a single speaker"):
        comparison.groups_of_voices(whole)


def test_too_few_or_unknown_speakers_are_one_sentence(voices, tmp_path):
    few = write_voices(tmp_path / "few", dict(list(PITCHES.items())[:3]))
    with pytest.raises(comparison.ComparisonError, match="few need at least 4 .* there are 3"):
        comparison.groups_of_voices(few)
    clips = voices.clips.assign(speaker=voices.clips["speaker"].where(voices.clips.index > 0))
    with pytest.raises(comparison.ComparisonError, match="1 of 15 clips of speech have no speaker"):
        comparison.groups_of_voices(dataclasses.replace(voices, clips=clips))


def test_a_speaker_without_a_voice_is_named(tmp_path, output):
    folder = tmp_path / "whispers"
    write_voices(folder, PITCHES)
    for number, path in enumerate(sorted((folder / "audio").glob("eva*.wav"))):
        noise = np.random.default_rng(number).normal(size=16000 + number)
        soundfile.write(path, 0.1 * noise, 16000)
    corpus = corpora.load(folder)
    pitch = comparison.median_pitch(corpus)
    assert pitch.index[-1] == "eva" and np.isnan(pitch["eva"])
    with pytest.raises(comparison.ComparisonError, match="No voice is found .* speaker eva of"):
        comparison.groups_of_voices(corpus)
