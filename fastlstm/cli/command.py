"""The subcommands of ``fastlstm``, put together."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from fastlstm._version import __version__
from fastlstm.cli import compare, evaluate, forecast, info, inspect, predict, train, tune
from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import Parser

COMMANDS = (train, predict, evaluate, tune, forecast, inspect, compare, info)

DESCRIPTION = """\
Train recurrent networks on your own texts and series, and use them.

  fastlstm train reviews.csv --out runs/reviews
  fastlstm predict runs/reviews "What a film!"
  fastlstm forecast power.csv --time hour --target load --horizon 24
"""
EPILOG = """\
Each command has a --help of its own with examples. Exit status: 0, 1 after a failure, 2 for wrong
use, 130 after Ctrl-C, 143 after SIGTERM. FASTLSTM_DEBUG=1 shows tracebacks."""


def build_parser() -> Parser:
    """Return the parser of the command with all its subcommands."""
    parser = Parser(prog="fastlstm", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"fastlstm {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.__name__.rpartition(".")[2],
            help=command.SUMMARY,
            description=f"{command.SUMMARY.capitalize()}.",
            epilog=f"examples:\n{indent(command.EXAMPLES.strip(), '  ')}\n\n{command.ABOUT}",
        )
        command.add_options(subparser)
        subparser.set_defaults(parser=subparser, run=command.run)
    return parser


def run(arguments: Sequence[str] | None) -> int:
    """Do what the arguments say; return the exit status."""
    options = build_parser().parse_args(arguments)
    return exit_status(options.parser.prog, lambda: options.run(options))
