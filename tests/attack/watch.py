"""Watched workers: a crash or a hang is a failure of the case at hand, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from attack.families import Family
from attack.report import Figure

TESTS = Path(__file__).parents[1]
ENOUGH = 200  # failures of a family, after which the rest is not tried
_TAIL = 1500  # characters of what a crashed process said last


def starved(pid: int) -> float:
    """Seconds that a process was ready to run and others did; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class Watched:
    """One worker process and where it stands."""

    def __init__(self, family: Family, seed: int, first: int, last: int, env: Mapping[str, str]):
        self.folder = tempfile.TemporaryDirectory(prefix="attack-watch-")
        place = Path(self.folder.name) / "place"
        place.write_bytes(struct.pack("q", first))
        self.place, self.first = place, first
        self.out, self.errors = (self._open(name) for name in ("out", "err"))
        command = [
            sys.executable,
            "-m",
            "attack.worker",
            family.name,
            *map(str, (seed, first, last)),
        ]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.errors,
            cwd=self.folder.name,
            env={**env, "ATTACK_PLACE": str(place), "TMPDIR": self.folder.name},
        )  # fmt: skip

    def _open(self, name: str) -> IO[bytes]:
        return open(Path(self.folder.name) / name, "w+b")

    def at(self) -> int:
        """The number of the case that it is at."""
        number: int = struct.unpack("q", self.place.read_bytes())[0]
        return number

    def wait(self, silent_seconds: float, stop: threading.Event) -> bool:
        """Wait for its end; False if it hung, or was to stop, and had to be killed."""
        at, since = self.at(), self._clock()
        while True:
            try:
                self.process.wait(0.2)
                return True
            except subprocess.TimeoutExpired:
                pass
            if self.at() != at:
                at, since = self.at(), self._clock()
            if self._clock() - since > silent_seconds or stop.is_set():
                self._kill()
                return False

    def _clock(self) -> float:
        """Seconds that stand still while others have the processor: a busy machine is no hang."""
        return time.monotonic() - starved(self.process.pid)

    def _kill(self) -> None:
        self.process.send_signal(signal.SIGUSR1)  # says where it hangs
        time.sleep(0.5)
        self.process.kill()
        self.process.wait()

    def failures(self) -> list[tuple[int, str]]:
        """The cases that it found wrong itself."""
        self.out.seek(0)
        found = []
        for line in self.out.read().decode(errors="replace").splitlines():
            if line.startswith('{"case"'):
                value = json.loads(line)
                found.append((value["case"], value["what"]))
        return found

    def last_words(self) -> str:
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace").strip()
        start = text.find("ERROR: AddressSanitizer")
        start = start if start >= 0 else text.find("runtime error:")
        return text[start : start + _TAIL] if start >= 0 else text[-_TAIL:]

    def close(self) -> None:
        self.out.close()
        self.errors.close()
        self.folder.cleanup()


def again(family: Family, seed: int, number: int) -> str:
    """The command that runs one case alone."""
    return f"make attack ARGS='--case {family.name}:{seed}:{number}'"


def environment(sanitizers: Mapping[str, str] | None = None) -> dict[str, str]:
    """What workers run in: this package's tests to be found, one thread for others' kernels."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(_import_path())}
    return {**env, **(sanitizers or {})}


def _import_path() -> list[str]:
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [str(TESTS), *[str(Path(path).resolve()) for path in given if path]]


def run(
    figure: Figure, family: Family, seed: int, count: int, jobs: int, env: Mapping[str, str],
    deadline: float = float("inf"),
) -> None:  # fmt: skip
    """Run the cases 0 to count - 1 in `jobs` processes at a time; note all in the figure.

    Past `deadline` (of `time.monotonic`) no more are begun: the figure then falls short.
    """
    stop, lock = threading.Event(), threading.Lock()

    def look_after(first: int) -> None:
        last = min(first + family.many, count)
        while first < last and not stop.is_set():
            if time.monotonic() > deadline:
                return
            worker = Watched(family, seed, first, last, env)
            ended = worker.wait(family.silent_seconds, stop)
            with lock:
                if stop.is_set():
                    worker.close()
                    return
                first = note(figure, family, seed, worker, ended, last)
                if len(figure.failures) >= ENOUGH:
                    stop.set()
            worker.close()

    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(look_after, k) for k in range(0, count, family.many)]:
            done.result()


def note(figure: Figure, family: Family, seed: int, worker: Watched, ended: bool, last: int) -> int:
    """Note what a worker has found; return the case to go on with."""
    for number, what in worker.failures():
        figure.fail(what, again(family, seed, number))
    at, status = worker.at(), worker.process.returncode
    if not ended:
        figure.fail(f"hung\n{worker.last_words()}", again(family, seed, at))
    elif at < last:
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        figure.fail(f"crashed with {how}: {worker.last_words()}", again(family, seed, at))
    after = last if ended and at >= last else at + 1
    figure.reached += after - worker.first
    return after
