"""LSTMCell, GRUCell and RNNCell, their weights in few bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastlstm import kernels
from fastlstm.kernels import Weights
from fastlstm.torch.cells import run_cell
from fastlstm.torch.dispatch import outside_kernels, plain_mode
from fastlstm.torch.precision import KEPT
from fastlstm.torch.quantized.packed import Keeps, plain
from fastlstm.torch.stored import check_dtype, wanted_dtype, without_backward
from fastlstm.torch.weights import CELL_NAMES


class Cell(Keeps):
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
        if outside_kernels(self, input, hx) and not (type(input) is Tensor and not input.numel()):
            raise RuntimeError(
                f"{name} cannot be traced, exported or transformed, nor take tensors of a class "
                "of their own: it runs a kernel. Do that with the float model"
            )
        ends = without_backward(name, lambda: self._step(cell, input, hx), input, hx)
        return ends if cell == "lstm" else ends[0]

    def _step(self, cell: str, x: Any, hx: Any) -> tuple[Tensor, ...]:
        states = hx if isinstance(hx, tuple) else (hx,)
        if self.dtype is torch.qint8 and plain_mode() and self._plain(cell, x, states):
            return self._packed_step(cell, x, states)
        module: Any = self  # all that is asked of a float one, it has
        return run_cell(module, x, hx)

    def _plain(self, cell: str, x: Any, states: tuple[Any, ...]) -> bool:
        """Whether a step has all its arguments, and they need no check but this one."""
        if type(x) is not Tensor or x.dim() != 2 or len(states) != len(kernels.CELLS[cell].states):
            return False
        shape = x.shape[0], self.hidden_size
        return plain(x, (shape[0], self.input_size)) and all(plain(s, shape) for s in states)

    def _packed_step(self, cell: str, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        packed = self._take(cell, x.shape[0])
        stream = packed.stream
        stream.state = tuple(s.detach().numpy()[None] for s in states)
        stream(x.detach().numpy())
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
