"""Clips as a pretrained network sees them: hidden states, and arousal, dominance and valence.

The network is wav2vec 2.0, pretrained on speech without labels and fine-tuned on the ratings of
MSP-Podcast (Wagner et al. 2023, "Dawn of the transformer era in speech emotion recognition:
closing the valence gap"). It is downloaded on first use. Any other ONNX model with the same inputs
and outputs works by its path.

audonnx, which runs the network, is imported where it is used: ``pip install -r
requirements-pretrained.txt``. Its own way of loading a model is not used, since that runs code that
a model's YAML names. Here the YAML is only read.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError

from helpers import archives, audio, downloads, workers
from helpers.cli import UserError
from helpers.corpora import Corpus
from helpers.downloads import Download
from helpers.features.extraction import cached, extract_to
from helpers.storage import cache_folder, hash_of_file

#: The network of Wagner et al. (2023), doi 10.5281/zenodo.6221127. The hash of the zip is not known
#: here, so that the hash of the first download is kept.
PRETRAINED = Download(
    url="https://zenodo.org/records/6221127/files/w2v2-L-robust-12.6bc4a7fd-1.1.0.zip",
    licence="CC BY-NC-SA 4.0",
)

#: Names another model of the same interface.
VARIABLE = "VALENCE_PRETRAINED"

#: What the network is given, in Hz.
SAMPLE_RATE = 16000

#: Numbers of its output ``hidden_states``: the last layer, averaged over time.
STATES = 1024

#: Its output ``logits``, in the order in which they follow the hidden states here; about 0 to 1.
DIMENSIONS = ("arousal", "dominance", "valence")

#: Seconds of the longest window: attention needs memory with the square of the duration.
LONGEST_WINDOW = 30

#: Bytes that a window of that duration needs at most. Estimated from the size of its layers.
WINDOW_MEMORY = 1e9

#: Bytes in memory for each byte of the model's file: once to load it, and once to keep it.
MEMORY_PER_BYTE = 3

#: Clips that one task reads: a second or two each, so that a killed run loses little.
CLIPS_PER_TASK = 4

#: Changes whenever the same clip would give other numbers, so that no old cache is read.
PRETRAINED_VERSION = 1


class PretrainedError(UserError):
    """A pretrained model that cannot be used; the message says why and how to fix it."""


class Pretrained(NamedTuple):
    """A pretrained network on disk.

    Attributes:
        path: of the ONNX file
        sha256: of its content
        labels: what each number of its output ``logits`` is
        licence: the terms of use, where known
    """

    path: Path
    sha256: str
    labels: tuple[str, ...]
    licence: str

    @property
    def made_by(self) -> list[str | int]:
        """All that decides its numbers, besides the waveform; no paths."""
        import onnxruntime

        return [PRETRAINED_VERSION, onnxruntime.__version__, self.sha256, *self.labels]


def pretrained_model(source: str | Path | None = None) -> Pretrained:
    """Find a pretrained network; the one of Wagner et al. is downloaded on first use.

    Its input is a waveform of 16 kHz [1, samples]. Its outputs are ``hidden_states`` [1, 1024] and
    ``logits`` [1, 3], which the YAML beside the ONNX file labels as arousal, dominance and valence.

    Args:
        source: an ONNX file with a YAML of the same name beside it, as ``audonnx.Model.to_yaml``
            writes it, or a folder with one such pair. None is what the environment variable
            ``VALENCE_PRETRAINED`` names, or else `PRETRAINED`

    Raises:
        PretrainedError: if packages are missing, or there is no such model, or it has other outputs
        downloads.DownloadError: if it cannot be downloaded, or is not the file that came first
        archives.ArchiveError: if the download cannot be unpacked
        storage.OutputError: if the cache cannot be written
    """
    for package in ("audonnx", "onnxruntime", "yaml"):  # before half a gigabyte is downloaded
        if find_spec(package) is None:
            raise PretrainedError(
                f"The pretrained model needs {package}, which is not installed: "
                "pip install -r requirements-pretrained.txt"
            )
    source = source or os.environ.get(VARIABLE) or None
    folder = Path(source).expanduser() if source else _downloaded(cache_folder("downloads"))
    path, licence = _onnx_file(folder), "" if source else PRETRAINED.licence
    facts = path.stat()
    sha256 = _sha256(path, facts.st_size, facts.st_mtime_ns)
    return Pretrained(path, sha256, _labels(path), licence)


@functools.cache
def _downloaded(folder: Path) -> Path:
    """The unpacked download; its hash is checked once in each process."""
    archive = downloads.fetch(PRETRAINED, folder / PRETRAINED.url.rpartition("/")[2])
    kept = (".onnx", ".yaml")
    return archives.unpacked(archive, archive.stem, kept, kind="pretrained", what="ONNX model")


def _onnx_file(source: Path) -> Path:
    found = sorted(source.rglob("*.onnx")) if source.is_dir() else [source]
    if len(found) != 1 or found[0].suffix != ".onnx" or not found[0].is_file():
        raise PretrainedError(
            f"{source} is neither an ONNX file nor a folder with one: name the .onnx file of a "
            "pretrained model."
        )
    return found[0].resolve()


@functools.cache
def _sha256(path: Path, size: int, modified: int) -> str:
    return hash_of_file(path)


def _labels(path: Path) -> tuple[str, ...]:
    """The names of the output ``logits``, from the YAML of a model."""
    import yaml

    described = path.with_suffix(".yaml")
    try:
        about = next(iter(yaml.safe_load(described.read_text(encoding="utf-8")).values()))
        labels, transform = about["labels"]["logits"], about.get("transform")
    except OSError as error:
        raise PretrainedError(
            f"{described} cannot be read ({error.strerror}), and it says which output is valence: "
            "write it with audonnx.Model.to_yaml."
        ) from error
    except (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise PretrainedError(
            f"{described} does not label the output logits: write it with audonnx.Model.to_yaml."
        ) from error
    if transform is not None:
        raise PretrainedError(
            f"{described} names a transform, which is code that would be run: name a model whose "
            "input is the waveform."
        )
    if not isinstance(labels, list) or sorted(map(str, labels)) != sorted(DIMENSIONS):
        raise PretrainedError(
            f"{described} labels the output logits {labels!r}: name a model with "
            f"{', '.join(DIMENSIONS)}."
        )
    return tuple(map(str, labels))


def embedding(y: np.ndarray, model: Pretrained) -> np.ndarray:
    """What the network says of a waveform.

    A waveform of more than 30 s is cut into equal windows of at most 30 s, and the mean over them
    is returned, so that memory does not grow with the square of the duration.

    Args:
        y: waveform at 16 kHz, full scale from -1 to 1 [samples]
        model: see `pretrained_model`

    Returns:
        float32 [1024 + 3]: hidden states, and arousal, dominance and valence

    Raises:
        PretrainedError: if the file is no ONNX model with these inputs and outputs
    """
    network, order = _network(model), [model.labels.index(name) for name in DIMENSIONS]
    windows = np.array_split(y.astype(np.float32), windows_of(y))
    found = [network(each, SAMPLE_RATE) for each in windows]
    rows = [np.r_[each["hidden_states"][0], each["logits"][0, order]] for each in found]
    return np.stack(rows).mean(axis=0, dtype=np.float64).astype(np.float32)


def windows_of(y: np.ndarray) -> int:
    """How many windows a waveform at 16 kHz is cut into, see `embedding`."""
    return max(1, math.ceil(len(y) / (LONGEST_WINDOW * SAMPLE_RATE)))


#: Held while a network is loaded: threads that begin together would each load it.
_loading = threading.Lock()


def _network(model: Pretrained) -> Any:
    """The loaded network, once in each process."""
    with _loading:
        return _loaded(model)


@functools.lru_cache(maxsize=1)
def _loaded(model: Pretrained) -> Any:
    """A network of one thread, so that no bit depends on the cores."""
    import audonnx

    path = model.path
    try:
        network = audonnx.Model(str(path), num_workers=1)
    except Exception as error:  # onnxruntime has one class for each code of its library
        reason = str(error).partition("\n")[0]
        raise PretrainedError(
            f"{path} is no ONNX model that onnxruntime can load ({reason}): get it again."
        ) from error
    inputs = [each.shape for each in network.inputs.values()]
    outputs = {name: list(each.shape) for name, each in network.outputs.items()}
    expected = {"hidden_states": [1, STATES], "logits": [1, len(DIMENSIONS)]}
    if inputs != [[1, -1]] or outputs != expected:
        raise PretrainedError(
            f"{path} has inputs of shape {inputs} and the outputs {outputs}: name a model with one "
            f"waveform [1, -1] and the outputs {expected}."
        )
    return network


def embeddings(corpus: Corpus, *, jobs: int = -1) -> np.ndarray:
    """What the `pretrained_model` says of every clip of a corpus, cached.

    Clips are read whole, at 16 kHz; see `embedding` for those of more than 30 s. A killed run goes
    on where it was.

    Args:
        corpus: see `corpora.load`
        jobs: processes, each with one thread and a network; -1 is one for each core, as far as
            memory goes

    Returns:
        float32 [clips, 1024 + 3]: hidden states, and arousal, dominance and valence

    Raises:
        PretrainedError: see `pretrained_model`; or if a process is killed
        corpora.CorpusError: if a clip changed since the corpus was loaded, or can no longer be read
        storage.OutputError: if the cache cannot be written; finished clips are kept
        cli.UserError: if `jobs` is 0
    """
    model = pretrained_model()
    clips = list(zip(corpus.clips["path"], corpus.clips["sha256"], strict=True))
    shape = (len(clips), STATES + len(DIMENSIONS))
    make = functools.partial(_clip_embedding, model)
    memory = WINDOW_MEMORY + MEMORY_PER_BYTE * model.path.stat().st_size
    count = workers.side_by_side(jobs, memory)

    def fill(path: Path) -> None:
        try:
            extract_to(path, shape, clips, make, count, per_task=CLIPS_PER_TASK, processes=True)
        except TerminatedWorkerError as error:
            raise PretrainedError(
                "A process was killed, as the system does when memory runs out: use fewer jobs; "
                "finished clips are kept."
            ) from error

    return np.array(cached("pretrained", corpus, model.made_by, shape, fill))


def _clip_embedding(model: Pretrained, path: str) -> np.ndarray:
    y, _ = audio.read(path, SAMPLE_RATE)
    return embedding(y, model)
