"""The options --out, --resume and --overwrite: which folder a training run writes to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fastlstm.cli.errors import UsageError, as_option
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.comparison.folder import ComparisonFolder

AnyConfig = TypeVar("AnyConfig", bound=Config)


def add_folder_options(parser: Any, default: str) -> None:
    """Add --out, --resume and --overwrite; `default` says where --out is if it is not given."""
    parser.add_argument("--out", metavar="DIR", help=f"output folder (default {default})")
    parser.add_argument(
        "--resume", metavar="DIR", nargs="?", const="",
        help="go on with the unfinished run in DIR (or in --out) with its own options; with more "
        "--epochs also with a finished one",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the run that is in --out")


def take_folder(given: dict[str, Any], default: Path) -> tuple[RunFolder, bool, bool]:
    """Take --out, --resume and --overwrite out of the options.

    Returns
    -------
    folder : where the run is, or will be.
    resume : whether it is to be resumed.
    overwrite : whether it may replace one that is there.

    Raises
    ------
    UsageError
        If they exclude each other.
    FileNotFoundError
        If the folder holds no run to resume.
    """
    out, resume = given.pop("out", None), given.pop("resume", None)
    overwrite = given.pop("overwrite", False)
    if resume is None:
        return RunFolder(out or default), False, overwrite
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
    return folder, True, False


def resumed(
    saved: AnyConfig, given: dict[str, Any], folder: RunFolder | ComparisonFolder
) -> AnyConfig:
    """Return the options of a run to resume: its own, but for those it may be given anew.

    Of a finished run that includes a larger number of epochs.

    Raises
    ------
    UsageError
        If another one is given than the run has.
    """
    free = set(saved.free_options)
    if isinstance(folder, RunFolder) and folder.finished:
        free.add("epochs")
    for name, value in given.items():
        if name not in free and value != getattr(saved, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is {value}, but the run in {folder.path} has "
                f"{getattr(saved, name)}; a resumed run keeps its options"
            )
    try:
        config = replace(saved, **{k: v for k, v in given.items() if k in free})
    except (TypeError, ValueError) as error:
        raise UsageError(as_option(error)) from error
    if config.epochs < saved.epochs:
        raise UsageError(
            f"--epochs is {config.epochs}, but the run in {folder.path} has {saved.epochs} already"
        )
    return config
