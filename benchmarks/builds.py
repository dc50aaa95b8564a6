"""A commit of this repository, built in a folder of its own beside these very benchmarks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import machine
from benchmarks.rounds import say
from benchmarks.source_tree import is_built

THIS = "."  # the tree as it stands, in place of a commit
# Would leave the kernels out, or change them.
OF_BUILDS = ("FASTLSTM_NO_EXTENSION", "FASTLSTM_SANITIZE")


class BuildError(RuntimeError):
    """A commit is unknown or does not build; the message says what to do."""


def commit_of(name: str) -> str:
    """Return the short hash of a commit, branch or tag; `THIS` stays.

    Raises
    ------
    BuildError
        If there is no such commit, or this is no clone.
    """
    if name == THIS:
        return name
    try:
        return machine.git("rev-parse", "--short", "--verify", f"{name}^{{commit}}")
    except (OSError, subprocess.CalledProcessError) as error:
        why = (getattr(error, "stderr", "") or str(error)).strip()
        raise BuildError(
            f"{name!r} is no commit here ({why}), expected what git log shows"
        ) from None


def built(commit: str, folder: Path) -> Path:
    """Return a folder with the package of a commit, built, and with these benchmarks.

    What was built before is there still. Of `THIS` it is the clone itself.

    Raises
    ------
    BuildError
        If it does not build, or `THIS` was not built.
    """
    if commit == THIS:
        if not is_built():
            raise BuildError("this tree has no kernels: pip install -e . in the clone builds them")
        return machine.ROOT
    place = folder.resolve() / commit
    if not is_built(place):
        say(f"building {commit}")
        with worktree(commit, place.with_name(f"{commit}.tree")) as tree:
            _install(commit, tree, place)
    benchmarks = place / "benchmarks"
    shutil.rmtree(benchmarks, ignore_errors=True)
    left_out = shutil.ignore_patterns("__pycache__", "results")
    shutil.copytree(Path(__file__).parent, benchmarks, ignore=left_out)
    return place


@contextmanager
def worktree(commit: str, path: Path) -> Iterator[Path]:
    """Check a commit out beside this tree for as long as the block takes."""
    _remove(path)  # of a run that was killed
    try:
        machine.git("worktree", "add", "--quiet", "--detach", str(path), commit)
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    if path.exists():
        machine.git("worktree", "remove", "--force", str(path))
    machine.git("worktree", "prune")


def _install(commit: str, tree: Path, place: Path) -> None:
    """Install into an unfinished folder, which becomes the real one at the end."""
    unfinished = place.with_name(f"{commit}.unfinished")
    for old in (unfinished, place):
        shutil.rmtree(old, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command += ["--no-deps", "--target", str(unfinished), str(tree)]
    environment = {k: v for k, v in os.environ.items() if k not in OF_BUILDS}
    done = subprocess.run(command, env=environment, cwd=tree)
    if done.returncode or not is_built(unfinished):
        raise BuildError(f"{commit} does not build (see above): pip install needs a C compiler")
    unfinished.rename(place)
