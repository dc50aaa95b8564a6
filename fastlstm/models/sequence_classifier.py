"""A classifier of sequences of numbers: recurrent layers, pooling, a linear head."""

from __future__ import annotations

from numpy.typing import ArrayLike, DTypeLike

from fastlstm.models.model import ReadsNumbers, options_of
from fastlstm.models.pooled import PooledModel
from fastlstm.nn.check import Rng, check_flag, check_rng, check_size, one_rng
from fastlstm.nn.module import Array, Tape


class SequenceClassifier(ReadsNumbers, PooledModel):
    """Recurrent layers, pooling over each sequence's real steps, linear head.

    `TextClassifier` without an embedding: what each step holds is given by numbers.

    Parameters
    ----------
    input_size : I, the numbers of a step.
    hidden_size, num_layers, bidirectional : of the recurrent layers.
    pooling, dropout, cell, num_outputs, rng : as of `TextClassifier`.
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
        num_outputs: int = 1,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.options = options_of(locals())
        self.input_size = check_size("input_size", input_size)
        super().__init__(pooling, dropout, cell, num_outputs)
        self._add_layers(
            input_size, hidden_size, num_layers, bidirectional=bidirectional, dropout=dropout,
            dtype=dtype, rng=check_rng(rng),
        )  # fmt: skip

    def __call__(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Classify a batch of sequences and keep nothing; as `TextClassifier.__call__`.

        `x` is [N,T,I], each row's sequence first; what lies behind is never read.
        """
        return self._classify(self._steps_first(x), lengths)

    def forward(
        self, x: Array, lengths: ArrayLike | None = None, rng: Rng = None
    ) -> tuple[Array, Tape]:
        """Classify a batch to train: logits as above, with dropout, and the tape."""
        logits, kept = self._run(self._steps_first(x), lengths, one_rng(rng))
        return logits, Tape(self, kept)

    def backward(self, tape: Tape, dlogits: Array, *, needs_dx: bool = True) -> Array | None:
        """Add to the gradient of each parameter, given that of the logits; return that of x.

        It is [N,T,I], with zeros past each row's length; None without `needs_dx`, which saves a
        product where x is data.
        """
        needs_dx = check_flag("needs_dx", needs_dx)
        dlogits, kept = self._take_checked(tape, dlogits)
        return self._rows_first_dx(self._run_backward(kept, dlogits, needs_dx))
