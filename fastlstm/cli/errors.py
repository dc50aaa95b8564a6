"""How a command ends: exit statuses, and errors as one line."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastlstm.cli.flags import as_flags, begins_with_flag
from fastlstm.memory import is_memory_short
from fastlstm.printable import printable, say

FAILED = 1
WRONG_USE = 2
STOPPED = 128  # plus the number of the signal: 130 after Ctrl-C

# Errors that the package raises on purpose, with a message that says all.
FORESEEN = (OSError, ValueError, FloatingPointError, ImportError, NotImplementedError)


class UsageError(Exception):
    """The options of a command are wrong, or exclude each other: exit status 2."""


def exit_status(program: str, work: Callable[[], int | None]) -> int:
    """Do the work of a program and return its exit status; an error becomes a line.

    The status is what the work returns, or 0 for None; 1 after a failure, 130 after Ctrl-C and 143
    after SIGTERM. Raises SystemExit with status 2 after wrong use. Of several processes that work
    together one that fails ends the others.
    """
    try:
        return _left(_exit_status(program, work))
    except SystemExit as end:
        _left(end.code if isinstance(end.code, int) else FAILED)
        raise


def _left(status: int) -> int:
    processes = sys.modules.get("fastlstm.cli.processes")
    return status if processes is None else int(processes.left(status))


def _exit_status(program: str, work: Callable[[], int | None]) -> int:
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # text that the stream cannot show is no error
            stream.reconfigure(errors="backslashreplace")
    try:
        from fastlstm.train.interrupt import termination_raises

        with warnings_told(), termination_raises():
            status = work() or 0
            sys.stdout.flush()
        return status
    except UsageError as error:
        told = " ".join(str(error).split())
        say(f"{program}: error: {told} ({program} --help tells more)", file=sys.stderr)
        raise SystemExit(WRONG_USE) from None
    except BrokenPipeError:  # such as `| head`
        _drop_output()
        return FAILED
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # in `__set_name__`, before Python 3.12
            return _interrupted(error.__cause__)
        if os.environ.get("FASTLSTM_DEBUG"):
            raise
        say(f"{program}: error: {one_line(error)}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # such as a full disk
            _drop_output()
        return FAILED


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    """Tell that a signal has ended the work; return the exit status.

    Where Ctrl-C fell into code that was made of a string, as that of a dataclass is, ``python -m``
    would end by the signal, though the interrupt was caught; running other such code undoes that.
    """
    exec("")
    say(f"\n{str(interrupt) or 'interrupted'}", file=sys.stderr)
    return STOPPED + int(getattr(interrupt, "signal", signal.SIGINT))


def _open_closed() -> None:
    """Open nothing in place of standard streams that are closed, as a shell's ``>&-`` leaves them.

    In order, so that no file takes the number of one: what is printed there would go into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


@contextmanager
def warnings_told() -> Iterator[None]:
    """Print warnings inside the block as lines on the standard error stream."""

    def tell(message: Warning | str, *place: Any, **more: Any) -> None:
        say(f"note: {as_flags(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield


@contextmanager
def wrong_use() -> Iterator[None]:
    """Turn an error inside the block, whose message begins with an option, into a `UsageError`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UsageError(as_flags(begins_with_flag(str(error)))) from error


def one_line(error: Exception) -> str:
    """Return the message of an error, with its type if it is not one of `FORESEEN`."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        text = error.strerror or text
        text = f"{error.filename}: {text}" if error.filename is not None else text
    elif isinstance(error, MemoryError) or _from_short_memory(error):
        text = f"out of memory{f' ({text})' if text else ''}: smaller batches, shorter texts or a "
        text += "smaller model need less; files written earlier are whole"
    elif not isinstance(error, FORESEEN):
        text = f"{type(error).__name__}: {text} (FASTLSTM_DEBUG=1 shows where)"
    return printable(" ".join(as_flags(text).split()))


def _from_short_memory(error: Exception) -> bool:
    """Whether an error that no code of ours raises comes of memory that ran short."""
    return isinstance(error, (ImportError, SyntaxError, SystemError)) and is_memory_short()


def _drop_output() -> None:
    """Send the rest of the standard output nowhere, so that exiting raises no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
