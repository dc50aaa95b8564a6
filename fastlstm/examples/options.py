"""Options that the examples share, of the same names as those of ``fastlstm``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fastlstm.files.naming import named_path
from fastlstm.kernels.call import PRECISIONS
from fastlstm.runtime import MAX_THREADS, num_threads

Result = TypeVar("Result")


def add_threads(parser: argparse.ArgumentParser, default: int | None = None) -> None:
    """Add --threads; an example whose work is too small for more has 1 by default."""
    told = "one for each core" if default is None else str(default)
    parser.add_argument(
        "--threads", type=_threads, metavar="N", default=default,
        help=f"threads of the kernels (default: {told}); the result does not depend on it",
    )  # fmt: skip


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add --precision, of the training, and --test-precision."""
    parser.add_argument(
        "--precision", choices=PRECISIONS[:-1], default=PRECISIONS[0],
        help=f"of products in training (default: {PRECISIONS[0]})",
    )  # fmt: skip
    add_test_precision(parser)


def add_test_precision(parser: argparse.ArgumentParser) -> None:
    """Add --test-precision, None if not given: that of the training."""
    parser.add_argument(
        "--test-precision", choices=PRECISIONS, metavar="PRECISION",
        help=f"of what is trained when it is tested: {', '.join(PRECISIONS)} (default: as trained)",
    )  # fmt: skip


def add_plot(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --plot, the file of a picture."""
    parser.add_argument(
        "--plot", type=_picture, metavar="FILE.png", help=f'draw {what} (needs "fastlstm[plot]")'
    )


def check_least(
    parser: argparse.ArgumentParser, options: argparse.Namespace, **least: float
) -> None:
    """End the program with an error, by name, if a number is below its least one or is none."""
    for name, low in least.items():
        value = getattr(options, name)
        if not value >= low:
            parser.error(f"--{name.replace('_', '-')} is {value}, expected at least {low}")


def threaded(run: Callable[[argparse.Namespace], Result], options: argparse.Namespace) -> Result:
    """Run an example on as many threads as its options say."""
    with num_threads(options.threads):
        return run(options)


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise argparse.ArgumentTypeError(f"{text}, expected 1 to {MAX_THREADS}")
    return int(text)


def _picture(text: str) -> Path:
    path = named_path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text}, expected a name that ends in .png")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no folder {path.parent}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, expected the name of a file")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is there and no file, expected another name")
    return path
