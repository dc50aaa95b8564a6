"""The command ``fastlstm``: each subcommand is a module here with `add_parser` and `run`.

Nothing that takes long to import is imported here, so that Ctrl-C finds `main` ready for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastlstm.cli.errors import exit_status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    0, 1 after a failure, 130 after Ctrl-C, 143 after SIGTERM. Wrong use ends it with status 2, as
    argparse does.
    """

    def work() -> int:
        from fastlstm.cli.command import run

        return run(arguments)

    return exit_status("fastlstm", work)
