"""More epochs for a finished run.

Its checkpoint is gone, so training goes on from the weights that were kept, with a new optimizer,
at the learning rate of the schedule for the new number of epochs.
"""

from __future__ import annotations

from fastlstm.files.writing import write_json
from fastlstm.train.classifier.config import Config
from fastlstm.train.classifier.dataset import Dataset
from fastlstm.train.classifier.loaded_run import load_options, read_record
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.trained_texts import hashes_of, read_hashes
from fastlstm.train.history import History
from fastlstm.train.model_file import load_model
from fastlstm.train.trainer import Trainer


def to_be_extended(config: Config, folder: RunFolder) -> bool:
    """Whether the options ask for more epochs than the finished run of the folder has."""
    if not folder.finished:
        return False
    saved = load_options(folder)
    if saved.parts == "linear":  # which has no epochs
        return False
    # with patience it may have stopped early, for good
    had = saved.epochs if saved.patience else folder.read_metrics()["epochs"]
    return config.epochs > int(had)


def check_can_extend(config: Config, folder: RunFolder, data: Dataset) -> None:
    """Raise ValueError if a finished run cannot go on with these texts."""
    if config.pretrain:
        raise ValueError(f"{folder.path} is a run with pretraining, which cannot be extended")
    if not folder.read_epochs():
        raise ValueError(f"{folder.path} is damaged: {folder.metrics_lines.name} has no epochs")
    check_same_texts(folder, data)


def check_same_texts(folder: RunFolder, data: Dataset) -> None:
    """Raise ValueError if the run of the folder has learned from other texts."""
    known = read_hashes(folder.trained_texts)
    if known is not None and known != hashes_of(data):
        raise ValueError(f"{folder.path} was trained on other texts than the {data.source}")


def extend(trainer: Trainer, config: Config, folder: RunFolder) -> None:
    """Set the trainer to the end of the finished run, and make the run an unfinished one.

    If the process is killed meanwhile, the run is finished or can be resumed.
    """
    record = read_record(folder.path)
    assert record.metrics is not None
    history = History(
        step=record.epochs[-1].step, epochs=record.epochs, best=record.metrics["best_epoch"]
    )
    trainer.start_after(history, load_model(folder.model).state_dict())
    trainer.save(folder.checkpoint)
    trainer.processes.barrier()  # all have read
    if folder.writes:
        write_json(folder.config, config.to_json())
        folder.metrics.unlink()
