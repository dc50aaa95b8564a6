"""What is written of a run, finished or not, without its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.loaded_run import check_is_run, load_options
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.history import Epoch


@dataclass(frozen=True)
class RunRecord:
    """The plain files of a run.

    Attributes
    ----------
    folder : where it lies.
    config : its options.
    metrics : its results; None while it is not finished.
    epochs : its finished epochs.
    """

    folder: RunFolder
    config: Config
    metrics: dict[str, Any] | None
    epochs: list[Epoch]


def read_record(path: str | Path) -> RunRecord:
    """Read what is written of a run.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it holds no run.
    ValueError
        If a file is damaged or of another version; names it.
    """
    folder = RunFolder(path)
    check_is_run(folder)
    config = load_options(folder)
    metrics = folder.read_metrics() if folder.finished else None
    return RunRecord(folder, config, metrics, folder.read_epochs())
