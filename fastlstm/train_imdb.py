"""Train a sentiment classifier on the IMDB reviews: ``python -m fastlstm.train_imdb``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import Any

from fastlstm.train.config import Config
from fastlstm.train.imdb import FREE_OPTIONS, run
from fastlstm.train.run_folder import RunFolder

INTERRUPTED = 130  # the exit status of a program ended by Ctrl-C


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; options that are not given do not appear in its result."""
    parser = argparse.ArgumentParser(
        prog="train_imdb",
        description="Train a recurrent net on IMDB reviews (positive or negative?) and test it.",
        epilog="Ctrl-C saves the run; --resume goes on to the same result as an unbroken run. "
        "FASTLSTM_DEBUG=1 shows tracebacks.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for item in fields(Config):
        _add_option(parser, item)
    folder = parser.add_argument_group("output")
    folder.add_argument("--out", metavar="DIR", help="output folder (default runs/imdb-<time>)")
    folder.add_argument(
        "--resume", metavar="DIR", nargs="?", const="",
        help="go on with the unfinished run in DIR (or in --out) with its own options",
    )  # fmt: skip
    folder.add_argument("--overwrite", action="store_true", help="replace the run that is in --out")
    folder.add_argument("--no-progress", action="store_true", help="show no progress bar")
    return parser


def _add_option(parser: argparse.ArgumentParser, item: Field[Any]) -> None:
    name = "--" + item.name.replace("_", "-")
    assert item.default is not MISSING
    default = "" if item.default is None else f" (default {item.default})"
    help_text = (item.metadata["help"] + default).replace("%", "%%")
    if isinstance(item.default, bool):
        parser.add_argument(name, action=argparse.BooleanOptionalAction, help=help_text)
        return
    choices, kind = item.metadata["choices"], item.metadata["type"]
    metavar = None if choices else {int: "N", float: "X", str: "S"}[kind]
    parser.add_argument(name, type=kind, choices=choices or None, metavar=metavar, help=help_text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 after a failure, 130 after Ctrl-C.

    Wrong options end it with status 2, as argparse does.
    """
    parser = build_parser()
    given = vars(parser.parse_args(arguments))
    folder, resume = _folder(parser, given)
    overwrite = given.pop("overwrite", False)
    bars = not given.pop("no_progress", False) and sys.stderr.isatty()
    try:
        config = Config(**given)
    except (TypeError, ValueError) as error:
        parser.error(f"--{str(error).replace('_', '-', 1)}")
    try:
        if resume:
            return _resume(parser, folder, given, bars)
        if not overwrite:
            folder.check_free()
        return _run(config, folder, False, bars)
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or 'interrupted'}", file=sys.stderr)
        if folder.holds_run and not folder.finished:
            print(f"to go on: train_imdb --resume {folder.path}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("FASTLSTM_DEBUG"):
            raise
        print(f"train_imdb: error: {_one_line(error)}", file=sys.stderr)
        return 1


def _folder(parser: argparse.ArgumentParser, given: dict[str, Any]) -> tuple[RunFolder, bool]:
    """Take --out and --resume out of the options: the folder, and whether to resume."""
    out, resume = given.pop("out", None), given.pop("resume", None)
    if resume is None:
        return RunFolder(out or Path("runs") / time.strftime("imdb-%Y%m%d-%H%M%S")), False
    if given.get("overwrite"):
        parser.error("--overwrite and --resume exclude each other")
    if not (resume or out):
        parser.error("--resume needs the folder of the run: --resume DIR, or with --out DIR")
    if resume and out and Path(resume) != Path(out):
        parser.error(f"--resume {resume} and --out {out} are different folders")
    return RunFolder(resume or out), True


def _run(config: Config, folder: RunFolder, resume: bool, bars: bool) -> int:
    run(config, folder, resume=resume, bars=bars)
    print(f"\nfiles are in {folder.path}")
    return 0


def _resume(
    parser: argparse.ArgumentParser, folder: RunFolder, given: dict[str, Any], bars: bool
) -> int:
    if not folder.holds_run:
        raise FileNotFoundError(f"{folder.path} holds no run to resume: there is no config.json")
    saved = Config.load(folder.config)
    for name, value in given.items():
        if name not in FREE_OPTIONS and value != getattr(saved, name):
            parser.error(
                f"--{name.replace('_', '-')} is {value}, but the run in {folder.path} has "
                f"{getattr(saved, name)}; a resumed run keeps its options"
            )
    if folder.finished:
        accuracy = folder.read_metrics()["test_accuracy"]
        print(f"the run in {folder.path} is finished: test accuracy {accuracy:.2%}")
        return 0
    config = replace(saved, **{k: v for k, v in given.items() if k in FREE_OPTIONS})
    return _run(config, folder, True, bars)


def _one_line(error: Exception) -> str:
    """Return the message of an error; of one that nobody foresaw also its type."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        text = error.strerror or text
    if not isinstance(error, (OSError, ValueError, FloatingPointError)):
        text = f"{type(error).__name__}: {text} (FASTLSTM_DEBUG=1 shows where)"
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
