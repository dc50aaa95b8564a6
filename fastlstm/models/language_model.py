"""A language model: word vectors, recurrent layers, a softmax over the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.kernels import Tokens
from fastlstm.models.adaptive_softmax import AdaptiveSoftmax
from fastlstm.models.cutoffs import MOST_CLUSTERS, check_cutoffs, shapes_of
from fastlstm.models.model import HasRecurrent, Model, gate_rows, options_of
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_flag,
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
from fastlstm.nn.sums import sums_at

# Options that earlier versions lack: their files say what they do.
LATER = {
    "cutoffs": None, "div_value": None, "weight_drop": 0.0, "embedding_dropout": 0.0,
    "variational": False,
}  # fmt: skip
_SIDES = ("rows", "columns")
_ADAPTIVE = (  # what the decoder has if it is an adaptive softmax
    "head.weight", "head.clusters.weight",
    *(f"tail.{i}.{part}.weight" for i in range(MOST_CLUSTERS) for part in (0, 1)),
)  # fmt: skip


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
    bias : whether the decoder has one; of an adaptive softmax that is not tied the head alone.
    cutoffs : make the decoder an `AdaptiveSoftmax` with clusters from these words on, for a
        vocabulary in the order of frequency; None for a full softmax.
    div_value : as of `AdaptiveSoftmax`; None: 4, but 1 with `tied`.
    weight_drop : probability to drop a recurrent weight in training; see `LSTM`.
    embedding_dropout : probability to drop the whole vector of a word in training: one draw for
        each word of the batch, wherever it stands (Gal & Ghahramani 2016).
    variational : `dropout` draws once for each text, the same at all its steps (Gal & Ghahramani
        2016, "A theoretically grounded application of dropout in recurrent neural networks").
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
        Those that earlier versions lack are in it if they are not the usual ones.

    Raises
    ------
    TypeError, ValueError
        If an option is out of range, or `tied` does not fit the sizes.
    """

    SIZES = {
        "vocab_size": ("embedding.weight", 0), "embedding_dim": ("embedding.weight", 1),
        "hidden_size": ("{cell}.weight_hh_l0", 1), "projection": ("projection.weight", 0),
        "rows of weight_hh_l0": ("{cell}.weight_hh_l0", 0),
        "rows of weight_ih_l0": ("{cell}.weight_ih_l0", 0),
        "input_size": ("{cell}.weight_ih_l0", 1),
        "columns of projection.weight": ("projection.weight", 1),
        "rows of decoder.weight": ("decoder.weight", 0),
        "columns of decoder.weight": ("decoder.weight", 1),
        **{
            f"{side} of decoder.{name}": (f"decoder.{name}", axis)
            for name in _ADAPTIVE
            for axis, side in enumerate(_SIDES)
        },
    }  # fmt: skip

    embedding_dropout: Dropout | None = None  # also of what was pickled before there was a choice

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
        cutoffs: Sequence[int] | None = None,
        div_value: float | None = None,
        weight_drop: float = 0.0,
        embedding_dropout: float = 0.0,
        variational: bool = False,
        init_range: float | None = None,
        embedding_std: float | None = None,
        padding_idx: int | None = None,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        check_size("vocab_size", vocab_size)
        cutoffs = None if cutoffs is None else check_cutoffs(cutoffs, vocab_size)
        tied, bias = check_flag("tied", tied), check_flag("bias", bias)
        variational = check_flag("variational", variational)
        self.options = options_of(locals(), usual=LATER)
        check_size("projection", projection, 0)
        check_probability("dropout", dropout)
        self.tied = tied
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
        if check_probability("embedding_dropout", embedding_dropout):
            self.embedding_dropout = Dropout(embedding_dropout, rng=rng, axis=-1)
        steps = 0 if variational else None
        self.word_dropout = Dropout(dropout, rng=rng, axis=steps)
        self._add_recurrent(
            cell, embedding_dim, hidden_size, num_layers, dropout=dropout,
            weight_drop=weight_drop, variational=variational, dtype=dtype, rng=rng,
        )  # fmt: skip
        self.feature_dropout = Dropout(dropout, rng=rng, axis=steps)
        self.projection: Linear | None = None
        if projection:
            self.projection = Linear(hidden_size, projection, False, dtype=dtype, rng=rng)
        self.decoder = self._made_decoder(K, cutoffs, div_value, bias, rng)
        self.options["embedding_std"] = embedding_std
        if init_range is not None:
            self._fill(init_range, rng)

    def _made_decoder(
        self, K: int, cutoffs: Sequence[int] | None, div_value: float | None, bias: bool,
        rng: np.random.Generator,
    ) -> SoftmaxDecoder | AdaptiveSoftmax:  # fmt: skip
        words, shared = self.embedding.num_embeddings, self.embedding.weight if self.tied else None
        made: Any = {"weight": shared, "dtype": self.embedding.dtype, "rng": rng}
        if cutoffs is not None:
            return AdaptiveSoftmax(K, words, cutoffs, div_value, bias, **made)
        if div_value is not None:
            raise ValueError(f"div_value is {div_value} without cutoffs, expected None")
        return SoftmaxDecoder(K, words, bias, **made)

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return the other sides of the matrices: a thin one does not stand for a large one."""
        H, K = found["hidden_size"], found["projection"] or found["hidden_size"]
        rows = gate_rows(options["cell"], H)
        full = options["cutoffs"] is None and not options["tied"]
        adaptive: dict[str, tuple[int, int]] = {}
        if options["cutoffs"] is not None:
            adaptive = shapes_of(
                K, found["vocab_size"], options["cutoffs"], options["div_value"],
                bool(options["tied"]),
            )  # fmt: skip
        return {
            "rows of weight_hh_l0": rows, "rows of weight_ih_l0": rows,
            "input_size": found["embedding_dim"],
            "columns of projection.weight": H if found["projection"] else 0,
            "rows of decoder.weight": found["vocab_size"] if full else 0,
            "columns of decoder.weight": K if full else 0,
            **{
                f"{side} of decoder.{name}": size
                for name in _ADAPTIVE
                for side, size in zip(_SIDES, adaptive.get(name, (0, 0)), strict=True)
            },
        }  # fmt: skip

    def _fill(self, bound: float, rng: np.random.Generator) -> None:
        for parameter in self.parameters():
            parameter.data = uniform(parameter.data.shape, bound, parameter.data.dtype, rng)
        if self.embedding.padding_idx is not None:
            self.embedding.weight.data[self.embedding.padding_idx] = 0

    def __call__(
        self, tokens: ArrayLike, state: Any = None, *, reset: ArrayLike | None = None
    ) -> tuple[Array, Any]:
        """Return the logits [T,N,V] of the token after each one, and the state to go on with.

        Of an adaptive softmax they are log-probabilities.

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
        x, state = self._hidden(tokens, state, reset)
        return self.decoder(x), state

    def _hidden(self, tokens: ArrayLike, state: Any, reset: ArrayLike | None) -> tuple[Array, Any]:
        """Return the decoder's input [T,N,K] and the state, and keep nothing."""
        x, _ = self.embedding.distinct(tokens)
        y, state = self.recurrent(x, state, reset=reset)
        return y if self.projection is None else self.projection(y), state

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
        self._take(tape)
        return self._below(features, dx, dstate)

    def loss(
        self, tokens: ArrayLike, targets: ArrayLike, state: Any = None, *,
        reset: ArrayLike | None = None,
    ) -> tuple[float, Any]:  # fmt: skip
        """Return the mean cross-entropy of `targets` [T,N], in nats, and the state to go on with.

        Arguments and errors as of a call. It makes no more logits than that takes.
        """
        x, state = self._hidden(tokens, state, reset)
        return self.decoder.loss(x, targets, gradient=False)[0], state

    def learn(
        self, tokens: ArrayLike, targets: ArrayLike, state: Any = None, rng: Rng = None, *,
        reset: ArrayLike | None = None,
    ) -> tuple[float, Any]:  # fmt: skip
        """Return the same in training, with dropout, after adding to each parameter's gradient.

        That of the state returned is zero: backpropagation is cut after the last step.
        """
        x, state, features = self.features(tokens, state, rng, reset=reset)
        loss, dx = self.decoder.loss(x, targets)
        self._below(features, dx)
        return loss, state

    def _below(self, features: Tape, dx: Any, dstate: Any = None) -> Any:
        """Go on below the decoder."""
        if self.tied and self.embedding.padding_idx is not None:
            self.embedding.weight.grad[self.embedding.padding_idx] = 0
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
        gone: Any = None
        dropped: Any = None
        rng = one_rng(rng)
        x: Any
        x, words = self.embedding.distinct(tokens)
        ids = x.ids
        if self.embedding_dropout is not None:
            table, gone = self.embedding_dropout.forward(x.table, self.embedding.draws(rng, words))
            x = Tokens(ids, table)
        if self.word_dropout.p:  # a mask for each place: equal words are no longer equal
            x, dropped = self.word_dropout.forward(x.table[ids], rng)
        y, state, layers = self.recurrent.forward(x, state, rng=rng, reset=reset)
        y, out = self.feature_dropout.forward(y, rng)
        projected = None
        if self.projection is not None:
            y, projected = self.projection.forward(y)
        return y, state, Tape(self, y.shape, words, dropped, layers, out, projected, ids, gone)

    def features_backward(self, tape: Tape, dx: Array, dstate: Any = None) -> Any:
        """Add to the gradients below the decoder; return that of the state given."""
        dy = check_array("dx", dx, self.decoder.dtype, self._look(tape)[0])
        _, words, dropped, layers, out, projected, ids, gone = self._take(tape)
        if self.projection is not None:
            dy = self.projection.backward(projected, dy)
        dy = self.feature_dropout.backward(out, dy)
        dvectors, dstate_0 = self.recurrent.backward(layers, dy, dstate)
        if dropped is not None:
            dx, E = self.word_dropout.backward(dropped, dvectors), self.embedding.embedding_dim
            dvectors = sums_at(ids.reshape(-1), len(words), dx.reshape(-1, E))
        if self.embedding_dropout is not None:
            dvectors = self.embedding_dropout.backward(gone, dvectors)
        self.embedding.add_gradient(words, dvectors)
        return dstate_0
