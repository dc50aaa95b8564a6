"""Optuna: its storage, which all processes of a study share, and what draws and ends trials.

The storage is a file of SQLite in the study's folder. A process that is killed leaves it whole:
its locks go with it, and half a transaction is taken back. (A journal file of Optuna cannot be
read any more after a process was killed while it wrote a line.)
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fastlstm.files.opening import open_file
from fastlstm.train.seeds import TUNING, generator
from fastlstm.tune.plan import Plan
from fastlstm.tune.shared import WAY

TRIES = 20  # to draw what no earlier trial had, of which there may be nothing left
PATIENCE = 120.0  # seconds that a process waits for others to write
SIGNATURE = b"SQLite format 3\0"  # with which each file of SQLite begins
COLUMNS = {"study_id", "study_name"}  # in Optuna's table of studies, the first that it makes
# What Optuna raises where rows are none of its own, apart from what SQLite itself finds.
DAMAGE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)


class DamagedStorageError(OSError):
    """A file that can be Optuna's cannot be read: another study may take its place."""


def optuna() -> Any:
    """Return Optuna, which says nothing below a warning; ImportError tells how to install it."""
    try:
        import optuna
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise ImportError('tuning needs Optuna: pip install "fastlstm[tune]"') from error
    return optuna


@contextmanager
def opened(path: Path, plan: Plan) -> Iterator[Any]:
    """Give Optuna's study of a file to the block; a new one if there is none.

    Raises OSError if the file cannot be read or written, or as of `trials_in`.
    """
    lib = optuna()
    known = trials_in(path, plan.study) is not None
    before = lib.logging.get_verbosity()
    lib.logging.set_verbosity(lib.logging.WARNING)
    storage = None
    try:
        with warnings.catch_warnings(), _as_os_error(path):
            warnings.simplefilter("ignore", lib.exceptions.ExperimentalWarning)
            storage = _storage(path)
            pruner = _pruner(lib, plan.pruner)
            about = {"storage": storage, "study_name": plan.study, "pruner": pruner}
            if known:
                study = _loaded(path, about, plan)
            else:
                direction = "maximize" if plan.rises else "minimize"
                study = lib.create_study(**about, direction=direction)
            yield study
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()
        lib.logging.set_verbosity(before)


def trials_in(path: Path, study: str) -> int | None:
    """Return how many trials the study of that name has in a file; None if it is not there yet.

    Raises FileExistsError if the file is of another study or program, which nobody may replace,
    DamagedStorageError if it is damaged, another OSError if it cannot be read.
    """
    if not path.exists():
        return None
    found = _trials_by_study(path)
    if found is None or (found and study not in found):
        of = "another study" if found else "another program"
        raise FileExistsError(
            f"{path} is of {of} than the one in {path.parent}: put back the one that belongs "
            "there, or give another folder="
        )
    return found.get(study)


def _trials_by_study(path: Path) -> dict[str, int] | None:
    """Return how many trials each study in a file has; None if Optuna did not write the file."""
    with open_file(path) as plain:
        if plain.read(len(SIGNATURE)) not in (b"", SIGNATURE):
            return None
    with _as_os_error(path), closing(_connected(path)) as file:
        if not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        if not {row[1] for row in file.execute("PRAGMA table_info(studies)")} >= COLUMNS:
            return None
        counted = "SELECT count(*) FROM trials WHERE study_id = ?"
        return {
            name: int(file.execute(counted, [number]).fetchone()[0])
            for name, number in file.execute("SELECT study_name, study_id FROM studies").fetchall()
        }


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=PATIENCE)


def _storage(path: Path) -> Any:
    """Return Optuna's storage in a file; OSError if it is of another version of Optuna."""
    try:
        return optuna().storages.RDBStorage(
            "sqlite:///study.db",  # any path, also one with signs that a URL cannot have:
            engine_kwargs={"creator": lambda: _connected(path)},
        )
    except RuntimeError as error:  # which tells the versions, and how to come from one to the other
        told = str(error).replace("$STORAGE_URL", f"sqlite:///{path.absolute()}").rstrip(".")
        raise OSError(f"{path} is of another version of Optuna: {told}; {WAY}") from error


def _loaded(path: Path, about: dict[str, Any], plan: Plan) -> Any:
    """Return a study that can be read to its end; nothing is written."""
    try:
        study = optuna().load_study(**about)
        for trial in study.get_trials(deepcopy=False):
            if trial.params.keys() != plan.space.keys():
                raise ValueError(f"trial {trial.number} is not of this search")
    except DAMAGE as error:
        told = str(error) or type(error).__name__
        message = f"{path} is damaged or of another study: {told}; {WAY}"
        raise DamagedStorageError(message) from error
    return study


def ask(study: Any, plan: Plan) -> int:
    """Draw the options of a further trial and return its number; those of the first are the plan's.

    The random numbers come from the seed and the number, so a study that was broken off draws what
    an unbroken one would. They are drawn apart: a trial of which only some were written when the
    process was killed would be made with the usual values of the others. What an earlier trial had
    is drawn again: it would give the same result.
    """
    lib = optuna()
    begun = study.get_trials(deepcopy=False)
    seed = int(generator(plan.config.seed, TUNING, len(begun)).integers(2**32))
    sampler = lib.samplers.TPESampler(seed=seed, constant_liar=True)
    space = {name: values.distribution(lib.distributions) for name, values in plan.space.items()}
    apart = lib.create_study(sampler=sampler, direction=study.direction)
    apart.add_trials(begun)
    if not begun:
        apart.enqueue_trial(plan.first)
    for _ in range(TRIES):
        drawn = apart.ask(space).params
        if all(drawn != trial.params for trial in begun):
            break
    state = lib.trial.TrialState.RUNNING
    study.add_trial(lib.trial.create_trial(state=state, params=drawn, distributions=space))
    return len(begun)


def trial_of(study: Any, number: int) -> Any:
    """Return the trial of a number, to report to, whichever process drew it."""
    return optuna().trial.Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)


def _pruner(lib: Any, name: str) -> Any:
    if name == "median":
        return lib.pruners.MedianPruner(n_startup_trials=5)
    if name == "halving":
        return lib.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return lib.pruners.NopPruner()


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Turn an error of the storage inside the block into an OSError that names the file."""
    import sqlalchemy.exc

    failures = (
        optuna().exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error
    )  # fmt: skip
    try:
        yield
    except failures as error:
        reason = error.__cause__ or error
        told = getattr(reason, "orig", None) or reason
        damaged = type(told) is sqlite3.DatabaseError or "no such" in str(told)  # such as a table
        message = f"{path} cannot be read or written: {told}"
        if damaged:
            raise DamagedStorageError(f"{message}; {WAY}") from error
        raise OSError(f"{message}; what it has is intact: go on once that is mended") from error
