"""An autoencoder of sequences of numbers: what it cannot give back is unlike what it learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm.kernels.rows import check_lengths
from fastlstm.models.model import LAYERS, Model, ReadsNumbers, gate_rows, options_of
from fastlstm.nn.check import (
    Rng,
    check_array,
    check_choice,
    check_flag,
    check_rng,
    check_size,
    one_rng,
)
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Tape


class SequenceAutoencoder(ReadsNumbers, Model):
    """Recurrent layers, a few numbers made of their last state, layers that give the sequence back.

    Trained on ordinary sequences, it gives back an unusual one badly, see `errors` (Malhotra et
    al. 2016, "LSTM-based encoder-decoder for multi-sensor anomaly detection"; here each step of
    the decoder is given the code, not the step before). What is learned is the input itself:
    ``Trainer(model, optimizer, fl.mse_loss)`` with `targets` of it.

    Parameters
    ----------
    input_size : I, the numbers of a step.
    hidden_size, num_layers : of the recurrent layers on each side.
    code_size : K, the numbers that a sequence is made into; the fewer, the less can be given back.
    cell : "lstm", "gru" or "rnn".
    dtype : float32 or float64, of the parameters and of every input.
    rng : generator of the first values.

    Attributes
    ----------
    encoder, code, decoder, head : the layers that hold the parameters.
    options : what the model was made with, rng apart.
    """

    LAYER = "encoder.weight_hh_l{number}"
    SIZES = {
        "input_size": ("encoder.weight_ih_l0", 1), "hidden_size": ("encoder.weight_hh_l0", 1),
        "code_size": ("code.weight", 0), "columns of code.weight": ("code.weight", 1),
        **{
            f"rows of {side}.{name}": (f"{side}.{name}", 0)
            for side in ("encoder", "decoder") for name in ("weight_ih_l0", "weight_hh_l0")
        },
        "columns of decoder.weight_ih_l0": ("decoder.weight_ih_l0", 1),
        "columns of decoder.weight_hh_l0": ("decoder.weight_hh_l0", 1),
        "rows of head.weight": ("head.weight", 0), "columns of head.weight": ("head.weight", 1),
    }  # fmt: skip

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        num_layers: int = 1,
        *,
        code_size: int = 8,
        cell: str = "lstm",
        dtype: DTypeLike = "float32",
        rng: Rng = None,
    ) -> None:
        self.options = options_of(locals())
        self.input_size = check_size("input_size", input_size)
        self.code_size = check_size("code_size", code_size)
        self.cell = check_choice("cell", cell, tuple(LAYERS))
        made: Any = {"dtype": dtype, "rng": check_rng(rng)}
        layers = LAYERS[cell]
        self.encoder = layers(input_size, hidden_size, num_layers, **made)
        self.code = Linear(hidden_size, code_size, **made)
        self.decoder = layers(code_size, hidden_size, num_layers, **made)
        self.head = Linear(hidden_size, input_size, **made)

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return the other sides of the matrices: a thin one does not stand for a large one."""
        H = found["hidden_size"]
        rows = gate_rows(options["cell"], H)
        sizes = {name: rows if ".weight_" in name else H for name in cls.SIZES if " of " in name}
        return {
            **sizes, "columns of decoder.weight_ih_l0": found["code_size"],
            "columns of decoder.weight_hh_l0": H, "rows of head.weight": found["input_size"],
        }  # fmt: skip

    def __call__(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Give a batch of sequences back and keep nothing.

        Parameters
        ----------
        x : [N,T,I], each row's sequence first; what lies behind is never read.
        lengths : integers [N] in 0..T; None if all have T steps.

        Returns
        -------
        outputs : [N,T,I], zeros past each row's length.
        """
        x = self._steps_first(x)
        code = self.code(self._top(self.encoder(x, lengths=lengths)[1]))
        y, _ = self.decoder(self._at_each_step(code, len(x)), lengths=lengths)
        return self._rows_first(self.head(y), lengths)

    def encode(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Return the code of each sequence, [N,K]."""
        return self.code(self._top(self.encoder(self._steps_first(x), lengths=lengths)[1]))

    def forward(
        self, x: Array, lengths: ArrayLike | None = None, rng: Rng = None
    ) -> tuple[Array, Tape]:
        """Give a batch back to train: outputs as above, and the tape."""
        x, rng = self._steps_first(x), one_rng(rng)
        _, state, encoded = self.encoder.forward(x, lengths=lengths, rng=rng)
        code, coded = self.code.forward(self._top(state))
        steps = self._at_each_step(code, len(x))
        y, _, decoded = self.decoder.forward(steps, lengths=lengths, rng=rng)
        outputs, tape = self.head.forward(y)
        own = None if lengths is None else np.array(lengths)  # which their owner may change
        kept = (encoded, coded, decoded, tape, outputs.shape, own)
        return self._rows_first(outputs, own), Tape(self, *kept)

    def backward(self, tape: Tape, doutputs: Array, *, needs_dx: bool = True) -> Array | None:
        """Add to the gradient of each parameter, given that of the outputs; return that of x.

        It is [N,T,I], with zeros past each row's length; None without `needs_dx`, which saves a
        product where x is data.
        """
        needs_dx = check_flag("needs_dx", needs_dx)
        T, N, _ = self._look(tape)[4]
        d = check_array("doutputs", doutputs, self.head.dtype, (N, T, self.input_size))
        encoded, coded, decoded, head, _, lengths = self._take(tape)
        d = np.ascontiguousarray(np.swapaxes(self._real(d, lengths), 0, 1))
        steps, _ = self.decoder.backward(decoded, self.head.backward(head, d))
        dh = self.code.backward(coded, steps.sum(axis=0))
        dstate: Any = np.zeros((self.encoder.num_layers, *dh.shape), dh.dtype)
        dstate[-1] = dh
        dstate = (dstate, None) if self._is_lstm else dstate
        dx, _ = self.encoder.backward(encoded, None, dstate, needs_dx=needs_dx)
        return self._rows_first_dx(dx)

    def targets(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Return what is to be learned of x: x itself, NaN past each row's length.

        With lengths the loss is ``functools.partial(fl.mse_loss, missing="skip")``.
        """
        x = np.swapaxes(self._steps_first(x), 0, 1)
        return x if lengths is None else self._real(x, lengths, np.nan)

    def errors(self, x: Array, lengths: ArrayLike | None = None) -> Array:
        """Return how far each step that is given back is off, [N,T]; 0 past each row's length.

        The root of the mean squared error of its numbers.
        """
        off = self(x, lengths) - self._real(np.asarray(x), lengths)
        found: Array = np.sqrt((off.astype(np.float64) ** 2).mean(axis=-1))
        return found

    @property
    def _is_lstm(self) -> bool:
        return self.cell == "lstm"

    def _top(self, state: Any) -> Array:
        """Return the last state of the top layer, [N,H]."""
        top: Array = (state[0] if self._is_lstm else state)[-1]
        return top

    def _at_each_step(self, code: Array, T: int) -> Array:
        return np.ascontiguousarray(np.broadcast_to(code, (T, *code.shape)))

    def _rows_first(self, outputs: Array, lengths: ArrayLike | None) -> Array:
        return self._real(np.swapaxes(outputs, 0, 1), lengths)

    def _real(self, rows: Array, lengths: ArrayLike | None, rest: float = 0.0) -> Array:
        """Return rows [N,T,I] with `rest` past each row's length."""
        if lengths is None:
            return rows
        N, T = rows.shape[:2]
        there = np.arange(T) < check_lengths(lengths, T, N)[:, None]
        return np.where(there[..., None], rows, rows.dtype.type(rest))
