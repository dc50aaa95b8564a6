"""Train a sentiment classifier on the IMDB reviews: ``python -m fastlstm.train_imdb``.

Slow imports wait until `main` runs, so that it can answer Ctrl-C from the start.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from fastlstm.cli.errors import exit_status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    return exit_status("train_imdb", lambda: import_module("fastlstm.cli.imdb").run(arguments))


if __name__ == "__main__":
    sys.exit(main())
