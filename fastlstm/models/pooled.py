"""What the models of whole sequences share: recurrent layers, pooling, a linear head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastlstm import kernels
from fastlstm.kernels import Rows, Tokens
from fastlstm.models.model import LAYERS, HasRecurrent, Model, gate_rows
from fastlstm.nn.check import Rng, check_array, check_choice, check_probability, check_size
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.pooling import POOLINGS, Pooled, pool, pool_backward


class Kept(NamedTuple):
    """What a forward pass keeps of the layers above the input."""

    layers: Tape
    pooled: Pooled
    dropped: Tape
    head: Tape


class PooledModel(HasRecurrent, Model):
    """Base of `TextClassifier` and `SequenceClassifier`, which differ in what they read, and of
    `SequenceRegressor`, which differs in what the head's numbers mean.

    Letters: T steps, N rows, F features of the top layer, C outputs.
    """

    SIZES = {
        "hidden_size": ("{cell}.weight_hh_l0", 1), "num_outputs": ("head.weight", 0),
        "input_size": ("{cell}.weight_ih_l0", 1), "pooled features": ("head.weight", 1),
        "rows of weight_hh_l0": ("{cell}.weight_hh_l0", 0),
        "rows of weight_ih_l0": ("{cell}.weight_ih_l0", 0),
    }  # fmt: skip

    def __init__(self, pooling: str, dropout: float, cell: str, num_outputs: int) -> None:
        check_size("num_outputs", num_outputs)
        check_probability("dropout", dropout)
        self._names = _names_of(pooling)
        self.cell = check_choice("cell", cell, tuple(LAYERS))
        self.pooling, self.num_outputs = pooling, num_outputs
        self._backend = kernels.default_backend()

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return the other sides of the matrices: a thin one does not stand for a large one."""
        width = found["hidden_size"] * (2 if options["bidirectional"] else 1)
        rows = gate_rows(options["cell"], found["hidden_size"])
        return {
            "rows of weight_hh_l0": rows, "rows of weight_ih_l0": rows,
            "pooled features": len(_names_of(options["pooling"])) * width,
        }  # fmt: skip

    def _add_layers(self, *sizes: int, **options: Any) -> None:
        """Make the layers above the input; a subclass with layers of its own makes those first."""
        self._add_recurrent(self.cell, *sizes, **options)
        made: Any = {"dtype": options["dtype"], "rng": options["rng"]}
        self.feature_dropout = Dropout(options["dropout"], rng=options["rng"])
        self.head = Linear(len(self._names) * self.recurrent._width, self.num_outputs, **made)

    def _classify(self, x: Array | Tokens, lengths: ArrayLike | None) -> Array:
        """Return the logits of x, [T,N,I] or `Tokens`, and keep nothing."""
        y, state = self.recurrent(x, lengths=lengths)
        features, _ = self._pool(y, state, lengths)
        return self._logits(self.head(features))

    def _run(self, x: Array | Tokens, lengths: ArrayLike | None, rng: Rng) -> tuple[Array, Kept]:
        """Return the logits with dropout, and what `_run_backward` needs."""
        y, state, layers = self.recurrent.forward(x, lengths=lengths, rng=rng)
        features, pooled = self._pool(y, state, lengths)
        features, dropped = self.feature_dropout.forward(features, rng)
        logits, head = self.head.forward(features)
        return self._logits(logits), Kept(layers, pooled, dropped, head)

    def _take_checked(self, tape: Tape, dlogits: Array) -> tuple[Any, ...]:
        """Return the checked dlogits and what the tape keeps, which is used up."""
        N = self._look(tape)[0].pooled.rows.N
        shape = (N,) if self.num_outputs == 1 else (N, self.num_outputs)
        return check_array("dlogits", dlogits, self.head.dtype, shape), *self._take(tape)

    def _run_backward(self, kept: Kept, dlogits: Array, needs_dx: bool = True) -> Any:
        """Add to the gradients of the layers; return that of x, [T,N,I], or of its table.

        None if it is not needed.
        """
        d = self.head.backward(kept.head, dlogits.reshape(-1, self.num_outputs))
        d = self.feature_dropout.backward(kept.dropped, d)
        dy, dh_n = pool_backward(kernels.backend(self._backend), kept.pooled, d)
        dstate: Any = None
        if dh_n is not None:  # of the top layer; zeros below
            L, D = self.recurrent.num_layers, len(dh_n)
            dstate = np.concatenate([np.zeros((L * D - D, *dh_n.shape[1:]), dh_n.dtype), dh_n])
            dstate = (dstate, None) if self.cell == "lstm" else dstate
        dx, _ = self.recurrent.backward(kept.layers, dy, dstate, needs_dx=needs_dx)
        return dx

    def _pool(self, y: Array, state: Any, lengths: ArrayLike | None) -> tuple[Array, Pooled]:
        """Return the features [N, len(names) * F] of the top layer, and for their backward."""
        rows = Rows(y.shape[0], y.shape[1], lengths)
        h_n = state[0] if self.cell == "lstm" else state
        top = h_n[-2:] if self.recurrent.bidirectional else h_n[-1:]
        return pool(kernels.backend(self._backend), self._names, y, top, rows)

    def _logits(self, logits: Array) -> Array:
        return logits[:, 0] if self.num_outputs == 1 else logits


def _names_of(pooling: Any) -> tuple[str, ...]:
    names = tuple(pooling.split("+")) if isinstance(pooling, str) else ()
    if not names or len(set(names)) < len(names) or not set(names) <= set(POOLINGS):
        raise ValueError(
            f"pooling is {pooling!r}, expected one of {', '.join(POOLINGS)}, or several "
            "joined by '+'"
        )
    return names
