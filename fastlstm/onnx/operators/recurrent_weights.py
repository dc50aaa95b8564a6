"""The weights of a recurrent node in the order of the kernels' gates.

Letters: H hidden size, G gates.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastlstm.kernels import CellSpec, Weights
from fastlstm.onnx.graph import Array
from fastlstm.onnx.operators.recurrent_options import Family
from fastlstm.onnx.plan import Planner
from fastlstm.onnx.values import Call


def reordered(
    p: Planner,
    family: Family,
    cell: CellSpec,
    d: int,
    weights: list[Any],
    constant: bool,
    shift: float | None = None,
) -> tuple[Weights, list[Call]]:
    """Return arrays for the kernel's weights, and the calls that fill them; constants are filled.

    Those straight from the file are made once for all plans. With a `shift` the forget gate is 1
    less the input gate: it has that one's weights with the other sign, and the shift in its bias.
    """
    order, peephole_order = np.array(family.order), np.array([0, 2, 1])
    if shift is not None:
        order[1] = peephole_order[1] = 0
    key = (cell.name, shift, d, *(id(w.array) for w in weights if w is not None))
    shared = all(w is None or w.source for w in weights)
    if shared and key in p.shared:
        held: Weights = p.shared[key][0]
        return held, []
    arrays: list[Any] = [None if ref is None else ref.array[d] for ref in weights]
    w, r, b, peepholes = arrays
    H = r.shape[1]
    made: list[Call] = []

    def gates(source: Array) -> Array:
        out = p.scratch(source.shape, source.dtype)
        parts = source.reshape(family.gates, H, *source.shape[1:])
        into = out.reshape(parts.shape)
        made.append(partial(parts.take, order, 0, into, "clip"))
        if shift is not None:
            made.append(partial(np.negative, into[1], into[1]))
        return out

    halves = (None, None) if b is None else np.split(b, 2)
    b_ih, b_hh = (None if half is None else gates(half) for half in halves)
    if shift:
        if b_ih is None:
            b_ih = np.zeros(family.gates * H, r.dtype)
        forget = b_ih[H : 2 * H]
        made.append(partial(np.add, forget if b is not None else 0, r.dtype.type(shift), forget))
    params: tuple[Array, ...] = ()
    if cell.params and peepholes is not None:  # the file's i, o, f; the kernel's i, f, o
        turned = p.scratch((3, H), r.dtype)
        made.append(partial(peepholes.reshape(3, H).take, peephole_order, 0, turned, "clip"))
        if shift is not None:
            made.append(partial(np.negative, turned[1], turned[1]))
        params = tuple(turned)
    held = Weights(gates(w), gates(r), b_ih, b_hh, None, params)
    if constant:
        for call in made:
            call()
    if shared:
        p.shared[key] = held, [w.array for w in weights if w is not None]
    return held, made
