import numpy as np
import pytest

from helpers import audio, corpora, features, inference, models, splits, training
from helpers.inference import pauses
from tests.conftest import voice
from tests.inference.conftest import RATE


def words(seconds, level=-20.0):
    """A voice with a gap after each word, at a level in decibels below full scale."""
    y = voice(seconds) * (np.arange(round(seconds * RATE)) % (RATE // 2) < 0.4 * RATE)
    return (y / y.std() * 10 ** (level / 20)).astype(np.float32)


def noise(seconds, level):
    y = np.random.default_rng(0).normal(size=round(seconds * RATE))
    return (10 ** (level / 20) * y).astype(np.float32)


def spans(*parts):
    """Seconds of the stretches of speech in these parts in a row."""
    found = pauses.stretches(np.concatenate(parts), RATE)
    return [(start / RATE, end / RATE) for start, end in found]


@pytest.mark.parametrize("level", [-200, -75, -60, -50, -40, -30])
def test_a_recording_is_cut_at_a_pause(level):
    expected = [(0, 3.1), (4.9, 8)]
    for found, ends in zip(spans(words(3), noise(2, level), words(3)), expected, strict=True):
        assert found == pytest.approx(ends, abs=0.16)


@pytest.mark.parametrize("level", [-200, -60, -40])
def test_noise_before_the_first_word_and_after_the_last_is_cut_off(level):
    ((start, end),) = spans(noise(4, level), words(3), noise(2, level))
    assert start == pytest.approx(3.9, abs=0.11) and end == pytest.approx(7, abs=0.16)


@pytest.mark.parametrize("level", [-200, -60, -40])
def test_short_pauses_belong_to_the_speech(level):
    hush = noise(0.7, level)
    found = spans(hush, words(3), hush, words(3), hush)
    assert found == [(0, pytest.approx(8.1))]


@pytest.mark.parametrize("y", [voice(5), noise(5, -30), np.sin(np.arange(5 * RATE) / 20)])
def test_sound_that_does_not_change_has_no_pause(y):
    assert spans(y.astype(np.float32)) == [(0, 5)]


def test_soft_speech_beside_shouting_counts_and_what_is_far_below_does_not():
    assert spans(words(3, -10), words(3, -45)) == [(0, 6)]
    ((start, end),) = spans(words(3, -10), words(3, -65))
    assert start == 0 and end == pytest.approx(3.1, abs=0.16)


def test_a_click_does_not_hide_the_speech():
    click = np.zeros(round(0.01 * RATE), np.float32)
    click[::2] = 1
    assert spans(words(2, -30), click, words(2, -30)) == [(0, pytest.approx(4.01))]


def test_silence_has_no_speech():
    with pytest.raises(audio.UnusableError, match="is silent or constant"):
        pauses.stretches(np.full(5 * RATE, 0.5, np.float32), RATE)


# What they do to a prediction


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small network that has learnt the demo corpus, and clips of one voice, by valence."""
    folder = tmp_path_factory.mktemp("demo")
    corpus, mel = corpora.load(), models.RECOMMENDED_MEL
    duration = features.input_duration(corpus)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALENCE_OUTPUT", str(folder))
        matrix = features.extract(corpus, mel, duration=duration)
    network = models.clip_statistics(matrix.shape[1:], tracks=mel.rows - mel.n_mels)
    split = splits.speaker_split(corpus.clips, seed=0)
    recipe = {**models.RECOMMENDED_TRAINING, "epochs": 30}
    run = training.train(network, matrix, corpus.clips["valence"], split, **recipe)
    inference.save(run, folder / "demo.keras", corpus=corpus, mel=mel, duration=duration)
    clips = corpus.clips[corpus.clips["speaker"] == "s01"].sort_values("valence")
    return inference.load(folder / "demo.keras"), [audio.read(p)[0] for p in clips["path"]]


@pytest.mark.parametrize("level", [-70, -60, -50, -40])
@pytest.mark.parametrize("side", [slice(None, 6), slice(-6, None)])
def test_a_pause_as_long_as_the_speech_hardly_changes_the_valence(demo, side, level):
    model, clips = demo
    clips = clips[side]
    speech = np.concatenate(clips)
    pause = noise(len(speech) / RATE, level)
    pieces = zip(clips, np.array_split(pause, 6), strict=True)
    rows = [
        speech,
        np.concatenate([speech, pause]),
        np.concatenate([pause, speech]),
        np.concatenate([*clips[:3], pause, *clips[3:]]),
        np.concatenate([part for piece in pieces for part in piece]),
    ]
    table = inference.predict(model, [(y, RATE) for y in rows])
    assert table["valence"].sub(table["valence"][0]).abs().max() < 0.2
    seconds = len(speech) / RATE
    notes = [each.split("; ")[-1] for each in table["problem"]]
    assert "has speech" not in notes[0]
    for note in notes[1:]:
        found, whole = (float(word) for word in note.split() if word[0].isdigit())
        assert note == f"has speech in {found:.1f} of {whole:.1f} s"
        assert found == pytest.approx(seconds, abs=2) and whole == pytest.approx(
            2 * seconds, abs=0.05
        )


def test_a_long_stretch_counts_more_than_a_short_one(demo):
    model, clips = demo
    long, short = np.concatenate(clips[:6]), clips[-1]
    y = np.concatenate([long, np.zeros(4 * RATE, np.float32), short])
    curve = inference.curve(model, (y, RATE))
    second = curve["seconds"] > len(long) / RATE
    means = curve.groupby(second)["valence"].mean()
    expected = np.average(means, weights=[len(long), len(short)])
    found = inference.predict(model, (y, RATE))["valence"].item()
    assert found == pytest.approx(expected, abs=0.05)
    assert abs(found - means.mean()) > abs(found - expected)


def test_recordings_as_short_as_the_training_clips_keep_their_pauses(model):
    y = np.concatenate([voice(0.4), np.zeros(round(0.6 * RATE))])
    assert len(y) / RATE < model.card.longest
    assert "has speech" not in inference.predict(model, (y, RATE))["problem"].item()
