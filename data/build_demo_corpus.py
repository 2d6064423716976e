"""Build the demo corpus: synthetic speech whose valence is known because we set it.

Each clip gets a latent valence and an independent latent arousal. Both move the
acoustic correlates in the table below; eSpeak NG then speaks a neutral sentence
with the resulting voice, and four simulated raters judge the clip's valence.

The corpus exercises the study from end to end on any machine. It is not evidence
about people: see data/README.md.

Usage:
    pip install -r data/requirements-corpus.txt
    python data/build_demo_corpus.py [--out PATH]
"""

# ruff: noqa: E501 - the table of correlates and the sentences read best with one entry a line

import argparse
import ctypes
import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import espeakng_loader
import numpy as np
import pandas as pd
import soundfile as sf
import soxr
from tqdm import tqdm

# --------------------------------------------------------------------------------------
# What valence and arousal do to the voice: the only place where effect sizes are set
# --------------------------------------------------------------------------------------


class Correlate(NamedTuple):
    """How far one acoustic correlate moves, in its own unit.

    A clip's value is
    ``speaker's own value + valence * per_valence + arousal * per_arousal + noise``,
    with valence and arousal in [-1, 1] and normally distributed noise.
    """

    per_valence: float
    per_arousal: float
    clip_noise: float  # standard deviation between clips of the same valence and arousal
    source: str


# Direction of each effect: the sources, given in full in data/README.md. Size: our choice, so that
# valence can be learnt from unseen speakers but not easily. Arousal shares five of the correlates.
CORRELATES = {
    # name_unit                        valence arousal  noise  source of the direction
    "f0_level_semitones":    Correlate(   1.5,   2.5,   1.0, "Banse & Scherer 1996; Tartter 1980"),
    "f0_range_semitones":    Correlate(   1.8,   0.8,   0.6, "Scherer 1986; Juslin & Laukka 2003"),
    "speech_rate_percent":   Correlate(   0.0,    9.0,   4.0, "Juslin & Laukka 2003"),
    "formant_shift_percent": Correlate(  11.0,   0.0,   1.5, "Tartter 1980; Quene et al. 2012"),
    "tilt_db_per_octave":    Correlate(   2.0,   1.2,   0.5, "Goudbeek & Scherer 2010; Banse & Scherer 1996"),
    "roughness_steps":       Correlate(  -2.5,   0.7,   0.7, "Gobl & Ni Chasaide 2003"),
    "breathiness_steps":     Correlate(   8.0,   -6.0,   3.0, "Gobl & Ni Chasaide 2003"),
    "flutter_steps":         Correlate(  -2.0,    0.0,   1.0, "Juslin & Laukka 2003"),
    "level_db":              Correlate(   0.0,    4.0,   1.5, "Juslin & Laukka 2003"),
}  # fmt: skip

# --------------------------------------------------------------------------------------
# Speakers, clips and raters
# --------------------------------------------------------------------------------------

SEED = 2021
N_SPEAKERS = 20
CLIPS_PER_SPEAKER = 18

ACCENTS = [
    "en-us",
    "en",
    "en-gb-scotland",
    "en-029",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
]

# Lowest and highest speaker: the speakers are spread evenly in between.
LOWER_VOICES = {"f0_hz": (90, 145), "tract": (0.91, 1.02)}
HIGHER_VOICES = {"f0_hz": (155, 235), "tract": (0.98, 1.11)}
ANY_VOICE = {
    "f0_range_semitones": (2.8, 5.0),
    "words_per_minute": (126, 154),
    "tilt_db_per_octave": (-1.6, 0.4),
    "roughness_steps": (2.0, 4.0),
    "breathiness_steps": (6.0, 16.0),
    "flutter_steps": (1.5, 4.5),
    "level_db": (-40.0, -33.0),
    "noise_floor_db": (-78.0, -68.0),
}

# A latent valence of +-1 means 3 +- 2 * RATING_SPREAD on the scale from 1 to 5.
RATING_SPREAD = 0.85
RATER_BIAS = (-0.3, -0.1, 0.1, 0.3)  # scale points
RATER_NOISE = 0.75  # standard deviation of one judgement, in scale points

# --------------------------------------------------------------------------------------
# What is said: sixty sentences or pairs of sentences without emotional content
# --------------------------------------------------------------------------------------

