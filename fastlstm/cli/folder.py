"""The options --out, --resume and --overwrite: which folder a training run writes to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fastlstm.cli.errors import UsageError
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.comparison.folder import ComparisonFolder

AnyConfig = TypeVar("AnyConfig", bound=Config)


def add_folder_options(parser: Any, default: str) -> None:
    """Add --out, --resume and --overwrite; `default` says where --out is if it is not given."""
    parser.add_argument("--out", metavar="DIR", help=f"output folder (default {default})")
    parser.add_argument(
        "--resume", metavar="DIR", nargs="?", const="",
        help="go on with the unfinished run in DIR (or in --out) with its own options",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the run that is in --out")


def take_folder(given: dict[str, Any], default: Path) -> tuple[RunFolder, bool]:
    """Take --out, --resume and --overwrite out of the options: the folder, and whether to resume.

    Raises
    ------
    UsageError
        If they exclude each other.
    FileExistsError
        If the folder holds a run that is neither to be resumed nor replaced.
    FileNotFoundError
        If it holds none to resume.
    """
    out, resume = given.pop("out", None), given.pop("resume", None)
    overwrite = given.pop("overwrite", False)
    if resume is None:
        folder = RunFolder(out or default)
        if not overwrite:
            folder.check_free()
        return folder, False
    if overwrite:
        raise UsageError("--overwrite and --resume exclude each other")
    if not (resume or out):
        raise UsageError("--resume needs the folder of the run: --resume DIR, or with --out DIR")
    if resume and out and Path(resume) != Path(out):
        raise UsageError(f"--resume {resume} and --out {out} are different folders")
    folder = RunFolder(resume or out)
    if not folder.holds_run:
        raise FileNotFoundError(
            f"{folder.path} holds no run to resume: there is no {folder.config.name}"
        )
    return folder, True


def resumed(
    saved: AnyConfig, given: dict[str, Any], folder: RunFolder | ComparisonFolder
) -> AnyConfig:
    """Return the options of a run to resume: its own, but for those it may be given anew.

    Raises
    ------
    UsageError
        If another one is given than the run has.
    """
    for name, value in given.items():
        if name not in saved.free_options and value != getattr(saved, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is {value}, but the run in {folder.path} has "
                f"{getattr(saved, name)}; a resumed run keeps its options"
            )
    return replace(saved, **{k: v for k, v in given.items() if k in saved.free_options})
