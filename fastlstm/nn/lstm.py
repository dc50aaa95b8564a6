"""LSTM: stacked layers, one or two directions, over a batch of sequences."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastlstm import kernels
from fastlstm.kernels import Stream, Tokens
from fastlstm.nn.check import (
    check_choice,
    check_dtype,
    check_probability,
    check_rng,
    check_size,
)
from fastlstm.nn.dropout import dropout_mask
from fastlstm.nn.init import orthogonal
from fastlstm.nn.module import Array, Module, Tape, check_finite
from fastlstm.nn.sequence import Batch, State, check_not_nan, read_batch, read_state
from fastlstm.nn.weights import make_weights, read_gradients, read_weights
from fastlstm.runtime import get_num_threads

INITS = ("torch", "orthogonal")


class _Run(NamedTuple):
    """What one forward pass keeps: [layers * directions] and [layers - 1] long."""

    batch: Batch
    saved: list[Any]
    masks: list[Array | None]


class LSTM(Module):
    """Long short-term memory, as torch.nn.LSTM: same options, defaults, names and layouts.

    Letters: T steps, N batch, I input_size, H hidden_size, L num_layers, D directions (1 or 2).

    Parameters
    ----------
    input_size, hidden_size, num_layers : I, H, L, each at least 1.
    bias : whether to have the two biases.
    batch_first : x and y are [N,T,...] in place of [T,N,...]; states never are.
    dropout : probability to drop an output of each layer but the last; in `forward` only.
    bidirectional : run a second direction, from each row's own end to its start.
    proj_size : only 0 for now.
    dtype : float32 or float64, of the parameters and of every input and output.
    rng : generator of the first values and, by default, of dropout.
    init : "torch", uniform in +-1/sqrt(H); or "orthogonal", recurrent weights of each gate an
        orthogonal matrix.
    forget_bias : first value of the forget gate's bias (b_ih + b_hh); None leaves it to `init`.

    Attributes
    ----------
    weight_ih_l{k} : Parameter [4H, I or D*H], gates in the order i, f, g, o.
    weight_hh_l{k} : Parameter [4H, H].
    bias_ih_l{k}, bias_hh_l{k} : Parameter [4H].
    ..._reverse : the same for the second direction.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike = "float32",
        rng: np.random.Generator | None = None,
        init: str = "torch",
        forget_bias: float | None = None,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.hidden_size = check_size("hidden_size", hidden_size)
        self.num_layers = check_size("num_layers", num_layers)
        self.bias, self.batch_first = bool(bias), bool(batch_first)
        self.dropout = check_probability("dropout", dropout)
        self.bidirectional = bool(bidirectional)
        self.dtype = check_dtype(dtype)
        check_choice("init", init, INITS)
        if proj_size != 0:
            raise ValueError(f"proj_size is {proj_size}, expected 0: not available yet")
        if forget_bias is not None and not bias:
            raise ValueError(f"forget_bias is {forget_bias}, expected None as bias is False")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} does nothing with num_layers=1: "
                "it applies to the outputs of every layer but the last",
                stacklevel=2,
            )
        self._rng = check_rng(rng)
        self._backend = kernels.default_backend()
        directions = ("", "_reverse") if bidirectional else ("",)
        self._directions, self._width = len(directions), len(directions) * hidden_size
        self._suffixes = [f"_l{k}{d}" for k in range(num_layers) for d in directions]
        for suffix in self._suffixes:
            sizes = (input_size if suffix.startswith("_l0") else self._width, hidden_size)
            make_weights(self, suffix, sizes, self.bias, self.dtype, self._rng)
            if init == "orthogonal":
                weight = getattr(self, "weight_hh" + suffix)
                weight.data = orthogonal(hidden_size, 4, self.dtype, self._rng)
            if forget_bias is not None:
                forget = slice(hidden_size, 2 * hidden_size)
                getattr(self, "bias_ih" + suffix).data[forget] = forget_bias
                getattr(self, "bias_hh" + suffix).data[forget] = 0

    def __call__(
        self,
        x: Array | Tokens,
        state: State | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[Array, State]:
        """Run over a batch and keep nothing.

        Parameters
        ----------
        x : [T,N,I], with batch_first [N,T,I]; or [T,I], one row without its batch axis, which
            all results then lack too. Or `Tokens`, with ids [T,N] or [N,T] and table [U,I]:
            the same result as ``table[ids]``, sooner.
        state : (h_0, c_0), each [L*D,N,H]; None for zeros.
        lengths : integers [N] in 0..T in any order: how many steps of each row are real. What
            lies behind is never read.

        Returns
        -------
        y : [T,N,D*H] (with batch_first [N,T,D*H]), zeros past each row's length.
        h_n, c_n : [L*D,N,H], each row's state after its last step.

        Raises
        ------
        TypeError, ValueError
            If an argument's type, dtype, shape or range does not fit, the batch is empty or has
            no steps, or a parameter holds NaN.
        IndexError
            If a token's row is not in the table.
        """
        y, state, _ = self._run(x, state, lengths, None)
        return y, state

    def forward(
        self,
        x: Array | Tokens,
        state: State | None = None,
        lengths: ArrayLike | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Array, State, Tape]:
        """Run over a batch to train: y and state as above, with dropout, and the tape.

        The tape refers to x and to the parameters: change neither before `backward`.
        """
        y, state, run = self._run(x, state, lengths, self._rng if rng is None else check_rng(rng))
        return y, state, Tape(self, run)

    def _run(
        self,
        x: Array | Tokens,
        state: State | None,
        lengths: ArrayLike | None,
        rng: np.random.Generator | None,
    ) -> tuple[Array, State, _Run]:
        """Run all layers; with a generator as in training."""
        batch = read_batch(x, lengths, self.input_size, self.dtype, self.batch_first)
        shape = self._state_shape(batch)
        h_0, c_0 = read_state("state", state, shape, batch.single, self.dtype)
        h_n, c_n = np.empty(shape, self.dtype), np.empty(shape, self.dtype)
        run, layer_x, kernel = _Run(batch, [], []), batch.x, kernels.get("lstm", self._backend)
        inner = batch._replace(batch_first=False)  # between layers
        for layer in range(self.num_layers):
            last = layer == self.num_layers - 1
            y, view = (batch if last else inner).buffer(kernel, self._width)
            for k, part in self._parts(layer, view):
                h_n[k], c_n[k], saved = kernel.forward(
                    layer_x,
                    h_0[k],
                    c_0[k],
                    read_weights(self, self._suffixes[k]),
                    batch.rows,
                    part,
                    reverse=k % self._directions == 1,
                    save=rng is not None,
                    n_threads=get_num_threads(),
                )
                run.saved.append(saved)
            mask = None
            if rng is not None and self.dropout and not last:
                mask = dropout_mask(view.shape, self.dropout, self.dtype, rng)
            run.masks.append(mask)
            layer_x = view if mask is None else view * mask
        check_not_nan(self, h_n)
        return *batch.outputs(y, h_n, c_n), run

    def backward(
        self, tape: Tape, dy: Array | None, dstate: tuple[Array | None, Array | None] | None = None
    ) -> tuple[Array, State]:
        """Add to the gradient of each parameter; return those of the inputs.

        Parameters
        ----------
        tape : from `forward`; used up.
        dy : gradient of y, shaped like it, or None for zero. Not read past a row's length.
        dstate : gradients of (h_n, c_n), either or both None for zero.

        Returns
        -------
        dx : gradient of x, shaped like it (zeros past each row's length); of the table [U,I]
            for `Tokens`.
        dh_0, dc_0 : gradients of the initial state, [L*D,N,H].

        Raises
        ------
        RuntimeError
            If the tape was used before.
        TypeError, ValueError
            If an argument does not fit.
        """
        batch: Batch = self._look(tape)[0].batch
        d_out = batch.read_dy(dy, self._width)
        shape = self._state_shape(batch)
        dh_n, dc_n = read_state("dstate", dstate, shape, batch.single, self.dtype)
        dh_0, dc_0 = np.empty_like(dh_n), np.empty_like(dc_n)
        run: _Run = self._take(tape)[0]
        kernel = kernels.get("lstm", self._backend)
        inner = batch._replace(batch_first=False)
        for layer in reversed(range(self.num_layers)):
            dx, view = inner.buffer(kernel, self._width) if layer else batch.dx_buffer(kernel)
            for k, part in self._parts(layer, d_out):
                dh_0[k], dc_0[k] = kernel.backward(
                    run.saved[k],
                    part,
                    dh_n[k],
                    dc_n[k],
                    read_gradients(self, self._suffixes[k]),
                    view,
                    accumulate_dx=k % self._directions == 1,
                    n_threads=get_num_threads(),
                )
            mask = run.masks[layer - 1] if layer else None
            if mask is not None:
                view *= mask
            d_out = view
        if isinstance(batch.x, Tokens):
            return dx, batch.outputs(dx[:, None], dh_0, dc_0)[1]
        return batch.outputs(dx, dh_0, dc_0)

    def stream(self, batch_size: int = 1) -> Stream:
        """Return a runner of single steps that keeps the state inside.

        The weights are copied: later changes to this module are not seen. ``stream(x)`` takes
        [N,I] (or [I] if batch_size is 1) and returns y of the last layer, [N,H] (or [H]): what
        a whole run gives at that step, bit for bit. ``stream.reset()`` zeroes the state,
        ``stream.state`` gets and sets (h, c), each [L,N,H].

        Raises
        ------
        ValueError
            If the layer is bidirectional or a parameter holds NaN or infinity.
        """
        if self.bidirectional:
            raise ValueError("bidirectional is True: a stream has no end to run back from")
        check_size("batch_size", batch_size)
        for name, parameter in self.named_parameters():
            check_finite(name, parameter.data)
        layers = [read_weights(self, suffix) for suffix in self._suffixes]
        return kernels.get("lstm", self._backend).Stream(layers, batch_size)

    def _parts(self, layer: int, y: Array | None) -> list[tuple[int, Any]]:
        """Return (k, its part of y [T,N,D*H]) for each direction of `layer`."""
        D, H = self._directions, self.hidden_size
        return [
            (layer * D + d, None if y is None else y[..., d * H : (d + 1) * H]) for d in range(D)
        ]

    def _state_shape(self, batch: Batch) -> tuple[int, int, int]:
        return len(self._suffixes), batch.rows.N, self.hidden_size
