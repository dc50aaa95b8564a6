"""Downloading a file, with a checksum and a progress bar, resumed where it broke off.

A server may be slow, silent or wrong, so what it sends has limits in size and in time.
"""

from __future__ import annotations

import http.client
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from fastlstm.counts import count_of
from fastlstm.files.lock import locked
from fastlstm.files.naming import named_path
from fastlstm.files.opening import check_file, open_file, sha256_of

if TYPE_CHECKING:
    from tqdm import tqdm

OPEN_SECONDS = 6.0  # until the server answers, with looking up its name
READ_SECONDS, LEAST_BYTES = 20.0, 1 << 17  # slower than these bytes in this time counts as broken
MOST_BYTES = 1 << 28  # of a file
ATTEMPTS = 3  # without any progress between them

_CHUNK = 1 << 18
Arrivals = queue.Queue[Any]  # a response, then chunks of bytes, the last one empty; or an error


class DownloadError(OSError):
    """A download broke off, or the server's answer makes no sense."""


class UnreachableError(DownloadError):
    """The server could not be reached or refused."""


class ChecksumError(ValueError):
    """The downloaded file is not the expected one."""


class _BrokenOff(Exception):
    """The connection ended before the file did."""


def download(
    url: str, target: str | os.PathLike[str], *, sha256: str, progress: bool = False
) -> Path:
    """Fetch `url` to the file `target` and return its path; a file that is right stays.

    The data is in ``target.part`` until it is complete and checked. A broken download goes on from
    there if the server can (HTTP Range), also in a later call. Of several calls at a time, in
    threads or processes, one fetches and the others wait.

    Parameters
    ----------
    url : what to fetch.
    target : where to put it; its folder is made.
    sha256 : the checksum expected, in hexadecimal.
    progress : whether to show a bar on the standard error stream.

    Raises
    ------
    UnreachableError
        If there is no connection, no answer within `OPEN_SECONDS`, or a refusal.
    DownloadError
        If the connection keeps breaking off or is too slow: the part is kept for the next try. If
        the file is larger than `MOST_BYTES`: it is not kept.
    ChecksumError
        If the checksum differs. The part is removed.
    OSError
        If it cannot be written, such as on a full disk, or the part is no regular file.
    """
    target = named_path(target, "target")
    new_folder = not target.parent.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(target.with_name(target.name + ".lock")):
            if not target.exists() or sha256_of(target) != sha256:
                _fetch_checked(url, target, sha256, progress)
    except UnreachableError:
        if new_folder:
            with suppress(OSError):  # not empty
                target.parent.rmdir()
        raise
    return target


def _fetch_checked(url: str, target: Path, sha256: str, progress: bool) -> None:
    part = target.with_name(target.name + ".part")
    if part.exists():
        check_file(part)
    fresh = _size(part) == 0
    _fetch_all(url, part, progress)
    found, size = sha256_of(part), _size(part)
    if found == sha256:
        os.replace(part, target)
        return
    part.unlink()
    if fresh:
        raise ChecksumError(
            f"{url} gave {count_of(size, 'byte')} with sha256 {found}, expected {sha256}; the "
            "download is removed"
        )
    _fetch_checked(url, target, sha256, progress)  # the old part did not belong to this file


def _fetch_all(url: str, part: Path, progress: bool) -> None:
    """Fetch into `part`, and go on after each break."""
    from tqdm import tqdm

    failures = 0
    with tqdm(
        desc=part.stem, unit="B", unit_scale=True, unit_divisor=1024, disable=not progress
    ) as bar:
        while True:
            before = _size(part)
            try:
                _fetch(url, part, bar)
                return
            except _BrokenOff as error:
                failures = 1 if _size(part) - before >= LEAST_BYTES else failures + 1
                if failures >= ATTEMPTS:
                    raise DownloadError(
                        f"{url} broke off after {count_of(_size(part), 'byte')} ({error}); "
                        "run again to go on from there"
                    ) from error


def _fetch(url: str, part: Path, bar: tqdm[Any]) -> None:
    """Fetch once, from where `part` ends."""
    offset = _size(part)
    headers = {"User-Agent": "fastlstm", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    arrived: Arrivals = queue.Queue()
    given_up = threading.Event()
    reader = (Request(url, headers=headers), arrived, given_up)
    threading.Thread(target=_read, args=reader, daemon=True).start()
    try:
        response = _response(url, offset, arrived)
        if response is not None:  # else the part is complete: its checksum is compared next
            _write(url, part, bar, response, _steady(arrived))
    finally:
        given_up.set()


def _read(request: Request, arrived: Arrivals, given_up: threading.Event) -> None:
    """Put a response and the chunks of its body, or the error that ends it, into a queue.

    It runs in its own thread, as looking up a name or a single read may take without limit.
    """
    try:
        # this limit only ends the thread: who waits for the queue has limits of its own
        with urlopen(request, timeout=OPEN_SECONDS + READ_SECONDS) as response:
            arrived.put(response)
            chunk = b"not yet"
            while chunk and not given_up.is_set():
                chunk = response.read1(_CHUNK)
                arrived.put(chunk)
    except BaseException as error:  # for the thread that waits
        arrived.put(error)


def _response(url: str, offset: int, arrived: Arrivals) -> http.client.HTTPResponse | None:
    """Wait for the response; None if nothing follows after `offset`."""
    try:
        answer = arrived.get(timeout=OPEN_SECONDS)
    except queue.Empty:
        raise UnreachableError(f"{url} gave no answer in {OPEN_SECONDS:g} s") from None
    if isinstance(answer, HTTPError):
        answer.close()
        if answer.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            return None
    if isinstance(answer, BaseException):
        raise UnreachableError(f"{url} cannot be reached: {answer}") from answer
    return cast(http.client.HTTPResponse, answer)


def _write(
    url: str, part: Path, bar: tqdm[Any], response: http.client.HTTPResponse,
    chunks: Iterator[bytes],
) -> None:  # fmt: skip
    """Append a body to `part`, or replace it if the server starts again."""
    size, said = 0, response.headers.get("Content-Range", "")
    resumed = response.status == http.client.PARTIAL_CONTENT
    if resumed:
        size = _size(part)
        if not said.startswith(f"bytes {size}-"):
            raise DownloadError(f"{url} answered {said!r} when asked to go on from byte {size}")
    length = response.headers.get("Content-Length", "")
    end = size + int(length) if length.isdecimal() else None
    bar.total, bar.n = end, size
    with open_file(part, "ab" if resumed else "wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > MOST_BYTES:
                break
            file.write(chunk)
            bar.update(len(chunk))
    if size > MOST_BYTES:
        part.unlink()
        raise DownloadError(f"{url} gives more than {MOST_BYTES:,} bytes, the most expected")
    if end is not None and size < end:
        raise _BrokenOff(f"{end} expected")


def _steady(arrived: Arrivals) -> Iterator[bytes]:
    """Yield chunks until an empty one; raise _BrokenOff after an error, or if they are too slow."""
    began, bytes_since = time.monotonic(), 0
    while True:
        left = began + READ_SECONDS - time.monotonic()
        if left <= 0:
            if bytes_since < LEAST_BYTES:
                raise _BrokenOff(f"{count_of(bytes_since, 'byte')} in {READ_SECONDS:g} s")
            began, bytes_since = time.monotonic(), 0
            continue
        try:
            item = arrived.get(timeout=left)
        except queue.Empty:
            continue
        if isinstance(item, BaseException):
            raise _BrokenOff(str(item) or type(item).__name__) from item
        if not item:
            return
        bytes_since += len(item)
        yield item


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
