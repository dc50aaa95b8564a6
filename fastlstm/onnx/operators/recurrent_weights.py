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
    key = (cell.name, shift, d, *(id(w.array) for w in weights if w is not None))
    shared = all(w is None or w.source for w in weights)
    if shared and key in p.shared:
        held: Weights = p.shared[key][0]
        return held, []
    arrays: list[Any] = [None if ref is None else ref.array[d] for ref in weights]
    w, r, b, peepholes = arrays
    maker = _Maker(p, family, shift)
    b_ih, b_hh = maker.biases(b, r)
    params = maker.peepholes(peepholes) if cell.params and peepholes is not None else ()
    held = Weights(maker.gates(w), maker.gates(r), b_ih, b_hh, None, params)
    if constant:
        for call in maker.calls:
            call()
    if shared:
        p.shared[key] = held, [w.array for w in weights if w is not None]
    return held, maker.calls


class _Maker:
    """Makes arrays in the kernel's order, and the calls that fill them."""

    def __init__(self, p: Planner, family: Family, shift: float | None) -> None:
        self.calls: list[Call] = []
        self._p, self._family, self._shift = p, family, shift
        self._order, self._peephole_order = np.array(family.order), np.array([0, 2, 1])
        if shift is not None:
            self._order[1] = self._peephole_order[1] = 0

    def gates(self, source: Array) -> Array:
        """Return an array for the gates of [G,...]."""
        out = self._p.scratch(source.shape, source.dtype)
        shape = (self._family.gates, -1, *source.shape[1:])
        self._fill(source.reshape(shape), self._order, out.reshape(shape))
        return out

    def biases(self, b: Array | None, r: Array) -> tuple[Array | None, Array | None]:
        """Return arrays for both halves of b [2G]; None for those that there need not be."""
        b_ih, b_hh = (None, None) if b is None else map(self.gates, np.split(b, 2))
        if not self._shift:
            return b_ih, b_hh
        shifted = np.zeros(len(r), r.dtype) if b_ih is None else b_ih
        forget = shifted.reshape(self._family.gates, -1)[1]
        start = 0 if b_ih is None else forget
        self.calls.append(partial(np.add, start, r.dtype.type(self._shift), forget))
        return shifted, b_hh

    def peepholes(self, source: Array) -> tuple[Array, ...]:
        """Return arrays for the file's i, o, f: the kernel's i, f, o."""
        out = self._p.scratch((3, len(source) // 3), source.dtype)
        self._fill(source.reshape(out.shape), self._peephole_order, out)
        return tuple(out)

    def _fill(self, parts: Array, order: Array, into: Array) -> None:
        """Take gates in an order; a forget gate made of the input gate has the other sign."""
        self.calls.append(partial(parts.take, order, 0, into, "clip"))
        if self._shift is not None:
            self.calls.append(partial(np.negative, into[1], into[1]))
