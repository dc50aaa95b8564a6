"""Adaptive softmax: words in clusters by frequency, so that a place needs few of the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.counts import count_of
from fastlstm.models.cutoffs import check_cutoffs, check_div_value, vector_sizes
from fastlstm.models.softmax import SoftmaxDecoder, softmax_loss
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_dtype,
    check_flag,
    check_ids,
    check_rng,
    check_size,
)
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.parameter import Parameter


class AdaptiveSoftmax(Module):
    """Log-probabilities of the words of a vocabulary in the order of their frequency.

    As torch.nn.AdaptiveLogSoftmaxWithLoss (Grave et al. 2017, "Efficient softmax approximation
    for GPUs"), with its names and layouts. The head has a logit of each word of the first cutoff
    and one of each cluster of the others; a cluster has a softmax of its own, over shorter
    vectors. `loss` makes the logits of a cluster at the places that need them only, and most do
    not. The probabilities are exact: those of all words add up to 1.

    Parameters
    ----------
    in_features, vocab_size : K and V.
    cutoffs : increasing, where the clusters begin; word 0 is the most frequent one.
    div_value : cluster i (from 0) has vectors of K / div_value^(i+1); at least 1.
    head_bias : whether the head has a bias; a cluster has none.
    weight : Parameter [V,K] of another layer to use for the words, such as that of an
        ``Embedding(sparse=False)``. The vectors of all clusters are rows of it then, with a bias
        each if the head has one, and div_value is 1 (Merity et al. 2018, "An analysis of neural
        language modeling at multiple scales").
    dtype : float32 or float64.
    rng : generator of the first values, uniform in +-1/sqrt of what a layer reads.
    precision : of the products, as of `LSTM`; `set_precision` changes it.

    Attributes
    ----------
    head : logits of the first words and the clusters; ``head.weight`` [c_0 + clusters, K] and
        ``head.bias``; with a shared weight its ``words`` and its ``clusters``.
    tail : by number, each with ``0.weight`` [k,K] and ``1.weight`` [words of the cluster, k].

    TypeError or ValueError tells of an option or a shared weight that does not fit.
    """

    def __init__(
        self,
        in_features: int,
        vocab_size: int,
        cutoffs: Sequence[int],
        div_value: float | None = None,
        head_bias: bool = False,
        *,
        weight: Parameter | None = None,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.in_features = K = check_size("in_features", in_features)
        self.vocab_size = check_size("vocab_size", vocab_size)
        self.cutoffs = check_cutoffs(cutoffs, vocab_size)
        self.div_value = check_div_value(div_value, weight is not None)
        self.dtype = check_dtype(dtype)
        head_bias = check_flag("head_bias", head_bias)
        made: dict[str, Any] = {"dtype": dtype, "rng": check_rng(rng), "precision": precision}
        bounds = [*self.cutoffs, vocab_size]
        first, parts = bounds[0], list(zip(bounds, bounds[1:], strict=False))
        tail: list[Any]
        if weight is not None:
            check_array("weight", weight.data, self.dtype, (vocab_size, K))
            shared = {"weight": weight, **made}
            words = SoftmaxDecoder(K, first, head_bias, first=0, **shared)
            clusters = SoftmaxDecoder(K, len(parts), head_bias, **made)
            self.head: Any = _TiedHead(words, clusters)
            tail = [SoftmaxDecoder(K, b - a, head_bias, first=a, **shared) for a, b in parts]
        else:
            self.head = SoftmaxDecoder(K, first + len(parts), head_bias, **made)
            sizes = vector_sizes(K, len(parts), self.div_value)
            if not all(sizes):
                raise ValueError(
                    f"div_value is {self.div_value} with {count_of(len(parts), 'cluster')} and "
                    f"in_features {K}, expected less or fewer: the last cluster would have empty "
                    "vectors"
                )
            tail = [_Cluster(K, k, b - a, made) for k, (a, b) in zip(sizes, parts, strict=True)]
        self.tail = _Numbered(tail)
        self._parts = [slice(a, b) for a, b in parts]

    def extra_repr(self) -> str:
        """Return where the clusters begin, and how their vectors shrink."""
        return f"cutoffs={self.cutoffs}, div_value={self.div_value:g}"

    def __call__(self, x: Array) -> Array:
        """Return the log-probabilities [...,V] of x [...,K]."""
        return self._run(x, lambda part, rows: (part(rows), None))[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return the log-probabilities of all words, and the tape; see `loss` for a faster way.

        ValueError in int8, which has no backward.
        """
        out, kept, shape = self._run(x, lambda part, rows: part.forward(rows))
        return out, Tape(self, shape, kept)

    def backward(self, tape: Tape, dlog: Array) -> Array:
        """Add to the gradient of each parameter; return that of x. `dlog` is like the output."""
        shape = self._look(tape)[0]
        dlog = check_array("dlog", dlog, self.dtype, (*shape[:-1], self.vocab_size))
        _, ((z, head), *tails) = self._take(tape)
        d, first = dlog.reshape(-1, self.vocab_size), self.cutoffs[0]
        dhead = np.empty_like(z)
        dhead[:, :first] = d[:, :first]
        for i, words in enumerate(self._parts):
            dhead[:, first + i] = d[:, words].sum(axis=1)
        dx: Array = self.head.backward(head, _unnormalised(dhead, z))
        for part, words, (z, tape_i) in zip(self.tail, self._parts, tails, strict=True):
            dx += part.backward(tape_i, _unnormalised(d[:, words], z))
        back: Array = dx.reshape(shape)
        return back

    def loss(
        self, x: Array, targets: ArrayLike, *, gradient: bool = True
    ) -> tuple[float, Array | None]:
        """Return the mean cross-entropy of targets [...] at x [...,K], in nats, and its gradient.

        With `gradient` those of the parameters are added to, and that of x is returned; else None.

        Raises
        ------
        TypeError, ValueError
            If an argument's dtype or shape does not fit, or there are no targets.
        IndexError
            If a target is out of range.
        """
        gradient = check_flag("gradient", gradient)
        rows, shape = self._rows(x)
        words = check_ids("targets", targets, self.vocab_size)
        if words.shape != shape[:-1] or not words.size:
            raise ValueError(f"targets has shape {words.shape}, expected {shape[:-1]}, not empty")
        words, first = words.reshape(-1), self.cutoffs[0]
        cluster = np.searchsorted(self.cutoffs, words, side="right")  # 0 for those of the head
        in_head = np.where(cluster, first + cluster - 1, words)
        loss, dx = self.head.loss(rows, in_head, gradient=gradient)
        for i, (part, own) in enumerate(zip(self.tail, self._parts, strict=True)):
            (places,) = np.nonzero(cluster == i + 1)
            if len(places):
                share = len(places) / len(rows)
                targets = words[places] - own.start
                more, d = part.loss(rows[places], targets, gradient=gradient, share=share)
                loss += more
                if dx is not None:
                    dx[places] += d
        return loss, None if dx is None else dx.reshape(shape)

    def _rows(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        x = check_array("x", x, self.dtype, (None,) * (np.ndim(x) - 1) + (self.in_features,))
        return x.reshape(-1, self.in_features), x.shape

    def _run(self, x: Array, logits: Any) -> tuple[Array, list[Any], tuple[int, ...]]:
        """Return the log-probabilities, and of each part its own ones and what `logits` kept."""
        rows, shape = self._rows(x)
        out = np.empty((len(rows), self.vocab_size), self.dtype)
        first = self.cutoffs[0]
        z, tape = logits(self.head, rows)
        kept = [(_log_softmax(z), tape)]
        out[:, :first] = z[:, :first]
        for i, (part, words) in enumerate(zip(self.tail, self._parts, strict=True)):
            own, tape = logits(part, rows)
            kept.append((_log_softmax(own), tape))
            np.add(own, z[:, first + i, None], out=out[:, words])
        return out.reshape(*shape[:-1], self.vocab_size), kept, shape


class _Numbered(Module):
    """Modules under their numbers, as torch's ModuleList names them."""

    def __init__(self, parts: Sequence[Module]) -> None:
        for number, part in enumerate(parts):
            setattr(self, str(number), part)

    def __iter__(self) -> Any:
        return iter([part for part in vars(self).values() if isinstance(part, Module)])


class _Cluster(_Numbered):
    """Logits of a cluster's words, from a vector that is made shorter first."""

    def __init__(self, in_features: int, size: int, words: int, options: dict[str, Any]) -> None:
        shorten = Linear(in_features, size, False, **options)
        super().__init__([shorten, SoftmaxDecoder(size, words, False, **options)])

    def __call__(self, x: Array) -> Array:
        shorten, decode = self
        logits: Array = decode(shorten(x))
        return logits

    def forward(self, x: Array) -> tuple[Array, Tape]:
        shorten, decode = self
        short, shortened = shorten.forward(x)
        logits, decoded = decode.forward(short)
        return logits, Tape(self, shortened, decoded)

    def backward(self, tape: Tape, dlogits: Array) -> Array:
        (shortened, decoded), (shorten, decode) = self._take(tape), self
        dx: Array = shorten.backward(shortened, decode.backward(decoded, dlogits))
        return dx

    def loss(self, x: Array, targets: Any, *, gradient: bool, share: float) -> tuple[float, Any]:
        """Return the mean loss times `share`, and its gradient, as `SoftmaxDecoder.loss`."""
        shorten, decode = self
        if not gradient:
            told: tuple[float, None] = decode.loss(shorten(x), targets, gradient=False, share=share)
            return told
        short, shortened = shorten.forward(x)
        loss, dshort = decode.loss(short, targets, share=share)
        return loss, shorten.backward(shortened, dshort)


class _TiedHead(Module):
    """Logits of the first words, by the shared weight, and of the clusters, by one of their own."""

    def __init__(self, words: SoftmaxDecoder, clusters: SoftmaxDecoder) -> None:
        self.words, self.clusters = words, clusters

    def __call__(self, x: Array) -> Array:
        return np.concatenate([self.words(x), self.clusters(x)], axis=-1)

    def forward(self, x: Array) -> tuple[Array, Tape]:
        (words, w), (clusters, c) = self.words.forward(x), self.clusters.forward(x)
        return np.concatenate([words, clusters], axis=-1), Tape(self, w, c)

    def backward(self, tape: Tape, dlogits: Array) -> Array:
        (w, c), first = self._take(tape), self.words.vocab_size
        dx = self.words.backward(w, dlogits[..., :first])
        dx += self.clusters.backward(c, dlogits[..., first:])
        return dx

    def loss(self, x: Array, targets: Any, *, gradient: bool) -> tuple[float, Array | None]:
        """Return the mean loss, and its gradient, as `SoftmaxDecoder.loss`."""
        if not gradient:
            return softmax_loss(self(x), targets, gradient=False), None
        logits, tape = self.forward(x)
        loss = softmax_loss(logits, targets)
        return loss, self.backward(tape, logits)


def _log_softmax(z: Array) -> Array:
    """Turn logits [M,n] into log-probabilities, in place."""
    z -= z.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def _unnormalised(d: Array, log: Array) -> Array:
    """Return the gradient of logits, of that of their log-probabilities `log`."""
    found: Array = d - np.exp(log) * d.sum(axis=1, keepdims=True)
    return found
