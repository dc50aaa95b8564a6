"""A language model: word vectors, recurrent layers, a full softmax over the vocabulary."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.models.model import HasRecurrent, Model, options_of
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_ids,
    check_probability,
    check_rng,
    check_size,
    one_rng,
)
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.init import uniform
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Tape


class LanguageModel(HasRecurrent, Model):
    """The next word after each word: embedding, recurrent layers, decoder (Zaremba et al. 2014).

    Letters: T steps, N texts side by side, V words, K size of the decoder's input. The state goes
    from call to call, so that a text of any length is read window by window.

    Parameters
    ----------
    vocab_size : V; tokens are 0..V-1.
    embedding_dim, hidden_size, num_layers : of the embedding and the recurrent layers.
    dropout : probability, on the word vectors, between the layers and before the decoder.
    cell : "lstm", "gru" or "rnn".
    tied : let the decoder use the embedding's table (Press & Wolf 2017). K must be
        embedding_dim then.
    projection : K, the size of a linear layer before the decoder; 0 for none: K is hidden_size.
    bias : whether the decoder has one.
    init_range : first values of all parameters, uniform in +-init_range; None leaves them to
        the layers.
    embedding_std : standard deviation of the first word vectors without init_range; None is 1,
        as torch's, but 1/sqrt(embedding_dim) with `tied`.
    padding_idx : a token whose vector is zero and never learned; None for none.
    dtype : float32 or float64.
    rng : generator of the first values and, by default, of dropout.

    Attributes
    ----------
    embedding, lstm (or gru or rnn, as `cell` says), projection (or None), decoder : the layers
        that hold the parameters.
    options : what the model was made with, rng apart: ``LanguageModel(**options)`` is alike.

    Raises
    ------
    TypeError, ValueError
        If an option is out of range, or `tied` does not fit the sizes.
    """

    SIZES = {
        "vocab_size": ("embedding.weight", 0), "embedding_dim": ("embedding.weight", 1),
        "hidden_size": ("{cell}.weight_hh_l0", 1), "projection": ("projection.weight", 0),
    }  # fmt: skip

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 128,
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        cell: str = "lstm",
        tied: bool = False,
        projection: int = 0,
        bias: bool = True,
        init_range: float | None = None,
        embedding_std: float | None = None,
        padding_idx: int | None = None,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.options = options_of(locals())
        check_size("vocab_size", vocab_size)
        check_size("projection", projection, 0)
        check_probability("dropout", dropout)
        self.tied = bool(tied)
        K = projection or hidden_size
        if tied and embedding_dim != K:
            raise ValueError(
                f"tied is True with embedding_dim {embedding_dim} and "
                f"{'projection' if projection else 'hidden_size'} {K}: expected them equal, "
                f"as with projection={embedding_dim}"
            )
        if init_range is not None and not init_range >= 0:
            raise ValueError(f"init_range is {init_range}, expected 0 or more, or None")
        if embedding_std is None:
            embedding_std = 1 / math.sqrt(check_size("embedding_dim", embedding_dim)) if tied else 1
        rng = check_rng(rng)
        self.embedding = Embedding(
            vocab_size, embedding_dim, padding_idx, std=embedding_std, sparse=not tied, dtype=dtype,
            rng=rng,
        )  # fmt: skip
        self.word_dropout = Dropout(dropout, rng=rng)
        sizes = embedding_dim, hidden_size, num_layers
        self._add_recurrent(cell, *sizes, dropout=dropout, dtype=dtype, rng=rng)
        self.feature_dropout = Dropout(dropout, rng=rng)
        self.projection: Linear | None = None
        if projection:
            self.projection = Linear(hidden_size, projection, False, dtype=dtype, rng=rng)
        shared = self.embedding.weight if tied else None
        self.decoder = SoftmaxDecoder(K, vocab_size, bias, weight=shared, dtype=dtype, rng=rng)
        self.options["embedding_std"] = embedding_std
        if init_range is not None:
            self._fill(init_range, rng)

    def _fill(self, bound: float, rng: np.random.Generator) -> None:
        for parameter in self.parameters():
            parameter.data = uniform(parameter.data.shape, bound, parameter.data.dtype, rng)
        if self.embedding.padding_idx is not None:
            self.embedding.weight.data[self.embedding.padding_idx] = 0

    def __call__(
        self, tokens: ArrayLike, state: Any = None, *, reset: ArrayLike | None = None
    ) -> tuple[Array, Any]:
        """Return the logits [T,N,V] of the token after each one, and the state to go on with.

        Parameters
        ----------
        tokens : integers [T,N].
        state : of the recurrent layers, as they return it; None for zeros.
        reset : bool [T,N], where a text starts anew from a state of zeros; see `LSTM.__call__`.

        Raises
        ------
        TypeError, ValueError
            If an argument's dtype, shape or range does not fit, there are no tokens, or a
            parameter holds NaN.
        IndexError
            If a token is out of range.
        """
        x, _ = self.embedding.distinct(tokens)
        y, state = self.recurrent(x, state, reset=reset)
        return self.decoder(y if self.projection is None else self.projection(y)), state

    def forward(
        self,
        tokens: ArrayLike,
        state: Any = None,
        rng: Rng = None,
        *,
        reset: ArrayLike | None = None,
    ) -> tuple[Array, Any, Tape]:
        """Run to train: logits and state as above, with dropout, and the tape.

        `fastlstm.models.softmax_loss` turns the logits into the gradient for `backward`.
        """
        x, state, features = self.features(tokens, state, rng, reset=reset)
        logits, decoded = self.decoder.forward(x)
        return logits, state, Tape(self, features, decoded)

    def backward(self, tape: Tape, dlogits: Array, dstate: Any = None) -> Any:
        """Add to the gradient of each parameter; return that of the state given to `forward`.

        Parameters
        ----------
        dlogits : gradient of the logits.
        dstate : of the state returned; None for zero, where backpropagation is cut.
        """
        features, decoded = self._look(tape)
        dx = self.decoder.backward(decoded, dlogits)
        if self.tied and self.embedding.padding_idx is not None:
            self.embedding.weight.grad[self.embedding.padding_idx] = 0
        self._take(tape)
        return self.features_backward(features, dx, dstate)

    def features(
        self,
        tokens: ArrayLike,
        state: Any = None,
        rng: Rng = None,
        *,
        reset: ArrayLike | None = None,
    ) -> tuple[Array, Any, Tape]:
        """Run what is below the decoder: its input [T,N,K], state and tape; as `forward`.

        For losses that need no logits of all words.
        """
        x: Any
        words: Any
        dropped: Any = None
        rng = one_rng(rng)
        if self.word_dropout.p:  # a mask for each place: equal words are no longer equal
            ids = check_ids("tokens", tokens, self.embedding.num_embeddings, ndim=2)
            vectors, words = self.embedding.forward(ids)
            x, dropped = self.word_dropout.forward(vectors, rng)
        else:
            x, words = self.embedding.distinct(tokens)
        y, state, layers = self.recurrent.forward(x, state, rng=rng, reset=reset)
        y, out = self.feature_dropout.forward(y, rng)
        projected = None
        if self.projection is not None:
            y, projected = self.projection.forward(y)
        return y, state, Tape(self, y.shape, words, dropped, layers, out, projected)

    def features_backward(self, tape: Tape, dx: Array, dstate: Any = None) -> Any:
        """Add to the gradients below the decoder; return that of the state given."""
        dy = check_array("dx", dx, self.decoder.dtype, self._look(tape)[0])
        _, words, dropped, layers, out, projected = self._take(tape)
        if self.projection is not None:
            dy = self.projection.backward(projected, dy)
        dy = self.feature_dropout.backward(out, dy)
        dvectors, dstate_0 = self.recurrent.backward(layers, dy, dstate)
        if dropped is None:
            self.embedding.add_gradient(words, dvectors)
        else:
            self.embedding.backward(words, self.word_dropout.backward(dropped, dvectors))
        return dstate_0
