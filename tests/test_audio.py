"""The one reader of audio files; m4a needs FFmpeg, and its tests skip where that is not."""

import shutil
import struct
import subprocess

import audioread
import numpy as np
import pytest
import soundfile

from helpers import audio, checks, corpora, features
from tests.conftest import voice

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="FFmpeg is not installed")


def ffmpeg(source, target, *options):
    command = ["ffmpeg", "-v", "error", "-i", source, *options, target]
    subprocess.run(command, check=True)
    return target


def samples(path):
    with audio.opened(path) as clip:
        return np.concatenate(list(clip.blocks))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_are_what_soundfile_reads_at_once(tmp_path, suffix, channels, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 1000)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.tile(voice(0.5), (channels, 1)).T, 16000)
    with audio.opened(path) as clip:
        assert (clip.sample_rate, clip.channels, clip.frames) == (16000, channels, 8000)
        blocks = list(clip.blocks)
    assert max(block.size for block in blocks) <= 1000 and blocks[0].dtype == np.float32
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6 if suffix == "mp3" else 0)


def test_a_flac_that_does_not_say_how_long_it_is_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, voice(0.5), 16000)
    whole = samples(path)
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # the number of samples in STREAMINFO
    path.write_bytes(content)
    with audio.opened(path) as clip:
        assert clip.frames == 0 and not clip.exact
    assert np.array_equal(samples(path), whole)


@needs_ffmpeg
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_m4a_is_read_like_the_wav_that_it_was_made_of(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", np.tile(voice(1.5, rate), (channels, 1)).T, rate)
    path = ffmpeg(tmp_path / "a.wav", tmp_path / "a.m4a", "-b:a", "192k")
    with audio.opened(path) as clip:
        assert (clip.sample_rate, clip.channels) == (rate, channels)
        assert abs(clip.frames - 1.5 * rate) <= 0.1 * rate
    original = features.read_clip(tmp_path / "a.wav", 8000)
    found = features.read_clip(path, 8000)
    assert found.dtype == np.float32 and 0 <= len(found) - len(original) < 0.15 * 8000
    assert np.corrcoef(original, found[: len(original)])[0, 1] > 0.99


@needs_ffmpeg
def test_a_corpus_may_be_of_m4a(corpus_folder):
    for path in (corpus_folder / "audio").iterdir():
        ffmpeg(path, path.with_suffix(".m4a"))
        path.unlink()
    corpus = corpora.load(corpus_folder)
    assert len(corpus.clips) == 12 and corpus.rejected.empty
    np.testing.assert_allclose(corpus.clips["duration"], np.resize([0.8, 1.0, 1.2], 12), atol=0.1)


@needs_ffmpeg
def test_a_bad_m4a_is_rejected_with_its_reason(corpus_folder, monkeypatch):
    folder = corpus_folder / "audio"
    fast = ffmpeg(folder / "clip00.wav", folder / "clip00.m4a", "-movflags", "+faststart")
    fast.write_bytes(fast.read_bytes()[: fast.stat().st_size // 2])
    (folder / "clip01.m4a").write_bytes(b"not audio at all" * 100)
    lying = ffmpeg(folder / "clip02.wav", folder / "clip02.m4a", "-use_editlist", "0")
    content = bytearray(lying.read_bytes())
    for box, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        place = content.index(box) + offset
        content[place : place + 4] = struct.pack(">I", 100)  # its duration
    lying.write_bytes(content)
    for i in range(3):
        (folder / f"clip{i:02d}.wav").unlink()
    monkeypatch.setattr(checks, "LONGEST", 1.2)  # clip02 lasts 1.2 s and its header says 0.1
    rejected = corpora.load(corpus_folder).rejected.set_index("file")["reason"]
    assert rejected["clip00.wav"].startswith("is truncated: ")
    assert rejected["clip01.wav"].startswith("is not readable audio (no decoder")
    assert rejected["clip02.wav"].startswith("lasts over ")


def test_without_a_decoder_an_m4a_is_rejected_and_the_reason_says_what_to_install(
    corpus_folder, monkeypatch
):
    (corpus_folder / "audio" / "clip03.wav").rename(corpus_folder / "audio" / "clip03.m4a")
    monkeypatch.setattr(audioread, "BACKENDS", [])  # what was found before, with another PATH
    monkeypatch.setenv("PATH", "")
    if len(audioread.available_backends()) > 1:
        pytest.skip("this system has a decoder of its own")
    corpus = corpora.load(corpus_folder)
    assert corpus.rejected["file"].tolist() == ["clip03.wav"]
    assert "needs a decoder of AAC: install FFmpeg" in corpus.rejected["reason"][0]
    assert len(corpus.clips) == 11
