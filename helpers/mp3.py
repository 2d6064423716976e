"""MP3s that do not say how long they are, and a decoder of them that says too much.

A file of the first kind has no count of its frames, because it was streamed or an editor removed
it. Each frame may have another bit rate, so that the size of the file says little.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import itertools
import os
import platform
import re
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

import soundfile

Opened = TypeVar("Opened", bound=soundfile.SoundFile)

#: Bytes of the header of each frame of an mp3.
MP3_HEADER = 4

#: Times that the lowest bit rate of an mp3, 8 kbit/s, is in the highest, 320, and more.
BIT_RATES = 64

#: The first bytes of a frame's header, of all versions of MPEG.
LAYER_3 = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")

#: Bytes among which the first frame is looked for, and how many places are tried.
FARTHEST, ATTEMPTS = 2**16, 32


class Longer(io.FileIO):
    """A file that is said to be `BIT_RATES` times as long as it is.

    Where an mp3 does not count its frames, libsndfile guesses their number from the size of the
    file and of the first frame, and stops there. So the guess is always behind the true end.

    Attributes:
        start: position where the first frame begins, before which nothing is read
    """

    def __init__(self, name: str, start: int = 0) -> None:
        super().__init__(name)
        self.start = start
        super().seek(start)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Behind the true end, where the end is said to be."""
        if whence == os.SEEK_END:
            offset, whence = offset + BIT_RATES * os.fstat(self.fileno()).st_size, os.SEEK_SET
        offset += self.start * (whence == os.SEEK_SET)
        return super().seek(offset, whence) - self.start

    def tell(self) -> int:
        """Position from the first frame on."""
        return super().tell() - self.start

    def readinto(self, buffer: Any, /) -> int:
        """Zeros for the rest of a frame that is cut off; the end is where no frame's header is."""
        there = super().readinto(buffer)
        if not there and len(buffer) <= MP3_HEADER:
            return 0
        buffer[there:] = bytes(len(buffer) - there)
        return len(buffer)


def frames(path: str) -> Iterator[int]:
    """Where the first frame of an mp3 may begin: at its start, else at what looks like a header.

    A stream that was caught in its middle begins with the rest of a frame.
    """
    yield 0
    with open(path, "rb") as file:
        beginning = file.read(FARTHEST)
    for header in itertools.islice(LAYER_3.finditer(beginning), ATTEMPTS):
        yield header.start()


class Quiet:
    """Lets C's stderr, which libsndfile's decoder of mp3 writes to, lead nowhere for a while.

    Python has a stderr of its own, which progress bars and messages go on to use. Threads may be in
    it at once. It does nothing where the C library is not glibc, which is the one that allows it.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._stderr: ctypes.c_void_p | None = None
        if platform.libc_ver()[0] == "glibc":
            c = ctypes.CDLL(None)
            c.fopen.restype = ctypes.c_void_p
            self._stderr = ctypes.c_void_p.in_dll(c, "stderr")
            self._streams = self._stderr.value, c.fopen(os.devnull.encode(), b"w")

    def __enter__(self) -> None:
        self._step(1)

    def __exit__(self, *error: object) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        with self._lock:
            self._inside += step
            if self._stderr is not None:
                self._stderr.value = self._streams[self._inside > 0]


#: While it is entered, C's stderr leads nowhere.
QUIET = Quiet()


def to_its_end(file: Opened) -> Opened:
    """An open mp3; if its length is a guess, which depends on the size of the file, as `Longer`."""
    longer = _longer(file)
    if longer is None:
        return file
    guess, other = (file, longer) if longer.frames != file.frames else (longer, file)
    guess.close()
    return other


def _longer(file: Opened) -> Opened | None:
    """An mp3 from its first frame on; None if there is no frame whose header libsndfile knows."""
    for start in frames(file.name):
        longer = Longer(file.name, start)
        with contextlib.suppress(soundfile.LibsndfileError), QUIET:
            return type(file)(longer)
        longer.close()
    return None
