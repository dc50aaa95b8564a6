"""`fastlstm predict` and `evaluate` under mpiexec."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from launched import HERE, ended, run, start
from standing_still import send, standing_still

from fastlstm.cli import main

sys.path.append(str(HERE.parent / "cli"))
from topics import rows, train, write_csv

COMMAND = ("-m", "fastlstm")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with both parts, and a table of texts in it."""
    folder = tmp_path_factory.mktemp("runs")
    write_csv(folder / "more.csv", rows(200, seed=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        train(write_csv(folder / "topics.csv", rows(60)), folder / "run", parts="joined", epochs=1)
    return folder / "run"


def test_the_standard_input_in_two_processes(trained: Path, tmp_path: Path) -> None:
    data = trained.parent / "more.csv"
    line = ["predict", str(trained), "--probabilities", "--out"]
    assert main([*line, str(tmp_path / "one.csv"), "--file", str(data)]) == 0
    words = [*COMMAND, *line, str(tmp_path / "two.csv"), "--format", "table", "--delimiter", ","]
    with open(data) as file:
        program = start("mpi", 2, *words, stdin=file)
    done = ended(program)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("the rows with their labels are in") == 1
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


@pytest.mark.slow(5)
def test_the_report_of_two_processes(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", str(trained), str(trained.parent / "more.csv")]
    assert main(line) == 0
    assert run("mpi", 2, *COMMAND, *line) == capsys.readouterr().out


@pytest.mark.slow(5)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_a_killed_process_leaves_no_half_file(trained: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "many.txt", tmp_path / "out" / "out.csv"
    data.write_text("sport1 word2\n" * 400_000)
    line = ["predict", str(trained), "--file", str(data), "--out", str(out)]

    def started(mark: dict[str, str]) -> subprocess.Popen[str]:
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()
        return start("mpi", 2, *COMMAND, *line, **mark)

    def is_written() -> bool:
        with suppress(FileNotFoundError):  # it gets another name when it is whole
            return any(path.stat().st_size for path in out.parent.iterdir())
        return False

    program, processes = standing_still(started, 2, is_written, lambda: not out.exists())
    os.kill(processes[1], signal.SIGKILL)
    send(signal.SIGCONT, processes)
    done = ended(program)
    assert done.returncode != 0
    assert not out.exists()
