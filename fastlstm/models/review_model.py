"""A classifier's lower layers as a language model, to be pretrained on texts without labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm.kernels import Tokens
from fastlstm.kernels.rows import Int64Array
from fastlstm.models.model import HasRecurrent
from fastlstm.models.softmax import SoftmaxDecoder, softmax_loss
from fastlstm.nn.check import Rng, check_rng, check_size
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.precision import products

PLACES = 2048  # predicted at once: their logits over the sample take about 10 MB
END = 0  # what stands beyond either end of a text: padding, as a word to predict


class _Piece(NamedTuple):
    """The gradient of some places' loss."""

    words: Int64Array  # [C], increasing
    dweight: Array  # [C,H]
    dbias: Array  # [C]


class ReviewModel(HasRecurrent):
    """Embedding and recurrent layers of a `TextClassifier`, predicting each text's words.

    The forward direction predicts the next word, the second one the word before (as Peters et
    al. 2018), and each the end of the text; both with the same decoder. A classifier starts from
    what it learns (Dai & Le 2015, "Semi-supervised sequence learning"). It is called as a
    classifier is, but returns losses.

    In training the softmax is over a sample: the words that a few thousand places of the batch
    are to predict, and `samples` more drawn by frequency. Word j that came c_j times among n
    counts c_j / (n q_j) times, q_j being its frequency, so that the sum over the vocabulary is
    estimated without bias (Bengio & Senecal 2008, "Adaptive importance sampling to accelerate
    training of a neural probabilistic language model").

    Parameters
    ----------
    counts : integers [V], how often each word stands in the texts; V is the vocabulary's size.
    embedding_dim, hidden_size, num_layers, bidirectional, cell, embedding_std, dtype : as of the
        `TextClassifier`. In two directions there is one layer: a second one would see the word
        that it is to predict.
    samples : words drawn for every 2,048 places, beside those to predict.
    rng : generator of the first values and, by default, of the sample.

    Attributes
    ----------
    embedding, lstm (or gru or rnn, as `cell` says) : named as in `TextClassifier`.
    decoder : used here only.
    """

    def __init__(
        self,
        counts: ArrayLike,
        embedding_dim: int = 128,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        *,
        cell: str = "lstm",
        samples: int = 1000,
        embedding_std: float = 0.1,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        if bidirectional and num_layers > 1:
            raise ValueError(
                f"num_layers is {num_layers}, expected 1 with two directions: the second layer "
                "would see the word to predict"
            )
        self.samples = check_size("samples", samples, 0)
        # plus one: a word that the texts lack has a frequency too
        frequency = np.asarray(counts, np.float64) + 1
        self._q = frequency / frequency.sum()
        self._reached = np.cumsum(self._q)
        self._rng = rng = check_rng(rng)
        self.embedding = Embedding(
            len(frequency), embedding_dim, padding_idx=0, std=embedding_std, dtype=dtype, rng=rng
        )
        self._add_recurrent(
            cell, embedding_dim, hidden_size, num_layers, bidirectional=bidirectional, dtype=dtype,
            rng=rng,
        )  # fmt: skip
        self.decoder = SoftmaxDecoder(hidden_size, len(frequency), dtype=dtype, rng=rng)
        assert self.decoder.bias is not None
        # rare words start as rare: else their large weights would make up the whole sum
        self.decoder.bias.data[...] = np.log(self._q)

    def weights(self) -> dict[str, Array]:
        """Return copies of what a classifier takes over, by its names."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("decoder.")}

    def __call__(self, tokens: ArrayLike, lengths: ArrayLike) -> Array:
        """Return the mean loss of a word with the full softmax, in nats, once for each text.

        Tokens are integers [N,T], each row's text first, then any valid id; lengths [N].
        """
        batch, _ = self._distinct(tokens, lengths)
        y, _ = self.recurrent(batch, lengths=lengths)
        total = count = 0.0
        for x, _, targets in self._halves(y, tokens, lengths):
            for start in range(0, len(x), PLACES):
                piece = slice(start, start + PLACES)
                loss = softmax_loss(self.decoder(x[piece]), targets[piece], gradient=False)
                total += loss * len(x[piece])
            count += len(x)
        return np.full(len(np.asarray(tokens)), total / max(count, 1), self.decoder.dtype)

    def forward(self, tokens: ArrayLike, lengths: ArrayLike, rng: Rng = None) -> tuple[Array, Tape]:
        """Run to train: the sampled loss as above, and the tape.

        ValueError where a precision is int8, which has no backward.
        """
        self.decoder._check_trains()
        rng = self._rng if rng is None else check_rng(rng)
        batch, index = self._distinct(tokens, lengths)
        y, _, layers = self.recurrent.forward(batch, lengths=lengths, rng=rng)
        halves = self._halves(y, tokens, lengths)
        count = max(1, sum(len(x) for x, *_ in halves))
        real, dy, total, pieces = self._real(y, lengths), np.zeros_like(y), 0.0, []
        for x, columns, targets in halves:
            dx = np.empty_like(x)
            for start in range(0, len(x), PLACES):
                piece = slice(start, start + PLACES)
                loss, dx[piece], gradient = self._predict(x[piece], targets[piece], rng, count)
                total += loss
                pieces.append(gradient)
            dy[..., columns][real] = dx
        N = y.shape[1]
        losses: Array = np.full(N, total / count, y.dtype)
        return losses, Tape(self, N, index, layers, dy, pieces)

    def backward(self, tape: Tape, dlosses: Array) -> None:
        """Add to the gradient of each parameter; the gradients of the losses add up."""
        _, index, layers, dy, pieces = self._take(tape)
        factor = dy.dtype.type(dlosses.sum())
        bias = self.decoder.bias
        assert bias is not None
        for piece in pieces:
            self.decoder.weight.add_rows(piece.words, piece.dweight * factor)
            bias.grad[piece.words] += piece.dbias * factor
        dtable, _ = self.recurrent.backward(layers, dy * factor)
        self.embedding.add_gradient(index, dtable)

    def _predict(
        self, x: Array, targets: Int64Array, rng: np.random.Generator, count: int
    ) -> tuple[float, Array, _Piece]:
        """Return the loss of places x [P,H], summed, and its gradients divided by `count`."""
        drawn = np.searchsorted(self._reached, rng.random(self.samples) * self._reached[-1])
        words, place, times = np.unique(
            np.concatenate([targets, drawn]), return_inverse=True, return_counts=True
        )
        n, right = len(targets) + self.samples, place.reshape(-1)[: len(targets)]
        stands_for = np.log(times / (n * self._q[words])).astype(x.dtype)
        weight, bias = self.decoder.weight.data[words], self.decoder.bias
        assert bias is not None
        precision = self.decoder.precision
        z = products(x, weight, precision)
        z += bias.data[words] + stands_for
        z[np.arange(len(x)), right] -= stands_for[right]  # the true word counts once
        loss = softmax_loss(z, right) * len(x)
        share, ones = x.dtype.type(len(x) / count), np.ones(len(x), x.dtype)
        dweight = products(z.T, x.T, precision)
        gradient = _Piece(words.astype(np.int64), dweight * share, (ones @ z) * share)
        return loss, products(z, weight.T, precision) * share, gradient

    def _distinct(self, tokens: ArrayLike, lengths: ArrayLike) -> tuple[Tokens, Any]:
        batch, index = self.embedding.distinct(tokens, lengths)
        return Tokens(batch.ids.T, batch.table), index

    def _real(self, y: Array, lengths: ArrayLike) -> NDArray[np.bool_]:
        """Return which places [T,N] are real."""
        real: NDArray[np.bool_] = np.arange(len(y))[:, None] < np.asarray(lengths)
        return real

    def _halves(
        self, y: Array, tokens: ArrayLike, lengths: ArrayLike
    ) -> list[tuple[Array, slice, Int64Array]]:
        """Return each direction's output at the real places [P,H], its columns, its targets [P]."""
        real, H = self._real(y, lengths), self.recurrent.hidden_size
        ids = np.where(real, np.asarray(tokens).T, END).astype(np.int64)
        edge = np.full((1, ids.shape[1]), END, np.int64)
        after, before = np.concatenate([ids[1:], edge]), np.concatenate([edge, ids[:-1]])
        halves = [(slice(0, H), after), (slice(H, 2 * H), before)]
        there = halves[: 1 + self.recurrent.bidirectional]
        return [(y[..., columns][real], columns, words[real]) for columns, words in there]
