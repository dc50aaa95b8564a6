"""Kernels with planted faults that change a last bit, or one row's neighbour; see `faults.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from faults import Fault, OtherTape, planted

from fastlstm.kernels import Rows, Tokens
from fastlstm.kernels.reference import cells, gradients, time_loop
from fastlstm.kernels.reference.cells import by_row


@planted("lstm", "recompute")
class RecomputedFromARoundedState(OtherTape):
    """Only c is kept in full; h comes back a last bit off."""

    def other(self, tape: Any) -> Any:
        return tape._replace(starts=[(h * (1 + 3e-16), *c) for h, *c in tape.starts])


@planted("gru", "recompute")
class RecomputedWithoutResets(Fault):
    def backward(self, *arguments: Any, **options: Any) -> Any:
        again = time_loop._again

        def without(tape: Any, block: Any) -> Any:
            return again(tape._replace(call=tape.call._replace(reset=None)), block)

        with patch.object(time_loop, "_again", without):
            return super().backward(*arguments, **options)


@planted("rnn_tanh", "recompute")
class RecomputedSumsRoundedOnceMore(Fault):
    """As if the weight gradient of each block were summed apart."""

    def backward(self, saved: Any, dy: Any, dstate: Any, grads: Any, *r: Any, **o: Any) -> Any:
        recompute = saved._tape[0].call.recompute
        result = super().backward(saved, dy, dstate, grads, *r, **o)
        if recompute:
            grads.w_hh[...] *= 1 + 3e-16
        return result


@planted("lstm", "reference", "reference f32", "rows")
class LengthOffByOne(Fault):
    def forward(self, x: Any, state: Any, w: Any, rows: Rows, *rest: Any, **options: Any) -> Any:
        lengths = rows.lengths.copy()
        longest = np.argmax(lengths)
        lengths[longest] = max(lengths[longest] - 1, 0)
        shorter = Rows(rows.T, rows.N, lengths)
        return super().forward(x, state, w, shorter, *rest, **options)


@planted("gru", "rows", "lengths")
class LongestRowReachesOthers(Fault):
    """The number of steps of the longest row changes the last bits of all rows."""

    def forward(self, x: Any, state: Any, w: Any, rows: Rows, *rest: Any, **options: Any) -> Any:
        state = tuple(s * (1 + 1e-15 * rows.n_at.sum()) for s in state)
        return super().forward(x, state, w, rows, *rest, **options)


class OtherProduct(Fault):
    """Products are made in another way."""

    @staticmethod
    def by_row(weight: Any, x: Any) -> Any:
        raise NotImplementedError

    def _within(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with (
            patch.object(cells, "by_row", self.by_row),
            patch.object(gradients, "by_row", self.by_row),
        ):
            return call(*arguments, **options)

    def forward(self, *arguments: Any, **options: Any) -> Any:
        return self._within(super().forward, *arguments, **options)

    def backward(self, *arguments: Any, **options: Any) -> Any:
        return self._within(super().backward, *arguments, **options)


@planted("rnn_relu", "poison")
class PoisonSpreads(OtherProduct):
    """Gates are scaled by a sum over the batch, which NaN in one row makes NaN for all."""

    @staticmethod
    def by_row(weight: Any, x: Any) -> Any:
        return by_row(weight, x) + 0 * x.sum()


@planted("gru_reset_before", "rows")
class NeighboursMixed(OtherProduct):
    """One row's last bits depend on the row beside it."""

    @staticmethod
    def by_row(weight: Any, x: Any) -> Any:
        z = by_row(weight, x)
        if len(z) > 1:
            z[0] += 1e-15 * z[1]
        return z


@planted("lstm", "rows")
class AProductOfAllRows(OtherProduct):
    """Products by BLAS over all rows at once: right to rounding, but a row's bits may change."""

    @staticmethod
    def by_row(weight: Any, x: Any) -> Any:
        return x @ weight.T


@planted("rnn_tanh", "threads")
class ThreadsChangeSums(Fault):
    def backward(self, *arguments: Any, n_threads: int = 1, **options: Any) -> Any:
        result = super().backward(*arguments, **options)
        arguments[3].w_hh[...] *= 1 + 1e-15 * n_threads
        return result


@planted("lstm", "reference", "chunks", "stream")
class StateLostBetweenChunks(Fault):
    def forward(self, x: Any, state: Any, *rest: Any, **options: Any) -> Any:
        h, c = state
        return super().forward(x, (h, 0 * c), *rest, **options)


@planted("gru", "tokens")
class TokensOfAnotherRow(Fault):
    def forward(self, x: Any, *rest: Any, **options: Any) -> Any:
        if isinstance(x, Tokens):
            x = Tokens(x.ids[:, ::-1], x.table)
        return super().forward(x, *rest, **options)


@planted("lstm", "stream")
class StreamWithoutProjection(Fault):
    """The upper layer's is left out, the first one's taken in its place."""

    def Stream(self, layers: Any, batch_size: int) -> Any:
        w_hr = layers[0].w_hr[::-1].copy()
        return super().Stream([layers[0], layers[1]._replace(w_hr=w_hr)], batch_size)


@planted("gru", "stream")
class StreamNotReset(Fault):
    def Stream(self, layers: Any, batch_size: int) -> Any:
        stream = super().Stream(layers, batch_size)
        stream.reset = lambda: None  # type: ignore[method-assign]
        return stream
