"""Dot-product attention: which places of a sequence each step of another one looks at.

Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine
Translation": global attention, score "dot", equations 5 to 8. Nothing is fed back into the
queries, so that all steps are computed at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm.kernels.rows import any_array, check_lengths
from fastlstm.nn.check import MOST_SIZE, Rng, check_array, check_dtype, check_rng, check_size
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Module, Tape, described
from fastlstm.nn.precision import products

BoolArray = NDArray[np.bool_]


class _Call(NamedTuple):
    """Checked arguments: query [N,T,H], memory [N,S,H], and what of them is real."""

    query: Array
    memory: Array
    hidden: BoolArray | None  # [N,S], places of the memory that do not count
    rows: Any  # which of the N*T queries are to be answered: bool, or a slice of all
    precision: str


class DotAttention(Module):
    """For each query h_t the attentional vector ``tanh(W [c_t; h_t])``.

    c_t is the mean of the memory, weighted by the softmax over its places s of the scores
    ``h_t . m_s``.

    Letters: N batch, T queries and S places of the memory in each row, H size.

    Parameters
    ----------
    size : H, of a query and of a place of the memory.
    out_features : F, of the result; None for H.
    dtype, rng, precision : as of a `Linear`; the precision is that of all products, W's too.

    Attributes
    ----------
    combine : Linear without bias; its weight is W [F, 2H], the columns for c first.
    """

    def __init__(
        self,
        size: int,
        out_features: int | None = None,
        *,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.size = check_size("size", size, most=MOST_SIZE)
        self.out_features = size if out_features is None else out_features
        self.dtype = check_dtype(dtype)
        made: Any = {"dtype": dtype, "rng": check_rng(rng), "precision": precision}
        self.combine = Linear(2 * size, self.out_features, False, **made)

    @property
    def precision(self) -> str:
        """That of `combine`, for all products."""
        return self.combine.precision

    @precision.setter
    def precision(self, value: str) -> None:
        self.combine.precision = value

    def extra_repr(self) -> str:
        """Return the sizes."""
        return described(self.size, out_features=(self.out_features, self.size))

    def __call__(
        self,
        query: Array,
        memory: Array,
        lengths: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ) -> Array:
        """Attend and keep nothing.

        Parameters
        ----------
        query : [N,T,H].
        memory : [N,S,H]; what lies past a row's length has no influence if it is finite.
        lengths : integers [N] in 0..S, how many places of the memory are real; None for all.
            A row without any has a context of zeros.
        where : bool [N,T], the queries to be answered; None for all.

        Returns
        -------
        y : [N,T,F]; with `where` [M,F], one row for each query chosen, in order.

        Raises
        ------
        TypeError, ValueError
            If an argument's type, dtype, shape or range does not fit.
        """
        call = self._read(query, memory, lengths, where)
        return self._shaped(np.tanh(self.combine(_features(call, _weights(call)))), call)

    def weights(self, query: Array, memory: Array, lengths: ArrayLike | None = None) -> Array:
        """Return the weight [N,T,S] that each query gives each place; arguments as above.

        The weights of a query add up to 1, but for those of a row without memory: to 0.
        """
        return _weights(self._read(query, memory, lengths, None))

    def forward(
        self,
        query: Array,
        memory: Array,
        lengths: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ) -> tuple[Array, Tape]:
        """Attend to train: y as above, and the tape. Change no argument before `backward`.

        ValueError in int8, which has no backward.
        """
        self.combine._check_trains()
        call = self._read(query, memory, lengths, where)
        weights = _weights(call)
        z, combine = self.combine.forward(_features(call, weights))
        y = np.tanh(z, out=z)
        return self._shaped(y, call), Tape(self, call, weights, combine, y)

    def backward(self, tape: Tape, dy: Array) -> tuple[Array, Array]:
        """Add to the gradient of W; return those of the query [N,T,H] and the memory [N,S,H]."""
        call, _, _, y = self._look(tape)
        shape = self._shaped(y, call).shape
        dy = check_array("dy", dy, self.dtype, shape).reshape(y.shape)
        call, weights, combine, y = self._take(tape)
        d = self.combine.backward(combine, dy * (1 - y * y))
        dcontext, dquery = (_spread(part, call) for part in np.split(d, 2, axis=1))
        query, memory, weights_t = call.query, call.memory, weights.swapaxes(1, 2)
        dmemory = products(weights_t, dcontext.swapaxes(1, 2), call.precision)
        # Backward through the softmax.
        dscores = _with_memory(dcontext, call)
        if call.hidden is not None:
            np.copyto(dscores, 0, where=call.hidden[:, None])
        dscores -= (dscores * weights).sum(axis=2, keepdims=True)
        dscores *= weights
        dquery += products(dscores, memory.swapaxes(1, 2), call.precision)
        dmemory += products(dscores.swapaxes(1, 2), query.swapaxes(1, 2), call.precision)
        return dquery, dmemory

    def _read(self, query: Any, memory: Any, lengths: Any, where: Any) -> _Call:
        query = check_array("query", query, self.dtype, (None, None, self.size))
        N, T, _ = query.shape
        memory = check_array("memory", memory, self.dtype, (N, None, self.size))
        S, hidden = memory.shape[1], None
        if lengths is not None:
            hidden = np.arange(S) >= check_lengths(lengths, S, N)[:, None]
            if self.precision != "float32":
                # A place that does not count sets no scale, nor is it rounded up to infinity.
                memory = np.where(hidden[:, :, None], np.float32(0), memory)
        rows = slice(None)
        if where is not None:
            where = any_array("where", where)
            if where.dtype != bool or where.shape != (N, T):
                raise ValueError(
                    f"where is {where.dtype} of shape {where.shape}, expected bool of ({N}, {T})"
                )
            rows = where.flatten()  # a copy, which backward reads too
        return _Call(query, memory, hidden, rows, self.precision)

    def _shaped(self, y: Array, call: _Call) -> Array:
        """Return y [M,F] as the caller expects it."""
        every = isinstance(call.rows, slice)
        return y.reshape(*call.query.shape[:2], y.shape[1]) if every else y


def _weights(call: _Call) -> Array:
    """Return the softmax of the scores [N,T,S] over the real places."""
    scores = _with_memory(call.query, call)
    if call.hidden is not None:
        np.copyto(scores, -np.inf, where=call.hidden[:, None])
    top = scores.max(axis=2, keepdims=True, initial=-np.inf)
    top[top == -np.inf] = 0  # a row without memory
    scores -= top
    np.exp(scores, out=scores)
    total = scores.sum(axis=2, keepdims=True)
    total[total == 0] = 1
    scores /= total
    return scores


def _with_memory(rows: Array, call: _Call) -> Array:
    """Return the products [N,T,S] of rows [N,T,H] with each place of the memory.

    Those past a length are nobody's: they may overflow, and be made of what did.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return products(rows, call.memory, call.precision)


def _features(call: _Call, weights: Array) -> Array:
    """Return ``[c; h]`` [M,2H] of the queries to be answered."""
    context = products(weights, call.memory.swapaxes(1, 2), call.precision)
    return np.concatenate([_chosen(context, call), _chosen(call.query, call)], axis=1)


def _chosen(values: Array, call: _Call) -> Array:
    """Return the rows [M,H] of values [N,T,H] that are to be answered."""
    rows: Array = values.reshape(-1, values.shape[2])[call.rows]
    return rows


def _spread(values: Array, call: _Call) -> Array:
    """Inverse of `_chosen`, a new array with zeros elsewhere."""
    spread: Array = np.zeros(call.query.shape, values.dtype)
    spread.reshape(-1, values.shape[1])[call.rows] = values
    return spread
