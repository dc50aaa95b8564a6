"""A program for mpiexec and torchrun: it runs commands, and writes down how each of them ended."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from fastlstm import train_imdb
from fastlstm.cli import main, processes
from fastlstm.distributed.found import found
from fastlstm.examples import language_model

PROGRAMS = {"fastlstm": main, "train_imdb": train_imdb.main, "language_model": language_model.main}


def end_of(program: str, words: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = PROGRAMS[program](words)
        except SystemExit as end:
            status = int(end.code or 0)
    return status, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    processes.GRACE = 600.0  # in which all fail alike, however busy the machine is
    commands = Path(sys.argv[1])
    rank, ends = found().rank, []
    for program, words, others in json.loads(commands.read_text()):
        ends.append(end_of(program, words if others is None or rank != 1 else others))
    commands.with_name(f"ends-{rank}.json").write_text(json.dumps(ends))
