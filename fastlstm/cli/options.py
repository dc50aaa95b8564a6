"""Options that several commands have, and the options of the fields of a `Config`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fastlstm.cli.errors import UsageError
from fastlstm.cli.flags import flag
from fastlstm.files.naming import named_path
from fastlstm.files.opening import check_file
from fastlstm.printable import json_line
from fastlstm.train.classifier.text_config import READING, TextConfig


def add_option(parser: Any, item: Field[Any]) -> None:
    """Add the option of a `Config` field to a parser or a group of one.

    Where it is not given it does not appear in the result.
    """
    assert item.default is not MISSING
    default = "" if item.default in (None, ()) else f" (default {item.default})"
    settings: dict[str, Any] = {"help": (item.metadata["help"] + default).replace("%", "%%")}
    if isinstance(item.default, bool):
        settings["action"] = argparse.BooleanOptionalAction
    elif item.default == ():
        settings |= {"action": "append", "metavar": "FILE"}
    else:
        choices, kind = item.metadata["choices"], item.metadata["type"]
        metavar = None if choices else {int: "N", float: "X", str: "S"}[kind]
        settings |= {"type": kind, "choices": choices or None, "metavar": metavar}
    parser.add_argument(flag(item.name), dest=item.name, default=argparse.SUPPRESS, **settings)


def add_reading_options(parser: Any, labels: bool = True) -> None:
    """Add the options that say how texts are read, with their `labels` or without."""
    for item in fields(TextConfig):
        if item.name in READING and (labels or item.name != "label_column"):
            add_option(parser, item)


def add_json_option(parser: Any, what: str) -> None:
    parser.add_argument(
        "--json", action="store_true",
        help=f"print {what} as one JSON object on the standard output, all else on the other",
    )  # fmt: skip


def add_progress_option(parser: Any) -> None:
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def add_quiet_option(parser: Any, what: str = "errors") -> None:
    parser.add_argument("--quiet", action="store_true", help=f"print nothing but {what}")


def text_bar(total: int | None, show: bool, unit: str = "texts") -> tqdm[Any]:
    """Return a bar that counts texts on the standard error stream, if that is a terminal."""
    show = show and sys.stderr.isatty()
    return tqdm(total=total, unit=f" {unit}", disable=not show, leave=False, dynamic_ncols=True)


def add_plot_option(parser: Any, what: str) -> None:
    parser.add_argument("--plot", metavar="FILE.png", type=named_path,
                        help=f'draw {what} (needs "fastlstm[plot]")')  # fmt: skip


def check_plot(path: Path | None) -> None:
    """Check, before a long computation, that its picture can be drawn.

    Raises UsageError unless the name ends in ``.png``, OSError as of `check_folder`, and
    ImportError without matplotlib.
    """
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot is {path}, expected a name that ends in .png")
    check_folder(path)
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('--plot needs matplotlib: pip install "fastlstm[plot]"') from error


def check_folder(path: Path) -> None:
    """Raise OSError unless the folder of a file to write is there, and nothing but a file there."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected the name of a file to write")
    if path.exists():
        check_file(path)


def check_not_read(name: str, path: Path, read: str | Path) -> None:
    """Raise UsageError if the file that an option names, which is written, is also read."""
    if path.exists() and os.path.exists(read) and path.samefile(read):
        raise UsageError(f"{flag(name)} is {path}, which is read, too; expected another file")


def rounded(value: float) -> float:
    """Return six significant digits, which a float32 has."""
    return float(f"{value:.6g}")


def print_json(value: object) -> None:
    """Print one JSON object on a line, in ASCII if the output cannot encode it."""
    text = json_line(value)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, allow_nan=False)
    print(text)