SENTENCES = [
    "The keys are in the upper drawer of the desk.",
    "The library on the square closes at eight on Fridays.",
    "This road leads past the farm to the old bridge.",
    "The printer is on the small table next to the window.",
    "Most of the boxes in the cellar are made of cardboard.",
    "The bus stops in front of the town hall.",
    "There are twelve chairs around the table in the hall.",
    "The paper on the desk is from Tuesday afternoon.",
    "The second door on the left is the kitchen.",
    "A litre of water weighs about a kilogram.",
    "The museum has three floors and a small garden.",
    "The cups are on the shelf above the sink.",
    "The train to the coast leaves from platform four at half past nine.",
    "The form has two pages, and the second one needs a date.",
    "The shop on the corner sells bread, milk and newspapers.",
    "The meeting was moved from Monday to Wednesday at ten.",
    "The parcel is forty centimetres long and weighs two kilograms.",
    "The river runs along the northern side of the village.",
    "She put the blue folder back on the second shelf.",
    "He usually takes the stairs to the third floor.",
    "The new timetable will be valid from the first of March.",
    "They measured the room before they ordered the carpet.",
    "The lamp in the hallway is switched on by a sensor above the door.",
    "The recipe asks for two eggs, some flour and a little salt.",
    "The car park behind the station has room for ninety cars.",
    "The clock in the waiting room is four minutes fast.",
    "The towels are in the cupboard beside the bathroom door.",
    "The window faces south, so the room is light from eight in the morning.",
    "The ferry takes about forty minutes to reach the island.",
    "The old map of the village shows a mill where the school is now.",
    "The letter was sent last week and should arrive on Thursday.",
    "The bicycle stands under the roof at the side of the house, next to the ladder.",
    "The kettle holds a litre and a half and turns itself off after three minutes.",
    "The tram crosses the square and then turns right at the theatre.",
    "The report has five chapters, and each one ends with a short summary.",
    "The garden is divided into four beds, with a path of flat stones between them.",
    "The bakery opens at six in the morning and closes at two in the afternoon.",
    "The shelves along the wall hold books on history, geography and chemistry.",
    "The table was carried upstairs in three parts and put together in the office.",
    "The tickets can be bought at the counter or from the machine by the door.",
    "The path follows the edge of the field and then goes down to the lake.",
    "The office on the ground floor is used for storage from October to April.",
    "The cable runs from the box in the cellar to the socket behind the desk.",
    "The market takes place on the square every Saturday. The stalls are taken down at one.",
    "The form can be filled in by hand or on a computer. It has to be signed on the last page.",
    "The coat is hanging on the hook behind the door. The umbrella is in the stand below it.",
    "The lift goes up to the fifth floor. From there, a staircase leads to the roof terrace.",
    "The water is heated in the cellar. It reaches the upper floors after about two minutes.",
    "The museum was built of brick and glass. The entrance is on the side that faces the park.",
    "The course begins in the second week of September. There are lessons on Mondays and Thursdays.",
    "The bridge is closed to lorries until the end of May. Cars can use the lane on the left.",
    "The first drawer contains pens and envelopes. The second one contains scissors, tape and string.",
    "The village lies between two hills. A narrow road connects it with the town in the valley.",
    "The flour is weighed first and then sieved into a bowl. After that, the milk is added slowly.",
    "The rooms on this floor are numbered from one to twenty. The even numbers are on the right.",
    "The train stops at six stations on the way to the airport. The journey takes thirty-five minutes.",
    "The survey was sent to four hundred households in the region. About half of them returned it by post.",
    "The library keeps newspapers for one year and magazines for three. Older issues are stored in the cellar.",
    "The bus from the harbour runs every twenty minutes. After nine in the evening, it runs once an hour.",
    "The tiles in the hall are grey, and the ones in the kitchen are white. Both were laid in the same week.",
]


# --------------------------------------------------------------------------------------
# The plan: who says what, with which valence and arousal, and how it is rated
# --------------------------------------------------------------------------------------


