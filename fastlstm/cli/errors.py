"""How a command ends: exit statuses, and errors as one line."""

from __future__ import annotations

import re

from fastlstm.printable import printable

FAILED = 1
INTERRUPTED = 130  # the exit status of a program ended by Ctrl-C

# Errors that the package raises on purpose; their message says all.
FORESEEN = (OSError, ValueError, FloatingPointError, ImportError)


class UsageError(Exception):
    """The options of a command are wrong, or exclude each other: exit status 2."""


def as_option(error: Exception) -> str:
    """Return the message of an error that begins with the name of an option, as users type it."""
    return re.sub(r"^\w+", lambda name: "--" + name.group().replace("_", "-"), str(error))


def one_line(error: Exception) -> str:
    """Return the message of an error; of one that nobody foresaw also its type."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        text = error.strerror or text
        text = f"{error.filename}: {text}" if error.filename is not None else text
    if not isinstance(error, FORESEEN):
        text = f"{type(error).__name__}: {text} (FASTLSTM_DEBUG=1 shows where)"
    return printable(" ".join(text.split()))
