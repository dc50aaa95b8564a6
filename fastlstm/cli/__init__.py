"""The command ``fastlstm``: each subcommand is a module here with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from fastlstm._version import __version__
from fastlstm.cli import compare, evaluate, info, inspect, predict, train
from fastlstm.cli.errors import FAILED, INTERRUPTED, UsageError, one_line
from fastlstm.cli.parser import Parser
from fastlstm.printable import say

COMMANDS = (train, predict, evaluate, inspect, compare, info)

DESCRIPTION = """\
Train recurrent networks on your own texts, and use them.

  fastlstm train reviews.csv --out runs/reviews
  fastlstm predict runs/reviews "What a film!"
"""
EPILOG = """\
Each command has a --help of its own with examples. Exit status: 0, 1 after a failure, 2 for wrong
use, 130 after Ctrl-C. FASTLSTM_DEBUG=1 shows tracebacks."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command with all its subcommands."""
    parser = Parser(
        prog="fastlstm",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastlstm {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    for subparser in subparsers.choices.values():
        subparser.set_defaults(parser=subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 after a failure, 130 after Ctrl-C.

    Wrong use ends it with status 2, as argparse does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a class name that it cannot show ends no run
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except UsageError as error:
        parser: argparse.ArgumentParser = options.parser
        parser.error(str(error))
    except BrokenPipeError:  # whoever read the output has seen enough
        _drop_output()
        return FAILED
    except KeyboardInterrupt as interrupt:
        say(f"\n{str(interrupt) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("FASTLSTM_DEBUG"):
            raise
        say(f"{options.parser.prog}: error: {one_line(error)}", file=sys.stderr)
        return FAILED


def _drop_output() -> None:
    """Send what is still in the buffer of the standard output nowhere, so that exiting is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
