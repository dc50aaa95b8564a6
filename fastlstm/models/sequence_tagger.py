"""A tagger: a label for each step of a sequence of tokens or of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm.kernels import Tokens
from fastlstm.kernels.rows import Int64Array
from fastlstm.models.crf import CRF, check_scores, check_step_labels, check_steps
from fastlstm.models.model import HasRecurrent, Model, gate_rows, options_of
from fastlstm.models.softmax import softmax_loss
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_flag,
    check_probability,
    check_rng,
    check_size,
    first_not_finite,
    one_rng,
    real_steps,
)
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.losses import log_softmax
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.share import as_shared


class SequenceTagger(HasRecurrent, Model):
    """Embedding or none, recurrent layers, a linear head at each real step, a CRF or none.

    Letters: N rows, T steps, K labels, M real steps of all rows.

    Parameters
    ----------
    num_labels : K.
    hidden_size, num_layers, bidirectional : of the recurrent layers.
    dropout : probability for what the head sees, and between the recurrent layers.
    vocab_size : token ids are 0..vocab_size-1; 0 pads, has a zero vector and is never learned.
    input_size : in place of `vocab_size`, the numbers of a step.
    embedding_dim, embedding_dropout, embedding_std : of tokens, as of `TextClassifier`.
    crf : let neighbouring labels be chosen together, by a `CRF`; else each step is a softmax.
    cell : "lstm", "gru" or "rnn", of the recurrent layers.
    dtype : float32 or float64, of the parameters and of every input.
    rng : generator of the first values and, by default, of dropout.

    Attributes
    ----------
    embedding (or None), lstm (or gru or rnn, as `cell` says), head, crf (or None) : the layers.
    options : what the model was made with, rng apart.
    """

    SIZES = {
        "num_labels": ("head.weight", 0), "hidden_size": ("{cell}.weight_hh_l0", 1),
        "vocab_size": ("embedding.weight", 0), "embedding_dim": ("embedding.weight", 1),
        "numbers of a step": ("{cell}.weight_ih_l0", 1),
        "rows of weight_hh_l0": ("{cell}.weight_hh_l0", 0),
        "rows of weight_ih_l0": ("{cell}.weight_ih_l0", 0), "features": ("head.weight", 1),
        "labels before": ("crf.between", 0), "labels after": ("crf.between", 1),
    }  # fmt: skip

    def __init__(
        self,
        num_labels: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        *,
        vocab_size: int = 0,
        input_size: int = 0,
        embedding_dim: int = 128,
        embedding_dropout: float | None = None,
        embedding_std: float = 0.1,
        crf: bool = False,
        cell: str = "lstm",
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.options = options_of(locals())
        self.num_labels = check_size("num_labels", num_labels)
        check_size("vocab_size", vocab_size, least=0)
        self.input_size = check_size("input_size", input_size, least=0)
        if bool(vocab_size) == bool(input_size):
            raise ValueError(
                f"vocab_size is {vocab_size} and input_size {input_size}, expected one of them: "
                "a step is a token or numbers"
            )
        check_probability("dropout", dropout)
        made: Any = {"dtype": dtype, "rng": check_rng(rng)}
        self.embedding: Embedding | None = None
        if vocab_size:
            self.embedding = Embedding(
                vocab_size, embedding_dim, padding_idx=0, std=embedding_std, **made
            )
        else:
            self.options["embedding_dim"] = 0
        self.word_dropout = Dropout(
            dropout if embedding_dropout is None else embedding_dropout, rng=made["rng"]
        )
        self._add_recurrent(
            cell, embedding_dim if vocab_size else input_size, hidden_size, num_layers,
            bidirectional=bidirectional, dropout=dropout, batch_first=True, **made,
        )  # fmt: skip
        self.feature_dropout = Dropout(dropout, rng=made["rng"])
        self.head = Linear(self.recurrent._width, num_labels, **made)
        self.crf = CRF(num_labels, dtype=dtype) if check_flag("crf", crf) else None

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return what the layers read, and the axes of the CRF: K labels take K * K numbers."""
        tokens, pairs = options["vocab_size"], options["num_labels"] if options["crf"] else 0
        read = options["embedding_dim"] if tokens else options["input_size"]
        rows = gate_rows(options["cell"], found["hidden_size"])
        return {
            "numbers of a step": read, "labels before": pairs, "labels after": pairs,
            "rows of weight_hh_l0": rows, "rows of weight_ih_l0": rows,
            "features": found["hidden_size"] * (2 if options["bidirectional"] else 1),
        }  # fmt: skip

    def __call__(self, x: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Return the score [N,T,K] of each label at each step, and keep nothing.

        Parameters
        ----------
        x : tokens, integers [N,T], or numbers [N,T,I]; each row's sequence first, what lies
            behind is never read (of tokens it is any valid id, 0 by custom).
        lengths : integers [N] in 0..T; None if all have T steps.

        Returns
        -------
        scores : logits of a softmax, or what a CRF adds to; zeros past a row's length. What a row
            gets does not depend on the rest of the batch.

        Raises
        ------
        TypeError, ValueError
            If an argument has a wrong dtype, shape or range, the batch is empty or has no steps,
            a number of a real step is not finite, or a parameter holds NaN.
        IndexError
            If a token is out of range.
        """
        y, _ = self.recurrent(self._read(x, lengths)[0], lengths=lengths)
        real = real_steps(y.shape, lengths)
        return _scattered(self.head(y[real]), real)

    def forward(
        self, x: ArrayLike, lengths: ArrayLike | None = None, rng: Rng = None
    ) -> tuple[Array, Tape]:
        """Run a batch to train: scores as above, with dropout, and the tape."""
        rng = one_rng(rng)
        given, index = self._read(x, lengths)
        words = None
        if isinstance(given, Tokens):
            assert index is not None
            assert self.embedding is not None
            draws = self.embedding.draws(rng, index, 0, None if lengths is None else 1)
            table, words = self.word_dropout.forward(given.table, draws)
            given = Tokens(given.ids, table)
        y, _, layers = self.recurrent.forward(given, lengths=lengths, rng=rng)
        real = real_steps(y.shape, lengths)
        shared = as_shared(rng)
        steps = rng if shared is None else shared.of_steps(0, 1)
        features, dropped = self.feature_dropout.forward(y[real], steps)
        scores, head = self.head.forward(features)
        return _scattered(scores, real), Tape(self, index, words, real, layers, dropped, head)

    def backward(self, tape: Tape, dscores: Array, *, needs_dx: bool = True) -> Array | None:
        """Add to the gradient of each parameter but the CRF's, given that of the scores.

        Returns the gradient [N,T,I] of numbers, None of tokens, and without `needs_dx`, which saves
        a product where x is data. What `dscores` holds past a row's length has no influence.
        """
        needs_dx = check_flag("needs_dx", needs_dx) or self.embedding is not None
        real = self._look(tape)[2]
        shape = (*real.shape, self.num_labels)
        dscores = check_array("dscores", dscores, self.head.dtype, shape)
        index, words, real, layers, dropped, head = self._take(tape)
        d = self.feature_dropout.backward(dropped, self.head.backward(head, dscores[real]))
        back = self.recurrent.backward(layers, _scattered(d, real), needs_dx=needs_dx)
        dx: Array | None = back[0]
        if self.embedding is None or dx is None:
            return dx
        self.embedding.add_gradient(index, self.word_dropout.backward(words, dx))
        return None

    def loss(
        self, scores: Array, labels: ArrayLike, lengths: ArrayLike | None = None, *,
        gradient: bool = True,
    ) -> tuple[float, Array | None]:  # fmt: skip
        """Return the negative log-likelihood of labels over the number of all steps, in nats.

        Parameters
        ----------
        scores : as `forward` returned.
        labels : integers [N,T] in 0..K-1; what lies past a row's length is not looked at.
        gradient : add to the gradients of the CRF, and return that of the scores; else None.

        Raises TypeError, ValueError or IndexError if these do not fit, or there are no steps.
        """
        scores, gradient = self._check_scores(scores), check_flag("gradient", gradient)
        if self.crf is not None and gradient:
            loss, tape = self.crf.forward(scores, labels, lengths)
            return loss, self.crf.backward(tape)
        real = real_steps(scores.shape, lengths)
        steps = check_steps(real.sum(axis=1))
        if self.crf is not None:
            return float(self.crf.losses(scores, labels, lengths).sum()) / steps, None
        given = check_step_labels(labels, real, self.num_labels)
        logits = scores[real]
        loss = softmax_loss(logits, given[real], gradient=gradient)
        return loss, _scattered(logits, real) if gradient else None

    def labels(self, scores: Array, lengths: ArrayLike | None = None) -> Int64Array:
        """Return the likeliest labels [N,T] by the scores of a call, zeros past a row's length."""
        scores = self._check_scores(scores)
        check_scores("scores", scores, lengths)
        if self.crf is not None:
            return self.crf(scores, lengths)
        return np.where(real_steps(scores.shape, lengths), scores.argmax(axis=2), 0)

    def predict(self, x: ArrayLike, lengths: ArrayLike | None = None) -> Int64Array:
        """Return the likeliest labels [N,T], zeros past a row's length; arguments as for a call."""
        return self.labels(self(x, lengths), lengths)

    def probabilities(self, x: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Return the probability [N,T,K] of each label at each step, zeros past a row's length."""
        scores = self(x, lengths)
        if self.crf is not None:
            return self.crf.probabilities(scores, lengths)
        return np.where(
            real_steps(scores.shape, lengths)[:, :, None], np.exp(log_softmax(scores)), 0
        )

    def _check_scores(self, scores: Array) -> Array:
        shape = (None, None, self.num_labels)
        return check_array("scores", scores, self.head.dtype, shape)

    def _read(self, x: Any, lengths: ArrayLike | None) -> tuple[Array | Tokens, Int64Array | None]:
        """Return what the recurrent layers read; of tokens the distinct ones and their ids."""
        if self.embedding is not None:
            return self.embedding.distinct(x, lengths)
        numbers = check_array("x", x, self.head.dtype, (None, None, self.input_size))
        wrong = first_not_finite("x", numbers, lengths)
        if wrong:  # of NaN no label is the likeliest
            raise ValueError(f"{wrong}, expected a finite number: leave the step out, or fill it")
        return numbers, None


def _scattered(rows: Array, real: NDArray[np.bool_]) -> Array:
    """Return [N,T,...] with `rows` [M,...] at the real steps, zeros elsewhere."""
    whole = np.zeros((*real.shape, *rows.shape[1:]), rows.dtype)
    whole[real] = rows
    return whole
