"""Cells whose weights stay as they are for a while: packed once, for all steps made meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell, cell_of
from fastlstm.torch.step import FIXED, compiled_step
from fastlstm.torch.weights import cell_weights


@contextmanager
def fixed_weights(model: nn.Module) -> Iterator[None]:
    """Promise that no weight of the model's cells changes inside the block.

    A step of one row spends most of its time on reading the weights in torch's layout. Inside the
    block LSTMCell, GRUCell and RNNCell of fastlstm.torch read them packed, which takes about half
    as long, with the same bits as results; steps that need gradients run as ever. For an agent
    that acts, a decoder that writes, a stream that is followed::

        with torch.no_grad(), fixed_weights(policy):
            for observation in episode:
                h, c = policy.cell(observation, (h, c))

    Parameters
    ----------
    model : a module; those of its cells that are not fastlstm's are left alone.

    Raises
    ------
    TypeError
        If the model is not a torch.nn.Module.
    ValueError
        If it has none of these cells.
    RuntimeError
        From a cell's step inside the block, if an operation of torch (an optimizer,
        load_state_dict) changed a weight since its beginning. Writing to ``weight.data`` or
        through NumPy goes unseen: results are of the old weights until the block ends.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    cells = [m for m in model.modules() if isinstance(m, (LSTMCell, GRUCell, RNNCell))]
    if not cells:
        raise ValueError(
            f"model is a {type(model).__name__} without a cell of fastlstm.torch, expected one "
            "with LSTMCell, GRUCell or RNNCell; accelerate(model) makes them of torch's"
        )
    before = [vars(cell).pop(FIXED, None) for cell in cells]
    try:
        for cell in cells:
            _set(cell, _packed(cell))
        yield
    finally:
        for cell, packed in zip(cells, before, strict=True):
            _set(cell, packed)


def _packed(cell: Any) -> Any:
    """Return the weights of a cell, packed; None where its steps do not go the short way."""
    step = compiled_step(cell_of(cell)[1])
    return step and step.pack(cell_weights(cell)[:4])


def _set(cell: Any, packed: Any) -> None:
    if packed is None:
        vars(cell).pop(FIXED, None)
    else:
        vars(cell)[FIXED] = packed
