"""LSTMCell: one step of an LSTM, the loop over time left to the caller."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastlstm import kernels
from fastlstm.kernels import Rows
from fastlstm.nn.check import check_array, check_dtype, check_rng, check_size
from fastlstm.nn.module import Array, Module, Parameter, Tape
from fastlstm.nn.sequence import State, check_not_nan, read_state
from fastlstm.nn.weights import make_weights, read_gradients, read_weights
from fastlstm.runtime import get_num_threads


class LSTMCell(Module):
    """One step of an LSTM, as torch.nn.LSTMCell. `LSTM.stream` makes single steps sooner.

    Parameters
    ----------
    input_size, hidden_size : I, H, each at least 1.
    bias : whether to have the two biases.
    dtype : float32 or float64, of the parameters and of every input and output.
    rng : generator of the first values, uniform in +-1/sqrt(H).

    Attributes
    ----------
    weight_ih [4H,I], weight_hh [4H,H], bias_ih and bias_hh [4H] (or None) : Parameters, gates
        in the order i, f, g, o.
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = "float32",
        rng: np.random.Generator | None = None,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.hidden_size = check_size("hidden_size", hidden_size)
        self.bias, self.dtype = bool(bias), check_dtype(dtype)
        sizes = (self.input_size, self.hidden_size)
        make_weights(self, "", sizes, self.bias, self.dtype, check_rng(rng))
        self._backend = kernels.default_backend()

    def __call__(self, x: Array, state: State | None = None) -> State:
        """Make one step and keep nothing.

        Parameters
        ----------
        x : [N,I]; or [I], one row without its batch axis, which all results then lack too.
        state : (h, c), each [N,H] ([H]); None for zeros.

        Returns
        -------
        h, c : [N,H] ([H]), the new state; h is the output.

        Raises
        ------
        TypeError, ValueError
            If an argument's type, dtype or shape does not fit, the batch is empty or a
            parameter holds NaN.
        """
        h, c, _ = self._run(x, state, save=False)
        return h, c

    def forward(self, x: Array, state: State | None = None) -> tuple[Array, Array, Tape]:
        """Make one step to train: h and c as above, and the tape."""
        h, c, saved = self._run(x, state, save=True)
        return h, c, Tape(self, saved, np.shape(x))

    def _run(self, x: Array, state: State | None, save: bool) -> tuple[Array, Array, Any]:
        single = np.ndim(x) == 1
        x = check_array(
            "x", x, self.dtype, (self.input_size,) if single else (None, self.input_size)
        )
        if not x.size:
            raise ValueError(f"x has shape {x.shape}, expected at least one row")
        x = x.reshape(1, -1, self.input_size)
        shape = (1, x.shape[1], self.hidden_size)
        h_0, c_0 = _read_pair("state", state, shape, single, self.dtype)
        h, c, saved = kernels.get("lstm", self._backend).forward(
            x,
            h_0,
            c_0,
            read_weights(self, ""),
            Rows(1, x.shape[1]),
            np.empty(shape, self.dtype),
            save=save,
            n_threads=get_num_threads(),
        )
        check_not_nan(self, h)
        return (h[0], c[0], saved) if single else (h, c, saved)

    def backward(
        self, tape: Tape, dstate: tuple[Array | None, Array | None]
    ) -> tuple[Array, State]:
        """Add to the gradient of each parameter; return those of the inputs.

        Parameters
        ----------
        tape : from `forward`; used up.
        dstate : gradients of the new (h, c), either None for zero.

        Returns
        -------
        dx : gradient of x, shaped like it.
        dh, dc : gradients of the state before the step.
        """
        x_shape: tuple[int, ...] = self._look(tape)[1]
        single = len(x_shape) == 1
        rows = 1 if single else x_shape[0]
        dh, dc = _read_pair("dstate", dstate, (1, rows, self.hidden_size), single, self.dtype)
        dx = np.empty((1, rows, self.input_size), self.dtype)
        dh_0, dc_0 = kernels.get("lstm", self._backend).backward(
            self._take(tape)[0],
            None,
            dh,
            dc,
            read_gradients(self, ""),
            dx,
            n_threads=get_num_threads(),
        )
        return dx.reshape(x_shape), ((dh_0[0], dc_0[0]) if single else (dh_0, dc_0))


def _read_pair(
    name: str, state: Any, shape: tuple[int, int, int], single: bool, dtype: np.dtype[Any]
) -> State:
    """Return a checked (h, c), each [N,H], as the caller gives them: without a layer axis."""
    if isinstance(state, (tuple, list)):
        state = tuple(p[None] if isinstance(p, np.ndarray) else p for p in state)
    h, c = read_state(name, state, shape, single, dtype)
    return h[0], c[0]
