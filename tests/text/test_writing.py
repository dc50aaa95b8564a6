"""Files are written whole, and as if the earlier file were written to: links, owner and mode."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastlstm as fl
from fastlstm.files.writing import remove_temporary, replacing, write_file

posix = pytest.mark.skipif(os.name != "posix", reason="of systems with links and modes")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: Path = Path()) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@posix
def test_a_link_stays_and_leads_to_what_was_written() -> None:
    Path("disk").mkdir()
    Path("disk/real").write_bytes(b"old")
    Path("link").symlink_to("disk/real")
    Path("second").symlink_to("link")
    write_file(Path("second"), b"new")
    assert Path("disk/real").read_bytes() == b"new"
    assert os.readlink("link") == "disk/real"
    assert os.readlink("second") == "link"
    assert names() == ["disk", "link", "second"]
    assert names(Path("disk")) == ["real"]


@posix
def test_a_link_to_what_is_not_there_yet() -> None:
    Path("link").symlink_to("real")
    write_file(Path("link"), b"new")
    assert Path("link").is_symlink()
    assert Path("real").read_bytes() == b"new"
    Path("out").symlink_to("gone/real")
    with pytest.raises(FileNotFoundError, match=r"cannot write out \(there is no folder .*gone\)"):
        write_file(Path("out"), b"new")
    assert names() == ["link", "out", "real"]


def _fail_halfway(path: str) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise RuntimeError


@posix
def test_a_failure_behind_a_link_leaves_the_earlier_file() -> None:
    Path("real").write_bytes(b"old")
    Path("link").symlink_to("real")
    with pytest.raises(RuntimeError):
        _fail_halfway("link")
    assert Path("link").read_bytes() == b"old"
    assert Path("link").is_symlink()
    assert names() == ["link", "real"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_stay(mode: int) -> None:
    """Of a model that nobody else may read, or that a group may write."""
    Path("file").write_bytes(b"old")
    os.chmod("file", mode)
    with replacing("file") as file:
        (temporary,) = (name for name in os.listdir() if name.endswith(".tmp"))
        assert os.stat(temporary).st_mode & 0o777 == mode
        file.write(b"new")
    assert os.stat("file").st_mode & 0o777 == mode
    assert Path("file").read_bytes() == b"new"


@posix
def test_permissions_of_a_new_file_are_the_usual_ones() -> None:
    before = os.umask(0o027)
    try:
        write_file(Path("file"), b"new")
    finally:
        os.umask(before)
    assert os.stat("file").st_mode & 0o777 == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files")
def test_an_owner_stays() -> None:
    Path("file").write_bytes(b"old")
    os.chown("file", 1234, 2345)
    write_file(Path("file"), b"new")
    assert (os.stat("file").st_uid, os.stat("file").st_gid) == (1234, 2345)


def test_a_file_that_may_not_be_written_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename asks the folder alone, so that it would replace what is marked as read-only."""
    Path("file").write_bytes(b"old")
    true = os.open

    def refused(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if os.fspath(path) == "file" and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied", "file")
        return true(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError, match=r"cannot write file \(Permission denied\)"):
        write_file(Path("file"), b"new")
    assert Path("file").read_bytes() == b"old"
    assert names() == ["file"]


def _pipe() -> None:
    os.mkfifo("out")


def _socket() -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("out")


OTHERS: dict[str, Callable[[], None]] = {
    r"a pipe \(FIFO\)": _pipe,
    "a socket": _socket,
    "a folder": lambda: os.mkdir("out"),
    "a device": lambda: os.symlink("/dev/null", "out"),
}


@posix
@pytest.mark.parametrize("told", OTHERS)
def test_what_is_no_file_is_not_replaced(told: str) -> None:
    OTHERS[told]()
    before = os.lstat("out")
    with pytest.raises(OSError, match=f"out is {told}, expected a file"):
        write_file(Path("out"), b"new")
    assert os.path.samestat(os.lstat("out"), before)
    assert names() == ["out"]


@posix
def test_links_in_a_circle() -> None:
    Path("out").symlink_to("out")
    with pytest.raises(OSError, match=r"cannot write out \(Too many levels of symbolic links\)"):
        write_file(Path("out"), b"new")
    assert Path("out").is_symlink()


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "a" * 242, "a" * 241])
def test_a_name_as_long_as_the_system_takes(name: str) -> None:
    try:
        Path(name).write_bytes(b"old")
    except OSError:
        pytest.skip("this system has shorter names")
    with replacing(name) as file:
        file.write(b"new")
        assert len(names()) == 2
    assert Path(name).read_bytes() == b"new"
    assert names() == [name]


def test_what_is_left_of_a_long_name_is_found() -> None:
    name = "a" * 250
    with replacing(name):
        (left,) = names()
    Path(left).touch()
    remove_temporary(Path(), [name])
    assert names() == [name]


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(OSError, match="cannot write a{300} ") as caught:
        write_file(Path("a" * 300), b"new")
    assert caught.value.errno in (errno.ENAMETOOLONG, errno.ENOENT, errno.EINVAL)
    assert names() == []


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*\(there is no folder gone\)"):
        fl.save(fl.Linear(2, 2), Path("gone") / "a.safetensors")
    assert names() == []


def _write_where_folder_goes(folder: Path) -> None:
    with replacing(folder / "file") as file:
        file.write(b"new")
        shutil.rmtree(folder)


@posix
def test_a_folder_that_goes_meanwhile() -> None:
    Path("folder").mkdir()
    with pytest.raises(FileNotFoundError, match="there is no folder folder"):
        _write_where_folder_goes(Path("folder"))
    assert names() == []
