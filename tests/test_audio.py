"""From files to samples; m4a needs FFmpeg, and its tests are skipped where it is not installed."""

import shutil
import struct
import subprocess

import audioread
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import audio, corpora
from helpers.corpora import checks
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
    original, _ = audio.read(tmp_path / "a.wav", 8000)
    found, _ = audio.read(path, 8000)
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


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_any_rate_depth_and_number_of_channels_is_read(tmp_path, rate, channels, subtype):
    y = voice(0.5, rate, pitch=200)
    soundfile.write(tmp_path / "a.wav", np.tile(y, (channels, 1)).T, rate, subtype=subtype)
    found, own = audio.read(tmp_path / "a.wav", 8000)
    assert own == rate
    assert found.dtype == np.float32 and found.shape == (4000,)
    spectrum = np.abs(np.fft.rfft(found))
    assert abs(np.argmax(spectrum) / 0.5 - 200) <= 6  # the pitch is still where it was


@pytest.mark.parametrize("samples", [audio.BLOCK, audio.BLOCK + 7, 2 * audio.BLOCK + 7])
def test_a_clip_is_read_to_its_end_however_many_blocks_it_has(tmp_path, samples):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)
    soundfile.write(tmp_path / "clip.wav", y, 8000, subtype="FLOAT")
    for sample_rate in (8000, None):
        found, own = audio.read(tmp_path / "clip.wav", sample_rate)
        assert found.dtype == np.float32 and own == 8000
        np.testing.assert_array_equal(found, y)


@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_normalising_removes_gain_and_offset(gain, offset):
    y = voice(0.2)
    found = audio.normalise(gain * y + offset)
    assert abs(found.mean()) < 1e-4 and abs(found.std() - 1) < 1e-4
    np.testing.assert_allclose(found, audio.normalise(y), atol=1e-3)


def test_normalising_is_exact_however_far_a_recording_is_from_0():
    # Between two numbers of 32 bits is where the mean is.
    y = (1e5 + 0.0039 + 0.1 * np.random.default_rng(0).normal(size=100_000)).astype(np.float32)
    found = audio.normalise(y).astype(np.float64)
    assert abs(found.mean()) < 1e-6 and abs(found.std() - 1) < 1e-6


def test_a_constant_waveform_is_an_error_and_not_nan():
    with pytest.raises(ValueError, match="constant"):
        audio.normalise(np.full(100, 0.3))


def test_clips_are_cut_or_padded_at_their_end():
    y = np.arange(1.0, 6.0)
    assert audio.fit_duration(y, 3).tolist() == [1, 2, 3]
    assert audio.fit_duration(y, 7).tolist() == [1, 2, 3, 4, 5, 0, 0]


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
@pytest.mark.parametrize("seconds", [0.5, 40])  # within one block, and beyond
def test_resampling_block_by_block_gives_the_samples_of_resampling_at_once(rate, seconds):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32)
    found, _ = audio.read((y, rate), 8000)
    at_once = soxr.resample(y, rate, 8000, "soxr_hq")
    assert len(found) == np.ceil(len(y) * 8000 / rate)
    np.testing.assert_array_equal(found[: len(at_once)], at_once[: len(found)])


@pytest.mark.parametrize("channels", [(), (1,), (2,)])
def test_a_waveform_is_read_like_the_file_that_holds_it(tmp_path, channels):
    y = np.round(voice(0.5) * 2**15).astype(np.int16)
    y = y if not channels else np.tile(y[:, None], channels)
    soundfile.write(tmp_path / "a.wav", y, 16000)
    found, rate = audio.read((y, 16000), 8000)
    assert rate == 16000
    np.testing.assert_array_equal(found, audio.read(tmp_path / "a.wav", 8000)[0])


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        (np.zeros(0), "has no samples"),
        (np.zeros(8000), "is silent or constant"),
        (np.full(8000, 0.5), "is silent or constant"),
        (voice(0.04), "lasts 40 ms, too short for speech"),
        (np.full(8000, np.nan), "has samples that are not numbers"),
    ],
)
def test_a_useless_recording_is_refused_with_its_reason(y, problem):
    with pytest.raises(audio.UnusableError, match=problem):
        audio.read((y, 16000), 8000)


def test_a_truncated_file_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.mp3", voice(2), 16000)
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(content[: len(content) // 2])
    with pytest.raises(audio.UnusableError, match=r"is truncated: \d+ of \d+ samples are there"):
        audio.read(tmp_path / "a.mp3")


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(audio.UnusableError, match=r"is a folder without audio \(.wav, .flac"):
        audio.read(tmp_path)
