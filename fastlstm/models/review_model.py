"""A classifier's lower layers as a language model, to be pretrained on texts without labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm import kernels
from fastlstm.kernels import Tokens
from fastlstm.kernels.rows import Int64Array
from fastlstm.models.model import HasRecurrent
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.check import Rng, check_rng, check_size
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.precision import products
from fastlstm.nn.share import as_shared
from fastlstm.runtime import get_num_threads

PLACES = 2048  # for which words are drawn together
PIECE = 512  # of them with a sample of its own: the logits, about 1 MB, stay in the caches
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

    With a `window` of more words, a place predicts one that is drawn from it: what a text is about
    rather than how its sentences go, of which a classifier has more (Johnson & Zhang 2016,
    "Supervised and semi-supervised text categorization using LSTM for region embeddings").

    In training the softmax is over a sample: the words that some hundred places of the batch
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
    window : words after a place, or before it, of which it predicts one, drawn anew each time.
    subsample : words of a share f of all, above this, are predicted by a share sqrt(subsample / f)
        of their places only (Mikolov et al. 2013, "Distributed representations of words and phrases
        and their compositionality"); 0 = by all.
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
        window: int = 1,
        subsample: float = 0.0,
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
        self.window = check_size("window", window)
        if not 0 <= subsample < np.inf:
            raise ValueError(f"subsample is {subsample}, expected 0 or more")
        # plus one: a word that the texts lack has a frequency too
        frequency = np.asarray(counts, np.float64) + 1
        self._q = frequency / frequency.sum()
        self._predicted: Array | None = None  # share of each word's places that predict it
        if subsample:
            self._predicted = np.minimum(1, np.sqrt(subsample / self._q))
            self._q *= self._predicted
            self._q /= self._q.sum()
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

        What is drawn from a window is the same in each call. Tokens are integers [N,T], each row's
        text first, then any valid id; lengths [N].
        """
        batch, _ = self._distinct(tokens, lengths)
        y, _ = self.recurrent(batch, lengths=lengths)
        rows, total, count, drawn = self._rows(y), 0.0, 0, np.random.default_rng(0)
        for place, targets in self._predictions(y, tokens, lengths, PIECE, drawn):
            loss, _ = self.decoder.loss(rows[place], targets, gradient=False)
            total += loss * len(place)
            count += len(place)
        return np.full(len(np.asarray(tokens)), total / max(count, 1), self.decoder.dtype)

    def forward(self, tokens: ArrayLike, lengths: ArrayLike, rng: Rng = None) -> tuple[Array, Tape]:
        """Run to train: the sampled loss as above, and the tape.

        ValueError where a precision is int8, which has no backward.
        """
        self.decoder._check_trains()
        rng = self._rng if rng is None else check_rng(rng)
        batch, index = self._distinct(tokens, lengths)
        y, _, layers = self.recurrent.forward(batch, lengths=lengths, rng=rng)
        predictions = self._predictions(y, tokens, lengths, PLACES, rng)
        count = max(1, sum(len(place) for place, _ in predictions))
        rows, dy, total, pieces = self._rows(y), np.zeros_like(y), 0.0, []
        drows = self._rows(dy)
        for place, targets in predictions:
            loss, drows[place], gradients = self._predict(rows[place], targets, rng, count)
            total += loss
            pieces += gradients
        N = y.shape[1]
        losses: Array = np.full(N, total / count, y.dtype)
        return losses, Tape(self, N, index, layers, dy, pieces)

    def backward(self, tape: Tape, dlosses: Array) -> None:
        """Add to the gradient of each parameter; the gradients of the losses add up."""
        _, index, layers, dy, pieces = self._take(tape)
        factor = dy.dtype.type(dlosses.sum())
        self._decoder_backward(pieces, factor)
        if factor != 1:
            dy *= factor
        dtable, _ = self.recurrent.backward(layers, dy)
        self.embedding.add_gradient(index, dtable)

    def _decoder_backward(self, pieces: list[_Piece], factor: Any) -> None:
        weight, bias = self.decoder.weight, self.decoder.bias
        assert bias is not None
        place = np.zeros(len(self._q), np.int64)
        for piece in pieces:
            place[piece.words] = 1
        words = np.flatnonzero(place)
        place[words] = np.arange(len(words))
        dweight = np.zeros((len(words), self.decoder.in_features), weight.data.dtype)
        for piece in pieces:
            dweight[place[piece.words]] += piece.dweight
            bias.grad[piece.words] += piece.dbias * factor
        if factor != 1:
            dweight *= factor
        weight.add_rows(words, dweight)

    def _predict(
        self, x: Array, targets: Int64Array, rng: np.random.Generator, count: int
    ) -> tuple[float, Array, list[_Piece]]:
        """Return the loss of places x [P,H], summed, and its gradients divided by `count`."""
        starts = range(0, len(x), PIECE)
        drawn = np.array_split(rng.random(self.samples), max(1, len(starts)))
        loss, dx, pieces = 0.0, np.empty_like(x), []
        for start, numbers in zip(starts, drawn, strict=False):
            rows = slice(start, start + PIECE)
            more, dx[rows], piece = self._predict_piece(x[rows], targets[rows], numbers, count)
            loss += more
            pieces.append(piece)
        return loss, dx, pieces

    def _predict_piece(
        self, x: Array, targets: Int64Array, numbers: Array, count: int
    ) -> tuple[float, Array, _Piece]:
        """Return the same of some places, with a sample drawn by numbers that are even in 0..1."""
        words, right, stands_for = self._sample(targets, numbers)
        weight, bias = self.decoder.weight.data[words], self.decoder.bias
        assert bias is not None
        precision = self.decoder.precision
        z = products(x, weight, precision)
        loss, dbias = kernels.backend().softmax_cross_entropy(
            z,
            right,
            bias.data[words] + stands_for,
            -stands_for[right],  # the true word counts once
            scale=1 / count,
            dbias=True,
            n_threads=get_num_threads(),
        )
        assert dbias is not None
        gradient = _Piece(words, products(z.T, x.T, precision), dbias)
        return loss, products(z, weight.T, precision), gradient

    def _sample(self, targets: Int64Array, numbers: Array) -> tuple[Int64Array, Int64Array, Array]:
        """Return the words [C] of a sample, where in it the targets are, and what it adds.

        That is the logarithm of how many words of the vocabulary each word stands for.
        """
        # sorted numbers are found in half the time
        drawn = np.searchsorted(self._reached, np.sort(numbers) * self._reached[-1])
        # One number for each word of the vocabulary beats sorting the sample.
        times = np.bincount(np.concatenate([targets, drawn]), minlength=len(self._q))
        words = np.flatnonzero(times)
        n, at = len(targets) + len(drawn), np.empty(len(self._q), np.int64)
        at[words] = np.arange(len(words))
        stands_for = np.log(times[words] / (n * self._q[words]))
        return words, at[targets], stands_for.astype(self.decoder.dtype)

    def _distinct(self, tokens: ArrayLike, lengths: ArrayLike) -> tuple[Tokens, Any]:
        batch, index = self.embedding.distinct(tokens, lengths)
        return Tokens(batch.ids.T, batch.table), index

    def _rows(self, y: Array) -> Array:
        """Return outputs [T,N,D*H] as rows [T*N*D,H], which share their memory."""
        return y.reshape(-1, self.recurrent.hidden_size)

    def _predictions(
        self, y: Array, tokens: ArrayLike, lengths: ArrayLike, most: int, rng: np.random.Generator
    ) -> list[tuple[Int64Array, Int64Array]]:
        """Return which rows of y predict which words: at most so many of a direction at a time."""
        T, N, lengths = len(y), y.shape[1], np.asarray(lengths)
        step, words = np.arange(T)[:, None], np.asarray(tokens).T.astype(np.int64)
        D, found = 1 + self.recurrent.bidirectional, []
        for d, ahead in enumerate([1, -1][:D]):
            away: Any = 1
            if self.window > 1:
                draw: Any = partial(rng.integers, 1, self.window + 1)
                away = _places(rng, draw, T, N)
            at = step + ahead * away
            inside = (at >= 0) & (at < lengths)
            targets = np.where(inside, np.take_along_axis(words, at.clip(0, T - 1), 0), END)
            there = (step < lengths) & (at >= -1) & (at <= lengths)  # nothing is beyond the end
            if self._predicted is not None:
                there &= _places(rng, rng.random, T, N) < self._predicted[targets]
            places = np.flatnonzero(there)
            for place in np.split(places, range(most, len(places), most)):
                if len(place):
                    found.append((place * D + d, targets.reshape(-1)[place]))
        return found


def _places(
    rng: np.random.Generator, draw: Callable[[tuple[int, int]], NDArray[Any]], T: int, N: int
) -> NDArray[Any]:
    """Return what is drawn for each place [T,N]; for shared rows, as for the whole batch."""
    shared = as_shared(rng)
    return draw((T, N)) if shared is None else draw((T, shared.count))[:, shared.rows]
