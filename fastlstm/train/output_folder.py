"""A folder that a run writes to: one writer at a time, and no file of anybody else is touched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from fastlstm.distributed.launch import current
from fastlstm.files.json_value import read_json
from fastlstm.files.naming import named_path
from fastlstm.files.writing import remove_temporary
from fastlstm.train.folder_lock import FolderLock

KINDS = {
    "config.json": "a run of one model",
    "compare.json": "a comparison",
    "forecast.json": "a forecast",
    "tune.json": "a study",
    "symbols.json": "a language model",
}
"""What a folder holds, by its mark, whichever command made it."""


class OutputFolder:
    """Base of the folders of runs; the folder `path` need not exist.

    Of processes that train together the first one writes; to the others the folder is as it is.

    Attributes
    ----------
    path : the folder.
    writes : whether this process writes there.
    """

    FILES: ClassVar[tuple[str, ...]]
    """All that a run writes there, in the order in which it is removed: the mark comes last."""

    NOUN: ClassVar[str] = "run"
    """What such a folder holds."""

    WITHOUT_METRICS: ClassVar[str] = (
        "put back the one that belongs here, or remove it: without it the run is not finished, and "
        "resume= goes on with it"
    )
    """What to do about a ``metrics.json`` that is not as the run wrote it."""

    NAMES: ClassVar[Set[str]]
    """What every version wrote into the mark, a JSON object, and hardly anybody else does."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.writes = named_path(path), current().first
        self._lock = FolderLock(self.path)

    def __reduce__(self) -> tuple[type[OutputFolder], tuple[Path]]:
        return type(self), (self.path,)  # a lock is its process's own

    @property
    def mark(self) -> Path:
        """The file that marks the folder as that of a run."""
        return self.path / self.FILES[-1]

    @property
    def holds_run(self) -> bool:
        """Whether there is a run, finished or not."""
        return self.mark.exists()

    @property
    def finished(self) -> bool:
        """Whether that run is finished."""
        return False

    @property
    def is_ours(self) -> bool:
        """Whether a run wrote the mark, so that the other files of these names are its own, too."""
        try:
            value = read_json(self.mark)
        except (OSError, ValueError):
            return False
        return isinstance(value, dict) and value.keys() >= self.NAMES

    def check_apart(self, earlier: str | Path | None) -> None:
        """Raise ValueError if what is written here would replace the run that it begins with."""
        if earlier is not None and Path(earlier).resolve() in map(Path.resolve, self._replaced()):
            raise ValueError(
                f"{self.path} holds the run to begin with, which stays as it is; give another "
                "folder="
            )

    def _replaced(self) -> Iterable[Path]:
        """Return the folders of which `clear` removes files."""
        return (self.path,)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer inside the block; first remove what a killed run left half-written.

        The folder is made, and removed again if nothing was written. Raises FolderInUseError if
        another run writes there, which changes nothing, OSError if it is no folder or cannot be
        written.
        """
        self._check_place()
        if not self.writes:
            yield
            return
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            with self._lock:
                remove_temporary(self.path, self.FILES)
                yield
        finally:
            with suppress(OSError):  # not empty
                for folder in made:
                    folder.rmdir()

    def check_own(self) -> None:
        """Raise FileExistsError if there are files of these names that no run wrote."""
        if self.is_ours:
            return
        foreign = [name for name in self.FILES if os.path.lexists(self.path / name)]
        if foreign:
            raise FileExistsError(
                f"{self.path} holds {', '.join(foreign)} but no run of this kind: a run would "
                "replace what it did not write; choose another folder, or move them away"
            )

    def check_alone(self) -> None:
        """Raise FileExistsError if the folder holds what another kind of command made."""
        for name, what in KINDS.items():
            if name != self.mark.name and os.path.lexists(self.path / name):
                raise FileExistsError(f"{self.path} holds {what}; give another folder=")

    def check_free(self, overwrite: bool = False) -> None:
        """Raise FileExistsError if the folder holds a run, of any kind, or files of these names.

        With `overwrite` a run of this kind is allowed.
        """
        if not self.writes:
            return
        self.check_alone()
        self.check_own()
        if overwrite or not self.holds_run:
            return
        if self.finished:
            state, way = "a finished", "give another folder=, or overwrite=True"
        else:
            state, way = "an unfinished", "resume= it, or give another folder="
        raise FileExistsError(f"{self.path} holds {state} {self.NOUN}; {way}")

    def clear(self) -> None:
        """Remove the files of a run and no others."""
        if not self.writes:
            return
        self.check_own()
        for name in self.FILES:
            (self.path / name).unlink(missing_ok=True)

    def _check_place(self) -> None:
        for place in (self.path, *self.path.parents):
            if os.path.lexists(place):
                if not place.is_dir():
                    raise NotADirectoryError(f"{place} is no folder, expected one to write to")
                return
