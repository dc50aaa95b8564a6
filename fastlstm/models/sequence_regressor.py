"""A regressor of sequences of numbers: recurrent layers, pooling, a head for several targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.models.distributions import Distribution, HasDistribution, of_name
from fastlstm.models.model import ReadsNumbers, options_of
from fastlstm.models.pooled import PooledModel
from fastlstm.nn.check import Rng, check_flag, check_rng, check_size, one_rng
from fastlstm.nn.module import Array, Tape


class SequenceRegressor(HasDistribution, ReadsNumbers, PooledModel):
    """Recurrent layers, pooling over each sequence's real steps, a linear head for numbers.

    Parameters
    ----------
    input_size : I, the numbers of a step.
    hidden_size, num_layers, bidirectional : of the recurrent layers.
    pooling, dropout, cell, rng : as of `TextClassifier`.
    num_targets : numbers to forecast.
    horizon : how many steps ahead each is forecast, all at once; 0 for no such axis.
    distribution : what is forecast of each target, always valid: "point", a number; "quantiles",
        those of `quantiles`, which never cross; "gaussian", mean and variance;
        "negative_binomial", mean and dispersion of counts.
    quantiles : between 0 and 1, in rising order; read with "quantiles" only.
    dtype : float32 or float64, of the parameters and of every input.

    Attributes
    ----------
    lstm (or gru or rnn, as `cell` says), head : the layers that hold the parameters.
    options : what the model was made with, rng apart.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        *,
        cell: str = "lstm",
        num_targets: int = 1,
        horizon: int = 0,
        distribution: str = "point",
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.options = options_of(locals())
        self.input_size = check_size("input_size", input_size)
        self.num_targets, self.horizon = num_targets, horizon
        self.distribution = of_name(distribution, quantiles)
        self.options["quantiles"] = np.asarray(quantiles, np.float64).tolist()
        size = _num_outputs(num_targets, horizon, self.distribution)
        super().__init__(pooling, dropout, cell, size)
        self._add_layers(
            input_size, hidden_size, num_layers, bidirectional=bidirectional, dropout=dropout,
            dtype=dtype, rng=check_rng(rng),
        )  # fmt: skip

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """As of `PooledModel`, and what the head says of all targets together."""
        distribution = of_name(options["distribution"], options["quantiles"])
        size = _num_outputs(options["num_targets"], options["horizon"], distribution)
        return {**super().further_sizes(options, found), "num_outputs": size}

    def __call__(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Forecast for a batch of sequences and keep nothing.

        Parameters
        ----------
        x : [N,T,I], each row's sequence first; what lies behind is never read.
        lengths : integers [N] in 0..T; None if all have T steps.

        Returns
        -------
        outputs : [N, horizon, num_targets]; [N, num_targets] without a horizon, and [N] if there
            is one target. Of quantiles and distributions with their numbers on one more axis.
        """
        return self.distribution.outputs(self._raw(self._classify(self._steps_first(x), lengths)))

    def forward(
        self, x: Array, lengths: ArrayLike | None = None, rng: Rng = None
    ) -> tuple[Array, Tape]:
        """Forecast for a batch to train: outputs as above, with dropout, and the tape."""
        numbers, kept = self._run(self._steps_first(x), lengths, one_rng(rng))
        raw = self._raw(numbers)
        return self.distribution.outputs(raw), Tape(self, kept, raw)

    def backward(self, tape: Tape, doutputs: Array, *, needs_dx: bool = True) -> Array | None:
        """Add to the gradient of each parameter, given that of the outputs; return that of x.

        It is [N,T,I], with zeros past each row's length; None without `needs_dx`, which saves a
        product where x is data.
        """
        needs_dx = check_flag("needs_dx", needs_dx)
        back = self._raw_gradient(self._look(tape)[1], doutputs)
        kept, _ = self._take(tape)
        return self._rows_first_dx(self._run_backward(kept, back, needs_dx))

    def _raw(self, numbers: Array) -> Array:
        """Return the head's numbers with those of each target on the last axis."""
        axes: tuple[int, ...] = (self.num_targets,)
        if self.horizon:
            axes = (self.horizon, self.num_targets)
        elif self.num_targets == 1:
            axes = ()
        return numbers.reshape(len(numbers), *axes, self.distribution.size)


def _num_outputs(num_targets: int, horizon: int, distribution: Distribution) -> int:
    """Return how many numbers a head gives."""
    check_size("num_targets", num_targets)
    return max(1, check_size("horizon", horizon, least=0)) * num_targets * distribution.size
