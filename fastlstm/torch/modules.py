"""LSTM, GRU and RNN: torch's modules with another forward pass.

T steps, N batch rows, I input_size, H hidden_size, L num_layers, D directions, R output size of
one direction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from fastlstm import kernels
from fastlstm.torch.compiler import look_into
from fastlstm.torch.dispatch import (
    Unscripted,
    outside_kernels,
    symbolic_call,
    takes_operators,
    uncompiled,
    vmapped,
)
from fastlstm.torch.packed import padded_in_graph
from fastlstm.torch.precision import Precise
from fastlstm.torch.reset import Cuts, check_reset_at, reset_step
from fastlstm.torch.sequence import check_beside, run_operators, run_padded, run_sequence
from fastlstm.torch.step import FIXED, short_sequence
from fastlstm.torch.vmap import states_of_each

NOT_COPIED = (FIXED, "_compiled_call_impl")


class _Sequence(Unscripted, Precise, torch.nn.RNNBase):
    """The forward pass of `LSTM`, `GRU` and `RNN`, in front of torch's."""

    # all by position too: torch's ONNX exporter gives every argument so
    def forward(
        self,
        input: Any,
        hx: Any = None,
        lengths: Any = None,
        reset: Any = None,
        reset_at: str = "before",
    ) -> Any:
        """Run over a batch.

        Parameters
        ----------
        input : [T,N,I], with batch_first [N,T,I]; [T,I] without a batch axis; a PackedSequence.
        hx : of an LSTM (h_0 [L*D,N,R], c_0 [L*D,N,H]), else h_0 [L*D,N,H]; None for zeros.
        lengths : integers [N] in 0..T in any order, the real steps of each row. Not with a
            PackedSequence, and not in torch.
        reset : [T,N], with batch_first [N,T], [T] without a batch axis: bools, or numbers 0 and 1:
            where rows start anew from zeros, not from hx. Results and gradients are those of
            sequences cut there, in both directions. Not with a PackedSequence, and not in torch.
        reset_at : "before", rows start anew before the steps marked; or "after" them: h_n of a row
            whose last step is marked is zero then.

        Returns
        -------
        output : [T,N,D*R], laid out as the input; zeros past each row's length.
        h_n : like hx: each row's states after its last step.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As torch's, with the argument named; also for tensors that are not on the CPU, for
            parameters that are neither float32 nor float64 or do not fit `precision`, and in
            int8 where a gradient may be asked for.
        """
        check_reset_at(type(self).__name__, reset_at)
        cuts = None if reset is None else Cuts(reset, reset_at)
        if cuts is not None and lengths is None:
            hx, cuts = reset_step(self, input, hx, cuts)
        if lengths is None and cuts is None:
            answer = short_sequence(self, input, hx)
            if answer is not None:
                return answer
        if takes_operators(input):
            return run_operators(self, input, hx, lengths, cuts)
        if isinstance(input, PackedSequence) and lengths is None and cuts is None:
            if padded_in_graph(self, input, hx):
                return run_padded(self, input, hx)
        traced = symbolic_call(self, input, hx, lengths, *(cuts or ()))
        if traced is not None:
            return traced
        if outside_kernels(self, input, hx, lengths, cuts):
            answer = run_torch(self, input, hx)
            if lengths is not None or cuts is not None:
                check_beside(self, input, lengths, cuts)
            return answer
        return run_sequence(self, input, hx, lengths, cuts)

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: not the packed weights of `fixed_weights`, nor what
        `compile` made, which has these weights; torch's recurrent modules would keep it.
        """
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in NOT_COPIED}


def run_torch(module: _Sequence, input: Any, hx: Any) -> Any:
    """Return what torch's own module answers.

    torch.compile is kept out of it where there are no rows or no steps: what it made of an empty
    batch ended the process, and for no steps it had numbers that nobody wrote.
    """
    empty = isinstance(input, torch.Tensor) and not input.numel()
    if empty and torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        return _run_uncompiled(module, input, hx)
    if isinstance(input, torch.Tensor) and input.dim() in (2, 3) and vmapped():
        hx = states_of_each(module, input, hx, _state_shapes(module, input))
    # torch's module keeps the weights that it found. Those of functional_call are gone afterwards,
    # and compiled code cannot hand out what a transform of torch.func made of them.
    before = module._flat_weights, module._flat_weight_refs
    try:
        return super(_Sequence, module).forward(input, hx)
    finally:
        module._flat_weights, module._flat_weight_refs = before


def _state_shapes(module: _Sequence, input: torch.Tensor) -> list[tuple[int, ...]]:
    """Return the shapes of the states for an input [T,N,I], [N,T,I] or [T,I]."""
    layers = module.num_layers * (2 if module.bidirectional else 1)
    rows = () if input.dim() == 2 else (input.shape[0 if module.batch_first else 1],)
    output = module.proj_size or module.hidden_size
    sizes = kernels.CELLS[module.mode.lower()].state_sizes(module.hidden_size, output)
    return [(layers, *rows, size) for size in sizes]


@uncompiled
def _run_uncompiled(module: _Sequence, input: Any, hx: Any) -> Any:
    return super(_Sequence, module).forward(input, hx)


class LSTM(_Sequence, torch.nn.LSTM):
    """torch.nn.LSTM on fastlstm's kernels; see there for arguments, shapes and parameters.

    Beside them a keyword `precision`: how products are made. "float32": as the parameters are.
    "bfloat16": of both factors rounded to bfloat16, with float32 sums, in the backward pass too,
    for which gates and cells are kept in bfloat16. "int8": for inference, of rows rounded to 8
    bits. All else stays float32, tensors too; float64 takes "float32" alone. It is an attribute
    that may be changed at any time, and no part of the state_dict. See docs/precision.md.
    """


class GRU(_Sequence, torch.nn.GRU):
    """torch.nn.GRU on fastlstm's kernels; see there for arguments, shapes and parameters.

    Beside them a keyword `precision`, as of `LSTM`.
    """


class RNN(_Sequence, torch.nn.RNN):
    """torch.nn.RNN on fastlstm's kernels; see there for arguments, shapes and parameters.

    Beside them a keyword `precision`, as of `LSTM`.
    """


look_into(LSTM, GRU, RNN)
