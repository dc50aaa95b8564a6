"""Encoder and decoder for horizons: it reads the past, then goes on step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.counts import count_of
from fastlstm.kernels.rows import any_array, check_lengths
from fastlstm.models.distributions import DISTRIBUTIONS, HasDistribution, of_name
from fastlstm.models.model import LAYERS, Model, gate_rows, options_of
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_choice,
    check_flag,
    check_probability,
    check_rng,
    check_size,
    first,
    one_rng,
)
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.share import rows_first

_MATRICES = tuple(
    f"{side}.weight_{part}_l0" for side in ("encoder", "decoder") for part in ("ih", "hh")
)


class _Kept(NamedTuple):
    """What a forward pass keeps."""

    last: Any  # which step of x was fed to the decoder, as an index; None for none
    encoder: Tape
    decoder: Tape
    dropped: Tape
    head: Tape
    raw: Array


class HorizonDecoder(HasDistribution, Model):
    """Recurrent layers over the past; others that start from their state, over the steps ahead.

    At each step ahead the decoder reads how far it is, what is known of that step beforehand (a
    calendar, a price, a weather forecast) and, with `feedback`, the target of the step before:
    the true one in training (teacher forcing), else what it has just said itself.

    Letters: N rows, T steps of the past, I numbers of each, S steps ahead, F numbers known of
    each, C targets, Q numbers that forecast one of them.

    Parameters
    ----------
    input_size : I. With `feedback` the first C numbers of a step are the targets at that step.
    horizon : S.
    hidden_size, num_layers : of both sides.
    dropout : probability for what the head sees, and between the recurrent layers.
    future_size : F, 0 for none.
    feedback : whether the decoder reads the last target. It follows a series more closely, and
        may drift away with its own errors.
    num_targets, distribution, quantiles : as of `SequenceRegressor`.
    cell : "lstm", "gru" or "rnn".
    dtype : float32 or float64, of the parameters and of every input.
    rng : generator of the first values and, by default, of dropout.

    Attributes
    ----------
    encoder, decoder, head : the layers that hold the parameters.
    options : what the model was made with, rng apart.
    """

    LAYER = "decoder.weight_hh_l{number}"
    SIZES = {
        "input_size": ("encoder.weight_ih_l0", 1), "hidden_size": ("decoder.weight_hh_l0", 1),
        "numbers read": ("decoder.weight_ih_l0", 1), "numbers said": ("head.weight", 0),
        "features": ("head.weight", 1), **{f"rows of {name}": (name, 0) for name in _MATRICES},
    }  # fmt: skip

    def __init__(
        self,
        input_size: int,
        horizon: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        future_size: int = 0,
        feedback: bool = False,
        num_targets: int = 1,
        distribution: str = "point",
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        cell: str = "lstm",
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.options = options_of(locals())
        self.input_size = check_size("input_size", input_size)
        self.horizon = check_size("horizon", horizon)
        self.future_size = check_size("future_size", future_size, least=0)
        self.num_targets = check_size("num_targets", num_targets)
        self.feedback = check_flag("feedback", feedback)
        if feedback and input_size < num_targets:
            raise ValueError(
                f"input_size is {input_size}, expected the {count_of(num_targets, 'target')} at "
                "least, as feedback reads the last ones"
            )
        check_probability("dropout", dropout)
        self.cell = check_choice("cell", cell, tuple(LAYERS))
        check_choice("distribution", distribution, DISTRIBUTIONS)
        self.distribution = of_name(distribution, quantiles)
        self.options["quantiles"] = np.asarray(quantiles, np.float64).tolist()
        made: Any = {"dtype": dtype, "rng": check_rng(rng)}
        layers: Any = {**made, "batch_first": True, "dropout": dropout if num_layers > 1 else 0.0}
        read = _numbers_read(self.options)
        self.encoder = LAYERS[cell](input_size, hidden_size, num_layers, **layers)
        self.decoder = LAYERS[cell](read, hidden_size, num_layers, **layers)
        self.feature_dropout = Dropout(dropout, rng=made["rng"])
        self.head = Linear(hidden_size, num_targets * self.distribution.size, **made)

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return what the decoder reads at a step, and what the head says of it."""
        kind = of_name(options["distribution"], options["quantiles"])
        said = options["num_targets"] * kind.size
        rows = gate_rows(options["cell"], found["hidden_size"])
        return {
            "numbers read": _numbers_read(options), "numbers said": said,
            "features": found["hidden_size"], **{f"rows of {name}": rows for name in _MATRICES},
        }  # fmt: skip

    def __call__(
        self, x: Array, lengths: ArrayLike | None = None, future: Array | None = None
    ) -> Array:
        """Forecast for a batch of series and keep nothing.

        Parameters
        ----------
        x : [N,T,I], each row's past first; what lies behind is never read.
        lengths : integers [N] in 0..T; None if all have T steps.
        future : [N,S,F], what is known of the steps ahead; None if F is 0.

        Returns
        -------
        outputs : [N,S,C], of quantiles and distributions [N,S,C,Q].

        Raises
        ------
        TypeError, ValueError
            If an argument has a wrong dtype, shape or range, or a parameter holds NaN.
        """
        x, ahead = self._read(x, future)
        _, state = self.encoder(x, lengths=lengths)
        if not self.feedback:
            y, _ = self.decoder(ahead, state)
            return self.distribution.outputs(self._raw(self.head(y)))
        said, outputs = x[self._last(x, lengths)], []
        for s in range(self.horizon):
            step = np.concatenate([ahead[:, s], said], axis=1)
            y, state = self.decoder(step[:, None], state)
            outputs.append(self.distribution.outputs(self._raw(self.head(y))))
            said = self.point(outputs[-1])[:, 0]
        return np.concatenate(outputs, axis=1)

    def forward(
        self, x: Array, lengths: ArrayLike | None = None, future: Array | None = None,
        targets: ArrayLike | None = None, rng: Rng = None,
    ) -> tuple[Array, Tape]:  # fmt: skip
        """Forecast for a batch to train: outputs as above, with dropout, and the tape.

        `targets` [N,S,C] are the true ones, which `feedback` reads: the target before each step.
        """
        x, ahead = self._read(x, future)
        rng, last = one_rng(rng), None
        _, state, encoder = self.encoder.forward(x, lengths=lengths, rng=rng)
        if self.feedback:
            last = self._last(x, lengths)
            before = np.concatenate([x[last][:, None], self._true(targets, len(x))[:, :-1]], axis=1)
            ahead = np.concatenate([ahead, before], axis=2)
        y, _, decoder = self.decoder.forward(ahead, state, rng=rng)
        features, dropped = self.feature_dropout.forward(y, rows_first(rng))
        numbers, head = self.head.forward(features)
        raw = self._raw(numbers)
        kept = _Kept(last, encoder, decoder, dropped, head, raw)
        return self.distribution.outputs(raw), Tape(self, kept)

    def backward(
        self, tape: Tape, doutputs: Array, *, needs_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        """Add to the gradient of each parameter, given that of the outputs.

        Returns the gradients of x [N,T,I], zeros past each row's length, and of what is known
        ahead [N,S,F], None without. Both are None without `needs_dx`, which saves two products
        where these are data.
        """
        needs_dx = check_flag("needs_dx", needs_dx)
        back = self._raw_gradient(self._look(tape)[0].raw, doutputs)
        (kept,) = self._take(tape)
        rows = back.reshape(*back.shape[:2], self.head.out_features)
        dy = self.head.backward(kept.head, rows)
        dy = self.feature_dropout.backward(kept.dropped, dy)
        dahead, dstate = self.decoder.backward(kept.decoder, dy, needs_dx=needs_dx)
        dx, _ = self.encoder.backward(kept.encoder, None, dstate, needs_dx=needs_dx)
        if not needs_dx:
            return None, None
        if kept.last is not None:
            dx[kept.last] += dahead[:, 0, -self.num_targets :]
        return dx, dahead[:, :, 1 : 1 + self.future_size] if self.future_size else None

    def _read(self, x: Array, future: Array | None) -> tuple[Array, Array]:
        """Return checked x, and what the decoder reads at each step, feedback apart."""
        x = check_array("x", x, self.head.dtype, (None, None, self.input_size))
        N, S = len(x), self.horizon
        far = np.linspace(1 / S, 1, S, dtype=self.head.dtype)
        ahead = np.broadcast_to(far[:, None], (N, S, 1))
        if (future is None) != (self.future_size == 0):
            told = "is None" if future is None else "is given"
            raise ValueError(f"future {told}, but future_size is {self.future_size}")
        if future is not None:
            known = check_array("future", future, self.head.dtype, (N, S, self.future_size))
            ahead = np.concatenate([ahead, known], axis=2)
        return x, np.ascontiguousarray(ahead)

    def _last(self, x: Array, lengths: ArrayLike | None) -> Any:
        """Return the index of the targets at each row's last step, [N,C]."""
        N, T, _ = x.shape
        at = np.full(N, T) if lengths is None else check_lengths(lengths, T, N)
        if not at.all():
            raise ValueError(f"{first('lengths', at, at == 0)}, expected a step for feedback")
        return np.arange(N)[:, None], at[:, None] - 1, np.arange(self.num_targets)

    def _true(self, targets: ArrayLike | None, N: int) -> Array:
        """Return the targets that feedback reads."""
        if targets is None:
            raise ValueError("targets is None, expected those that feedback reads in training")
        given = any_array("targets", targets)
        shape = (N, self.horizon, self.num_targets)
        if given.shape != shape:
            raise ValueError(f"targets has shape {given.shape}, expected {shape}")
        true: Array = given.astype(self.head.dtype)
        if np.isnan(true).any():
            raise ValueError(
                f"{first('targets', true, np.isnan(true))}, which is missing: a model with "
                "feedback=True learns from whole series only"
            )
        return true

    def _raw(self, numbers: Array) -> Array:
        """Return the head's numbers [N,S,C,Q]."""
        return numbers.reshape(*numbers.shape[:2], self.num_targets, self.distribution.size)


def _numbers_read(options: Mapping[str, Any]) -> int:
    """Return how many numbers the decoder reads at a step."""
    known: int = options["future_size"]
    return 1 + known + (options["num_targets"] if options["feedback"] else 0)
