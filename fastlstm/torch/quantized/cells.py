"""LSTMCell, GRUCell and RNNCell, their weights in few bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastlstm.kernels import Weights
from fastlstm.torch.cells import run_cell
from fastlstm.torch.dispatch import outside_kernels, plain_mode, recorded
from fastlstm.torch.layout import array_of
from fastlstm.torch.precision import KEPT
from fastlstm.torch.quantized.packed import Steps, plain
from fastlstm.torch.stored import check_dtype, wanted_dtype, without_backward
from fastlstm.torch.weights import CELL_NAMES


class Cell(Steps):
    """One step, on fastlstm's kernels; arguments and results as of torch's cell.

    Attributes
    ----------
    input_size, hidden_size, bias : as of the float module; of an RNNCell `nonlinearity` too.
    dtype : torch.qint8 or torch.float16.
    """

    _cell = ""  # a name in `kernels.CELLS`; empty where the nonlinearity decides
    input_size: int
    hidden_size: int
    bias: bool
    nonlinearity: str

    @classmethod
    def from_float(cls, mod: Any, dtype: torch.dtype | None = None) -> Any:
        """Return the quantized form of a cell; `dtype` None asks its qconfig."""
        dtype = wanted_dtype(mod) if dtype is None else dtype
        check_dtype(cls.__name__, dtype)
        made = cls()
        made.input_size, made.hidden_size, made.bias = mod.input_size, mod.hidden_size, mod.bias
        if not cls._cell:
            made.nonlinearity = mod.nonlinearity
        made._store(((name, getattr(mod, name)) for name in CELL_NAMES), dtype)
        vars(made)[KEPT] = "int8" if dtype is torch.qint8 else "float32"
        return made

    def extra_repr(self) -> str:
        """Return what the float module shows, and the dtype of the weights."""
        shown: str = torch.nn.RNNCellBase.extra_repr(self)  # type: ignore[arg-type]
        return f"{shown}, dtype={self.dtype}"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Make one step: arguments, results and errors as of the float module.

        RuntimeError also from a backward pass, and where torch records or transforms operations.
        """
        cell, name = self._cell or f"rnn_{self.nonlinearity}", self._get_name()
        if outside_kernels(self, input, hx):
            if recorded() or type(input) is not Tensor or input.numel():
                self._refuse()
            options = {} if self._cell else {"nonlinearity": self.nonlinearity}
            module = getattr(torch.nn, type(self).__name__)
            # of an empty input: no weight matters
            return module(self.input_size, self.hidden_size, **options)(input, hx)
        ends = without_backward(name, lambda: self._step(cell, input, hx), input, hx)
        return ends if cell == "lstm" else ends[0]

    def _step(self, cell: str, x: Any, hx: Any) -> tuple[Tensor, ...]:
        if self.steps_packed(x, hx):
            return self._packed_step(cell, x, hx if isinstance(hx, tuple) else (hx,))
        module: Any = self  # all that is asked of a float one, it has
        return run_cell(module, x, hx)

    def steps_packed(self, input: Any, hx: Any) -> bool:
        x = input
        states = hx if isinstance(hx, tuple) else (hx,)
        if type(x) is not Tensor or x.dim() != 2 or len(states) != 1 + (self._cell == "lstm"):
            return False
        if self.dtype is not torch.qint8 or not plain_mode():
            return False
        shape = x.shape[0], self.hidden_size
        return plain(x, (shape[0], self.input_size)) and all(plain(s, shape) for s in states)

    def _packed_step(self, cell: str, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        packed = self._take_stream(cell, x.shape[0])
        stream = packed.made
        stream.state = tuple(array_of(s)[None] for s in states)
        stream(array_of(x))
        ends = tuple(torch.from_numpy(s[0]) for s in stream.state)
        self._keep(packed)
        return ends

    def _layers(self) -> list[Weights]:
        return [self._weights(CELL_NAMES)]


class LSTMCell(Cell):
    """What `quantize_dynamic` makes of a torch.nn.LSTMCell."""

    _cell = "lstm"


class GRUCell(Cell):
    """What `quantize_dynamic` makes of a torch.nn.GRUCell."""

    _cell = "gru"


class RNNCell(Cell):
    """What `quantize_dynamic` makes of a torch.nn.RNNCell."""
