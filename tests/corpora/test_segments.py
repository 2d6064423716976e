"""Rated parts of long recordings."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from helpers import corpora
from tests.conftest import NO_AUDIO, voice, write_corpus
from tests.corpora.conftest import reasons, relabelled


@pytest.mark.parametrize("form", ["{:g}", "0 days 00:00:{:09.6f}"])
def test_each_rated_part_of_a_recording_is_a_clip(tmp_path, output, form):
    (tmp_path / "c").mkdir()
    sound = np.concatenate([voice(1, seed=n, pitch=100 + 40 * n) for n in range(4)])
    soundfile.write(tmp_path / "c" / "long.wav", sound, 16000)
    soundfile.write(tmp_path / "c" / "cut.wav", voice(1, seed=9), 16000)
    parts = [("long.wav", 0, 1, 1), ("long.wav", 1, 2.5, 5), ("long.wav", 2.5, None, 3)]
    parts += [("long.wav", 3, 9, 2), ("cut.wav", 40, 41, 4), ("cut.wav", 0, None, 4)]
    rows = [
        (name, form.format(start), "NaT" if end is None else form.format(end), rating)
        for name, start, end, rating in parts
    ]
    table = pd.DataFrame(rows, columns=["file", "start", "end", "valence"])
    table.to_csv(tmp_path / "c" / "labels.csv", index=False)
    corpus = corpora.load(tmp_path / "c")
    assert np.allclose(corpus.clips["duration"], [1, 1.5, 1.5, 1])
    assert corpus.clips["valence"].tolist() == [1, 5, 3, 4]
    y, _ = soundfile.read(corpus.clips["path"][1])
    assert np.allclose(y, sound[16000:40000], atol=1e-4)
    assert corpus.rejected["reason"].tolist() == [
        "3 to 9 s are not in the recording of 4.0 s",
        "is listed more than once",
    ]
    assert corpora.load(tmp_path / "c").clips.equals(corpus.clips)


def test_parts_of_a_recording_that_cannot_be_read_are_rejected(tmp_path, output):
    write_corpus(tmp_path / "c", clips=3)
    (tmp_path / "c" / "audio" / "clip01.wav").write_bytes(b"RIFF")
    relabelled(tmp_path / "c", start=0.1, end=0.5)
    corpus = corpora.load(tmp_path / "c")
    assert len(corpus.clips) == 2
    assert reasons(corpus)["clip01.wav"].startswith(NO_AUDIO)
