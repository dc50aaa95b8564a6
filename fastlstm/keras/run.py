"""A call of a layer on the kernels, as Keras's `inner_loop` would answer it.

N batch rows, T steps, I input size, U units.
"""

from __future__ import annotations

from typing import Any

from keras import backend

from fastlstm.keras.cells import spec, weights
from fastlstm.keras.masks import valid_steps
from fastlstm.keras.on_backend import cast_like, copy, flip, run_cell, zeros_like
from fastlstm.keras.why_not import as_list


def run(layer: Any, x: Any, initial_state: Any, mask: Any, training: bool) -> Any:
    """Return the last output [N,U], the outputs [N,T,U] and the last states [N,U] of a layer.

    The outputs stand in the order in which the steps run. Where a layer returns only the last one
    the others are not made.
    """
    cell, states = layer.cell, as_list(initial_state)
    kernel = spec(cell)
    assert kernel is not None  # or `why_not` had a reason
    x = cast_like(x, states[0])
    if layer.stateful:
        states = [copy(s) for s in states]  # the layer's own are written to before backward
    if training and cell.dropout:
        x = x * cell.get_dropout_mask(x[:, 0, :])[:, None]
    masks = as_list(mask)
    valid = valid_steps(masks[0], layer.go_backwards) if masks else None
    if valid is not None:
        x = valid.gather(x)
    elif layer.go_backwards:
        x = flip(x)
    lengths = None if valid is None else valid.lengths
    y, ends = run_cell(kernel, x, states, weights(cell), lengths)
    last = ends[0]
    if valid is not None:
        first, zero = _before(layer, states[0]), _zeros(layer)
        last = valid.last(last, first, zero)
        if layer.return_sequences:
            y = valid.spread(y, first, zero)
    return last, y if layer.return_sequences else last[:, None], ends


def _before(layer: Any, h: Any) -> Any:
    """Return the output of masked steps before any valid one: zero, but not on the NumPy backend.

    There a loop that is not unrolled repeats the initial state.
    """
    return h if backend.backend() == "numpy" and not layer.unroll else zeros_like(h)


def _zeros(layer: Any) -> bool:
    """Whether masked outputs are zero; an unrolled loop of the NumPy backend does not look."""
    return layer.zero_output_for_mask and not (backend.backend() == "numpy" and layer.unroll)
