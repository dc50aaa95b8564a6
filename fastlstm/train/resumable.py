"""What every trainer does with its state: stop between two steps, save it, take it over."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fastlstm.train import checkpoint as files
from fastlstm.train.clip import clip_factor
from fastlstm.train.interrupt import Interrupted, InterruptGuard
from fastlstm.train.optim import Optimizer
from fastlstm.train.state import check_alike, copy_into

DIVERGED = "try a smaller learning rate"

Arrays = dict[str, NDArray[Any]]


class TrainingInterrupted(Interrupted):
    """Ctrl-C or SIGTERM came in training; the run stands between two steps and can go on."""


class Resumable:
    """Base of the trainers: a run that can be broken off and resumed.

    Attributes
    ----------
    kind : what its checkpoints are called, so that no other trainer takes them.
    history : where the run stands; has ``epochs`` and can be turned to JSON and back.
    best_weights : the best epoch's weights by name; empty before the first epoch is over.
    """

    kind: str
    history: Any

    def __init__(
        self, model: Any, optimizer: Optimizer, checkpoint: str | Path | None,
        identity: Mapping[str, object] | None,
    ) -> None:  # fmt: skip
        self.model, self.optimizer = model, optimizer
        self.checkpoint = Path(checkpoint) if checkpoint is not None else None
        self.identity = json.loads(json.dumps(identity or {}))  # as it comes back from a file
        self.best_weights: Arrays = {}
        self._lr = optimizer.lr
        self._parameters = list(model.named_parameters())

    def save(self, path: str | Path) -> None:
        """Save everything a run needs to go on; see `train.checkpoint.save`."""
        parts: dict[str, Mapping[str, NDArray[Any]]] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best_weights,
            **self._more_parts(),
        }
        tensors = {
            f"{part}/{n}": array for part, state in parts.items() for n, array in state.items()
        }
        note = {"identity": self._full_identity(), "history": self.history.to_json()}
        files.save(path, tensors, self.kind, note)

    def load(self, path: str | Path) -> None:
        """Take over a saved state; `fit` then goes on from there.

        Raises
        ------
        FileNotFoundError, CheckpointError
            As `train.checkpoint.load`; also CheckpointError if the state is that of another
            model, optimizer or `identity`.
        """
        tensors, note = files.load(path, self.kind)
        own, saved = self._full_identity(), note.get("identity")
        if not isinstance(saved, dict):
            raise files.CheckpointError(f"{path} is damaged: it does not say of which run it is")
        different = sorted(k for k in own.keys() | saved.keys() if own.get(k) != saved.get(k))
        if different:
            raise files.CheckpointError(f"{path} is of another run: {', '.join(different)} differ")
        parts: dict[str, Arrays] = {}
        for name, array in tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = array
        weights = {name: parameter.data for name, parameter in self._parameters}
        try:
            history = type(self.history).from_json(note.get("history"))
            best = parts.get("best", {})
            check_alike(weights if history.best else {}, best, "the best weights")
            copy_into(weights, parts.get("model", {}), "the model")
            self.optimizer.load_state_dict(parts.get("optimizer", {}))
            self._take_parts(parts)
        except ValueError as error:
            raise files.CheckpointError(f"{path} is of another run: {error}") from error
        self.history, self.best_weights = history, best

    def _more_parts(self) -> dict[str, Arrays]:
        """Return what else is to be saved, by name."""
        return {}

    def _take_parts(self, parts: Mapping[str, Arrays]) -> None:
        """Take it over again; a part without arrays is missing."""

    def _full_identity(self) -> dict[str, object]:
        """Return what a checkpoint must agree in."""
        raise NotImplementedError

    def _position(self) -> str:
        """Say where the run stands."""
        raise NotImplementedError

    def _stop_if(self, guard: InterruptGuard) -> None:
        """Save and stop, if a signal came."""
        if not guard.requested:
            return
        saved = ""
        if self.checkpoint is not None:
            self.save(self.checkpoint)
            saved = f"; its state is in {self.checkpoint}"
        told = f"training was interrupted {self._position()}{saved}"
        raise TrainingInterrupted(told, guard.signal)

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} {self._position()}; {DIVERGED}")

    def _clip_factor(self, limit: float) -> float:
        """Return the factor that keeps the gradients' norm within a limit; 0 is none."""
        try:
            return clip_factor(self._parameters, limit or math.inf)[1]
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} {self._position()}; {DIVERGED}") from error
