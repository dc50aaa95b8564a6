"""The error of ONNX files and of what they are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

MOST_TOLD = 400  # characters of another library's message


class OnnxError(ValueError):
    """A model file, or an input of a model, is not what it must be."""


@contextmanager
def within(where: str) -> Iterator[None]:
    """Say of every error inside where it came up; one of another kind becomes an `OnnxError`.

    Other kinds come out of NumPy and of Python's own arithmetic, which meet whatever a file claims.
    """
    try:
        yield
    except OnnxError as error:
        raise OnnxError(f"{where}: {error}") from error.__cause__
    except MemoryError as error:
        raise OnnxError(f"{where}: no memory ({one_line(error)})") from error
    except RecursionError as error:
        raise OnnxError(f"{where}: nested too deeply") from error
    except Exception as error:
        raise OnnxError(f"{where}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return an error's message without line breaks, its kind where it has none."""
    return (" ".join(str(error).split()) or type(error).__name__)[:MOST_TOLD]


def shown(name: object) -> str:
    """Return a name out of a file as it may stand in a line: no line breaks, not without end."""
    return repr(str(name))[1:-1][:100]
