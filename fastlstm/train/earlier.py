"""Reads the files of earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {
    "language model": "model",
    "sequence-to-sequence model": "model",
    "training state of a language model": "training state",
}
"""What a kind of file is called now, by what it was called."""

NEW = ("the tokens",)
"""What the training states of earlier versions do not tell of their run."""

SUMS = {"loss_sum": "loss_sum", "tokens": "words", "seconds": "seconds"}


def comparable(saved: Mapping[str, Any], own: Mapping[str, Any]) -> set[str]:
    """Return the names of what two runs must have alike, as far as the saved one tells it."""
    return (saved.keys() | own.keys()) - {name for name in NEW if name not in saved}


def of_this_version(history: Any) -> Any:
    """Return the JSON of a `History`; version 0.1.0 wrote another one for language models."""
    if not isinstance(history, Mapping) or "window" not in history:
        return history
    found = {k: v for k, v in history.items() if k not in SUMS and k != "window"}
    running = {new: history.get(old) for old, new in SUMS.items()}
    found["running"] = {**running, "correct": 0, "classes": False}
    found["running"]["examples"] = running["words"]
    found["batch"] = history["window"]
    if isinstance(found.get("epochs"), list):
        found["epochs"] = [_epoch(epoch) for epoch in found["epochs"]]
    return found


def _epoch(epoch: Any) -> Any:
    if not isinstance(epoch, Mapping) or "tokens" not in epoch:
        return epoch
    found = {"words" if k == "tokens" else k: v for k, v in epoch.items()}
    return {**found, "train_accuracy": None, "validation_accuracy": None}


def model_note(note: dict[str, Any]) -> dict[str, Any]:
    """Return the note of a model's file; version 0.1.0 did not write the class of the model."""
    if "class" in note:
        return note
    if "source" in note:
        sizes = {f"{side}_vocab_size": len(note[side]) for side in ("source", "target")}
        return {**note, "class": "Seq2Seq", "model": {**note["options"], **sizes}}
    is_classifier = "epoch" in note
    return {**note, "class": "TextClassifier" if is_classifier else "LanguageModel"}
