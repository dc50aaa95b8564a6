"""States of recurrent layers on disk, alone or with their model: `train.checkpoint` files."""

from __future__ import annotations

from pathlib import Path

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
    weights = {} if model is None else model.state_dict()
    parts = {"state": {str(i): part for i, part in enumerate(state)}, "model": weights}
    note = {"model": None if model is None else type(model).__name__}
    checkpoint.save(path, checkpoint.joined(parts), KIND, note)


def load_state(path: str | Path, model: Module | None = None) -> State:
    """Read a state back; put the parameters saved with it into `model`, if given.

    Raises
    ------
    FileNotFoundError, CheckpointError
        As `train.checkpoint.load`; also CheckpointError if a model is given and the file has no
        parameters, or others. The model has not changed then.
    """
    tensors, _ = checkpoint.load(path, KIND)
    parts = checkpoint.parted(tensors)
    arrays = parts.get("state", {})
    state = State([arrays[str(i)] for i in range(len(arrays))])
    if model is not None:
        try:
            model.load_state_dict(parts.get("model", {}))
        except (KeyError, ValueError) as error:
            reason = f"{path} is of another model: {error.args[0]}"
            raise checkpoint.CheckpointError(reason) from error
    return state
