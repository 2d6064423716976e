import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import features, plots
from tests.conftest import stored_of, voice

MEL = features.MelSettings()
VOICE = voice(1.0, rate=8000)


def stored(html):
    """The sounds in some HTML."""
    found = re.findall(r'src="data:audio/[-\w]+;base64,([^"]+)"', html)
    return [base64.b64decode(each) for each in found]


def test_players_stand_in_rows_each_with_its_rating_its_prediction_and_its_sound(tmp_path):
    paths = [tmp_path / f"{place}.wav" for place in range(10)]
    for place, path in enumerate(paths):
        soundfile.write(path, voice(0.1, pitch=100 + 10 * place), 16000)
    clips = pd.DataFrame({"path": paths, "valence": 2.0, "prediction": np.arange(10) / 4})
    shown = plots.players(clips).data
    assert stored(shown) == [path.read_bytes() for path in paths]
    assert "1. true: 2.00, pred: 0.00" in shown and "10. true: 2.00, pred: 2.25" in shown
    assert "repeat(5, 1fr)" in shown


@pytest.mark.parametrize("suffix", ["au", "AIFF"])
def test_what_browsers_do_not_play_is_stored_as_wav(tmp_path, suffix):
    path = tmp_path / f"part.{suffix}"
    soundfile.write(path, np.stack([VOICE, VOICE], axis=1), 8000, format=suffix, subtype="PCM_16")
    clips = pd.DataFrame({"path": [str(path)], "valence": 2.0, "prediction": 3.0})
    shown = plots.players(clips).data
    assert 'type="audio/wav"' in shown and "basic" not in shown and "aiff" not in shown
    decoded, rate = soundfile.read(io.BytesIO(stored(shown)[0]))
    assert rate == 8000
    np.testing.assert_allclose(decoded, VOICE / np.abs(VOICE).max(), atol=1e-3)


def test_sounds_have_their_name_their_rate_and_one_peak():
    shown = plots.sounds({"loud": (VOICE, 8000), "quiet": (0.01 * VOICE, 8000)}).data
    decoded = [soundfile.read(io.BytesIO(each)) for each in stored(shown)]
    assert [rate for _, rate in decoded] == [8000, 8000]
    assert np.allclose(*[y for y, _ in decoded], atol=0.01)
    assert ["loud" in shown, "quiet" in shown, "repeat(2, 1fr)" in shown] == [True] * 3


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000, 12345])
def test_a_sound_of_any_rate_and_of_two_channels_keeps_both(rate):
    y = np.stack([voice(0.5, rate), np.zeros(rate // 2)], axis=1)
    shown = plots.sounds({"stereo": (y, rate)}).data
    decoded, decoded_rate = soundfile.read(io.BytesIO(stored(shown)[0]))
    assert decoded_rate == rate and decoded.shape[1] == 2


@pytest.fixture
def sliders():
    return plots.MelSliders(VOICE, MEL)


def test_sliders_change_the_picture_and_the_sound(sliders):
    before = sliders.result.value
    sliders.bands.value = 16
    fewer = sliders.result.value
    sliders.window.value = 512
    assert "window of 512 samples and 16 bands" in sliders.result.value
    sounds = [stored(each)[0] for each in (before, fewer, sliders.result.value)]
    assert len(set(sounds)) == 3


def test_what_is_stored_of_sliders_needs_no_kernel(sliders, monkeypatch):
    still = stored_of(sliders, monkeypatch)
    assert sliders.result.value in still.data and "2048 samples, 128 mel bands" in still.data
