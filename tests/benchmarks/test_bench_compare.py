"""Two commits beside each other: which is built, what is timed, and what counts as a difference."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

import fastlstm
from benchmarks import builds, compare, console, machine, worker
from benchmarks.console import Timed
from benchmarks.shapes import Case

TINY = Case("ragged", 3, 6, 5, 4)


@pytest.mark.parametrize(
    ("count", "k", "sure"), [(5, 1, 0.9375), (6, 1, 0.96875), (8, 1, 0.9921875), (9, 2, 0.9609375)]
)
def test_the_interval_of_a_median(count: int, k: int, sure: float) -> None:
    """How often a coin shows so few heads, counted in all rows of throws."""
    found = compare.interval([float(n) for n in reversed(range(1, count + 1))])
    assert found == (k, count + 1 - k, sure)
    throws = list(itertools.product((0, 1), repeat=count))
    assert sum(k <= sum(row) <= count - k for row in throws) / len(throws) == sure


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([1.1, 1.2, 1.1, 1.3, 1.1, 1.2], "faster"),
        ([0.9, 0.8, 0.9, 0.7, 0.9, 0.8], "slower"),
        ([1.1, 1.2, 0.9, 1.3, 1.1, 1.2], "noise"),
        ([1.1, 1.2, 1.1], "noise"),
    ],
)
def test_what_counts_as_a_difference(ratios: list[float], said: str) -> None:
    assert compare.verdict(compare.interval(ratios)) == said


def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **answers: Any) -> list[Any]:
    """Let commits be built at once and processes answer; returns what was asked of which side."""
    asked: list[Any] = []

    def ask(task: str, environment: Any, folder: Path, **arguments: Any) -> Any:
        asked.append((task, folder.name))
        if task in answers:
            return answers[task]
        if task == "package":
            return {"folder": str(folder / "fastlstm"), "version": "1.2", "backend": "native"}
        if task == "check":
            return [{"outputs": 0.0, "gradients": 0.0, "flops": 1}] * len(arguments["cases"])
        return {"samples_ms": [6.0 if folder.name == "aaa" else 3.0] * 5}

    monkeypatch.setattr(compare, "ask", ask)
    monkeypatch.setattr(compare, "select", lambda groups, only: [TINY])
    monkeypatch.setattr(builds, "commit_of", lambda name: name)
    monkeypatch.setattr(builds, "built", lambda commit, folder: tmp_path / commit)
    return asked


def test_two_commits_take_turns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = fake(monkeypatch, tmp_path)
    options = ["aaa", "bbb", "--rounds", "6", "--threads", "1", "--out", str(tmp_path / "out")]
    assert compare.main(options) == 0
    assert [side for task, side in asked if task == "time"] == ["aaa", "bbb", "bbb", "aaa"] * 3
    assert [task for task, _ in asked[:4]] == ["package", "package", "check", "check"]
    text = capsys.readouterr().out
    row = "| ragged (3, 6, 5, 4) | 1 | 6 | 3 | **2.000** (2.000 to 2.000) | faster |"
    assert row in text
    assert "Of 1 cases B is faster in 1, slower in 0" in text
    assert (tmp_path / "out" / "compare.md").read_text().strip() == text.strip()
    (entry,) = json.loads((tmp_path / "out" / "compare.json").read_text())["cases"]
    assert entry["sides"] == {"A": [[6.0] * 5] * 6, "B": [[3.0] * 5] * 6}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"check": [{"mismatch": "dx differs"}]}, "aaa is wrong: dx differs"),
        (
            {"package": {"folder": "/elsewhere", "version": "1"}},
            "aaa would be timed with /elsewhere",
        ),
    ],
    ids=["wrong", "another package"],
)
def test_nothing_is_timed_of_a_wrong_side(
    answers: Any,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = fake(monkeypatch, tmp_path, **answers)
    assert compare.main(["aaa", "bbb", "--threads", "1", "--out", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err
    assert not [task for task, _ in asked if task == "time"]


def test_too_few_rounds_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compare.main(["HEAD", "--rounds", "5"])
    assert "--rounds: 5, expected 6 or more" in capsys.readouterr().err


def git(folder: Path, *arguments: str) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *own, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in place of this one."""
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a").write_text("1")
    git(root, "add", "a")
    git(root, "commit", "-q", "-m", "a")
    monkeypatch.setattr(machine, "ROOT", root)
    return root


def test_a_commit_is_built_once_from_a_worktree_of_its_own(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "a").write_text("changed since")
    commit, seen = builds.commit_of("HEAD"), []

    def install(commit: str, tree: Path, place: Path) -> None:
        seen.append((tree / "a").read_text())
        place.mkdir()

    monkeypatch.setattr(builds, "_install", install)
    monkeypatch.setattr(builds, "is_built", lambda place=clone: place.exists())
    for _ in range(2):
        place = builds.built(commit, tmp_path / "out")
    assert seen == ["1"]
    assert (place / "benchmarks" / "shapes.toml").exists()
    assert [p.name for p in place.parent.iterdir()] == [commit], "no worktree is left"
    with pytest.raises(builds.BuildError, match="'nothing' is no commit here"):
        builds.commit_of("nothing")
    assert builds.built(builds.THIS, tmp_path) == clone
    monkeypatch.setattr(builds, "is_built", lambda: False)
    with pytest.raises(builds.BuildError, match="has no kernels"):
        builds.built(builds.THIS, tmp_path)


def test_a_process_takes_the_package_of_its_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(machine.ROOT / "benchmarks", tmp_path / "benchmarks")
    kernels = tmp_path / "fastlstm" / "kernels" / "native"
    kernels.mkdir(parents=True)
    (kernels / f"_native{EXTENSION_SUFFIXES[0]}").touch()
    (tmp_path / "fastlstm" / "__init__.py").write_text("raise ImportError('this one')")
    with pytest.raises(RuntimeError, match="package of {} failed"):
        worker.ask("package", machine.environment(1), tmp_path)
    assert "ImportError: this one" in capfd.readouterr().err


def test_a_process_says_which_package_it_has() -> None:
    assert Path(worker.TASKS["package"]()["folder"]) == Path(fastlstm.__file__).resolve().parent


def test_tables_of_the_suite() -> None:
    gru = Case("train", 3, 6, 5, 4, cell="GRU")
    timed = [Timed(TINY, 1, "fastlstm", 2e-3), Timed(gru, 1, "torch", 7e-3)]
    timed += [Timed(Case("dropout", 3), 2, "fastlstm", 1e-6), Timed(TINY, 1, "torch", 5e-3)]
    titles = "  threads  fastlstm ms  torch ms  times faster"
    kinds = "training on rows of unequal length", "training", "layers and losses, one call"
    assert console.tables(timed) == [
        "",
        f"{kinds[0]}{titles}",
        "-" * len(kinds[0] + titles),
        f"{'(3, 6, 5, 4)':<34}        1            2         5          2.50",
        "",
        f"{kinds[1]:<16}{titles}",
        "-" * (16 + len(titles)),
        "GRU (3, 6, 5, 4)        1            -         7             -",
        "",
        f"{kinds[2]}{titles}",
        "-" * len(kinds[2] + titles),
        f"{'dropout (3)':<27}        2        0.001         -             -",
    ]
