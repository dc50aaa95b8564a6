"""Modules whose weights do not change for a while: packed once, for all steps of that time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from fastlstm.torch.cells import GRUCell, LSTMCell, RNNCell, cell_of
from fastlstm.torch.check import check_module
from fastlstm.torch.modules import GRU, LSTM, RNN
from fastlstm.torch.quantized.cells import Cell as Quantized
from fastlstm.torch.step import FIXED, WEIGHTS, compiled_step
from fastlstm.torch.weights import cell_weights, sequence_weights

CELLS = LSTMCell, GRUCell, RNNCell
SEQUENCES = LSTM, GRU, RNN


@contextmanager
def fixed_weights(model: nn.Module) -> Iterator[None]:
    """Promise that no weight of the model's recurrent modules changes inside the block.

    Inside the block LSTMCell, GRUCell and RNNCell of fastlstm.torch read their weights packed: a
    step takes two thirds to nine tenths of the time, with the same bits as results. That is for
    steps without gradients of 1 to 1024 rows [N,I]; all others run as ever. So are the weights of
    LSTM, GRU and RNN of up to eight layers in one direction without a projection, for calls of one
    step::

        with torch.no_grad(), fixed_weights(policy):
            for observation in episode:
                h, c = policy.cell(observation, (h, c))

    Parameters
    ----------
    model : a module; those inside that are not fastlstm's are left alone. So are those in a lower
        precision, and those of `quantize_dynamic`, which keep packed weights of their own.

    Raises
    ------
    TypeError
        If the model is not a torch.nn.Module.
    ValueError
        If it has none of these cells and modules.
    RuntimeError
        From a step inside the block, if an operation of torch (an optimizer,
        load_state_dict) changed a weight since its beginning. Writing to ``weight.data`` or
        through NumPy goes unseen: results are of the old weights until the block ends.
    """
    modules = list(check_module(model).modules())
    ours = [m for m in modules if isinstance(m, (*CELLS, *SEQUENCES))]
    if not ours and not any(isinstance(m, Quantized) for m in modules):
        raise ValueError(
            f"model is a {type(model).__name__} without a cell of fastlstm.torch, expected one "
            "with LSTMCell, GRUCell or RNNCell, or with LSTM, GRU or RNN; accelerate(model) makes "
            "them of torch's"
        )
    with ExitStack() as entered:
        for module in ours:
            _enter(module)
            entered.callback(_leave, module)
        yield


# How many blocks a module is in: they may overlap in any order, in threads and in generators.
_blocks: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_lock = Lock()


def _enter(module: Any) -> None:
    packed = _packed(module)  # first: if it raises, the module has not entered
    with _lock:
        _blocks[module] = _blocks.get(module, 0) + 1
        vars(module)[FIXED] = packed


def _leave(module: Any) -> None:
    with _lock:
        _blocks[module] -= 1
        if not _blocks[module]:
            del _blocks[module], vars(module)[FIXED]


def _packed(module: Any) -> Any:
    """Return the weights of a module, packed; None where its steps do not go the short way."""
    if isinstance(module, SEQUENCES):
        if module.bidirectional or module.proj_size:
            return None
        step = compiled_step(module.mode.lower(), module.num_layers)
        weights = tuple(w for five in sequence_weights(module) for w in five[:WEIGHTS])
    else:
        step, weights = compiled_step(cell_of(module)[1]), cell_weights(module)[:WEIGHTS]
    if step is None or any(w is not None and w.is_inference() for w in weights):
        return None  # torch does not count the changes of an inference tensor
    return step.pack(weights)
