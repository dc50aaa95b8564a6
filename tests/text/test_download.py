"""Downloads from a server of our own on 127.0.0.1."""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from fastlstm.files import lock
from fastlstm.files.cache import cache_folder
from fastlstm.text import ChecksumError, DownloadError, UnreachableError
from fastlstm.text import download as module
from fastlstm.text.download import download as fetch

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATIENCE = 600.0  # seconds in which a server answers that is at work, however busy the machine is


class Server(ThreadingHTTPServer):
    """Serves `content`; the attributes say how badly."""

    daemon_threads = True
    content = CONTENT
    ranges = True  # whether it understands Range
    break_after: int | None = None  # bytes of an answer's body before the line is cut
    breaks = 10**9  # how many answers are cut
    status: int | None = None  # an error to answer with
    silence = 0.0  # seconds before any answer
    content_range: str | None = None  # a wrong answer to a Range request
    endless = False  # whether the body never ends
    drip: int | None = None  # bytes of the body that come at once; the rest one every 10 ms
    stalls = False  # whether the line then stays open
    length: str | None = None  # a wrong Content-Length

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []  # the Range header of each request
        self.over = threading.Event()

    def handle_error(self, *ignored: object) -> None:
        """Say nothing: whoever asked has left."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.headers["Range"])
        server.over.wait(server.silence)
        offset = self._offset() if server.ranges else 0
        if server.status or offset > len(server.content) or (offset == len(server.content) > 0):
            self.send_error(server.status or 416)
            return
        body = server.content[offset:]
        self.send_response(206 if offset else 200)
        if offset:
            span = f"bytes {offset}-{len(server.content) - 1}/{len(server.content)}"
            self.send_header("Content-Range", server.content_range or span)
        if not server.endless:
            self.send_header("Content-Length", server.length or str(len(body)))
        self.end_headers()
        self._send(body)

    def _send(self, body: bytes) -> None:
        server = self.server
        while server.endless and not server.over.is_set():
            self.wfile.write(body)
        if server.break_after is not None and server.breaks > 0:
            server.breaks -= 1
            body = body[: server.break_after]
        at_once = len(body) if server.drip is None else server.drip
        self.wfile.write(body[:at_once])
        for byte in body[at_once:]:
            if server.over.wait(0.01):
                return
            if not server.stalls:
                self.wfile.write(bytes([byte]))

    def _offset(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(asked[1]) if asked else 0

    def log_message(self, *ignored: object) -> None:
        """Say nothing."""


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Only the clocks that a test chooses end a download."""
    monkeypatch.setattr(module, "OPEN_SECONDS", PATIENCE)
    monkeypatch.setattr(module, "READ_SECONDS", PATIENCE)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new folder" / "file.bin"


def part(target):
    return target.with_name("file.bin.part")


def names(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_whole_download(server, target, capsys):
    assert fetch(server.url, target, sha256=SHA256) == target
    assert target.read_bytes() == CONTENT
    assert names(target) == ["file.bin"]
    assert capsys.readouterr().err == ""


def test_progress_is_shown(server, target, capsys):
    fetch(server.url, target, sha256=SHA256, progress=True)
    assert "file.bin" in capsys.readouterr().err


def test_a_broken_line_is_taken_up_where_it_broke(server, target):
    server.break_after = 300_000
    fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_a_server_without_ranges_starts_again(server, target):
    server.ranges, server.break_after, server.breaks = False, 300_000, 1
    fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_line_that_gives_nothing_more_ends_the_tries(server, target):
    server.break_after, server.ranges = 300_000, False
    with pytest.raises(DownloadError, match=r"broke off after 300,000 bytes.*run again"):
        fetch(server.url, target, sha256=SHA256)
    assert len(server.asked) == 3
    assert names(target) == ["file.bin.part"]


def test_a_later_call_goes_on(server, target):
    target.parent.mkdir()
    part(target).write_bytes(CONTENT[:999_000])
    fetch(server.url, target, sha256=SHA256)
    assert server.asked == ["bytes=999000-"]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_already_whole(server, target):
    target.parent.mkdir()
    part(target).write_bytes(CONTENT)
    fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_part_of_another_file_is_fetched_anew(server, target, size):
    target.parent.mkdir()
    part(target).write_bytes(b"x" * size)
    fetch(server.url, target, sha256=SHA256)
    assert server.asked[-1] is None
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum(server, target):
    server.content = b"<html>please log in</html>"
    with pytest.raises(ChecksumError, match=f"gave 26 bytes with sha256 .* expected {SHA256}"):
        fetch(server.url, target, sha256=SHA256)
    assert names(target) == []


def test_a_wrong_checksum_leaves_an_earlier_file(server, target):
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    server.content = b"other"
    with pytest.raises(ChecksumError):
        fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == b"earlier"


@pytest.mark.parametrize("status", [403, 404, 416, 500])
def test_a_refusal(server, target, status):
    server.status = status
    with pytest.raises(UnreachableError, match=f"cannot be reached: HTTP Error {status}"):
        fetch(server.url, target, sha256=SHA256)
    assert not target.exists()


def test_an_answer_for_another_place(server, target):
    target.parent.mkdir()
    part(target).write_bytes(CONTENT[:1000])
    server.content_range = "bytes 0-999999/1000000"
    with pytest.raises(DownloadError, match="asked to go on from byte 1000"):
        fetch(server.url, target, sha256=SHA256)


def test_a_closed_port(target):
    with pytest.raises(UnreachableError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/file.bin", target, sha256=SHA256)
    assert not target.parent.exists()


def test_a_server_that_says_nothing_is_not_waited_for(server, target, monkeypatch):
    monkeypatch.setattr(module, "OPEN_SECONDS", 0.2)
    server.silence = PATIENCE  # it is let go when the test is over
    with pytest.raises(UnreachableError, match=r"gave no answer in 0.2 s"):
        fetch(server.url, target, sha256=SHA256)


def test_a_slow_answer_is_not_a_slow_body(server, target, monkeypatch):
    monkeypatch.setattr(module, "READ_SECONDS", 0.1)
    monkeypatch.setattr(module, "LEAST_BYTES", 0)
    server.silence = 0.5
    fetch(server.url, target, sha256=SHA256)
    assert server.asked == [None]


def test_an_endless_body_is_cut_off_and_not_kept(server, target, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 3_000_000)
    server.endless = True
    with pytest.raises(DownloadError, match="gives more than 3,000,000 bytes"):
        fetch(server.url, target, sha256=SHA256)
    assert names(target) == []


@pytest.mark.parametrize("stalls", [False, True])
def test_a_drip_ends_after_some_tries(server, target, monkeypatch, stalls):
    monkeypatch.setattr(module, "READ_SECONDS", 0.1)
    server.drip, server.stalls = 500, stalls
    with pytest.raises(
        DownloadError, match=r"broke off after [\d,]+ bytes \([\d,]+ bytes in 0.1 s\)"
    ):
        fetch(server.url, target, sha256=SHA256)
    assert len(server.asked) == module.ATTEMPTS
    assert names(target) == ["file.bin.part"]


@pytest.fixture
def clock_of_stalls(server, monkeypatch):
    """A clock that stands still but for when the line stalls, and we have all that was sent."""
    come, now = [0], [0.0]

    class Arrivals(queue.Queue):
        def get(self, block=True, timeout=None):
            item = super().get(block, timeout)
            come[0] += len(item) if isinstance(item, bytes) else 0
            return item

    def clock():
        sent = min(server.drip * len(server.asked), len(CONTENT) - 1)  # at whose end nothing stalls
        now[0] += module.READ_SECONDS * (come[0] == sent)
        return now[0]

    monkeypatch.setattr(module, "queue", SimpleNamespace(Queue=Arrivals, Empty=queue.Empty))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))


