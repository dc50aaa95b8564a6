"""States of recurrent layers on disk, alone or with their model: `train.checkpoint` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastlstm.nn import Module, State
from fastlstm.train import checkpoint

KIND = "recurrent state"


def save_state(path: str | Path, state: State, model: Module | None = None) -> None:
    """Write a state, and a model's parameters; on failure an earlier file at `path` stays whole.

    Parameters
    ----------
    path : file to write.
    state : what a layer or a stream returned.
    model : saved with the state if given.

    Raises
    ------
    TypeError
        If state is not a `State`.
    OSError
        If the file cannot be written.
    """
    if not isinstance(state, State):
        raise TypeError(f"state is a {type(state).__name__}, expected a State")
    tensors: dict[str, Any] = {f"state/{i}": part for i, part in enumerate(state)}
    if model is not None:
        tensors.update((f"model/{name}", value) for name, value in model.state_dict().items())
    checkpoint.save(path, tensors, KIND, {"model": type(model).__name__ if model else None})


def load_state(path: str | Path, model: Module | None = None) -> State:
    """Read a state back; put the parameters saved with it into `model`, if given.

    Raises
    ------
    FileNotFoundError, CheckpointError
        As `train.checkpoint.load`; also CheckpointError if a model is given and the file has no
        parameters, or others. The model has not changed then.
    """
    tensors, _ = checkpoint.load(path, KIND)
    parts = [tensors[f"state/{i}"] for i in range(sum(n.startswith("state/") for n in tensors))]
    state = State(parts)
    if model is not None:
        weights = {n[len("model/") :]: v for n, v in tensors.items() if n.startswith("model/")}
        try:
            model.load_state_dict(weights)
        except (KeyError, ValueError) as error:
            reason = f"{path} is of another model: {error.args[0]}"
            raise checkpoint.CheckpointError(reason) from error
    return state
