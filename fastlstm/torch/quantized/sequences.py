"""LSTM, GRU and RNN, their weights in few bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastlstm.kernels import Weights
from fastlstm.torch.dispatch import outside_kernels, plain_mode, recorded
from fastlstm.torch.layout import array_of
from fastlstm.torch.precision import KEPT
from fastlstm.torch.quantized.packed import Steps, plain
from fastlstm.torch.sequence import run_sequence
from fastlstm.torch.stored import check_dtype, wanted_dtype, without_backward

OPTIONS = (
    "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
    "bidirectional", "proj_size",
)  # fmt: skip
SHORT = 8  # steps of a call up to which it is quicker not to pack the weights anew


class Sequence(Steps):
    """A module of torch's arguments and results, on fastlstm's kernels.

    int8: results are, to the bit, those of the float module of fastlstm.torch with
    ``precision="int8"``. float16: weights are float16, products float32.

    Attributes
    ----------
    mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
    proj_size : as of the float module.
    dtype : torch.qint8 or torch.float16.
    """

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int
    _all_weights: list[list[str]]

    @classmethod
    def from_float(cls, mod: Any, dtype: torch.dtype | None = None) -> Any:
        """Return the quantized form of a sequence module; `dtype` None asks its qconfig."""
        dtype = wanted_dtype(mod) if dtype is None else dtype
        check_dtype(cls.__name__, dtype)
        made = cls()
        for name in OPTIONS:
            setattr(made, name, getattr(mod, name))
        made._all_weights = [list(names) for names in mod._all_weights]
        every = (name for names in made._all_weights for name in names)
        made._store(((name, getattr(mod, name)) for name in every), dtype)
        vars(made)[KEPT] = "int8" if dtype is torch.qint8 else "float32"
        return made

    def extra_repr(self) -> str:
        """Return what the float module shows, and the dtype of the weights."""
        shown: str = torch.nn.RNNBase.extra_repr(self)  # type: ignore[arg-type]
        return f"{shown}, dtype={self.dtype}"

    def flatten_parameters(self) -> None:
        """Do nothing: for models that call it of a float module."""

    def forward(self, input: Any, hx: Any = None, *, lengths: Any = None) -> Any:
        """Run over a batch: arguments, results and errors as of the float module.

        RuntimeError also from a backward pass, and where torch records or transforms operations.
        """
        name = self._get_name()
        if outside_kernels(self, input, hx, lengths):
            return self._of_torch(input, hx)
        return without_backward(name, lambda: self._run(input, hx, lengths), input, hx)

    def _run(self, input: Any, hx: Any, lengths: Any) -> Any:
        if lengths is None and self.steps_packed(input, hx):
            return self._steps(input, hx)
        module: Any = self  # all that is asked of a float one, it has
        return run_sequence(module, input, hx, lengths)

    def steps_packed(self, input: Any, hx: Any) -> bool:
        x = input
        if type(x) is not Tensor or x.dim() != 3 or self.dtype is not torch.qint8:
            return False
        N, T = x.shape[:2] if self.batch_first else (x.shape[1], x.shape[0])
        if T > SHORT or self.bidirectional or (self.training and self.dropout):
            return False
        if not plain(x, (*x.shape[:2], self.input_size)) or not plain_mode():
            return False
        H, L = self.hidden_size, self.num_layers
        shapes = (L, N, self.proj_size or H), (L, N, H)
        if hx is None:
            return True
        if self.mode != "LSTM":
            return plain(hx, shapes[0])
        return isinstance(hx, (tuple, list)) and len(hx) == 2 and all(map(plain, hx, shapes))

    def _steps(self, input: Tensor, hx: Any) -> Any:
        """Run a short call step by step, with weights that stay packed."""
        x = input.detach().transpose(0, 1) if self.batch_first else input.detach()
        packed = self._take_stream(self.mode.lower(), x.shape[1])
        stream = packed.made
        if hx is None:
            stream.reset()
        else:
            states = hx if self.mode == "LSTM" else (hx,)
            stream.state = tuple(array_of(s) for s in states)
        # a copy of each output: the next step may write over it
        y = torch.stack([torch.from_numpy(stream(array_of(t.contiguous())).copy()) for t in x])
        ends = tuple(torch.from_numpy(s) for s in stream.state)
        self._keep(packed)
        y = y.transpose(0, 1) if self.batch_first else y
        return y, ends if self.mode == "LSTM" else ends[0]

    def _layers(self) -> list[Weights]:
        return [self._weights(names) for names in self._all_weights]

    def _of_torch(self, input: Any, hx: Any) -> Any:
        if recorded() or type(input) is not Tensor or input.numel():
            self._refuse()
        options = {name: getattr(self, name) for name in OPTIONS if name != "mode"}
        module = getattr(torch.nn, type(self).__name__)(**options)
        return module(input, hx)  # of an empty input: no weight matters


class LSTM(Sequence):
    """What `quantize_dynamic` makes of a torch.nn.LSTM."""


class GRU(Sequence):
    """What `quantize_dynamic` makes of a torch.nn.GRU."""


class RNN(Sequence):
    """What `quantize_dynamic` makes of a torch.nn.RNN."""
