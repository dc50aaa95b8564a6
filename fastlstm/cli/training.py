"""What both commands that train share: the options of the output, and resuming."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fastlstm.cli.errors import UsageError, wrong_use
from fastlstm.cli.flags import as_flags, flag
from fastlstm.cli.options import add_progress_option
from fastlstm.distributed.launch import current
from fastlstm.files.naming import absolute_path, named_path
from fastlstm.forecast.folder import ForecastFolder
from fastlstm.printable import say
from fastlstm.train.classifier import classify
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.extend import to_be_extended
from fastlstm.train.classifier.fine_tune import fine_tuning_options
from fastlstm.train.classifier.idle_options import Idle, idle_options
from fastlstm.train.classifier.loaded_run import load_options, load_run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig
from fastlstm.train.comparison.folder import ComparisonFolder
from fastlstm.tune.folder import TuneFolder

AnyConfig = TypeVar("AnyConfig", bound=Config)
Folder = RunFolder | ComparisonFolder | ForecastFolder | TuneFolder

PROGRAMS = {Config: "train_imdb", TextConfig: "fastlstm train"}  # the command of a run's options


class Output(NamedTuple):
    """What the options of `add_output_options` say."""

    folder: Folder
    resume: bool
    overwrite: bool
    bars: bool  # whether to show progress bars


def add_output_options(parser: Any, default: str, extends: bool = True) -> Any:
    """Add a group of options and return it; `default` is the text for the default of --out.

    `extends` tells whether a finished run may get more epochs.
    """
    group = parser.add_argument_group("output")
    group.add_argument("--out", metavar="DIR", help=f"output folder (default {default})")
    group.add_argument(
        "--resume", metavar="DIR", nargs="?", const="",
        help="go on with what is unfinished in DIR (or in --out) with its own options"
        + ("; with more --epochs also with a finished run" if extends else ""),
    )  # fmt: skip
    group.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    add_progress_option(group)
    return group


def take_output(
    given: dict[str, Any], name: str, kind: Callable[[str | Path], Folder] = RunFolder
) -> Output:
    """Take these options out of the given ones.

    The default folder has a name that begins with `name`; `kind` is its class. Raises UsageError if
    options exclude each other, FileNotFoundError if the folder holds nothing to resume.
    """
    out, resume, overwrite = given.pop("out"), given.pop("resume"), given.pop("overwrite")
    bars = not given.pop("no_progress") and sys.stderr.isatty()
    default = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = kind(resume or out or current().broadcast(str(default)))
    if resume is not None:
        if overwrite:
            raise UsageError("--overwrite and --resume exclude each other")
        if not (resume or out):
            raise UsageError("--resume needs the folder: --resume DIR, or with --out DIR")
        if resume and out and Path(resume) != Path(out):
            raise UsageError(f"--resume {resume} and --out {out} are different folders")
        if not folder.holds_run:
            raise FileNotFoundError(
                f"{folder.path} holds no {folder.NOUN} to resume: there is no {folder.mark.name}"
            )
    return Output(folder, resume is not None, overwrite, bars)


def train(
    output: Output, kind: type[Config], given: dict[str, Any], load: classify.Load
) -> dict[str, Any]:
    """Train a run or go on with one, unless it is finished; return its metrics.

    `kind` is that of its options, of which some are `given`; `load` loads the data.
    """
    folder = output.folder
    assert isinstance(folder, RunFolder)
    for name in ("vectors", "from_run"):
        if name in given:
            given[name] = absolute(given[name])
    config = resumed(_saved(folder, kind), given, folder) if output.resume else begun(kind, given)
    check_all_used(config, given)
    if output.resume:
        if folder.finished and not to_be_extended(config, folder):
            metrics = folder.read_metrics()
            accuracy = metrics["test_accuracy"]
            result = "" if accuracy is None else f": test accuracy {accuracy:.2%}"
            say(f"the run in {folder.path} is finished{result}")
            return metrics
    with writing(output, PROGRAMS[kind]):
        return classify.run(load, config, folder, resume=output.resume, bars=output.bars)


def begun(kind: type[AnyConfig], given: dict[str, Any]) -> AnyConfig:
    """Return the options of a new run, perhaps one that begins with an earlier one.

    Raises UsageError if they are wrong or contradict each other; errors as of `load_run`.
    """
    if "vectors" in given and "embedding_dim" in given:
        raise UsageError("--vectors and --embedding-dim exclude each other: the file says it")
    if "from_run" in given:
        if "vectors" in given:
            raise UsageError("--vectors and --from exclude each other: that run has its own")
        load_run(given["from_run"])  # an error of which is no wrong use
    with wrong_use():
        return kind(**(fine_tuning_options(**given) if "from_run" in given else given))


def check_all_used(config: Config, given: Mapping[str, Any]) -> None:
    """Raise UsageError if one of the options `given` does nothing in the run."""
    refuse(idle_options(config, given))


def refuse(idle: Iterable[Idle]) -> None:
    """Raise UsageError for the first of some options that do nothing, if there are any."""
    for names, why in idle:
        raise UsageError(Idle(list(map(flag, names)), as_flags(why)).refused)


def absolute(path: str) -> str:
    """Return a path that holds in any folder, from which the run may be resumed."""
    return str(absolute_path(named_path(path)))


@contextmanager
def writing(output: Output, program: str) -> Iterator[None]:
    """Lock the folder inside the block; then say where the files are, or how to go on.

    Raises FileExistsError if the folder is not free.
    """
    folder = output.folder
    with folder.locked():
        if not output.resume:
            folder.check_free(output.overwrite)
        try:
            yield
        except KeyboardInterrupt as interrupt:
            if folder.holds_run and not folder.finished:
                how = f"to go on: {program} --resume {folder.path}"
                interrupt.args = (f"{str(interrupt) or 'interrupted'}\n{how}",)
            raise
    say(f"\nfiles are in {folder.path}")


def resumed(saved: Any, given: dict[str, Any], folder: Folder) -> Any:
    """Return the options of a run to resume: its own, changed by the given ones that are free.

    For a finished run that includes a larger number of epochs. Raises UsageError if another option
    differs from that of the run.
    """
    begins = {n for n in ("vectors", "from_run", "unlabelled") if not getattr(saved, n, None)}
    free = set(saved.free_options) - begins  # what a run did not begin with it cannot get later
    if isinstance(folder, RunFolder) and folder.finished:
        free.add("epochs")
    for name, value in given.items():
        if name not in free and value != getattr(saved, name):
            raise UsageError(
                f"{flag(name)} is {value}, but the {folder.NOUN} in {folder.path} has "
                f"{getattr(saved, name)}; a resumed {folder.NOUN} keeps its options"
            )
    with wrong_use():
        config = replace(saved, **{k: v for k, v in given.items() if k in free})
    if config.epochs != saved.epochs and config.epochs < saved.epochs:
        raise UsageError(
            f"--epochs is {config.epochs}, but the run in {folder.path} has {saved.epochs} already"
        )
    return config


def _saved(folder: RunFolder, kind: type[Config]) -> Config:
    """Return the options of a run to resume; ValueError for one of the other command."""
    saved = load_options(folder)
    if type(saved) is not kind:
        program = PROGRAMS[type(saved)]
        raise ValueError(
            f"{folder.path} is a run of {program}: go on with {program} --resume {folder.path}"
        )
    return saved
