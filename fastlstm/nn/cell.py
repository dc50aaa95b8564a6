"""LSTMCell, GRUCell, RNNCell: one step, the loop over time left to the caller."""

from __future__ import annotations

from typing import Any, NoReturn, TypedDict

import numpy as np
from numpy.typing import DTypeLike

from fastlstm import kernels
from fastlstm.kernels import CELLS, Call, CellSpec, Gradients
from fastlstm.kernels.rows import full_rows
from fastlstm.nn.activation import Option, cell_with, check_activation
from fastlstm.nn.check import (
    MOST_SIZE,
    Rng,
    as_array,
    check_array,
    check_dtype,
    check_flag,
    check_rng,
    check_size,
    refuse_keywords,
)
from fastlstm.nn.module import Array, Tape, described
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.precision import Precise
from fastlstm.nn.sequence import check_not_nan
from fastlstm.nn.signature import keyword_only, signature_of
from fastlstm.nn.state import read_states
from fastlstm.nn.unpack import Unpack
from fastlstm.nn.weights import (
    check_rounds,
    find_parameters,
    make_weights,
    read_gradients,
    read_weights,
)
from fastlstm.runtime import get_num_threads


class RecurrentCell(Precise):
    """Base of `LSTMCell`, `GRUCell` and `RNNCell`: see there for the options.

    The layers' ``stream`` makes single steps sooner. Letters: N batch, I input_size, H
    hidden_size, G rows of the weights: H for each gate. A state is ``(h, c)`` for an LSTM, else h.

    Attributes
    ----------
    weight_ih [G,I], weight_hh [G,H], bias_ih and bias_hh [G] (or None) : Parameters.
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None
    _fixed = frozenset(
        "input_size hidden_size bias dtype nonlinearity reset_after activation "
        "recurrent_activation".split()
    )

    _cell: CellSpec

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.input_size = check_size("input_size", input_size, most=MOST_SIZE)
        self.hidden_size = check_size("hidden_size", hidden_size, most=MOST_SIZE)
        self.bias, self.dtype = check_flag("bias", bias), check_dtype(dtype)
        self.precision = precision
        self._backend = kernels.default_backend()
        sizes = (self.input_size, self.hidden_size, 0)
        make_weights(self, "", self._cell, sizes, self.bias, self.dtype, check_rng(rng))

    def extra_repr(self) -> str:
        """Return the sizes and the options that differ from the usual ones."""
        return described(
            self.input_size,
            self.hidden_size,
            bias=(self.bias, True),
            nonlinearity=(getattr(self, "nonlinearity", "tanh"), "tanh"),
            reset_after=(getattr(self, "reset_after", True), True),
            activation=(getattr(self, "activation", "tanh"), "tanh"),
            recurrent_activation=(getattr(self, "recurrent_activation", "sigmoid"), "sigmoid"),
            dtype=(self.dtype, "float32"),
            precision=(self.precision, "float32"),
        )

    def __call__(self, x: Array, state: Any = None, **unknown: NoReturn) -> Any:
        """Make one step and keep nothing.

        Parameters
        ----------
        x : [N,I]; or [I], one row without its batch axis, which all results then lack too.
        state : h [N,H] ([H]), of an LSTM (h, c) of that shape; None for zeros.

        Returns
        -------
        state : the new one, shaped like it; h is the output.

        Raises
        ------
        TypeError, ValueError
            If an argument's type, dtype or shape does not fit, the batch is empty or a
            parameter holds NaN.
        """
        if unknown:
            refuse_keywords(self, unknown, self.__call__)
        states, _ = self._run(x, state, save=False)
        return self._answer(states)

    def forward(self, x: Array, state: Any = None, **unknown: NoReturn) -> tuple[Any, ...]:
        """Make one step to train: h (of an LSTM h, c) as above, and the tape.

        ValueError if `precision` is "int8", which has no backward.
        """
        if unknown:
            refuse_keywords(self, unknown, self.__call__)
        self._check_trains()
        states, kept = self._run(x, state, save=True)
        return (*states, Tape(self, kept, np.shape(x)))

    def _run(self, x: Array, state: Any, save: bool) -> tuple[list[Array], Any]:
        """Return the new states, and for backward what the kernel saved and the parameters."""
        x = as_array("x", x, self.dtype)
        single, owned = x.ndim == 1, find_parameters(self, "", self._cell)
        x = check_array(
            "x", x, self.dtype, (self.input_size,) if single else (None, self.input_size)
        )
        if not x.size:
            raise ValueError(f"x has shape {x.shape}, expected at least one row")
        x = x.reshape(1, -1, self.input_size)
        N = x.shape[1]
        check_rounds(owned, "", self.precision)
        call = Call(
            x,
            self._read("state", state, N, single),
            read_weights(owned),
            full_rows(1, N),
            np.empty((1, N, self.hidden_size), self.dtype),
            save=save,
            n_threads=get_num_threads(),
            precision=self.precision,
        )
        states, saved = kernels.backend(self._backend).forward(self._cell, call)
        check_not_nan(self, states[0])
        return [s[0] if single else s for s in states], (saved, owned)

    def backward(self, tape: Tape, dstate: Any) -> tuple[Array, Any]:
        """Add to the gradient of each parameter; return those of x and of the state given.

        `dstate` is the gradient of the new state; of an LSTM (dh, dc), either None for zero.
        """
        x_shape: tuple[int, ...] = self._look(tape)[1]
        single, N = len(x_shape) == 1, 1 if len(x_shape) == 1 else x_shape[0]
        d_n = self._read("dstate", dstate, N, single)
        dx = np.empty((1, N, self.input_size), self.dtype)
        saved, owned = self._take(tape)[0]
        given = Gradients(None, d_n, read_gradients(owned), dx, n_threads=get_num_threads())
        d_0, _ = kernels.backend(self._backend).backward(saved, given)
        return dx.reshape(x_shape), self._answer([d[0] if single else d for d in d_0])

    def _read(self, name: str, given: Any, N: int, single: bool) -> tuple[Array, ...]:
        """Return checked states [N,H]."""
        H, names = self.hidden_size, self._cell.states
        if given is None:
            return tuple(np.zeros((N, H), self.dtype) for _ in names)
        shapes = [(H,) if single else (N, H)] * len(names)
        return tuple(s.reshape(N, H) for s in read_states(name, given, names, shapes, self.dtype))

    def _answer(self, states: list[Array]) -> Any:
        return states[0] if len(states) == 1 else tuple(states)


class CellOptions(TypedDict, total=False):
    """Options that cells with gates have in common, by keyword."""

    activation: Option
    recurrent_activation: Option
    dtype: DTypeLike
    rng: Rng
    precision: str


class GatedCell(RecurrentCell):
    """Base of `LSTMCell` and `GRUCell`: cells whose activations are options."""

    activation: Option = "tanh"  # also of what was pickled before there was a choice
    recurrent_activation: Option = "sigmoid"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        activation: Option = "tanh",
        recurrent_activation: Option = "sigmoid",
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
        **unknown: NoReturn,
    ) -> None:
        if unknown:
            refuse_keywords(self, unknown, type(self))
        self.activation = check_activation("activation", activation)
        self.recurrent_activation = check_activation("recurrent_activation", recurrent_activation)
        self._choose_cell()
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng, precision=precision)

    def __init_subclass__(cls, **given: Any) -> None:
        """Name the options that all have in the signature that `help` shows."""
        super().__init_subclass__(**given)
        common = keyword_only(GatedCell.__init__)
        cls.__signature__ = signature_of(cls, common)  # type: ignore[attr-defined]  # inspect reads it

    def _choose_cell(self) -> None:
        """Keep the kernel's cell, where it is not asked for each time."""


