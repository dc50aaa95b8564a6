"""What the trials of a study share: the data, read once, and what is made of it once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlstm.tune.trial import Judge


CONTENTS = "contents"  # in what ``tune.json`` tells of the data
WAY = "put back the one that belongs there, or begin anew with overwrite=True"


@contextmanager
def reading_trial() -> Iterator[None]:
    """Raise OSError, which tells what to do, if a file of a trial is damaged or gone in the block.

    It ends the study: as an error of the trial's options it would be the end of the trial alone.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise OSError(f"{error.filename or error} is gone; {WAY}") from error
    except ValueError as error:
        raise OSError(f"{error}; {WAY}") from error


class DataChangedError(OSError):
    """The data of a study are not what they were when it began: no trial can be made of them."""


class Shared(ABC):
    """Base of what trials share.

    Parameters
    ----------
    contents : numbers that change with anything in the data, of those that the study began with;
        None: they are what is read first.
    """

    def __init__(self, contents: Any = None) -> None:
        self.contents = contents

    @abstractmethod
    def begin(self, config: Any, bars: bool = False) -> tuple[dict[str, Any], str, str]:
        """Read the data; return what tells them from others, what they are, and their parts."""

    @abstractmethod
    def train(self, config: Any, run: Any, judge: Judge, bars: bool = False) -> dict[str, Any]:
        """Make the run of a trial or go on with it, in silence; return its metrics."""

    @abstractmethod
    def keep(self, run: Any, kept: Any, threads: int) -> dict[str, Any]:
        """Begin the best run as that of a trial, test it and tell; return its metrics."""

    def read(self, contents: Any, path: str) -> None:
        """Note what the data at `path` are; DataChangedError if they are others than before."""
        contents = list(contents)
        if self.contents is None:
            self.contents = contents
        if contents != self.contents:
            raise DataChangedError(
                f"{path} was changed since the study began, whose trials would not compare: put "
                "back what was there, or give another folder="
            )
