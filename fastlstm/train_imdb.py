"""Train a sentiment classifier on the IMDB reviews: ``python -m fastlstm.train_imdb``.

Nothing that takes long to import is imported here, so that Ctrl-C finds `main` ready for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fastlstm.cli.errors import exit_status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    0, 1 after a failure, 130 after Ctrl-C, 143 after SIGTERM. Wrong options end it with status 2,
    as argparse does.
    """

    def work() -> int:
        from fastlstm.cli.imdb import build_parser, run

        return run(build_parser().parse_args(arguments))

    return exit_status("train_imdb", work)


if __name__ == "__main__":
    sys.exit(main())
