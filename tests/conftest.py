"""Sound made in the test, and small corpora of it."""

import functools
import itertools
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

#: Why a file of text has no valence.
NO_AUDIO = (
    "is not readable audio"
    if shutil.which("ffmpeg")
    else "is in no format that is read without FFmpeg"
)


def voice(seconds: float, rate: int = 16000, pitch: float = 120.0, seed: int = 0) -> np.ndarray:
    """A buzz with vibrato and breath: harmonics that fall by 6 dB an octave, and some noise."""
    return _voice(seconds, rate, pitch, seed).copy()


@functools.lru_cache(256)
def _voice(seconds: float, rate: int, pitch: float, seed: int) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.03 * np.sin(2 * np.pi * 5 * time))) / rate
    harmonics = range(1, int(rate / 2 / pitch / 1.1))
    buzz = sum(np.sin(k * phase) / k for k in harmonics)
    return 0.1 * buzz + 0.002 * np.random.default_rng(seed).normal(size=len(time))


def write_corpus(folder, clips: int = 12, speakers: int = 4, seconds: float = 1.0) -> pd.DataFrame:
    """A folder with `clips` voices, higher in pitch where the rating is higher; its labels."""
    (folder / "audio").mkdir(parents=True)
    rows = []
    for i, speaker in zip(range(clips), itertools.cycle(range(speakers)), strict=False):
        valence = 1 + 4 * i / max(clips - 1, 1)
        y = voice(seconds * (0.8 + 0.4 * (i % 3) / 2), pitch=90 + 40 * valence, seed=i)
        soundfile.write(folder / "audio" / f"clip{i:02d}.wav", y, 16000)
        rows.append({"file": f"clip{i:02d}.wav", "valence": valence, "speaker": f"s{speaker}"})
    labels = pd.DataFrame(rows)
    labels.to_csv(folder / "labels.csv", index=False)
    return labels


def stored_of(widget, monkeypatch):
    """What a notebook stores of a widget; beside it, who runs the notebook sees a living one."""
    shown = []
    monkeypatch.setattr("helpers.plots.playback.display", lambda what, **how: shown.append(what))
    for disabled in ("1", ""):
        monkeypatch.setenv("TQDM_DISABLE", disabled)
        widget._ipython_display_()
    still, again, living = shown
    assert still.data == again.data
    assert list(living) == ["application/vnd.jupyter.widget-view+json"]
    assert living.popitem()[1]["model_id"] == widget.box.model_id
    return still


@pytest.fixture
def corpus_folder(tmp_path, output):
    folder = tmp_path / "my corpus"
    write_corpus(folder)
    return folder
