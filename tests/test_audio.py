"""From files to samples; what needs FFmpeg is skipped where it is not installed."""

import ctypes
import os
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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
        assert clip.frames == clip.least == 0
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
    (corpus_folder / "audio" / "clip03.wav").unlink()
    (corpus_folder / "audio" / "clip03.m4a").write_bytes(b"\0\0\0\x1cftypM4A " * 100)
    monkeypatch.setattr(audioread, "BACKENDS", [])  # what was found before, with another PATH
    monkeypatch.setenv("PATH", "")
    if len(audioread.available_backends()) > 1:
        pytest.skip("this system has a decoder of its own")
    corpus = corpora.load(corpus_folder)
    assert corpus.rejected["file"].tolist() == ["clip03.wav"]
    assert "is read without FFmpeg, or is damaged: play it to see" in corpus.rejected["reason"][0]
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
        (np.zeros((5, 0)), "has no samples"),
        (np.zeros((2, 8000, 1)), "has 3 dimensions"),
    ],
)
def test_a_useless_recording_is_refused_with_its_reason(y, problem):
    with pytest.raises(audio.UnusableError, match=problem):
        audio.read((y, 16000), 8000)


def test_unsigned_samples_have_their_zero_in_the_middle(tmp_path):
    """As `scipy.io.wavfile` reads a file of 8 bits."""
    soundfile.write(tmp_path / "a.wav", voice(1), 16000, subtype="PCM_U8")
    from_file = samples(tmp_path / "a.wav")
    unsigned = (128 * (1 + from_file)).astype(np.uint8)
    assert np.array_equal(audio.read((unsigned, 16000))[0], audio.read(tmp_path / "a.wav")[0])


