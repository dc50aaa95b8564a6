"""The second half of a `Seq2Seq`: from an encoding and the words so far to the next word."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.kernels import Tokens
from fastlstm.kernels.rows import Int64Array, check_lengths
from fastlstm.models.source_encoder import Encoding
from fastlstm.nn.attention import BoolArray, DotAttention
from fastlstm.nn.check import Rng, check_array
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.lstm import LSTM
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.state import State


class TargetDecoder(Module):
    """Embedding, LSTM, attention over the encoder's outputs, and an output layer.

    Parameters
    ----------
    vocab_size, embedding_dim, hidden_size, num_layers, dropout : of the layers.
    attention, tied, embedding_dropout : see `Seq2Seq`.
    embedding_std, dtype, rng : of the first values.

    Attributes
    ----------
    embedding, lstm, attention, head : the layers; attention may be None.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        attention: bool,
        dropout: float,
        *,
        tied: bool,
        embedding_dropout: float,
        embedding_std: float,
        dtype: DTypeLike,
        rng: np.random.Generator,
    ) -> None:
        # An output layer that shares the table has a dense gradient: both must.
        self.embedding = Embedding(
            vocab_size, embedding_dim, 0, std=embedding_std, sparse=not tied, dtype=dtype, rng=rng
        )
        self.word_dropout = Dropout(embedding_dropout, rng=rng)
        self.lstm = LSTM(
            embedding_dim,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            dtype=dtype,
            rng=rng,
        )
        features = embedding_dim if tied else hidden_size
        self.attention: DotAttention | None = None
        if attention:
            self.attention = DotAttention(hidden_size, features, dtype=dtype, rng=rng)
        self.feature_dropout = Dropout(dropout, rng=rng)
        self.head = Linear(features, vocab_size, dtype=dtype, rng=rng)
        if tied:
            self.head.weight = self.embedding.weight

    def __call__(self, target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding) -> Array:
        """Return the logits [M,V] of what follows each real token of integers [N,T]."""
        real = _real(target, lengths, encoding)
        y = self._outputs(target, lengths, encoding)
        if self.attention is None:
            return self.head(y[real])
        return self.head(self.attention(y, encoding.memory, encoding.lengths, real))

    def forward(
        self,
        target: ArrayLike,
        lengths: ArrayLike | None,
        encoding: Encoding,
        rng: Rng = None,
    ) -> tuple[Array, Tape]:
        """Run to train: logits as above, with dropout, and the tape."""
        real = _real(target, lengths, encoding)
        words, index = self.embedding.distinct(target, lengths)
        table, hidden = self.word_dropout.forward(words.table, rng)
        y, _, lstm = self.lstm.forward(Tokens(words.ids, table), encoding.state, lengths, rng)
        if self.attention is None:
            features, attention = y[real], None
        else:
            features, attention = self.attention.forward(y, encoding.memory, encoding.lengths, real)
        features, dropped = self.feature_dropout.forward(features, rng)
        logits, head = self.head.forward(features)
        return logits, Tape(self, real, index, hidden, lstm, attention, dropped, head)

    def backward(self, tape: Tape, dlogits: Array) -> tuple[Array | None, State]:
        """Add to the gradient of each parameter; return those of the memory and the state.

        That of the memory is None without attention.
        """
        real = self._look(tape)[0]
        shape = (int(real.sum()), self.head.out_features)
        d = check_array("dlogits", dlogits, self.head.dtype, shape)
        real, index, hidden, lstm, attention, dropped, head = self._take(tape)
        d = self.feature_dropout.backward(dropped, self.head.backward(head, d))
        if self.attention is None:
            dy, dmemory = np.zeros((*real.shape, d.shape[1]), d.dtype), None
            dy[real] = d
        else:
            dy, dmemory = self.attention.backward(attention, d)
        dtable, dstate = self.lstm.backward(lstm, dy)
        self.embedding.add_gradient(index, self.word_dropout.backward(hidden, dtable))
        return dmemory, dstate

    def step(
        self, tokens: Int64Array, state: State, encoding: Encoding, rows: Int64Array
    ) -> tuple[Array, State]:
        """Take one more token of K sequences for each of some sources.

        Parameters
        ----------
        tokens : integers [n,K].
        state : of n*K rows.
        encoding : of all sources.
        rows : integers [n], which of them these are.

        Returns
        -------
        logits : [n,K,V].
        state : the next one.
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
        y = self._outputs(target, lengths, encoding)
        return self.attention.weights(y, encoding.memory, encoding.lengths)

    def _outputs(self, target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding) -> Array:
        words, _ = self.embedding.distinct(target, lengths)
        y: Array = self.lstm(words, encoding.state, lengths)[0]
        return y


def _real(target: ArrayLike, lengths: ArrayLike | None, encoding: Encoding) -> BoolArray:
    """Return which of the target tokens [N,T] are real."""
    N, shape = len(encoding.memory), np.shape(target)
    if len(shape) != 2 or shape[0] != N:
        raise ValueError(f"target has shape {shape}, expected ({N}, T): a row for each source")
    if lengths is None:
        return np.ones(shape, np.bool_)
    real: BoolArray = np.arange(shape[1]) < check_lengths(lengths, shape[1], N)[:, None]
    return real
