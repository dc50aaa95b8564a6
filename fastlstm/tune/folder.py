"""The folder of a study: its plan, Optuna's storage, a run for each trial, and the best one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastlstm.files.json_value import read_json
from fastlstm.files.opening import reading
from fastlstm.files.writing import write_json
from fastlstm.train.output_folder import OutputFolder
from fastlstm.tune.plan import STUDY, Plan
from fastlstm.tune.subject import TEXTS, Subject, subject_at


class TuneFolder(OutputFolder):
    """A folder with ``tune.json`` holds a study, whose trials are in ``study.db``."""

    FILES = ("tune.png", "study.db-journal", "study.db", "tune.json")
    NOUN = "study"
    NAMES = frozenset(("config", "search", "by", "pruner", "texts", "trials"))

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.picture, _, self.database, self.json = (self.path / name for name in self.FILES)

    @property
    def subject(self) -> Subject:
        """What the study is of; texts if there is none."""
        try:
            return subject_at(read_json(self.json))
        except (OSError, ValueError):
            return TEXTS

    @property
    def best(self) -> Any:
        """The folder of the best run."""
        return self.subject.best(self.path / "best")

    @property
    def begun(self) -> int:
        """How many trials were begun at least, by what they left here."""
        runs = [run.path.name for run in self._runs() if run.holds_run]
        return max((1 + int(name) if name.isdecimal() else 1 for name in runs), default=0)

    def trial(self, number: int) -> Any:
        """Return the folder of a trial."""
        return self.subject.trial(self.path / "trials" / f"{number:04}")

    def begin(self, plan: Plan, texts: dict[str, Any], trials: int) -> None:
        """Remove an earlier study, and write the plan of a new one."""
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)
        self.write(plan, texts, trials)

    def write(self, plan: Plan, texts: dict[str, Any], trials: int) -> None:
        """Write ``tune.json``; `texts` tells them from others, `trials` is how many to make."""
        write_json(self.json, {**plan.to_json(), "texts": texts, "trials": trials})

    def read(self) -> tuple[Plan, dict[str, Any], int]:
        """Return what `write` was given; ValueError, which names the file, if it is damaged."""
        with reading(self.json, "is damaged or of another version"):
            value = read_json(self.json)
            texts, trials = value["texts"], value["trials"]
            if not isinstance(texts, dict) or type(trials) is not int or trials < 1:
                raise ValueError(f"texts are {texts!r:.60}, trials {trials!r:.60}")
            return Plan.from_json(value), texts, trials

    def check_own(self) -> None:
        """Raise FileExistsError if files here, of a trial or of the best run are not of a study.

        Nor may Optuna's storage be that of another one.
        """
        from fastlstm.tune.storage import DamagedStorageError, trials_in

        super().check_own()
        if self.holds_run:
            with suppress(DamagedStorageError):
                trials_in(self.database, str(read_json(self.json).get("study", STUDY)))
        for run in self._runs():
            run.check_own()

    def clear(self) -> None:
        """Remove the files of a study, and no others."""
        self.check_own()
        for run in list(self._runs()):
            run.clear()
            with suppress(OSError):  # not empty
                run.path.rmdir()
        with suppress(OSError):
            (self.path / "trials").rmdir()
        super().clear()

    def _replaced(self) -> Iterable[Path]:
        return (run.path for run in self._runs())

    def _runs(self) -> Iterator[OutputFolder]:
        for path in sorted((self.path / "trials").glob("[0-9]*")):
            yield self.subject.best(path)
        yield self.best