def test_a_truncated_file_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.mp3", voice(2), 16000)
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(content[: len(content) // 2])
    with pytest.raises(audio.UnusableError, match=r"is truncated: \d+ of \d+ samples are there"):
        audio.read(tmp_path / "a.mp3")


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(audio.UnusableError, match=r"is a folder without audio \(.wav, .flac"):
        audio.read(tmp_path)


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        *(("WAV", "PCM_16"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAVEX", "FLOAT")),
        *(("RF64", "PCM_24"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16")),
    ],
)
def test_a_file_with_less_sound_than_its_header_promises_is_refused(tmp_path, format, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(1), 16000, format=format, subtype=subtype)
    assert len(audio.read(path)[0]) in range(16000, 16500)  # of ADPCM, whole blocks
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(audio.UnusableError, match="is truncated: ") as raised:
        audio.read(path)
    there, promised = (int(word) for word in str(raised.value).split() if word.isdigit())
    assert there in range(7900, 8300) and promised in range(15800, 16500)


@pytest.mark.parametrize(
    "size",
    [
        *(0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000),  # written before the end was known
        *(32044, 32036),  # a recorder that counts the header
    ],
)
def test_a_wav_that_does_not_know_its_length_is_read_to_its_end(tmp_path, size):
    soundfile.write(tmp_path / "a.wav", voice(1), 16000)
    whole = samples(tmp_path / "a.wav")
    content = (tmp_path / "a.wav").read_bytes()
    assert content[36:40] == b"data"
    (tmp_path / "a.wav").write_bytes(content[:40] + struct.pack("<I", size) + content[44:])
    assert len(audio.read(tmp_path / "a.wav")[0]) == 16000
    assert np.array_equal(samples(tmp_path / "a.wav"), whole)


def test_what_follows_the_sound_is_no_sound_and_no_fault(tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(1), 16000)
    with open(tmp_path / "a.wav", "ab") as file:
        file.write(b"LIST" + struct.pack("<I", 4000) + bytes(4000))
    assert len(audio.read(tmp_path / "a.wav")[0]) == 16000


#: Suffixes of what phones and browsers record, as FFmpeg makes them, and its options.
CONTAINERS = {
    **dict.fromkeys(("mp4", "m4a", "mov", "aac", "wma", "webm", "mka", "caf", "opus"), ()),
    **dict.fromkeys(("oga", "aiff", "aif"), ()),
    "3gp": ("-c:a", "aac"),
}


@needs_ffmpeg
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_whatever_a_phone_or_a_browser_records_is_read(tmp_path, suffix):
    assert f".{suffix}" in audio.SUFFIXES
    soundfile.write(tmp_path / "a.wav", voice(1.5), 16000)
    path = ffmpeg(tmp_path / "a.wav", tmp_path / f"a.{suffix}", *CONTAINERS[suffix])
    original, _ = audio.read(tmp_path / "a.wav", 8000)
    found, _ = audio.read(path, 8000)
    assert len(original) - 400 <= len(found) < 1.1 * len(original)
    # Encoders of AAC delay the sound, by up to 2048 samples.
    same = np.correlate(found, original, "full") / np.square(original).sum()
    assert same.max() > 0.9


@needs_ffmpeg
def test_amr_is_read(tmp_path):
    frame = b"\x3c" + bytes(np.random.default_rng(0).integers(0, 256, 31, dtype=np.uint8))
    (tmp_path / "a.amr").write_bytes(b"#!AMR\n" + 50 * frame)  # of 20 ms
    y, rate = audio.read(tmp_path / "a.amr")
    assert rate == 8000 and len(y) == pytest.approx(8000, abs=160)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("made", "called"), [("wav", "mp3"), ("mp4", "wav"), ("flac", "m4a"), ("ogg", "wav")]
)
def test_a_wrong_suffix_does_not_matter(tmp_path, made, called):
    soundfile.write(tmp_path / "whole.wav", voice(1.5), 16000)
    ffmpeg(tmp_path / "whole.wav", tmp_path / f"a.{made}")
    os.replace(tmp_path / f"a.{made}", tmp_path / f"b.{called}")
    y, rate = audio.read(tmp_path / f"b.{called}")
    assert rate == 16000 and len(y) == pytest.approx(24000, abs=1600)


@needs_ffmpeg
def test_a_name_that_looks_like_a_protocol_is_the_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", voice(1), 16000)
    ffmpeg("a.wav", "a.m4a")
    os.replace("a.m4a", "take:1.m4a")
    assert len(audio.read("take:1.m4a")[0]) >= 16000


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_sound_that_ends_before_the_picture_is_whole(tmp_path, suffix):
    soundfile.write(tmp_path / "a.wav", voice(1), 16000)
    video = ("-f", "lavfi", "-i", "color=black:s=64x64:d=4", "-t", "4")
    ffmpeg(tmp_path / "a.wav", tmp_path / f"a.{suffix}", *video)
    with audio.opened(tmp_path / f"a.{suffix}") as clip:
        assert clip.frames == 4 * clip.sample_rate
    assert len(audio.read(tmp_path / f"a.{suffix}", 8000)[0]) == pytest.approx(8000, abs=400)


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("tag", [b"", b"Information"])
def test_an_mp3_that_does_not_count_its_frames_is_read_whole(tmp_path, monkeypatch, mode, tag):
    """Its first frame says nothing about the others; noise takes many bits, silence few."""
    monkeypatch.setattr(audioread, "BACKENDS", audioread.available_backends()[:1])
    noise = np.random.default_rng(0).normal(size=8 * 16000)
    path = tmp_path / "a.mp3"
    soundfile.write(
        path, np.repeat([0.2, 0.001], 64000) * noise, 16000, bitrate_mode=mode, compression_level=0
    )
    content = path.read_bytes()
    second = content.index(content[:2], 4)  # the first frame holds the count and no sound
    assert {b"Xing", b"Info"} & {content[n : n + 4] for n in range(second)}
    if tag:  # a title in ID3
        frame = b"TIT2" + (len(tag) + 1).to_bytes(4, "big") + bytes(3) + tag
        tag = b"ID3\x03\0\0" + len(frame).to_bytes(4, "big") + frame
    path.write_bytes(tag + content[second:])
    with audio.opened(path) as clip:
        assert clip.frames == clip.least == 0
    assert len(audio.read(path)[0]) / 16000 == pytest.approx(8, abs=0.2)


FFMPEG = """#!/bin/sh
case "$*" in *-version*) exit 0;; esac
echo "  Duration: 00:00:01.00, start: 0.0" >&2
echo "  Stream #0:0: Audio: aac (LC), 16000 Hz, {layout}, fltp, 128 kb/s" >&2
cat {sound}
"""


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
@pytest.mark.parametrize(
    ("layout", "channels"),
    [
        *(("mono", 1), ("stereo", 2), ("2.1", 3), ("5.1", 6), ("5.1(side)", 6), ("4 channels", 4)),
        *(("quad", None), ("quad(side)", None), ("5.1.2", None), ("hexagonal", None)),
    ],
)
def test_channels_are_counted_or_refused(tmp_path, monkeypatch, layout, channels):
    sound, program = tmp_path / "sound.pcm", tmp_path / "ffmpeg"
    y = np.repeat(voice(1)[:, None], channels or 4, axis=1)
    sound.write_bytes((y * 2**15).astype("<i2").tobytes())
    program.write_text(FFMPEG.format(layout=layout, sound=sound))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(audioread, "BACKENDS", [])
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x1cftypM4A " * 100)
    if channels:
        with audio.opened(tmp_path / "a.m4a") as clip:
            assert clip.channels == channels and clip.sample_rate == 16000
            assert sum(len(block) for block in clip.blocks) == 16000
        return
    with pytest.raises(audio.UnusableError, match="miscounted") as error:
        audio.read(tmp_path / "a.m4a")
    assert f"has {layout} channels, which" in str(error.value)


@pytest.mark.parametrize("before", [b"x", bytes(500), -100])
def test_an_mp3_that_does_not_begin_with_a_frame_is_read(tmp_path, before):
    """As a stream that was caught in its middle: libsndfile knows it by its suffix only."""
    soundfile.write(tmp_path / "a.mp3", voice(2), 16000)
    whole = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(whole[100:] if before == -100 else before + whole)
    assert len(audio.read(tmp_path / "a.mp3")[0]) / 16000 == pytest.approx(2, abs=0.2)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["aac", "mp3"])
@pytest.mark.parametrize("quiet", ["adelay=6000", "apad=pad_dur=6"])  # first, last
def test_a_length_guessed_from_the_first_packets_is_no_length(tmp_path, suffix, quiet):
    """Of a variable bit rate without a header; silence takes few bits."""
    soundfile.write(tmp_path / "a.wav", voice(4), 16000)
    path = tmp_path / f"a.{suffix}"
    ffmpeg(tmp_path / "a.wav", path, "-af", quiet, "-q:a", "2", "-write_xing", "0")
    with audio.opened(path) as clip:
        assert not 0.9 < clip.frames / (10 * 16000) < 1.1
    assert len(audio.read(path)[0]) == pytest.approx(10 * 16000, abs=3000)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["mka", "webm"])
def test_a_truncated_recording_of_a_browser_is_refused(tmp_path, suffix):
    soundfile.write(tmp_path / "a.wav", voice(4), 16000)
    path = ffmpeg(tmp_path / "a.wav", tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(audio.UnusableError, match="is truncated: "):
        audio.read(path)


@pytest.mark.skipif(sys.platform != "linux", reason="C's stderr is led away only there")
def test_decoders_do_not_write_to_the_terminal_but_python_does(tmp_path, capfd):
    soundfile.write(tmp_path / "a.mp3", voice(2), 16000)
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(content[: len(content) // 2])
    with soundfile.SoundFile(tmp_path / "a.mp3"):
        assert "Xing stream size off" in capfd.readouterr().err  # or there is nothing to test
    with audio.opened(tmp_path / "a.mp3") as clip:
        for _ in clip.blocks:
            os.write(2, b"progress\n")
    assert capfd.readouterr().err == "progress\n"
    with soundfile.SoundFile(tmp_path / "a.mp3"):
        assert "Xing stream size off" in capfd.readouterr().err  # C's stderr is as it was


def test_a_pointer_of_git_lfs_is_called_that(corpus_folder):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (corpus_folder / "audio" / "clip03.wav").write_text(pointer)
    corpus = corpora.load(corpus_folder)
    assert corpus.rejected["file"].tolist() == ["clip03.wav"]
    assert corpus.rejected["reason"][0].startswith("is a pointer of git-lfs and no audio: ")


def test_one_channel_is_read_on_request(tmp_path):
    left, right = voice(0.5, pitch=100), voice(0.5, pitch=200)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16000, subtype="FLOAT")
    for channel, y in ((0, left), (1, right), (None, (left + right) / 2)):
        found, _ = audio.read(tmp_path / "a.wav", channel=channel)
        np.testing.assert_allclose(found, y, atol=1e-6)
    found, _ = audio.read((left, 16000), channel=0)
    np.testing.assert_allclose(found, left, atol=1e-6)


@pytest.mark.parametrize("channel", [2, -1])
def test_a_channel_that_is_not_there_is_an_error(channel):
    y = np.stack([voice(0.5), voice(0.5)], axis=1)
    with pytest.raises(audio.UnusableError, match=f"has 2 channels.* no channel {channel}$"):
        audio.read((y, 16000), channel=channel)


def test_a_silent_channel_is_refused_though_the_other_has_speech():
    y = np.stack([voice(0.5), np.zeros(8000)], axis=1)
    assert len(audio.read((y, 16000))[0]) == 8000
    with pytest.raises(audio.UnusableError, match="is silent"):
        audio.read((y, 16000), channel=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(audio.UnusableError, match="is a pipe or a device and not a file"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["none.wav", "none.m4a", "none"])
def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        audio.read(tmp_path / name)


def test_a_name_that_no_file_can_have_is_no_readable_audio():
    with pytest.raises(audio.UnusableError, match="is not readable audio"):
        audio.read("a\0b.wav")


@pytest.mark.skipif(sys.platform != "linux", reason="perror is found so only there")
def test_threads_that_decode_at_once_leave_the_terminal_as_it_was(tmp_path, capfd):
    soundfile.write(tmp_path / "a.mp3", voice(1), 16000)
    with ThreadPoolExecutor(8) as threads:
        lengths = list(
            threads.map(lambda path: len(audio.read(path)[0]), [tmp_path / "a.mp3"] * 40)
        )
    assert lengths == [16000] * 40
    libc = ctypes.CDLL(None)
    libc.perror(b"still there")
    assert capfd.readouterr().err.startswith("still there")
