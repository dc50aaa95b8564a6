"""From the last state of an encoder of two directions to the first one of a decoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.state import State


class Bridge(Module):
    """``h = tanh(W_h h_n + b_h)`` and ``c = W_c c_n + b_c``, for each row of the batch.

    h_n and c_n are the states of all layers and directions of the encoder, side by side: L
    layers of two directions of H/2 units. The result is cut into the decoder's L layers of H
    units, so W_h and W_c are [L*H, L*H].
    """

    def __init__(
        self, num_layers: int, hidden_size: int, *, dtype: DTypeLike, rng: np.random.Generator
    ) -> None:
        self.num_layers = num_layers
        size = num_layers * hidden_size
        self.h = Linear(size, size, dtype=dtype, rng=rng)
        self.c = Linear(size, size, dtype=dtype, rng=rng)

    def __call__(self, state: State) -> State:
        """Return the decoder's state, [L,N,H] each, of the encoder's, [2L,N,H/2] each."""
        return self._state(self.h(_side_by_side(state.h)), self.c(_side_by_side(state.c)))

    def forward(self, state: State) -> tuple[State, Tape]:
        """Return the same, and the tape."""
        h, of_h = self.h.forward(_side_by_side(state.h))
        c, of_c = self.c.forward(_side_by_side(state.c))
        return self._state(h, c), Tape(self, of_h, of_c, h)

    def _state(self, h: Array, c: Array) -> State:
        """Return the state of the sums [N,L*H]; h becomes its tanh in place."""
        np.tanh(h, out=h)
        return State(_cut(part, self.num_layers) for part in (h, c))

    def backward(self, tape: Tape, dstate: State) -> State:
        """Add to the gradients of W and b; return that of the encoder's state."""
        of_h, of_c, h = self._take(tape)
        dh = self.h.backward(of_h, _side_by_side(dstate.h) * (1 - h * h))
        dc = self.c.backward(of_c, _side_by_side(dstate.c))
        return State(_cut(part, 2 * self.num_layers) for part in (dh, dc))


def _side_by_side(part: Array) -> Array:
    """Return [K,N,S] as [N,K*S]."""
    rows: Array = part.swapaxes(0, 1).reshape(part.shape[1], -1)
    return rows


def _cut(rows: Array, number: int) -> Array:
    """Return [N,K*S] as [K,N,S], K being `number`."""
    part: Array = rows.reshape(len(rows), number, -1).swapaxes(0, 1)
    return part
