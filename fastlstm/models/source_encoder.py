"""The first half of a `Seq2Seq`: word vectors and recurrent layers over the sources."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.rows import Int64Array, check_lengths
from fastlstm.models.bridge import Bridge
from fastlstm.models.word_layers import Plan, WordLayers
from fastlstm.nn.check import Rng
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.state import State


class Encoding(NamedTuple):
    """What a decoder knows of N sources of up to S tokens."""

    memory: Array  # [N,S,H], outputs of the encoder's last layer, zeros past each length
    lengths: Int64Array  # [N]
    state: State  # the decoder's initial one, [L,N,H] each


class SourceEncoder(WordLayers):
    """Embedding, LSTM in one or two directions, and with two a `Bridge` to the decoder."""

    def __init__(self, vocab_size: int, plan: Plan, *, bidirectional: bool) -> None:
        super().__init__(vocab_size, plan, bidirectional=bidirectional)
        self.bridge: Bridge | None = None
        if bidirectional:
            self.bridge = Bridge(plan.num_layers, plan.hidden_size, dtype=plan.dtype, rng=plan.rng)

    def __call__(self, source: ArrayLike, lengths: ArrayLike | None = None) -> Encoding:
        """Encode integers [N,S], lengths [N] of them real, and keep nothing."""
        memory, state = self._run(source, lengths)
        if self.bridge is not None:
            state = self.bridge(state)
        return _encoding(memory, lengths, state)

    def forward(
        self, source: ArrayLike, lengths: ArrayLike | None = None, rng: Rng = None
    ) -> tuple[Encoding, Tape]:
        """Encode to train: as above, with dropout, and the tape."""
        memory, state, words = self._run_forward(source, lengths, None, rng, place=0)
        bridge = None
        if self.bridge is not None:
            state, bridge = self.bridge.forward(state)
        return _encoding(memory, lengths, state), Tape(self, words, bridge)

    def backward(self, tape: Tape, dmemory: Array | None, dstate: State) -> None:
        """Add to the gradient of each parameter, given those of the memory and the state."""
        words, bridge = self._take(tape)
        if self.bridge is not None:
            dstate = self.bridge.backward(bridge, dstate)
        self._run_backward(words, dmemory, dstate)


def _encoding(memory: Array, lengths: ArrayLike | None, state: State) -> Encoding:
    N, S = memory.shape[:2]
    given = np.full(N, S) if lengths is None else lengths
    return Encoding(memory, check_lengths(given, S, N), state)
