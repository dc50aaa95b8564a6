"""The second half of a `Seq2Seq`: from an encoding and the words so far to the next word."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.rows import Int64Array, check_lengths
from fastlstm.models.source_encoder import Encoding
from fastlstm.models.word_layers import Plan, WordLayers
from fastlstm.nn.attention import BoolArray, DotAttention
from fastlstm.nn.check import Rng, check_array
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.share import as_shared
from fastlstm.nn.state import State


class TargetDecoder(WordLayers):
    """Embedding, LSTM, attention over the encoder's outputs or none, and an output layer."""

    def __init__(self, vocab_size: int, plan: Plan, *, attention: bool, tied: bool) -> None:
        # an output layer that shares the table has a dense gradient, so the table must too
        super().__init__(vocab_size, plan, sparse=not tied)
        H, dtype, rng = plan.hidden_size, plan.dtype, plan.rng
        features = plan.embedding_dim if tied else H
        self.attention: DotAttention | None = None
        if attention:
            self.attention = DotAttention(H, features, dtype=dtype, rng=rng)
        self.feature_dropout = Dropout(plan.dropout, rng=rng)
        self.head = Linear(features, vocab_size, dtype=dtype, rng=rng)
        if tied:
            self.head.weight = self.embedding.weight

    def __call__(self, target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding) -> Array:
        """Return the logits [M,V] of what follows each real token of integers [N,T]."""
        real = _real(target, lengths, encoding)
        y, _ = self._run(target, lengths, encoding.state)
        if self.attention is None:
            return self.head(y[real])
        return self.head(self.attention(y, encoding.memory, encoding.lengths, real))

    def forward(
        self, target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding, rng: Rng = None
    ) -> tuple[Array, Tape]:
        """Run to train: logits as above, with dropout, and the tape."""
        real = _real(target, lengths, encoding)
        y, _, words = self._run_forward(target, lengths, encoding.state, rng, place=2)
        if self.attention is None:
            features, attention = y[real], None
        else:
            features, attention = self.attention.forward(y, encoding.memory, encoding.lengths, real)
        shared = as_shared(rng)
        draws = rng if shared is None else shared.of_steps(2, 3)
        features, dropped = self.feature_dropout.forward(features, draws)
        logits, head = self.head.forward(features)
        return logits, Tape(self, real, words, attention, dropped, head)

    def backward(self, tape: Tape, dlogits: Array) -> tuple[Array | None, State]:
        """Add to each gradient; return those of the memory (None without attention) and state."""
        real = self._look(tape)[0]
        shape = (int(real.sum()), self.head.out_features)
        d = check_array("dlogits", dlogits, self.head.dtype, shape)
        _, words, attention, dropped, head = self._take(tape)
        d = self.feature_dropout.backward(dropped, self.head.backward(head, d))
        if self.attention is None:
            dy, dmemory = np.zeros((*real.shape, d.shape[1]), d.dtype), None
            dy[real] = d
        else:
            dy, dmemory = self.attention.backward(attention, d)
        return dmemory, self._run_backward(words, dy)

    def step(
        self, tokens: Int64Array, state: State, encoding: Encoding, rows: Int64Array
    ) -> tuple[Array, State]:
        """Take one more token [n,K] of K sequences for each of the sources `rows` [n].

        The state has n*K rows. Returns the logits [n,K,V] and the next state.
        """
        n, K = tokens.shape
        y, state = self.lstm(self.embedding(tokens.reshape(n * K, 1)), state)
        y = y.reshape(n, K, -1)
        if self.attention is not None:  # the K sequences are K queries of one memory
            y = self.attention(y, encoding.memory[rows], encoding.lengths[rows])
        return self.head(y.reshape(n * K, -1)).reshape(n, K, -1), state

    def align(self, target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding) -> Array:
        """Return the weights [N,T,S] of the attention."""
        if self.attention is None:
            raise ValueError("attention is False: this model gives no weights to source tokens")
        _real(target, lengths, encoding)
        y, _ = self._run(target, lengths, encoding.state)
        return self.attention.weights(y, encoding.memory, encoding.lengths)


def _real(target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding) -> BoolArray:
    """Return which of the target tokens [N,T] are real."""
    N, shape = len(encoding.memory), np.shape(target)
    if len(shape) != 2 or shape[0] != N:
        raise ValueError(f"target has shape {shape}, expected ({N}, T): a row for each source")
    if lengths is None:
        return np.ones(shape, np.bool_)
    real: BoolArray = np.arange(shape[1]) < check_lengths(lengths, shape[1], N)[:, None]
    return real