class LSTMCell(GatedCell):
    """One step of an LSTM, as torch.nn.LSTMCell; gates in the order i, f, g, o.

    Parameters
    ----------
    input_size, hidden_size : I, H, each at least 1.
    bias : whether to have the two biases.
    dtype : float32 or float64, of the parameters and of every input and output.
    rng : generator of the first values or a seed for one, uniform in +-1/sqrt(H).
    precision : of the products, as of `LSTM`.
    activation, recurrent_activation : as of `LSTM`.
    """

    _cell = CELLS["lstm"]

    def _choose_cell(self) -> None:
        self._cell = cell_with("lstm", self.activation, self.recurrent_activation)


class GRUCell(GatedCell):
    """One step of a GRU, as torch.nn.GRUCell; gates in the order r, z, n.

    Options are those of `LSTMCell`, and `reset_after` of `GRU`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        **options: Unpack[CellOptions],
    ) -> None:
        self.reset_after = check_flag("reset_after", reset_after)
        super().__init__(input_size, hidden_size, bias, **options)

    @property
    def _cell(self) -> CellSpec:  # type: ignore[override]  # see Stack
        name = "gru" if self.reset_after else "gru_reset_before"
        return cell_with(name, self.activation, self.recurrent_activation)


class RNNCell(RecurrentCell):
    """One step of a plain recurrent net, as torch.nn.RNNCell.

    Options are those of `LSTMCell` without activations, and `nonlinearity` of `RNN`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Option = "tanh",
        *,
        dtype: DTypeLike = "float32",
        rng: Rng = None,
        precision: str = "float32",
    ) -> None:
        self.nonlinearity = check_activation("nonlinearity", nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng, precision=precision)

    @property
    def _cell(self) -> CellSpec:  # type: ignore[override]  # see Stack
        return cell_with("rnn_tanh", self.nonlinearity)
