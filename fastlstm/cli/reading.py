"""How the commands read files: as a run read its own texts, but for what the options say."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from fastlstm.cli.errors import wrong_use
from fastlstm.text.reading import Reading
from fastlstm.train.classifier.loaded_run import LoadedRun
from fastlstm.train.classifier.text_config import READING, TextConfig


def asked_reading(options: argparse.Namespace) -> Reading:
    """Return what the options alone say.

    Raises
    ------
    UsageError
        If one has an impossible value.
    """
    return _checked(_given(options))


def reading_as(trained: LoadedRun, options: argparse.Namespace) -> Reading:
    """Return how a run read its own texts, changed by what the options say.

    Its encoding is not taken over: another file may have another, and a wrong one need not show.

    Raises
    ------
    UsageError
        As `asked_reading`.
    """
    given = _given(options)
    asked = _checked(given)
    if not isinstance(trained.config, TextConfig):
        return asked
    asked_for: dict[str, Any] = {name: getattr(asked, name) for name in given}
    return replace(trained.config.reading, **{"encoding": None, **asked_for})


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name in READING}


def _checked(given: dict[str, Any]) -> Reading:
    with wrong_use():
        return TextConfig(**given).reading
