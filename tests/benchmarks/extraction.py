"""Features of the demo corpus, against librosa in a plain loop, and against decoding alone.

As it is, in FLAC, where decoding takes most of the time, and as WAV.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import tempfile
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import soundfile

from helpers import audio, corpora, features
from tests.benchmarks.measuring import Row, in_turns

CLIPS = 120  # of the demo corpus
REPEATS = 20  # of each: enough for processes to be worth starting
LOOP = "librosa in a plain loop"


def by_librosa(path: str, mel: features.MelSettings, duration: float) -> np.ndarray:
    """`features.clip_features` as one would write it with librosa."""
    y, _ = librosa.load(path, sr=mel.sample_rate)
    y = librosa.util.fix_length((y - y.mean()) / y.std(), size=int(duration * mel.sample_rate))
    power = librosa.feature.melspectrogram(
        y=y,
        sr=mel.sample_rate,
        n_fft=mel.n_fft,
        hop_length=mel.hop_length,
        n_mels=mel.n_mels,
    )
    return librosa.power_to_db(power)


def measure() -> list[Row]:
    """Clips a second, from files to the memory-mapped features."""
    demo = corpora.load()
    clips = demo.clips.iloc[:CLIPS]
    with tempfile.TemporaryDirectory() as folder:
        paths = [_as_wav(path, Path(folder)) for path in clips["path"]]
        content = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
        wav = clips.assign(path=paths, sha256=content)
        return _rows("FLAC", dataclasses.replace(demo, clips=clips)) + _rows(
            "WAV", dataclasses.replace(demo, clips=wav)
        )


def _as_wav(path: str, folder: Path) -> str:
    y, rate = soundfile.read(path)
    target = folder / f"{Path(path).stem}.wav"
    soundfile.write(target, y, rate)
    return str(target)


def _rows(kind: str, corpus: corpora.Corpus) -> list[Row]:
    mel, duration = features.MelSettings(), features.input_duration(corpus)
    paths = corpus.clips["path"].tolist()
    many = dataclasses.replace(corpus, clips=pd.concat([corpus.clips] * REPEATS))

    def extract(jobs: int) -> None:
        with tempfile.TemporaryDirectory() as empty, _output_in(empty):
            features.extract(many, mel, duration=duration, jobs=jobs)

    seconds = in_turns(
        {
            LOOP: lambda: [by_librosa(path, mel, duration) for path in paths],
            "1 job": lambda: extract(1),
            "2 jobs": lambda: extract(2),
            "decoding and resampling alone": lambda: [
                audio.read(path, mel.sample_rate) for path in paths
            ],
        },
        rounds=5,
    )
    rate = {name: CLIPS / time for name, time in seconds.items()}
    rate["1 job"], rate["2 jobs"] = REPEATS * rate["1 job"], REPEATS * rate["2 jobs"]
    loop = rate.pop(LOOP)
    return [
        Row(f"extraction from {kind}, {name}", each, "clips/s", LOOP, loop)
        for name, each in rate.items()
    ]


@contextlib.contextmanager
def _output_in(folder: str):
    """Keep the cache in another folder for a while."""
    kept = os.environ.get("VALENCE_OUTPUT")
    os.environ["VALENCE_OUTPUT"] = folder
    try:
        yield
    finally:
        os.environ.pop("VALENCE_OUTPUT")
        if kept is not None:
            os.environ["VALENCE_OUTPUT"] = kept
