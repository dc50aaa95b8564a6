"""Options that several commands have, and how they are made from the fields of a `Config`."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fastlstm.cli.errors import UsageError
from fastlstm.cli.flags import flag
from fastlstm.cli.parser import Parser
from fastlstm.printable import json_line
from fastlstm.train.classifier.text_config import READING, TextConfig

Subparsers = Any  # argparse has no public name for it


def new_parser(
    subparsers: Subparsers, name: str, summary: str, examples: str, about: str = ""
) -> Parser:
    """Add a subcommand; options that are not given do not appear in the result.

    Parameters
    ----------
    subparsers : of the command.
    name : of the subcommand.
    summary : one line, in the list of commands and above the options.
    examples : command lines, shown below the options.
    about : what else there is to say, below the examples.
    """
    lines = [f"  {line}" for line in examples.strip().splitlines()]
    parser: Parser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n".join(["examples:", *lines, *(["", about.strip()] if about else [])]),
        argument_default=argparse.SUPPRESS,
    )
    return parser


def add_option(parser: Any, item: Field[Any]) -> None:
    """Add the option of a `Config` field to a parser or a group of one."""
    name = flag(item.name)
    assert item.default is not MISSING
    default = "" if item.default is None else f" (default {item.default})"
    help_text = (item.metadata["help"] + default).replace("%", "%%")
    if isinstance(item.default, bool):
        parser.add_argument(name, action=argparse.BooleanOptionalAction, help=help_text)
        return
    choices, kind = item.metadata["choices"], item.metadata["type"]
    metavar = None if choices else {int: "N", float: "X", str: "S"}[kind]
    parser.add_argument(name, type=kind, choices=choices or None, metavar=metavar, help=help_text)


def add_reading_options(parser: Any, labels: bool = True) -> None:
    """Add the options that say how texts are read, with their `labels` or without."""
    for item in fields(TextConfig):
        if item.name in READING and (labels or item.name != "label_column"):
            add_option(parser, item)


def add_json_option(parser: Any, what: str) -> None:
    parser.add_argument(
        "--json", action="store_true", default=False,
        help=f"print {what} as one JSON object on the standard output, all else on the other",
    )  # fmt: skip


def add_quiet_option(parser: Any) -> None:
    parser.add_argument("--quiet", action="store_true", default=False,
                        help="show no progress bar")  # fmt: skip


def text_bar(total: int | None, show: bool, unit: str = "texts") -> tqdm[Any]:
    """Return a bar that counts texts on the standard error stream, if that is a terminal."""
    show = show and sys.stderr.isatty()
    return tqdm(total=total, unit=f" {unit}", disable=not show, leave=False, dynamic_ncols=True)


def add_plot_option(parser: Any, what: str) -> None:
    parser.add_argument("--plot", metavar="FILE.png", type=Path, default=None,
                        help=f'draw {what} (needs "fastlstm[plot]")')  # fmt: skip


def check_plot(path: Path | None) -> None:
    """Say before a long computation what would keep its picture from being drawn.

    Raises
    ------
    UsageError
        If the name does not end in ``.png``.
    FileNotFoundError
        If the folder is not there.
    ImportError
        If matplotlib is not installed.
    """
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot is {path}, expected a name that ends in .png")
    check_folder(path)
    require_matplotlib()


def check_folder(path: Path) -> None:
    """Raise FileNotFoundError unless there is a folder for a file to write."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")


def require_matplotlib() -> None:
    """Raise ImportError, and say how to install it, unless matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('--plot needs matplotlib: pip install "fastlstm[plot]"') from error


@contextmanager
def told(quiet: bool, as_json: bool) -> Iterator[None]:
    """Where prints inside the block go: nowhere if quiet, aside if the output is to be JSON."""
    with redirect_stdout(io.StringIO() if quiet else sys.stderr if as_json else sys.stdout):
        yield


def rounded(value: float) -> float:
    """Return six significant digits: as many as float32 can tell."""
    return float(f"{value:.6g}")


def print_json(value: object) -> None:
    """Print one JSON object on a line, escaped where the output cannot take it as it is."""
    text = json_line(value)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, allow_nan=False)
    print(text)
