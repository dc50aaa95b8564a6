"""A layer that labels whole sequences: a linear-chain conditional random field."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastlstm import kernels
from fastlstm.kernels.crf import CrfLoss, CrfScores
from fastlstm.kernels.rows import Int64Array, any_integers, check_lengths
from fastlstm.nn.check import (
    as_array,
    check_array,
    check_dtype,
    check_number,
    check_size,
    first,
    real_steps,
)
from fastlstm.nn.module import Array, Module, Tape, described
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.sequence import NotANumberError
from fastlstm.runtime import get_num_threads


class _Call(NamedTuple):
    """Checked arguments: scores of the steps [N,T,K], float64, and lengths [N]."""

    x: Array
    lengths: Int64Array


class CRF(Module):
    """Scores of labels that follow one another, on top of those of each step.

    The score of a sequence of labels is the sum of its scores at each step, of each pair of
    neighbours, and of its first and last label; its probability is exp(score) over the sum for all
    sequences (Lafferty, McCallum & Pereira 2001). So neighbours are chosen together: what never
    follows in the examples is not said. All is computed in float64, whatever the dtype.

    Letters: N rows, T steps, K labels.

    Parameters
    ----------
    num_labels : K.
    dtype : float32 or float64, of the parameters and of `x`.

    Attributes
    ----------
    start, end : Parameters [K]: of beginning with a label, and of ending with it.
    between : Parameter [K,K], from the row's label to the column's. All are zeros at first: then
        each step is the softmax of its own scores.
    """

    def __init__(self, num_labels: int, *, dtype: DTypeLike = "float32") -> None:
        self.num_labels = check_size("num_labels", num_labels)
        self.dtype = check_dtype(dtype)
        self.start = Parameter(np.zeros(num_labels, self.dtype))
        self.between = Parameter(np.zeros((num_labels, num_labels), self.dtype))
        self.end = Parameter(np.zeros(num_labels, self.dtype))
        self._backend = kernels.default_backend()

    def extra_repr(self) -> str:
        """Return the number of labels."""
        return described(self.num_labels, dtype=(self.dtype, "float32"))

    def __call__(self, x: Array, lengths: ArrayLike | None = None) -> Int64Array:
        """Return the likeliest labels [N,T] (Viterbi 1967), zeros past a row's length.

        Parameters
        ----------
        x : [N,T,K], the score of each label at each step.
        lengths : integers [N] in 0..T; None if all have T steps.

        Raises
        ------
        TypeError, ValueError
            If an argument's type, dtype, shape or range does not fit.
        """
        call = self._read(x, lengths)
        check_scores("x", call.x, call.lengths)
        for name, parameter in self.named_parameters():
            check_scores(name, parameter.data)
        return self._kernels.viterbi(*call, self._scores(), n_threads=get_num_threads())[0]

    def forward(
        self, x: Array, labels: ArrayLike, lengths: ArrayLike | None = None
    ) -> tuple[float, Tape]:
        """Return the loss of labels, and the tape.

        Parameters
        ----------
        x, lengths : as for a call.
        labels : integers [N,T] in 0..K-1; what lies past a row's length is not looked at.

        Returns
        -------
        loss : negative log-likelihood of the rows' labels over the number of all their steps, so
            that it is of the size of a cross-entropy.

        Raises
        ------
        TypeError, ValueError, IndexError
            If an argument does not fit, or all lengths are 0.
        """
        call = self._read(x, lengths)
        found = self._loss(call, labels, True)
        steps = check_steps(call.lengths)
        return float(found.losses.sum()) / steps, Tape(self, found.dx, found.dscores, steps)

    def backward(self, tape: Tape, dloss: float = 1.0) -> Array:
        """Add to the gradients, given that of the loss; return that of x."""
        check_number("dloss", dloss)
        dx, dscores, steps = self._take(tape)
        share = dloss / steps
        for parameter, d in zip((self.start, self.between, self.end), dscores, strict=True):
            parameter.grad[...] += (share * d).astype(self.dtype)
        back: Array = (share * dx).astype(self.dtype)
        return back

    def losses(self, x: Array, labels: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Return the negative log-likelihood of each row's labels, float64 [N]; as `forward`."""
        return self._loss(self._read(x, lengths), labels, False).losses

    def probabilities(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Return the probability [N,T,K] of each label at each step, zeros past a row's length."""
        call = self._read(x, lengths)
        # the gradient of a loss is the probability of each label, less 1 for the right one
        found = self._loss(call, np.zeros(call.x.shape[:2], np.int64), True).dx
        assert found is not None
        found[:, :, 0] += np.arange(found.shape[1]) < call.lengths[:, None]
        return found.clip(0, 1).astype(self.dtype)

    def _loss(self, call: _Call, labels: ArrayLike, gradient: bool) -> CrfLoss:
        real = real_steps(call.x.shape, call.lengths)
        given = check_step_labels(labels, real, self.num_labels)
        return self._kernels.crf(
            call.x,
            np.where(real, given, 0).astype(np.int64, copy=False),
            call.lengths,
            self._scores(),
            gradient=gradient,
            n_threads=get_num_threads(),
        )

    @property
    def _kernels(self) -> kernels.Backend:
        return kernels.backend(self._backend)

    def _read(self, x: Array, lengths: ArrayLike | None) -> _Call:
        x = check_array(
            "x", as_array("x", x, self.dtype), self.dtype, (None, None, self.num_labels)
        )
        N, T, _ = x.shape
        full = np.full(N, T, np.int64) if lengths is None else check_lengths(lengths, T, N)
        return _Call(x.astype(np.float64, copy=False), full)

    def _scores(self) -> CrfScores:
        parameters = (self.start, self.between, self.end)
        return CrfScores(*(p.data.astype(np.float64, copy=False) for p in parameters))


def check_step_labels(
    labels: ArrayLike, real: NDArray[np.bool_], num_labels: int
) -> NDArray[np.integer]:
    """Return labels [N,T]; an error names the first that is none of a real step."""
    given = any_integers("labels", labels)
    if given.shape != real.shape:
        raise ValueError(f"labels has shape {given.shape}, expected {real.shape}")
    wrong = real & ((given < 0) | (given >= num_labels))
    if wrong.any():
        raise IndexError(f"{first('labels', given, wrong)}, expected 0 to {num_labels - 1}")
    return given


def check_scores(name: str, scores: Array, lengths: ArrayLike | None = None) -> None:
    """Raise NotANumberError if a score of a real step is NaN: no label is the likeliest then."""
    wrong = np.isnan(scores)
    if lengths is not None and wrong.any():
        wrong[~real_steps(scores.shape, lengths)] = False
    if wrong.any():
        raise NotANumberError(
            f"{first(name, scores, wrong)}, expected numbers (was training diverging?)"
        )


def check_steps(lengths: Int64Array) -> int:
    """Return the number of all steps; ValueError if there are none."""
    steps = int(lengths.sum())
    if not steps:
        raise ValueError("lengths are all 0, expected a step to learn from")
    return steps
