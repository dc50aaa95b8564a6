"""Cells whose weights do not change for a while: packed once, for all steps of that time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell, cell_of
from fastlstm.torch.check import check_module
from fastlstm.torch.quantized.cells import Cell as Quantized
from fastlstm.torch.step import FIXED, compiled_step
from fastlstm.torch.weights import cell_weights


@contextmanager
def fixed_weights(model: nn.Module) -> Iterator[None]:
    """Promise that no weight of the model's cells changes inside the block.

    Inside the block LSTMCell, GRUCell and RNNCell of fastlstm.torch read their weights packed: a
    step takes two thirds to nine tenths of the time, with the same bits as results. That is for
    steps without gradients of 1 to 1024 rows [N,I]; all others run as ever::

        with torch.no_grad(), fixed_weights(policy):
            for observation in episode:
                h, c = policy.cell(observation, (h, c))

    Parameters
    ----------
    model : a module; those of its cells that are not fastlstm's are left alone. So are those in
        a lower precision, and those of `quantize_dynamic`, which keep packed weights of their own.

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
    modules = list(check_module(model).modules())
    cells = [m for m in modules if isinstance(m, (LSTMCell, GRUCell, RNNCell))]
    if not cells and not any(isinstance(m, Quantized) for m in modules):
        raise ValueError(
            f"model is a {type(model).__name__} without a cell of fastlstm.torch, expected one "
            "with LSTMCell, GRUCell or RNNCell; accelerate(model) makes them of torch's"
        )
    with ExitStack() as entered:
        for cell in cells:
            _enter(cell)
            entered.callback(_leave, cell)
        yield


# How many blocks a cell is in: they may overlap in any order, in threads and in generators.
_blocks: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_lock = Lock()


def _enter(cell: Any) -> None:
    packed = _packed(cell)  # first: if it raises, the cell has not entered
    with _lock:
        _blocks[cell] = _blocks.get(cell, 0) + 1
        vars(cell)[FIXED] = packed


def _leave(cell: Any) -> None:
    with _lock:
        _blocks[cell] -= 1
        if not _blocks[cell]:
            del _blocks[cell], vars(cell)[FIXED]


def _packed(cell: Any) -> Any:
    """Return the weights of a cell, packed; None where its steps do not go the short way."""
    step, weights = compiled_step(cell_of(cell)[1]), cell_weights(cell)[:4]
    if step is None or any(w is not None and w.is_inference() for w in weights):
        return None  # torch does not count the changes of an inference tensor
    return step.pack(weights)
