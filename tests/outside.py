"""Signals from outside: to a run in another process, at any moment of its training."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def stop(process: subprocess.Popen[str]) -> bool:
    """Have a process stand still, as Ctrl-Z does; False if it has ended."""
    process.send_signal(signal.SIGSTOP)
    if process.returncode is not None:
        return False
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode is None


def epochs_told(out: Path) -> int:
    """How many epochs of a run are in its record; one more may be done."""
    record = out / "metrics.jsonl"
    return record.read_bytes().count(b"\n") if record.exists() else 0


def interrupted(
    command: Sequence[str], out: Path, epochs: int, number: int = signal.SIGINT
) -> tuple[str, str]:
    """Return what a run prints that a signal interrupts in its training, on both streams.

    It stands still while we look how far it is: one that was too fast for us is begun again.
    """
    pipe = subprocess.PIPE
    for _ in range(20):
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
            while not (out / "checkpoint.safetensors").exists() and process.poll() is None:
                time.sleep(0.01)
            training = stop(process) and epochs_told(out) < epochs - 1
            process.send_signal(number if training else signal.SIGKILL)
            process.send_signal(signal.SIGCONT)
            printed, told = process.communicate(timeout=600)
        if training:
            assert process.returncode == 128 + number, told
            return printed, told
        assert process.returncode in (0, -signal.SIGKILL), told
        shutil.rmtree(out)
    raise AssertionError("the run always ended before it could be interrupted")
