"""Layers from the names and shapes of a state_dict, as torch gives them.

``encoder.rnn.weight_ih_l0`` is of a recurrent layer named ``encoder.rnn``, and
``cell.weight_ih`` of a single cell. How many times the hidden size the rows of weight_hh are says
which: 4 an LSTM, 3 a GRU, 1 a plain RNN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.formats.cells import made_of
from fastlstm.formats.describe import KINDS
from fastlstm.formats.layers import Layers
from fastlstm.formats.shapes import check_shapes
from fastlstm.kernels import CELLS
from fastlstm.many.stacked import Stacked
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Module
from fastlstm.nn.recurrent import Recurrent

Arrays = Mapping[str, NDArray[Any]]
OWN = sorted({name for cell in CELLS.values() for name in cell.params})  # of a cell, beside these:
RECURRENT = re.compile(
    r"(?:(.*)\.)?(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh|"
    + "|".join(OWN)
    + r")(?:_l(\d{1,5})(_reverse)?)?"
)
PLAIN = re.compile(r"(?:(.*)\.)?(weight|bias)")
# what torch's weight_norm, spectral_norm, pruning and parametrizations keep in a weight's place
MADE = re.compile(
    r"(?:(.*)\.)?(?:parametrizations\.((?:weight|bias)\w*)\..+|"
    r"((?:weight|bias)\w*)_(?:g|v|orig|mask|u))"
)
OTHERS = ("linear", "embedding")
BY_GATES = {4: "lstm", 3: "gru"}  # torch's GRU resets after the product


def layers_of(arrays: Arrays, kinds: Mapping[str, str]) -> Any:
    """Return the layers of a state_dict: one alone if its names have no prefix, else `Layers`.

    A 2-D weight with a bias is a `Linear`; without one an `Embedding` if the last part of its name
    has "emb" in it, else a `Linear`. `kinds` says otherwise, by layer.

    Raises ValueError if a tensor is missing, has a wrong shape or is not finite, or if the file
    does not tell the kind of a layer.
    """
    groups, left_out = _grouped(arrays)
    unknown = kinds.keys() - groups.keys()
    if unknown:
        raise ValueError(
            f"kinds names {sorted(unknown)}, expected layers of the file: {sorted(groups)}"
        )
    layers = Layers(left_out=left_out)
    for name, parts in groups.items():
        with_name = f"{name}: " if name else ""
        try:
            layers[name] = _layer(name, parts, kinds.get(name))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{with_name}{error}") from error
    if not layers:
        first = "".join(f". {name}: {why}" for name, why in list(left_out.items())[:1])
        raise ValueError(
            f"it has no layers among its {count_of(len(arrays), 'tensor')}, expected names such as "
            f"weight_ih_l0 or weight{first}"
        )
    if list(layers) == [""] and not left_out:
        return layers[""]
    return layers


def _grouped(arrays: Arrays) -> tuple[dict[str, dict[str, NDArray[Any]]], dict[str, str]]:
    """Return the tensors of each layer by their own names, and what belongs to none, and why."""
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    made: dict[str, str] = {}
    left_out = {}
    for name, array in arrays.items():
        prefix, missing = _made_weight(name)
        if missing and f"{prefix}.{missing}".lstrip(".") not in arrays:
            made[prefix] = left_out[name] = (
                f"{missing} is not here, but what makes it: before saving call parametrize."
                "remove_parametrizations, remove_weight_norm, remove_spectral_norm or "
                "prune.remove of torch.nn.utils"
            )
            continue
        found = RECURRENT.fullmatch(name) or PLAIN.fullmatch(name)
        if found is None or array.dtype.kind != "f":
            left_out[name] = "its name or its dtype is of no layer that is known"
            continue
        own = name[len(found[1]) + 1 :] if found[1] is not None else name
        groups.setdefault(found[1] or "", {})[own] = array
    for name, parts in list(groups.items()):
        why = made.get(name) or _why_not(parts)
        if why:
            left_out.update({f"{name}.{own}".lstrip("."): why for own in groups.pop(name)})
    return groups, left_out


def _made_weight(name: str) -> tuple[str, str]:
    """Return the prefix and the name of the weight that a tensor is to make, "" for none."""
    found = MADE.fullmatch(name)
    return ("", "") if found is None else (found[1] or "", found[2] or found[3])


def _why_not(parts: Mapping[str, NDArray[Any]]) -> str:
    """Return why tensors of a common prefix are no layer of ours, "" if they are one."""
    plain = parts.keys() & {"weight", "bias"}
    if plain == parts.keys():
        if "weight" in parts and parts["weight"].ndim == 3:
            return (
                "it is a convolution, whose stride and padding the file does not tell: make the "
                "layer, and give it these with load_state_dict"
            )
        if "weight" not in parts or parts["weight"].ndim != 2:
            return "no weight with two axes stands beside it: a normalization or a convolution"
        return ""
    return "both names of a recurrent layer and others stand here" if plain else ""


def _layer(name: str, parts: dict[str, NDArray[Any]], kind: str | None) -> Module:
    valid = (*made_of(), *OTHERS)
    if kind is not None and kind not in valid:
        raise ValueError(f"its kind is {kind!r}, expected one of {', '.join(valid)}")
    layer = _plain(name, parts, kind) if "weight" in parts else _recurrent(name, parts, kind)
    layer.load_state_dict(parts)
    return layer


def _plain(name: str, parts: Mapping[str, NDArray[Any]], kind: str | None) -> Module:
    weight, bias = parts["weight"], parts.get("bias")
    if kind is None:
        is_table = bias is None and "emb" in name.rpartition(".")[2].lower()
        kind = "embedding" if is_table else "linear"
    if kind not in OTHERS or (kind == "embedding" and bias is not None):
        raise ValueError(f"its kind is {kind!r}, but it has {' and '.join(sorted(parts))} alone")
    rows, columns = weight.shape
    dtype = _dtype(parts)
    if kind == "embedding":
        return Embedding(rows, columns, std=0.0, dtype=dtype)
    return Linear(columns, rows, bias is not None, dtype=dtype)


def _recurrent(name: str, parts: Mapping[str, NDArray[Any]], kind: str | None) -> Module:
    """Return a layer or a cell of the sizes of its tensors; of models=M where these have one axis
    more, in front."""
    numbers = [found[3] for own in parts if (found := RECURRENT.fullmatch(own))]
    suffix = "_l0" if any(number is not None for number in numbers) else ""
    for own in ("weight_ih", "weight_hh"):
        if own + suffix not in parts:
            raise ValueError(f"there is no tensor {own}{suffix}")
    if suffix and parts["weight_hh_l0"].ndim == 3:
        return _of_many(name, parts, kind)
    w_ih, w_hh = parts["weight_ih" + suffix], parts["weight_hh" + suffix]
    w_hr = parts.get("weight_hr" + suffix)
    for own, array in (("weight_ih", w_ih), ("weight_hh", w_hh), ("weight_hr", w_hr)):
        if array is not None and (array.ndim != 2 or not array.size):
            raise ValueError(f"{own}{suffix} has shape {array.shape}, expected two axes")
    hidden = w_hh.shape[1] if w_hr is None else w_hr.shape[1]
    kind = kind or _told_kind(name, parts, suffix, w_hh.shape[0] / hidden)
    made, more = made_of().get(kind, ("", {}))
    if not made or (not suffix and f"{made}Cell" not in KINDS):
        raise ValueError(f"its kind is {kind!r}, of which there is no such layer")
    options: dict[str, Any] = {
        "input_size": w_ih.shape[1], "hidden_size": hidden, "bias": "bias_ih" + suffix in parts,
        "dtype": _dtype(parts), **more,
    }  # fmt: skip
    if suffix:
        options |= {"num_layers": 1 + max(int(n) for n in numbers if n), "learn_state": False}
        options["bidirectional"] = "weight_ih_l0_reverse" in parts
        if w_hr is not None and made == "LSTM":
            options["proj_size"] = w_hr.shape[0]
    return _made(made if suffix else f"{made}Cell", options, parts)


def _of_many(name: str, parts: Mapping[str, NDArray[Any]], kind: str | None) -> Stacked:
    """Return a layer of models=M of the sizes of its tensors, which are stacks of M each."""
    M = len(parts["weight_hh_l0"])
    if not M:
        raise ValueError("weight_hh_l0 has no models along its first axis, expected one at least")
    for own, array in parts.items():
        if array.shape[:1] != (M,):
            raise ValueError(
                f"{own} has shape {array.shape}, expected {count_of(M, 'model')} along its first "
                "axis, as weight_hh_l0 has"
            )
    try:
        one = _recurrent(name, {own: array[0] for own, array in parts.items()}, kind)
    except ValueError as error:
        raise ValueError(f"of each of {count_of(M, 'model')}, {error}") from error
    assert isinstance(one, Recurrent)
    return Stacked.of(one, {own: np.zeros(array.shape, one.dtype) for own, array in parts.items()})


def _told_kind(name: str, parts: Mapping[str, NDArray[Any]], suffix: str, gates: float) -> str:
    """Return the kind that the number of gates tells; ValueError if it does not."""
    for cell in CELLS.values():
        if any(name + suffix in parts for name in cell.params):
            return cell.name
    if gates in BY_GATES:
        return BY_GATES[int(gates)]
    if gates == 1:
        raise ValueError(
            "it is a plain RNN, of which the file does not tell tanh or relu: say "
            f"kinds={{{name!r}: 'rnn_tanh'}} or 'rnn_relu'"
        )
    told = f"{parts['weight_hh' + suffix].shape}"
    raise ValueError(
        f"weight_hh{suffix} has shape {told}, which is {gates:g} times the hidden size, expected "
        "4 (LSTM), 3 (GRU) or 1 (RNN)"
    )


def _made(name: str, options: dict[str, Any], parts: Mapping[str, NDArray[Any]]) -> Module:
    """Return a layer of these options; ValueError, before it is made, unless the tensors fit."""
    check_shapes(KINDS[name].shapes(options), parts, f"a {name}")
    made = KINDS[name].make(**options)
    assert isinstance(made, Module)
    return made


def _dtype(parts: Mapping[str, NDArray[Any]]) -> str:
    """Return the dtype of a layer: that which holds all of its tensors."""
    return "float64" if any(a.dtype == np.float64 for a in parts.values()) else "float32"
