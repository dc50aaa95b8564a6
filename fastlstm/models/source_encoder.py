"""The first half of a `Seq2Seq`: word vectors and recurrent layers over the sources."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.kernels import Tokens
from fastlstm.kernels.rows import Int64Array, check_lengths
from fastlstm.models.bridge import Bridge
from fastlstm.nn.check import Rng
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.lstm import LSTM
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.state import State


class Encoding(NamedTuple):
    """What a decoder knows of N sources of up to S tokens.

    Attributes
    ----------
    memory : [N,S,H], outputs of the encoder's last layer, zeros past each source's length.
    lengths : int64 [N].
    state : the decoder's initial state, [L,N,H] each.
    """

    memory: Array
    lengths: Int64Array
    state: State


class SourceEncoder(Module):
    """Embedding, LSTM in one or two directions, and with two a `Bridge` to the decoder.

    Parameters
    ----------
    vocab_size, embedding_dim, num_layers, dropout : of the embedding and the LSTM.
    hidden_size : H, of its outputs: two directions have H/2 units each.
    bidirectional : as the LSTM's.
    embedding_dropout : see `Seq2Seq`, also for what follows.
    embedding_std, dtype, rng : of the first values.

    Attributes
    ----------
    embedding, lstm, bridge : the layers; bridge is None with one direction.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        *,
        embedding_dropout: float,
        embedding_std: float,
        dtype: DTypeLike,
        rng: np.random.Generator,
    ) -> None:
        self.embedding = Embedding(
            vocab_size, embedding_dim, 0, std=embedding_std, dtype=dtype, rng=rng
        )
        self.word_dropout = Dropout(embedding_dropout, rng=rng)
        self.lstm = LSTM(
            embedding_dim,
            hidden_size // 2 if bidirectional else hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
            dtype=dtype,
            rng=rng,
        )
        self.bridge: Bridge | None = None
        if bidirectional:
            self.bridge = Bridge(num_layers, hidden_size, dtype=dtype, rng=rng)

    def __call__(self, source: ArrayLike, lengths: ArrayLike | None = None) -> Encoding:
        """Encode integers [N,S], lengths [N] of them real, and keep nothing."""
        words, _ = self.embedding.distinct(source, lengths)
        memory, state = self.lstm(words, lengths=lengths)
        if self.bridge is not None:
            state = self.bridge(state)
        return _encoding(memory, lengths, state)

    def forward(
        self,
        source: ArrayLike,
        lengths: ArrayLike | None = None,
        rng: Rng = None,
    ) -> tuple[Encoding, Tape]:
        """Encode to train: as above, with dropout, and the tape."""
        words, index = self.embedding.distinct(source, lengths)
        table, dropped = self.word_dropout.forward(words.table, rng)
        memory, state, lstm = self.lstm.forward(Tokens(words.ids, table), None, lengths, rng)
        bridge = None
        if self.bridge is not None:
            state, bridge = self.bridge.forward(state)
        return _encoding(memory, lengths, state), Tape(self, index, dropped, lstm, bridge)

    def backward(self, tape: Tape, dmemory: Array | None, dstate: State) -> None:
        """Add to the gradient of each parameter, given those of the memory and the state."""
        index, dropped, lstm, bridge = self._take(tape)
        if self.bridge is not None:
            dstate = self.bridge.backward(bridge, dstate)
        dtable, _ = self.lstm.backward(lstm, dmemory, dstate)
        self.embedding.add_gradient(index, self.word_dropout.backward(dropped, dtable))


def _encoding(memory: Array, lengths: ArrayLike | None, state: State) -> Encoding:
    N, S = memory.shape[:2]
    return Encoding(
        memory, check_lengths(np.full(N, S) if lengths is None else lengths, S, N), state
    )
