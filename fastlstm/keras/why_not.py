"""Why a call of a layer stays Keras's: the reasons that `report` gives."""

from __future__ import annotations

import sys
from typing import Any

from keras import KerasTensor, backend
from keras.src import backend as backend_src

from fastlstm.keras.cells import ACTIVATIONS, GATES, activation_of, spec
from fastlstm.keras.on_backend import is_quick_step, why_not_tensors

DTYPES = ("float32", "float64")
# Keras before 3.5 has no such scope: its symbolic calls are of tensors on device meta.
_in_symbolic_scope = getattr(backend_src, "in_symbolic_scope", bool)


def compiling() -> bool:
    """Whether torch.compile reads the code instead of running it."""
    return "torch" in sys.modules and sys.modules["torch"].compiler.is_compiling()


def as_list(value: Any) -> list[Any]:
    """Return states or masks as a list: Keras gives one alone, several or None."""
    if isinstance(value, (list, tuple)):
        return [v for v in value if v is not None]
    return [] if value is None else [value]


def why_not(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool) -> str:
    """Return why the kernels cannot answer a call of `inner_loop`, "" if they can."""
    states, masks = as_list(initial_state), as_list(mask)
    given = [sequences, *states, *masks]
    if _in_symbolic_scope() or any(isinstance(v, KerasTensor) for v in given):
        return "a symbolic call"
    if sequences.shape[1] == 1 and not masks and is_quick_step(layer):
        return "one step of inference"
    return (
        _of_cell(layer)
        or _of_dropout(layer, training)
        or why_not_tensors(given)
        or _of_shapes(layer, sequences, states, masks)
    )


def _of_cell(layer: Any) -> str:
    cell = layer.cell
    if type(cell) not in GATES:
        return f"the cell is of class {type(cell).__name__}"
    if spec(cell) is None:
        return _activations(cell)
    if getattr(layer, "use_cudnn", None) is True:
        return "use_cudnn is True"
    if cell.compute_dtype not in DTYPES:
        return f"dtype {cell.compute_dtype}"
    if cell.compute_dtype != layer.compute_dtype:
        return f"dtype {layer.compute_dtype} with a cell of {cell.compute_dtype}"
    return ""


def _activations(cell: Any) -> str:
    """Return the reason that lies in the activations, of which the first is named that differs."""
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    given = {name: getattr(cell, name) for name in usual if hasattr(cell, name)}
    unknown = {name: f for name, f in given.items() if activation_of(f) is None}
    for name, function in (unknown or given).items():  # given: of a backend with the usual alone
        called = getattr(function, "__name__", type(function).__name__)
        if unknown and called in {activation.name for activation in ACTIVATIONS}:
            return "an activation is a function of the user's"
        if called != usual[name]:
            return f"{name} is {called}"
    return "an activation is a function of the user's"


def _of_dropout(layer: Any, training: bool) -> str:
    cell = layer.cell
    if not training:
        return ""
    if cell.recurrent_dropout:
        return "recurrent dropout"
    if cell.dropout >= 1.0:
        return "dropout of everything"
    if cell.dropout and getattr(cell, "dropout_mask_count", None) is not None:
        return "dropout with implementation=1"
    return ""


def _of_shapes(layer: Any, x: Any, states: list[Any], masks: list[Any]) -> str:
    cell, U = layer.cell, layer.cell.units
    others = [("kernel", cell.kernel), *(("state", s) for s in states)]
    why = _of_dtypes(cell.compute_dtype, x, others)
    if why:
        return why
    if len(x.shape) != 3 or x.shape[2] != cell.kernel.shape[0]:
        return f"input of shape {tuple(x.shape)}"
    if 0 in x.shape or not U:
        return "an empty input"
    N, T = x.shape[:2]
    if [tuple(s.shape) for s in states] != [(N, U)] * (2 if GATES[type(cell)] == 4 else 1):
        return "states of other shapes"
    if masks and tuple(masks[0].shape) not in ((N, T), (N, T, 1)):
        return f"a mask of shape {tuple(masks[0].shape)}"
    return ""


def _of_dtypes(dtype: str, x: Any, others: list[tuple[str, Any]]) -> str:
    """Return what differs from the dtype of a layer; an input of integers is cast, as by Keras."""
    if backend.is_float_dtype(backend.standardize_dtype(x.dtype)):
        others = [("input", x), *others]
    for name, v in others:
        found = backend.standardize_dtype(v.dtype)
        if found != dtype:
            return f"dtype {dtype} with {name} of {found}"
    return ""
