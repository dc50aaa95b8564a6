"""Downloading a file: with a checksum, a progress bar, and going on where it broke off."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from tqdm import tqdm

OPEN_SECONDS = 6.0
"""How long an answer may take, looking up the name included: what an offline machine waits."""
READ_SECONDS = 20.0
"""How long a running download may stand still before it counts as broken."""
ATTEMPTS = 3
"""How often a download that breaks off without getting any further is taken up again."""

_CHUNK = 1 << 18


class DownloadError(OSError):
    """A download broke off, or the server's answer makes no sense."""


class UnreachableError(DownloadError):
    """The server could not be reached or refused."""


class ChecksumError(ValueError):
    """The downloaded file is not the expected one."""


class _BrokenOff(Exception):
    """The connection ended before the file did; what came is kept."""


def download(
    url: str, target: str | os.PathLike[str], *, sha256: str, progress: bool = False
) -> Path:
    """Fetch `url` to the file `target`, which appears only when complete and checked.

    Until then the data is in ``target.part``; an interrupted download, in this call or an
    earlier one, goes on from there if the server can (HTTP Range) and else starts again.

    Parameters
    ----------
    url : what to fetch.
    target : where to put it; its folder is made.
    sha256 : the checksum expected, in hexadecimal.
    progress : whether to show a bar on the standard error stream.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    UnreachableError
        If there is no connection, no answer within `OPEN_SECONDS`, or a refusal.
    DownloadError
        If the connection keeps breaking off. The part is kept for the next try.
    ChecksumError
        If the checksum differs. The part is removed.
    OSError
        If it cannot be written, such as on a full disk.
    """
    target = Path(target)
    part = target.with_name(target.name + ".part")
    fresh = _size(part) == 0
    _fetch_all(url, part, progress)
    found = _digest(part)
    if found == sha256:
        os.replace(part, target)
        return target
    size = _size(part)
    part.unlink()
    if not fresh:  # an old part that did not belong to this file: start again
        return download(url, target, sha256=sha256, progress=progress)
    raise ChecksumError(
        f"{url} gave {size} bytes with sha256 {found}, expected {sha256}; the download is removed"
    )


def _fetch_all(url: str, part: Path, progress: bool) -> None:
    """Fetch into `part`, taking it up again after each break."""
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
                failures = 1 if _size(part) > before else failures + 1
                if failures >= ATTEMPTS:
                    raise DownloadError(
                        f"{url} broke off after {_size(part)} bytes ({error}); "
                        "run again to go on from there"
                    ) from error


def _fetch(url: str, part: Path, bar: tqdm[Any]) -> None:
    """Fetch once, from where `part` ends."""
    offset = _size(part)
    response = _open(url, offset)
    if response is None:  # nothing lies beyond what is there: the checksum will tell
        return
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        said = response.headers.get("Content-Range", "")
        if resumed and not said.startswith(f"bytes {offset}-"):
            raise DownloadError(f"{url} answered {said!r} when asked to go on from byte {offset}")
        start = offset if resumed else 0
        length = response.headers.get("Content-Length")
        end = None if length is None else start + int(length)
        bar.total, bar.n = end, start
        part.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab" if resumed else "wb") as file:
            while chunk := _read(response):
                file.write(chunk)
                bar.update(len(chunk))
    if end is not None and _size(part) < end:
        raise _BrokenOff(f"{end} expected")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from error


def _open(url: str, offset: int) -> http.client.HTTPResponse | None:
    """Ask for `url` from byte `offset` on; None if the server says that nothing is there.

    The asking is done in a thread of its own because looking up a name has no time limit.
    """
    headers = {"User-Agent": "fastlstm", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    answers: queue.Queue[http.client.HTTPResponse | BaseException] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(urlopen(Request(url, headers=headers), timeout=READ_SECONDS))
        except BaseException as error:  # handed to the thread that waits
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=OPEN_SECONDS)
    except queue.Empty:
        raise UnreachableError(f"{url} gave no answer in {OPEN_SECONDS:g} s") from None
    if isinstance(answer, HTTPError):
        answer.close()
        if answer.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            return None
    if isinstance(answer, BaseException):
        raise UnreachableError(f"{url} cannot be reached: {answer}") from answer
    return answer


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
