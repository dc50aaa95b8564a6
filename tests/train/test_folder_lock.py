"""One writer at a time in a folder, and a lock that no dead process leaves behind."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fastlstm.train import folder_lock
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.folder_lock import NAME, FolderInUseError, FolderLock

# Holds the folder given until it is told to end, or killed.
HOLD = """
import sys
from pathlib import Path
from fastlstm.train.folder_lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_is_refused_by_name_until_the_holder_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holder(folder) as process:
        with pytest.raises(FolderInUseError) as caught, FolderLock(folder):
            pass
        assert f"{folder} is in use: process {process.pid} writes there" in str(caught.value)
        process.communicate("")
    assert os.listdir(folder) == []
    with FolderLock(folder):
        assert os.listdir(folder) == [NAME]


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / NAME).exists()  # a file, which nobody has locked
    with FolderLock(tmp_path):
        assert (tmp_path / NAME).read_text().split()[0] == str(os.getpid())
    assert not (tmp_path / NAME).exists()


def test_the_same_thread_may_enter_again_and_others_not(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    told: list[object] = []

    def other(lock: FolderLock) -> None:
        try:
            with lock:
                told.append("entered")
        except FolderInUseError as error:
            told.append(str(os.getpid()) in str(error))

    with lock, lock:
        for one in (lock, FolderLock(tmp_path)):
            thread = threading.Thread(target=other, args=(one,))
            thread.start()
            thread.join()
    assert told == [True, True]
    thread = threading.Thread(target=other, args=(lock,))
    thread.start()
    thread.join()
    assert told[2:] == ["entered"]


def test_it_is_given_back_after_an_error_and_where_the_folder_is_gone(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "a")
    with pytest.raises(KeyError), lock:
        raise KeyError
    with lock:
        (tmp_path / "a" / NAME).unlink()
        (tmp_path / "a").rmdir()
    with lock:
        assert (tmp_path / "a" / NAME).exists()


def outlive(folder: Path, ready: Any, done: Any) -> None:
    ready.set()
    done.wait(600)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_that_outlives_its_parents_block_does_not_keep_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    with FolderLock(tmp_path):
        child = context.Process(target=outlive, args=(tmp_path, ready, done))
        child.start()
        assert ready.wait(600)
        with pytest.raises(FolderInUseError), FolderLock(tmp_path):
            pass  # what the child did has not given the parent's lock away
    try:
        with FolderLock(tmp_path):
            assert (tmp_path / NAME).exists()
    finally:
        done.set()
        child.join()


@pytest.mark.skipif(os.name != "posix", reason="another call locks there")
def test_where_there_are_no_locks_a_warning_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(file: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folder_lock, "lock_file", none)
    with pytest.warns(RuntimeWarning, match="cannot be locked"), FolderLock(tmp_path):
        assert (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [(os, "open", errno.EROFS), (Path, "mkdir", errno.EACCES), (os, "write", errno.ENOSPC)],
    ids=["open", "mkdir", "write"],
)
def test_a_folder_that_cannot_be_written_is_told_and_left_as_it_was(
    owner: Any, name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    folder = RunFolder(tmp_path / "new" / "run")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(OSError, match="cannot write") as caught, folder.locked():
            pass
    assert caught.value.errno == number
    assert caught.value.strerror == (
        f"cannot write {folder.path / NAME} ({os.strerror(number)}): see to it that files can be "
        "made there, or give another folder="
    )
    assert os.listdir(tmp_path) == []


def test_a_link_of_that_name_is_not_followed(tmp_path: Path) -> None:
    if not hasattr(os, "O_NOFOLLOW"):
        pytest.skip("links are followed there")
    (tmp_path / "theirs").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match=NAME), FolderLock(tmp_path):
        pass
    assert (tmp_path / "theirs").read_text() == "mine"
