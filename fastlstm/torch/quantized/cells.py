"""LSTMCell, GRUCell and RNNCell, their weights in few bits."""

from __future__ import annotations

from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastlstm import kernels
from fastlstm.kernels import Backend, Weights
from fastlstm.kernels.backend import Stream
from fastlstm.torch.cells import run_cell
from fastlstm.torch.dispatch import outside_kernels, plain_mode
from fastlstm.torch.precision import KEPT
from fastlstm.torch.stored import Stored, check_dtype, wanted_dtype, without_backward
from fastlstm.torch.weights import CELL_NAMES

PACKED = "_packed"  # what a cell keeps for its next step


class Cell(Stored):
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
        if len(states) != len(kernels.CELLS[cell].states) or not _plain(x, self.input_size):
            return False
        return all(_plain(s, self.hidden_size) and s.shape[0] == x.shape[0] for s in states)

    def _packed_step(self, cell: str, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Make a step with packed weights, which are kept for the next one of as many rows."""
        own = vars(self)
        # taken away while in use: another thread packs its own
        packed = own.pop(PACKED, None)
        if packed is None or not packed.fits(self, x.shape[0]):
            packed = _pack(self, cell, x.shape[0])
        stream = packed.stream
        stream.state = tuple(s.detach().numpy()[None] for s in states)
        stream(x.detach().numpy())
        own[PACKED] = packed
        return tuple(torch.from_numpy(s[0]) for s in stream.state)

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: not the packed weights."""
        return {name: value for name, value in vars(self).items() if name != PACKED}


class _Packed(NamedTuple):
    """The weights of a cell, packed by a backend."""

    stream: Stream
    backend: Backend
    rows: int
    buffers: list[Any]  # that they were made of
    versions: list[int]

    def fits(self, cell: Cell, rows: int) -> bool:
        """Whether they serve a step of so many rows: the cell's weights are as they were."""
        now = list(cell._buffers.values())
        return (
            rows == self.rows
            and kernels.backend() is self.backend
            and all(map(is_, now, self.buffers))
            and _versions(now) == self.versions
        )


def _pack(cell: Cell, name: str, rows: int) -> _Packed:
    w_ih, w_hh, *biases = (cell.float_weight(n) for n in CELL_NAMES)
    b_ih, b_hh = (None if b is None else b.numpy() for b in biases)
    weights = Weights(w_ih.numpy(), w_hh.numpy(), b_ih, b_hh)
    backend, buffers = kernels.backend(), list(cell._buffers.values())
    stream = backend.stream(kernels.CELLS[name], [weights], rows, "int8")
    return _Packed(stream, backend, rows, buffers, _versions(buffers))


def _versions(buffers: list[Any]) -> list[int]:
    return [0 if b is None or b.is_inference() else b._version for b in buffers]


def _plain(t: Any, columns: int) -> bool:
    """Whether a tensor is [N,columns], N at least 1, in float32 on the CPU and contiguous."""
    return (
        type(t) is Tensor
        and t.dim() == 2
        and t.shape[1] == columns
        and t.numel() > 0
        and t.is_cpu
        and t.dtype is torch.float32
        and t.layout is torch.strided
        and t.is_contiguous()
        and not t.is_neg()
        and not t._is_zerotensor()
    )


class LSTMCell(Cell):
    """What `quantize_dynamic` makes of a torch.nn.LSTMCell."""

    _cell = "lstm"


class GRUCell(Cell):
    """What `quantize_dynamic` makes of a torch.nn.GRUCell."""

    _cell = "gru"


class RNNCell(Cell):
    """What `quantize_dynamic` makes of a torch.nn.RNNCell."""
