"""How the commands read files: as a run read its own texts, unless options say otherwise."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from fastlstm.cli.errors import wrong_use
from fastlstm.printable import say
from fastlstm.text.lines import lines_of
from fastlstm.text.rows import Reading
from fastlstm.train.classifier.loaded_run import LoadedRun
from fastlstm.train.classifier.text_config import READING, TextConfig

STANDARD_INPUT = "the standard input"


def typed_lines(encoding: str | None, prompt: str) -> Iterator[str]:
    """Return the lines of the standard input; on a terminal, print the prompt first."""
    if sys.stdin.isatty():
        say(prompt, file=sys.stderr)
    return lines_of(cast(io.BufferedReader, sys.stdin.buffer), STANDARD_INPUT, encoding)


def asked_reading(options: argparse.Namespace) -> Reading:
    """Return what the options alone say; UsageError if one has an impossible value."""
    with wrong_use():
        return TextConfig(**_given(options)).reading


def reading_as(trained: LoadedRun, options: argparse.Namespace) -> Reading:
    """Return how a run read its own texts, changed by what the options say.

    Its encoding is left out: that of another file may differ, and a wrong one may go unnoticed.
    """
    asked = asked_reading(options)
    if not isinstance(trained.config, TextConfig):
        return asked
    given: dict[str, Any] = {name: getattr(asked, name) for name in _given(options)}
    return replace(trained.config.reading, **{"encoding": None, **given})


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name in READING}
