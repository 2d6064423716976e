"""Downloads from a real server on this machine, which can be made as unreliable as the internet."""

import hashlib
import http.server
import os
import re
import shlex
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers import cli, corpora
from helpers import downloads as files
from helpers.corpora import CorpusError, downloads
from helpers.storage import PROJECT, OutputError
from tests.conftest import voice, write_corpus
from tests.corpora.conftest import zipped


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        if self.headers["User-Agent"].startswith("python-requests"):  # as Zenodo does
            return self.send_error(403)
        start = int(asked[len("bytes=") : -1]) if asked and server.ranges else 0
        body = server.content[start:]
        if not body:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for piece in (body[: server.pause_after], body[server.pause_after :]):
            server.sent += len(piece)  # before the client can have it, so that no test is too early
            try:
                self.wfile.write(piece)
            except ConnectionError:  # the client is gone
                return None
            if server.breaks:
                return None
            server.go_on.wait()
        return None

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`.

    Attributes:
        ranges: whether it knows Range requests
        pause_after: bytes that it sends before it waits for `go_on`
        breaks: whether it closes the connection there instead
        asked: the Range header of each request
        sent: bytes of content, all requests together
    """

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.breaks, self.pause_after = content, True, False, 200_000
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked, self.sent = [], 0

    @property
    def changes(self):
        """What differs from the catalogue's entry."""
        return {
            "url": f"http://127.0.0.1:{self.server_port}/speech.zip?download=1",
            "size": len(self.content),
            "md5": hashlib.md5(self.content).hexdigest(),
        }


NAMES = ("01/03-01-03-01-01-01-01", "01/03-01-05-02-02-01-01", "02/03-01-02-01-01-02-02")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A zip like that of RAVDESS, of 384 kB."""
    folder = tmp_path_factory.mktemp("published")
    for seed, name in enumerate(NAMES):
        path = folder / "speech" / f"Actor_{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(4.0, seed=seed), 16000)
    return zipped(folder / "speech", packing=zipfile.ZIP_STORED).read_bytes()


@pytest.fixture
def server(content, output, monkeypatch):
    """The catalogue's RAVDESS is what this server has."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        ravdess = replace(downloads.CORPORA["ravdess"], **server.changes)
        monkeypatch.setitem(downloads.CORPORA, "ravdess", ravdess)
        yield server
        server.go_on.set()
        server.shutdown()


@pytest.fixture
def path(output):
    path = output / ".cache" / "downloads" / "ravdess.zip"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def part(path):
    return path.with_name("ravdess.zip.part")


def test_the_catalogue_has_ravdess_as_it_is_published():
    ravdess = downloads.CORPORA["ravdess"]
    assert ravdess.url.startswith("https://zenodo.org/records/1188976/files/Audio_Speech_Actors_")
    assert ravdess.size == 208_468_073
    assert ravdess.md5 == "bc696df654c87fed845eb13823edef8a"


@pytest.mark.parametrize("name", ["ravdess", "RAVDESS"])
def test_a_name_is_all_that_a_corpus_takes(server, content, name):
    corpus = corpora.load(name)
    assert (corpus.name, corpus.layout) == ("ravdess", "RAVDESS")
    assert corpus.licence == downloads.CORPORA["ravdess"].licence
    clips = corpus.clips.sort_values("path")
    np.testing.assert_allclose(clips["valence"], [4.62, 1.98, 4.36])
    assert clips["speaker"].tolist() == ["01", "01", "02"]
    assert corpora.load(name).fingerprint == corpus.fingerprint
    assert (len(server.asked), server.sent) == (1, len(content))


def test_a_folder_of_that_name_wins(server, tmp_path, monkeypatch):
    write_corpus(tmp_path / "ravdess", clips=4)
    monkeypatch.chdir(tmp_path)
    assert corpora.load("ravdess").layout == "labels table"
    assert server.asked == []


def test_only_what_is_missing_is_asked_for(server, content, path, part):
    part.write_bytes(content[:100_000])
    assert downloads.fetch("ravdess") == path
    assert server.asked == ["bytes=100000-"] and server.sent == len(content) - 100_000
    assert path.read_bytes() == content and not part.exists()


def test_a_server_without_ranges_sends_all_of_it_again(server, content, path, part):
    server.ranges = False
    part.write_bytes(content[:100_000])
    assert downloads.fetch("ravdess").read_bytes() == content
    assert server.sent == len(content)


def test_what_came_before_the_connection_broke_is_kept(server, content, part):
    server.breaks = True
    with pytest.raises(CorpusError, match="IncompleteRead.*: run the same command again to go"):
        downloads.fetch("ravdess")
    kept = part.read_bytes()
    assert len(kept) > 200_000 - files.CHUNK and content.startswith(kept)
    server.breaks = False
    assert downloads.fetch("ravdess").read_bytes() == content
    assert server.asked == [None, f"bytes={len(kept)}-"]


def test_a_file_that_was_not_published_is_removed(server, content, path, part):
    server.content = content[:1000] + b"?" + content[1001:]
    with pytest.raises(CorpusError, match="its MD5 is not .* and is removed: run the same"):
        downloads.fetch("ravdess")
    assert not path.exists() and not part.exists()
    server.content = content
    assert downloads.fetch("ravdess").read_bytes() == content


def test_a_file_put_there_by_hand_is_as_good_as_a_download(server, content, path):
    path.write_bytes(content)
    assert downloads.fetch("ravdess") == path
    path.write_bytes(content[:-1])
    with pytest.raises(CorpusError, match="ravdess.zip was not what"):
        downloads.fetch("ravdess")
    assert server.asked == []


def test_a_part_that_is_whole_needs_no_server(server, content, part):
    part.write_bytes(content)
    assert downloads.fetch("ravdess").read_bytes() == content
    assert server.asked == []


def test_a_part_longer_than_the_servers_file_is_given_up(server, content, part):
    server.content = content[:1000]
    part.write_bytes(content[:2000])
    with pytest.raises(CorpusError, match=f"offers 1000 bytes instead of {len(content)}"):
        downloads.fetch("ravdess")
    assert server.asked == ["bytes=2000-", None] and not part.exists()


def test_a_page_instead_of_the_file_does_not_cost_what_came(server, content, part):
    server.content, server.ranges = b"<html>Please log in", False
    part.write_bytes(content[:2000])
    with pytest.raises(CorpusError, match="offers 19 bytes instead of"):
        downloads.fetch("ravdess")
    assert part.read_bytes() == content[:2000]


FETCH = """
from dataclasses import replace
from helpers.corpora import downloads
downloads.CORPORA["ravdess"] = replace(downloads.CORPORA["ravdess"], **{changes})
print("ready", flush=True)
downloads.fetch("ravdess")
"""


def fetching(server):
    """A process that is about to download."""
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH.format(changes=server.changes)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def wait_until_half(part, process):
    while not (part.exists() and part.stat().st_size > 100_000):
        assert process.poll() is None, "the download ended before half of it came"
        time.sleep(0.01)


def test_a_killed_download_goes_on_where_it_was(server, content, part):
    server.go_on.clear()
    process = fetching(server)
    wait_until_half(part, process)
    process.kill()
    process.communicate()
    kept = part.stat().st_size
    server.go_on.set()
    assert downloads.fetch("ravdess").read_bytes() == content
    assert server.asked == [None, f"bytes={kept}-"]


def test_two_at_once_download_once(server, content, path, part):
    server.go_on.clear()
    first = fetching(server)
    wait_until_half(part, first)
    second = fetching(server)
    time.sleep(0.5)  # for the second to ask, if it did not wait
    server.go_on.set()
    for process in (first, second):
        process.communicate()
        assert process.returncode == 0
    assert server.asked == [None] and path.read_bytes() == content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_named_with_how_to_fix_it(server, part):
    part.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"\(No space left on device\): make room there, or"):
        downloads.fetch("ravdess")


def one_sentence(capsys):
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1
    return printed.err


def test_without_a_server_the_sentence_says_where_to_get_the_file_and_where_to_put_it(
    server, path, capsys
):
    url = downloads.CORPORA["ravdess"].url
    server.shutdown()
    server.server_close()
    for command in (downloads, corpora):
        assert cli.run(command.main, ["ravdess"]) == 2
        sentence = one_sentence(capsys)
        assert sentence.startswith(f"{url} stopped at 0 of")
        assert re.search(r"MB \(\[Errno \d+\] Connection refused\): run", sentence)
        assert sentence.endswith(f"or download it elsewhere and put it at {path}.\n")


def test_a_refusal_of_the_server_is_named(server, monkeypatch):
    monkeypatch.setitem(files.HEADERS, "User-Agent", "python-requests/2.32.5")
    with pytest.raises(CorpusError, match=r"\(the server answers 403 Forbidden\)"):
        downloads.fetch("ravdess")


@pytest.mark.parametrize("arguments", [[], ["iemocap"]])
def test_without_a_known_name_those_there_are_are_named(output, capsys, arguments):
    assert cli.run(downloads.main, arguments) == 2
    assert one_sentence(capsys).endswith("can be downloaded: name one of ravdess.\n")


def test_what_does_not_exist_may_be_a_misspelt_name(output):
    with pytest.raises(CorpusError, match=r"ravdes does not exist: .* downloaded \(ravdess\)"):
        corpora.load("ravdes")


# A shell script, since the line after #! cannot name an interpreter in a folder with a space.
PYTHON = """#!/bin/sh
exec {python} - "$@" <<'END'
import sys
from dataclasses import replace
sys.path.insert(0, {project!r})
from helpers import cli
from helpers.corpora import downloads
assert sys.argv[1:3] == ["-m", "helpers.corpora.downloads"]
downloads.CORPORA["ravdess"] = replace(downloads.CORPORA["ravdess"], **{changes})
sys.exit(cli.run(downloads.main, sys.argv[3:]))
END
"""


@pytest.mark.skipif(os.name == "nt", reason="the README has commands without make")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["CORPUS=ravdess"], 0, "ravdess.zip (licence: CC BY-NC-SA 4.0)"),
        (
            ["CORPUS=iemocap"],
            2,
            "No corpus called 'iemocap' can be downloaded: name one of ravdess",
        ),
        ([], 2, "No corpus called '' can be downloaded: name one of ravdess"),
    ],
)
def test_make_data_says_where_the_file_is_or_which_names_there_are(
    server, path, tmp_path, arguments, code, words
):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        PYTHON.format(
            python=shlex.quote(sys.executable), project=str(PROJECT), changes=server.changes
        )
    )
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    (tmp_path / "data").mkdir()  # as in the project, where the folder is no reason to do nothing
    command = ["make", "-f", PROJECT / "Makefile", "-o", ".venv/installed", "data", *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == code and words in run.stdout + run.stderr
    assert path.exists() == (code == 0)
