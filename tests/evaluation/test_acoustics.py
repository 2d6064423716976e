import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import audio, evaluation
from helpers.features import MelSettings
from tests.conftest import voice

MEL = MelSettings()
TIME = np.arange(4 * MEL.sample_rate) / MEL.sample_rate


def tones(**powers):
    """A sum of sines, each of a given power, named by its frequency: f500=0.01."""
    waves = [np.sqrt(2 * p) * np.sin(2 * np.pi * int(f[1:]) * TIME) for f, p in powers.items()]
    return np.sum(waves, axis=0)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.8, 1.0])
def test_the_share_of_power_below_the_border_is_that_of_the_tones_there(share):
    y = tones(f500=0.01 * share, f2000=0.01 * (1 - share))
    assert evaluation.describe(y, MEL)["low share"] == pytest.approx(share, abs=0.001)


def test_two_equal_tones_spread_by_half_their_distance():
    found = evaluation.describe(tones(f500=0.01, f2500=0.01), MEL)
    assert found["spread"] == pytest.approx(1000, rel=0.001)


def test_the_level_is_the_root_mean_square_in_decibels_and_knows_no_offset():
    y = tones(f500=0.01)
    assert evaluation.describe(y, MEL)["level"] == pytest.approx(-20, abs=0.01)
    assert evaluation.describe(y + 0.3, MEL)["level"] == pytest.approx(-20, abs=0.01)
    louder, softer = (evaluation.describe(gain * y, MEL) for gain in (2, 0.5))
    assert louder["level"] - softer["level"] == pytest.approx(20 * np.log10(4))
    assert louder["spread"] == pytest.approx(softer["spread"])


def test_a_table_says_what_one_duration_did_to_each_clip(tmp_path):
    paths = [tmp_path / f"{seconds}.wav" for seconds in (1, 2, 4)]
    for path, seconds in zip(paths, (1, 2, 4), strict=True):
        soundfile.write(path, voice(seconds), 16000)
    clips = pd.DataFrame({"path": paths, "duration": [1.0, 2.0, 4.0]}, index=[7, 3, 5])
    table = evaluation.acoustic_facts(clips, MEL, duration=2)
    assert table["duration"].tolist() == [1, 2, 4]
    heard = evaluation.describe(audio.read(paths[1], MEL.sample_rate)[0], MEL)  # not at 16 kHz
    assert table.loc[3, list(heard)].to_dict() == pytest.approx(heard)
    assert table.index.tolist() == [7, 3, 5]
    assert table["padding"].tolist() == [0.5, 0, 0] and table["cut"].tolist() == [0, 0, 1]
    assert table["low share"].between(0.5, 1).all()  # harmonics that fall by 6 dB an octave