def spread(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """Return n values spread evenly from low to high, in random order."""
    return rng.permutation(np.linspace(low, high, n))


def draw_speakers(rng: np.random.Generator) -> list[dict]:
    """Draw the speakers' own voices: half of them lower, half of them higher in pitch."""
    half = N_SPEAKERS // 2
    table = {
        key: np.concatenate(
            [spread(rng, *LOWER_VOICES[key], half), spread(rng, *HIGHER_VOICES[key], half)]
        )
        for key in LOWER_VOICES
    }
    table |= {key: spread(rng, *limits, N_SPEAKERS) for key, limits in ANY_VOICE.items()}
    table["accent"] = np.concatenate([rng.permutation(np.resize(ACCENTS, half)) for _ in range(2)])
    table["voice"] = np.repeat(["lower", "higher"], half)
    speakers = pd.DataFrame(table).sample(frac=1, random_state=rng)  # s01 may be of either kind
    speakers["speaker"] = [f"s{number:02d}" for number in range(1, N_SPEAKERS + 1)]
    return speakers.to_dict("records")


def deal_sentences(rng: np.random.Generator) -> np.ndarray:
    """Deal the sentences like cards: each equally often, none twice to a speaker."""
    decks = N_SPEAKERS * CLIPS_PER_SPEAKER // len(SENTENCES)
    while True:
        dealt = np.concatenate([rng.permutation(len(SENTENCES)) for _ in range(decks)])
        hands = dealt.reshape(N_SPEAKERS, CLIPS_PER_SPEAKER)
        if all(len(set(hand)) == CLIPS_PER_SPEAKER for hand in hands):
            return hands


def draw_latent(rng: np.random.Generator) -> np.ndarray:
    """Draw one speaker's latent values: uniform on [-1, 1], one in each of equal intervals."""
    edges = np.linspace(-1, 1, CLIPS_PER_SPEAKER + 1)
    return rng.permutation(rng.uniform(edges[:-1], edges[1:]))


def draw_valence_and_arousal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one speaker's valence and arousal, redrawing until they are uncorrelated."""
    while True:
        valence, arousal = draw_latent(rng), draw_latent(rng)
        if abs(np.corrcoef(valence, arousal)[0, 1]) < 0.1:
            return valence, arousal


def rate(rng: np.random.Generator, valence: float) -> np.ndarray:
    """Return the four raters' integer judgements, from 1 to 5, of one clip."""
    noise = rng.normal(0, RATER_NOISE, len(RATER_BIAS))
    judgement = 3 + 2 * RATING_SPREAD * valence + np.array(RATER_BIAS) + noise
    return np.clip(np.round(judgement), 1, 5).astype(int)


def voice_of_clip(rng: np.random.Generator, speaker: dict, valence: float, arousal: float) -> dict:
    """Return the acoustic parameters with which one clip is spoken."""
    moved = {
        name: c.per_valence * valence + c.per_arousal * arousal + rng.normal(0, c.clip_noise)
        for name, c in CORRELATES.items()
    }
    voice = {name: speaker[name] + moved[name] for name in CORRELATES if name in speaker}
    return voice | {
        "f0_hz": speaker["f0_hz"] * 2 ** (moved["f0_level_semitones"] / 12),
        "words_per_minute": speaker["words_per_minute"] * (1 + moved["speech_rate_percent"] / 100),
        "formant_shift": 1 + moved["formant_shift_percent"] / 100,
        "tract": speaker["tract"],
        "accent": speaker["accent"],
        "noise_floor_db": speaker["noise_floor_db"],
    }


# --------------------------------------------------------------------------------------
# From parameters to sound
# --------------------------------------------------------------------------------------

SAMPLING_RATE = 16_000  # Hz, of the clips
PADDING = 0.12  # seconds of silence before and after the speech

# Where the 10th, 50th and 90th percentile of F0 lie between the two pitch values of a voice
# variant, as a share of the way up. Measured with eSpeak NG 1.52: the documentation does not say.
F0_P10, F0_P50, F0_P90 = 0.50, 0.74, 1.00


def pitch_values(f0_hz: float, f0_range_semitones: float) -> tuple[int, int]:
    """Return the variant's two pitch values which give this median F0 and this range.

    The range is the distance between the 10th and the 90th percentile of F0. It stays between
    1 and 9 semitones, where eSpeak NG speaks every voice of the corpus.
    """
    ratio = 2 ** (np.clip(f0_range_semitones, 1, 9) / 12)
    # Solves (low + F0_P90 * span) = ratio * (low + F0_P10 * span), low + F0_P50 * span = f0_hz.
    span = f0_hz * (ratio - 1) / ((F0_P90 - F0_P50) + ratio * (F0_P50 - F0_P10))
    low = f0_hz - F0_P50 * span
    return round(low), round(low + span)


def variant_file(voice: dict) -> str:
    """Write a clip's parameters as an eSpeak NG voice variant."""
    pitch_low, pitch_high = pitch_values(voice["f0_hz"], voice["f0_range_semitones"])
    # Lip spreading shortens the front cavity: it moves F2 and above, hardly F1.
    smile = [1, 1] + 7 * [voice["formant_shift"]]
    breath = max(round(voice["breathiness_steps"]), 0)
    lines = ["language variant", "name clip", f"pitch {pitch_low} {pitch_high}"]
    lines += [f"formant {n} {100 * voice['tract'] * smile[n]:.0f} 100 100" for n in range(9)]
    lines += [f"roughness {np.clip(round(voice['roughness_steps']), 0, 7)}"]
    lines += [f"flutter {max(round(voice['flutter_steps']), 0)}"]
    lines += ["breath 0" + 7 * f" {breath}"]
    return "\n".join(lines) + "\n"


class Synthesiser:
    """eSpeak NG through its C interface, with a private copy of its data directory.

    The copy is where each clip's voice variant is written; the installed data stay as they are.
    """

    SYNCHRONOUS, RATE, VOLUME, UTF8 = 2, 1, 2, 1  # constants of speak_lib.h

    def __init__(self, directory: Path):
        shutil.copytree(espeakng_loader.get_data_path(), directory / "espeak-ng-data")
        self._variant = directory / "espeak-ng-data" / "voices" / "!v" / "clip"
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.sampling_rate = self._library.espeak_Initialize(
            self.SYNCHRONOUS, 0, str(directory).encode(), 0
        )
        self._chunks: list[np.ndarray] = []
        callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        # Kept as an attribute, or Python would free it while C still calls it.
        self._callback = callback_type(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, n_samples: int, _events) -> int:
        if samples and n_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        return 0  # go on

    def speak(self, text: str, voice: dict, seed: int) -> np.ndarray:
        """Return the waveform of a sentence, float64 in [-1, 1] [shape=(n_samples,)]."""
        self._variant.write_text(variant_file(voice))
        if self._library.espeak_SetVoiceByName(f"{voice['accent']}+clip".encode()) != 0:
            raise RuntimeError(f"eSpeak NG has no voice {voice['accent']!r}")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._library.espeak_SetParameter(self.RATE, round(voice["words_per_minute"]), 0)
        # Far from clipping: the level is set later.
        self._library.espeak_SetParameter(self.VOLUME, 40, 0)
        self._chunks.clear()
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, self.UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._chunks) / 32768


