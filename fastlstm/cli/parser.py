"""The parser of a command line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from fastlstm.printable import printable_lines


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose messages may name what others chose, such as files of a ``*``."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program, after a message that steers no terminal."""
        super().exit(status, message and printable_lines(message))
