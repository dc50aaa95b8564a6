"""LSTMCell, GRUCell and RNNCell: one step, the loop over time left to the caller.

N batch rows, I input_size, H hidden_size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastlstm import kernels
from fastlstm.kernels.rows import full_rows
from fastlstm.torch import cell_operators, check, operators
from fastlstm.torch.autocast import lowered, raised, result_dtypes
from fastlstm.torch.dispatch import (
    Unscripted,
    outside_kernels,
    symbolic_call,
    takes_operators,
    uncompiled,
    vmapped,
)
from fastlstm.torch.function import Layer, run, run_step, wants_gradient
from fastlstm.torch.layout import OneStep
from fastlstm.torch.precision import DEFAULT, Precise, check_inference, precision_of
from fastlstm.torch.reset import reset_cell
from fastlstm.torch.step import FIXED, short_step
from fastlstm.torch.vmap import states_of_each
from fastlstm.torch.weights import Five, cell_weights


class _Cell(Unscripted, Precise, torch.nn.RNNCellBase):
    """The forward pass of `LSTMCell`, `GRUCell` and `RNNCell`, in front of torch's."""

    _cell = ""  # a name in `kernels.CELLS`; empty where the nonlinearity decides

    def forward(self, input: Any, hx: Any = None, reset: Any = None) -> Any:
        """Make one step.

        Parameters
        ----------
        input : [N,I]; [I] without a batch axis.
        hx : of an LSTMCell (h, c), else h; each [N,H] or [H]. None for zeros.
        reset : bools [N], or numbers 0 and 1: rows that start anew from zeros before this step,
            not from hx; of [I] one, without axes. In compiled code every number but 0 counts as
            1. Not in torch.

        Returns
        -------
        The new state, like hx.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As torch's, with the argument named; also for tensors that are not on the CPU, for
            parameters that are neither float32 nor float64 or do not fit `precision`, and in
            int8 where a gradient may be asked for.
        """
        cell = self._cell or f"rnn_{self.nonlinearity}"
        if reset is not None:
            if (traced := symbolic_call(self, input, hx, reset)) is not None:
                return traced
            hx = reset_cell(cell_of(self)[0], input, hx, reset)
        ends = short_step(self, cell, input, hx)
        if ends is None:
            if is_for_torch(self, input, hx):
                return self._by_torch(input, hx)
            if takes_operators(input):
                ends = run_operator(self, input, hx)
            elif (traced := symbolic_call(self, input, hx)) is not None:
                return traced
            elif outside_kernels(self, input, hx):
                if isinstance(input, Tensor) and input.dim() in (1, 2) and vmapped():
                    shape = (*input.shape[:-1], self.hidden_size)
                    count = len(kernels.CELLS[cell].states)
                    hx = states_of_each(self, input, hx, [shape] * count)
                return super().forward(input, hx)
            else:
                ends = run_cell(self, input, hx)
        return ends if cell == "lstm" else ends[0]

    def _by_torch(self, input: Any, hx: Any) -> Any:
        """Return what torch's own step gives; where it has none, the error is that of ours.

        Sizes are looked at first: torch reads past the end of some that do not fit.
        """
        name, cell = cell_of(self)
        states = check.split_states(name, hx, len(kernels.CELLS[cell].states))
        in_rows(self, name, input, states, cell_weights(self))
        try:
            return super().forward(input, hx)
        except Exception:
            prepare(self, input, hx)
            raise

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: not the packed weights of `fixed_weights`."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != FIXED}


class LSTMCell(_Cell, torch.nn.LSTMCell):
    """torch.nn.LSTMCell on fastlstm's kernels; see there for arguments and parameters.

    Beside them a keyword `precision`, as of `LSTM`.
    """

    _cell = "lstm"


class GRUCell(_Cell, torch.nn.GRUCell):
    """torch.nn.GRUCell on fastlstm's kernels; see there for arguments and parameters.

    Beside them a keyword `precision`, as of `LSTM`.
    """

    _cell = "gru"


class RNNCell(_Cell, torch.nn.RNNCell):
    """torch.nn.RNNCell on fastlstm's kernels; see there for arguments and parameters.

    Beside them a keyword `precision`, as of `LSTM`.
    """


class Ready(NamedTuple):
    """A checked call of a cell."""

    cell: kernels.CellSpec
    weights: Five
    input: Tensor  # [N,I]
    states: list[Tensor] | None  # [N,H] each; None for zeros
    single: bool  # the caller gave no batch axis
    dtypes: list[torch.dtype] | None  # of the new states under autocast; None without it
    precision: str  # of the products