def trim(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Cut the silence before and after the speech down to the padding."""
    loud = np.flatnonzero(np.abs(signal) > 0.01 * np.abs(signal).max())
    speech = signal[loud[0] : loud[-1] + 1]
    return np.pad(speech, round(PADDING * sampling_rate))


def tilt(signal: np.ndarray, sampling_rate: int, db_per_octave: float) -> np.ndarray:
    """Tilt the spectrum around 1 kHz, from 200 Hz to 6 kHz, and keep it level beyond.

    A filter and not eSpeak NG's own ``tone``, which leaves voiceless sounds as they are.
    """
    frequency = np.fft.rfftfreq(len(signal), 1 / sampling_rate)
    octaves = np.log2(np.clip(frequency, 200, 6000) / 1000)
    return np.fft.irfft(np.fft.rfft(signal) * 10 ** (db_per_octave * octaves / 20), len(signal))


def set_level(signal: np.ndarray, level_db: float) -> np.ndarray:
    """Scale to a root mean square in dB relative to full scale, or less where that would clip."""
    rms = np.sqrt(np.mean(signal**2))
    return signal * min(10 ** (level_db / 20) / rms, 0.98 / np.abs(signal).max())


def record(
    rng: np.random.Generator, signal: np.ndarray, sampling_rate: int, voice: dict
) -> np.ndarray:
    """Turn the synthesiser's output into a recording, 16-bit at 16 kHz [shape=(n_samples,)].

    The speech gets its spectral tilt and its level; the noise floor is white.
    """
    signal = soxr.resample(trim(signal, sampling_rate), sampling_rate, SAMPLING_RATE)
    signal = set_level(tilt(signal, SAMPLING_RATE, voice["tilt_db_per_octave"]), voice["level_db"])
    signal = signal + rng.normal(0, 10 ** (voice["noise_floor_db"] / 20), len(signal))
    return np.clip(np.round(signal * 32767), -32768, 32767).astype(np.int16)


# --------------------------------------------------------------------------------------
# The corpus
# --------------------------------------------------------------------------------------

LICENCE = """\
CC0 1.0 Universal

The authors of this corpus have dedicated the audio clips, the sentences and the
labels to the public domain by waiving all of their rights to the work worldwide
under copyright law, including all related and neighbouring rights, to the extent
allowed by law. You can copy, modify, distribute and use them, even for commercial
purposes, without asking permission.

Full text: https://creativecommons.org/publicdomain/zero/1.0/legalcode

The voices are synthetic (eSpeak NG). No person was recorded or asked to rate.
"""


def plan_corpus() -> list[tuple[dict, dict]]:
    """Return each clip's row of the label table and the voice in which it is spoken.

    Everything is drawn here, before any sound is made: an effect size changes how a clip
    sounds, never who says what, nor its label.
    """
    rng = np.random.default_rng(SEED)
    speakers, hands = draw_speakers(rng), deal_sentences(rng)
    clips = []
    for speaker, hand in zip(speakers, hands, strict=True):
        valence, arousal = draw_valence_and_arousal(rng)
        for n in range(CLIPS_PER_SPEAKER):
            voice = voice_of_clip(rng, speaker, valence[n], arousal[n])
            ratings = rate(rng, valence[n])
            row = {
                "file": f"clips/{speaker['speaker']}_{n + 1:02d}.flac",
                "valence": ratings.mean(),
                "speaker": speaker["speaker"],
                "sentence": f"t{hand[n] + 1:02d}",
                "text": SENTENCES[hand[n]],
                "latent_valence": round(3 + 2 * RATING_SPREAD * valence[n], 3),
                "latent_arousal": round(3 + 2 * RATING_SPREAD * arousal[n], 3),
                **{f"rater_{i + 1}": rating for i, rating in enumerate(ratings)},
                "voice": speaker["voice"],
                "accent": speaker["accent"],
            }
            clips.append((row, voice))
    return clips


def encode(signal: np.ndarray) -> bytes:
    """Return a waveform as a 16-bit FLAC file."""
    file = io.BytesIO()
    sf.write(file, signal, SAMPLING_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return file.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Write the files sorted and with a fixed date: equal content gives equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(2024, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            archive.writestr(entry, files[name])


def build(path: Path) -> pd.DataFrame:
    """Build the corpus, write the zip and return the label table with each clip's duration."""
    clips = plan_corpus()
    durations, files = [], {"LICENSE.txt": LICENCE.encode()}
    with tempfile.TemporaryDirectory(prefix="espeak") as directory:
        synthesiser = Synthesiser(Path(directory))
        for number, (row, voice) in enumerate(tqdm(clips, unit="clip"), start=1):
            speech = synthesiser.speak(row["text"], voice, seed=number)
            signal = record(
                np.random.default_rng([SEED, number]), speech, synthesiser.sampling_rate, voice
            )
            durations.append(len(signal) / SAMPLING_RATE)
            files[row["file"]] = encode(signal)
    labels = pd.DataFrame([row for row, _ in clips])
    files["labels.csv"] = labels.to_csv(index=False, lineterminator="\n").encode()
    write_zip(path, files)
    return labels.assign(duration=durations)


def summarise(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the distribution of what a user of the corpus meets first."""
    columns = ["duration", "valence", "latent_valence", "latent_arousal"]
    return labels[columns].describe(percentiles=[0.25, 0.5, 0.75]).drop("count").round(2)


def main() -> None:
    """Build the corpus and print what was made."""
    parser = argparse.ArgumentParser(description="Build the synthetic demo corpus.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "demo_speech.zip")
    path = parser.parse_args().out
    labels = build(path)
    n_speakers, n_sentences = labels.speaker.nunique(), labels.sentence.nunique()
    noise_floor = (labels.valence - labels.latent_valence).abs().mean()
    median_error = (labels.valence - labels.valence.median()).abs().mean()
    content = path.read_bytes()
    print(f"{len(labels)} clips of {n_speakers} speakers, {n_sentences} sentences")
    print(summarise(labels))
    print(f"noise floor, mean |label - latent|: {noise_floor:.3f}")
    print(f"median predictor, mean |label - median|: {median_error:.3f}")
    print(f"{path}: {len(content) / 1e6:.1f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
