"""The command ``fastlstm``: each subcommand is a module here with `add_options` and `run`.

Slow imports wait until `main` runs, so that it can answer Ctrl-C from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from fastlstm.cli.errors import exit_status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    return exit_status("fastlstm", lambda: import_module("fastlstm.cli.command").run(arguments))
