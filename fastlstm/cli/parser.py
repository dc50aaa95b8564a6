"""A parser of command lines with helpful errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from fastlstm.cli.errors import WRONG_USE, exit_status
from fastlstm.printable import printable_lines, say

PATHS = frozenset(
    (
        "data", "file", "from_run", "html", "model", "out", "path", "paths", "plot", "resume",
        "show", "sound", "test", "unlabelled", "vectors",
    )
)  # fmt: skip
"""Where commands and examples keep the names of files and folders that they are given."""


class ProgramParser(argparse.ArgumentParser):
    """An `ArgumentParser` whose help fails as all output does where it cannot be written.

    Arguments that may be missing may also stand behind an option. No path is empty.
    """

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is None or file is not sys.stdout:
            super()._print_message(message, file)
            return
        text = message.removesuffix("\n")
        status = exit_status(self.prog, lambda: say(text, file=file, flush=True))
        if status:
            raise SystemExit(status)

    def _match_arguments_partial(self, actions: Any, arg_strings_pattern: Any) -> list[int]:
        """Leave an argument that may be missing for the words behind the next option.

        So do Python 3.12.7 and later; earlier ones take it for missing at the first option.
        """
        counts = super()._match_arguments_partial(actions, arg_strings_pattern)
        while counts and counts[-1] == 0 and "O" in arg_strings_pattern[sum(counts) :]:
            counts.pop()
        return counts

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Refuse an empty path, such as a shell makes of a variable that is not set.

        It would count as one that was not given, or as the folder of the shell.
        """
        if action.dest in PATHS and "" in arg_strings:
            raise argparse.ArgumentError(action, "'' is no path, expected a file or folder")
        return super()._get_values(action, arg_strings)


class Parser(ProgramParser):
    """A parser of the commands that reports a wrong value in one line and suggests similar options.

    Options cannot be abbreviated, and descriptions keep their line breaks.
    """

    def __init__(self, **options: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        defaults = {"allow_abbrev": False, "formatter_class": formatter, "exit_on_error": False}
        super().__init__(**{**defaults, **options})

    def parse_args(  # type: ignore[override]  # no namespace is given
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """Parse; wrong use ends the program with status 2."""
        options: argparse.Namespace
        options, unknown = self.parse_known_args(args)
        if unknown:
            getattr(options, "parser", self).refuse(unknown)
        return options

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        try:
            return super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            if error.argument_name is None:  # something is missing
                self.error(str(error))
            told = f"{error} ({self.prog} --help tells more)"
            self.exit(WRONG_USE, f"{self.prog}: error: {told}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program after a message, with control characters as escapes."""
        super().exit(status, message and printable_lines(message))

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End the program with the usage of this parser and similar options."""
        known = [name for action in self._actions for name in action.option_strings]
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        told = f"unrecognized arguments: {' '.join(options or unknown)}"
        for name in options:
            near = _nearest(name, known)
            told += f"; did you mean {near}?" if near else ""
        self.print_usage(sys.stderr)
        self.exit(WRONG_USE, f"{self.prog}: error: {told}\n")


def _nearest(name: str, known: Sequence[str]) -> str | None:
    """Return a known option that begins like this one, else the most similar one, if any."""
    words = {option.lstrip("-"): option for option in known}
    word = name.lstrip("-")
    near = [w for w in words if word and w.startswith(word)] or get_close_matches(word, words, n=1)
    return words[near[0]] if near else None