@pytest.mark.usefixtures("clock_of_stalls")
def test_a_line_that_stalls_again_and_again_gets_to_the_end(server, target, monkeypatch):
    monkeypatch.setattr(module, "READ_SECONDS", 0.1)
    monkeypatch.setattr(module, "LEAST_BYTES", 1 << 17)
    server.drip, server.stalls = 200_000, True  # fewer than a piece that is read
    fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 5


@pytest.mark.parametrize("length", ["many", "-5"])
def test_a_length_that_is_no_number(server, target, length):
    server.length, server.drip = length, None
    fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_of_many_calls_at_a_time_one_fetches(server, target):
    found, threads = [], []
    for _ in range(20):
        call = threading.Thread(
            target=lambda: found.append(fetch(server.url, target, sha256=SHA256))
        )
        call.start()
        threads.append(call)
    for call in threads:
        call.join()
    assert found == [target] * 20
    assert server.asked == [None]
    assert target.read_bytes() == CONTENT
    assert names(target) == ["file.bin"]


def test_several_processes_at_a_time(server, target):
    code = (
        "import sys; from fastlstm.text import download as module; "
        f"module.OPEN_SECONDS = module.READ_SECONDS = {PATIENCE}; "
        "module.download(*sys.argv[1:3], sha256=sys.argv[3])"
    )
    line = [sys.executable, "-c", code, server.url, str(target), SHA256]
    calls = [subprocess.Popen(line) for _ in range(3)]
    assert [call.wait(timeout=600) for call in calls] == [0, 0, 0]
    assert server.asked == [None]
    assert names(target) == ["file.bin"]


def test_the_lock_of_a_dead_process_is_no_hindrance(server, target):
    target.parent.mkdir()
    target.with_name("file.bin.lock").write_bytes(b"")
    assert fetch(server.url, target, sha256=SHA256).read_bytes() == CONTENT
    assert names(target) == ["file.bin"]


def test_where_the_system_has_no_locks(server, target, monkeypatch):
    def none(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "lock_file", none)
    assert fetch(server.url, target, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.skipif(os.name != "posix", reason="there are no such pipes")
def test_a_pipe_where_the_part_should_be(server, target):
    target.parent.mkdir()
    os.mkfifo(part(target))
    with pytest.raises(OSError, match=r"file\.bin\.part is a pipe \(FIFO\), expected a file"):
        fetch(server.url, target, sha256=SHA256)
    assert server.asked == []


def test_a_place_that_cannot_be_written_is_not_taken_for_a_bad_line(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file") as caught:
        fetch(server.url, tmp_path / "file" / "file.bin", sha256=SHA256)
    assert not isinstance(caught.value, DownloadError)


def test_cache_folder(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("FASTLSTM_CACHE")
    assert cache_folder().name in ("fastlstm", "Cache")


def test_a_relative_cache_folder_stays_where_it_was_first(monkeypatch, tmp_path):
    """A process that goes to another folder meanwhile had two."""
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTLSTM_CACHE", f"of-{tmp_path.name}")
    first = cache_folder()
    assert first == tmp_path / f"of-{tmp_path.name}"
    monkeypatch.chdir(tmp_path / "other")
    assert cache_folder() == first


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the folder of a process")
def test_a_relative_cache_folder_in_a_folder_that_is_gone(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("FASTLSTM_CACHE", f"in-{tmp_path.name}")
    with pytest.raises(OSError, match=r"FASTLSTM_CACHE is 'in-.*', in the folder of this process"):
        cache_folder()