def is_for_torch(module: Any, input: Any, hx: Any) -> bool:
    """Whether a step has tensors of a kind that torch may take and a kernel does not.

    These are sparse ones, and an LSTM's c of another dtype than its parameters. What is rounded
    to lower precision is for the kernels alone.
    """
    if precision_of(module) != DEFAULT:
        return False
    given = [input, *hx] if isinstance(hx, (tuple, list)) else [input, hx]
    if any(isinstance(t, Tensor) and t.layout != torch.strided for t in given):
        return True
    c = given[2] if len(given) == 3 else None
    return isinstance(c, Tensor) and c.dtype != module.weight_hh.dtype


def cell_of(module: Any) -> tuple[str, str]:
    """Return the name of torch's class and that of the kernels."""
    if module._cell:
        return f"{module._cell.upper()}Cell", module._cell
    if module.nonlinearity not in ("tanh", "relu"):
        raise RuntimeError(f"Unknown nonlinearity: {module.nonlinearity}, expected tanh or relu")
    return "RNNCell", f"rnn_{module.nonlinearity}"


def prepare(module: torch.nn.RNNCellBase, input: Any, hx: Any) -> Ready:
    """Check a call of a cell."""
    name, cell_name = cell_of(module)
    cell, weights, precision = kernels.CELLS[cell_name], cell_weights(module), precision_of(module)
    dtype, count = weights[0].dtype, len(cell.states)
    check.check_weights(name, weights, dtype)
    states = check.split_states(name, hx, count)
    low, dtypes = lowered(dtype), None
    if low is not None:
        given = [t.dtype for t in states or [input] * count]
        dtypes = result_dtypes(cell.name, low, given, fused=False, projected=False)
        input, states = raised(input), states and [raised(s) for s in states]
    input, states, single = in_rows(module, name, input, states, weights)
    check.check_tensor(name, "input", input, dtype)
    for i, state in enumerate(states or ()):
        check.check_tensor(name, f"hx[{i}]" if count > 1 else "hx", state, dtype)
    check_inference(name, precision, input, states or (), weights)
    return Ready(cell, weights, input, states, single, dtypes, precision)


def in_rows(
    module: torch.nn.RNNCellBase, name: str, input: Any, states: Any, weights: Five
) -> tuple[Any, Any, bool]:
    """Return input and states with a batch axis, of sizes that fit, and whether they lacked one."""
    single = check.check_cell_axes(name, input, states)
    if single:
        input, states = input.unsqueeze(0), states and [s.unsqueeze(0) for s in states]
    sizes = check.matrix_widths(name, weights[:2])
    check.check_cell_sizes(input, states, sizes)
    if states is None:
        check.check_hidden_size(module.hidden_size, sizes[1])
    return input, states, single


@uncompiled
def run_cell(module: torch.nn.RNNCellBase, input: Any, hx: Any) -> tuple[Tensor, ...]:
    """Return the new states."""
    ready = prepare(module, input, hx)
    cell, weights, x, states, _, _, precision = ready
    start, backend = states or (None,) * len(cell.states), kernels.backend()
    if wants_gradient(x, start, weights):
        rows = full_rows(1, x.shape[0])
        layer = Layer(cell, backend, OneStep(rows), precision=precision)
        _, *ends = run(layer, x, start, weights)
    else:
        ends = run_step(cell, backend, x, start, weights, precision)
    return _answer(ready, ends)


def run_operator(module: torch.nn.RNNCellBase, input: Any, hx: Any) -> tuple[Tensor, ...]:
    """Return what `run_cell` does, by an operator: its own, or that of a layer for one step."""
    ready = prepare(module, input, hx)
    cell, weights, x, states, _, _, precision = ready
    if cell_operators.takes(x, states or (), weights, precision):
        none = (None,) * len(cell.states)
        return _answer(ready, list(cell_operators.run(cell, x, states or none, weights)))
    start = [s.unsqueeze(0) for s in states] if states else [None] * len(cell.states)
    layer = Layer(cell, None, operators.Whole(False), precision=precision)
    _, *ends = operators.run(layer, x.unsqueeze(0), start, weights)
    return _answer(ready, [s.squeeze(0) for s in ends])


def _answer(ready: Ready, ends: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the new states [N,H] as torch's cell does."""
    if ready.single:
        ends = [s.squeeze(0) for s in ends]
    if ready.dtypes is not None:
        ends = [s.to(dtype) for s, dtype in zip(ends, ready.dtypes, strict=True)]
    return tuple(ends)
