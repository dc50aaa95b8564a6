"""What both halves of a `Seq2Seq` begin with: word vectors, and an LSTM over them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.kernels import Tokens
from fastlstm.nn.check import Rng
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.lstm import LSTM
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.state import State


class Plan(NamedTuple):
    """The options of both halves; see `Seq2Seq`."""

    embedding_dim: int
    hidden_size: int
    num_layers: int
    dropout: float
    embedding_dropout: float
    embedding_std: float
    dtype: DTypeLike
    rng: np.random.Generator


class WordLayers(Module):
    """Embedding, dropout of word vectors, LSTM; two directions have half of hidden_size each."""

    def __init__(
        self, vocab_size: int, plan: Plan, *, sparse: bool = True, bidirectional: bool = False
    ) -> None:
        E, made = plan.embedding_dim, {"dtype": plan.dtype, "rng": plan.rng}
        options: dict[str, Any] = {"batch_first": True, "bidirectional": bidirectional, **made}
        if plan.num_layers > 1:
            options["dropout"] = plan.dropout
        self.embedding = Embedding(
            vocab_size, E, 0, std=plan.embedding_std, sparse=sparse, dtype=plan.dtype, rng=plan.rng
        )
        self.word_dropout = Dropout(plan.embedding_dropout, rng=plan.rng)
        H = plan.hidden_size // 2 if bidirectional else plan.hidden_size
        self.lstm = LSTM(E, H, plan.num_layers, **options)

    def _run(
        self, tokens: ArrayLike, lengths: ArrayLike | None, state: State | None = None
    ) -> tuple[Array, State]:
        """Return y [N,T,H] and the last state, and keep nothing."""
        words, _ = self.embedding.distinct(tokens, lengths)
        return self.lstm(words, state, lengths)

    def _run_forward(
        self, tokens: ArrayLike, lengths: ArrayLike | None, state: State | None, rng: Rng,
        place: int,
    ) -> tuple[Array, State, Tape]:  # fmt: skip
        """Return y and the last state, with dropout, and the tape.

        `place` is the number of the tokens among the inputs of the `Seq2Seq`.
        """
        words, index = self.embedding.distinct(tokens, lengths)
        has_lengths = None if lengths is None else place + 1
        draws = self.embedding.draws(rng, index, place, has_lengths)
        table, dropped = self.word_dropout.forward(words.table, draws)
        y, state, lstm = self.lstm.forward(Tokens(words.ids, table), state, lengths, rng)
        return y, state, Tape(self, index, dropped, lstm)

    def _run_backward(self, tape: Tape, dy: Array | None, dstate: State | None = None) -> Any:
        """Add to the gradient of each parameter; return that of the initial state."""
        index, dropped, lstm = self._take(tape)
        dtable, dstate_0 = self.lstm.backward(lstm, dy, dstate)
        self.embedding.add_gradient(index, self.word_dropout.backward(dropped, dtable))
        return dstate_0
