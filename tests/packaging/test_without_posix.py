"""What Windows lacks is nowhere needed: the package imported in a process that has lost it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# All that the package imports is loaded first: only its own modules see the change.
CODE = """
import importlib, os, pkgutil, platform, signal, sys, time, types

heavy = "bokeh h5py keras matplotlib numba onnx scipy sklearn tensorflow torch".split()
sys.modules.update(dict.fromkeys(heavy))
import fastlstm

platform.uname()  # remembered
def load(names):
    loaded = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if not any(word in str(error) for word in heavy):
                raise
        else:
            loaded.append(name)
    return loaded

names = [m.name for m in pkgutil.walk_packages(fastlstm.__path__, "fastlstm.", onerror=str)
         if not m.name.endswith("__main__")]
names = load(names)
for name in names:
    if not name.endswith("._native"):  # compiled: it stays
        del sys.modules[name]
del sys.modules["fastlstm"]

for module in "fcntl grp posix pty pwd readline resource syslog termios tty".split():
    sys.modules[module] = None
missing = {
    os: "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC chown fchmod fchown fork forkpty "
        "getegid geteuid getgid getloadavg getpgid getuid kill killpg mkfifo nice posix_fadvise "
        "pread pwrite register_at_fork sched_getaffinity sched_setaffinity sched_yield setsid "
        "statvfs sync sysconf uname wait wait4",
    signal: "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 "
            "SIGUSR2 alarm pause pthread_kill pthread_sigmask setitimer sigwait",
    time: "clock_gettime pthread_getcpuclockid tzset",
}
for module, gone in missing.items():
    for name in gone.split():
        vars(module).pop(name, None)
locks = []
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
sys.modules["msvcrt"].__dict__.update(LK_NBLCK=2, locking=lambda *call: locks.append(call))
sys.platform = "win32"
assert load(names) == names, "modules that no longer load"
"""
IN_USE = """
import numpy as np
from pathlib import Path
from fastlstm.files.lock import locked
from fastlstm.train.folder_lock import FolderLock
from fastlstm.train.interrupt import InterruptGuard

assert fastlstm.get_num_threads() >= 1
with InterruptGuard(), FolderLock(Path("run")), locked(Path("run/cache.lock")):
    assert len(locks) == 2 and all(call[1:] == (2, 1) for call in locks), locks
os.environ["FASTLSTM_BACKEND"] = "reference"  # the extension knows the classes it was loaded with
y, _ = fastlstm.LSTM(3, 4)(np.zeros((2, 1, 3), "float32"))
assert y.shape == (2, 1, 4)
print(len(names))
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=600
    )


def test_nothing_of_posix_is_needed(tmp_path: Path) -> None:
    done = run(CODE + IN_USE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100, "modules of the package"


@pytest.mark.parametrize(
    ("use", "found"), [("import fcntl", "fcntl"), ("import os; os.getuid()", "getuid")]
)
def test_what_needs_posix_would_be_seen(use: str, found: str, tmp_path: Path) -> None:
    done = run(CODE + use, tmp_path)
    assert done.returncode != 0
    assert found in done.stderr.splitlines()[-1]
