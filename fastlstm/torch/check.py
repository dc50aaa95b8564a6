"""What a call must satisfy, with torch's own messages where torch has one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastlstm.kernels import Rows
from fastlstm.kernels.rows import check_lengths, full_rows
from fastlstm.torch.layout import Padded, array_of, packed_layout

DTYPES = (torch.float32, torch.float64)
INTEGERS = (
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32,
    torch.uint64,
)  # fmt: skip
_AS_IT_WAS = "set the attribute back that was changed, or make a module of that size"


def check_module(model: object) -> torch.nn.Module:
    """Return `model` after checking that it is a module."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    return model


def check_parts(module: torch.nn.RNNBase, name: str) -> None:
    """Check that a sequence module has the parameters that its attributes tell of.

    torch keeps them apart: of attributes changed afterwards its module may answer with numbers
    from other places of memory, or crash.
    """
    parts, layers = module._all_weights, module.num_layers
    names = 2 + 2 * bool(module.bias) + bool(module.proj_size)
    if len(parts) == layers * (2 if module.bidirectional else 1) and len(parts[0]) == names:
        return
    told = f"num_layers {layers}, bidirectional {module.bidirectional}, bias {module.bias}"
    raise RuntimeError(
        f"{name}: {told} and proj_size {module.proj_size} do not fit its parameters, which are "
        f"{len(parts[0])} of each of {len(parts)} layers and directions: {_AS_IT_WAS}"
    )


def check_sizes(module: torch.nn.RNNBase, name: str, gates: int, weights: Sequence[Any]) -> None:
    """Check that the matrices of a sequence module, [L*D] fives, have the sizes it tells."""
    H, rows, D = module.hidden_size, module.proj_size, 2 if module.bidirectional else 1
    G, R = gates * H, rows or H
    for i, (w_ih, w_hh, *_, w_hr) in enumerate(weights):
        width = module.input_size if i < D else D * R
        if w_ih.shape == (G, width) and w_hh.shape == (G, R):
            if w_hr is None or w_hr.shape == (R, H):
                continue
        told = f"input_size {module.input_size}, hidden_size {H} and proj_size {rows}"
        found = [tuple(w.shape) for w in (w_ih, w_hh, w_hr) if w is not None]
        raise RuntimeError(
            f"{name}: {told} do not fit its parameters: those of layer {i // D} have shapes "
            f"{', '.join(map(str, found))}: {_AS_IT_WAS}"
        )


def check_weights(name: str, weights: Iterable[Tensor | None], dtype: torch.dtype) -> None:
    """Check that all parameters are dense CPU tensors of one dtype that kernels take."""
    for w in weights:
        if w is None or (w.is_cpu and w.dtype is dtype and w.layout is torch.strided):
            continue
        if w.is_meta:
            raise RuntimeError(
                f"{name}: a parameter is on device meta, which holds no numbers, and the input is "
                'not: call .to_empty(device="cpu") and load a state_dict, or load one with '
                "assign=True; or give an input on meta, for shapes alone"
            )
        if not w.is_cpu:
            raise RuntimeError(
                f"{name}: a parameter is on device {w.device}, but fastlstm.torch runs on the "
                f"CPU: move the module with .cpu(), or use torch.nn.{name} on that device"
            )
        _check_dense(name, "a parameter", w)
        raise RuntimeError(f"{name}: parameters have dtypes {dtype} and {w.dtype}, expected one")
    if dtype not in DTYPES:
        raise TypeError(
            f"{name}: parameters have dtype {dtype}, but fastlstm.torch computes in float32 and "
            f"float64: convert the module with .float(), or use torch.nn.{name}"
        )


def check_tensor(name: str, what: str, value: object, dtype: torch.dtype) -> Tensor:
    """Return `value` after checking that it is a dense CPU tensor of `dtype`."""
    found = _check_place(name, what, value)
    if found.dtype is dtype:
        return found
    if what == "input":
        raise RuntimeError(
            f"{name}: input dtype ({found.dtype}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype})"
        )
    raise RuntimeError(
        f"{name}: {what} has dtype {found.dtype}, expected {dtype}, that of the parameters: "
        f"convert it with .to({dtype})"
    )


def _check_place(name: str, what: str, value: object) -> Tensor:
    """Return `value` after checking that it is a dense CPU tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: {what} is a {type(value).__name__}, expected a tensor")
    if not value.is_cpu:
        raise RuntimeError(
            f"{name}: Input, hidden and parameter tensors are not at the same device: {what} is "
            f"on {value.device}, the parameters on cpu. Move it with .cpu(), or use "
            f"torch.nn.{name} with everything on {value.device}"
        )
    _check_dense(name, what, value)
    return value


def _check_dense(name: str, what: str, t: Tensor) -> None:
    if t.layout is not torch.strided:
        raise RuntimeError(
            f"{name}: {what} has layout {t.layout}, expected a dense one: use .to_dense()"
        )


def check_input(name: str, x: Any, dtype: torch.dtype, size: int, axes: tuple[int, ...]) -> None:
    """Check the input of a sequence module: a tensor of one of these numbers of axes."""
    if isinstance(x, Tensor) and x.dtype is not dtype and axes != (2,):
        _check_place(name, "input", x)
        raise ValueError(  # as torch has here alone
            f"RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype}), or convert model: model.to({x.dtype})"
        )
    check_tensor(name, "input", x, dtype)
    if x.dim() not in axes:
        if axes == (2,):
            raise RuntimeError(f"input must have 2 dimensions, got {x.dim()}")
        got = f"{x.dim()}D tensor" if name == "RNN" else f"{x.dim()}D"  # each torch's own words
        raise ValueError(f"{name}: Expected input to be 2D or 3D, got {got} instead")
    if x.shape[-1] != size:
        raise RuntimeError(
            f"input.size(-1) must be equal to input_size. Expected {size}, got {x.shape[-1]}"
        )


def split_states(name: str, hx: Any, count: int) -> list[Any] | None:
    """Return the states of `hx` one by one: of an LSTM a pair, else the tensor itself."""
    if hx is None:
        return None
    if count == 1:
        return [hx]
    if not isinstance(hx, (tuple, list)):
        raise TypeError(f"{name}: hx is a {type(hx).__name__}, expected a tuple (h_0, c_0)")
    if len(hx) != count:
        raise RuntimeError(f"lstm expects two hidden states, got {len(hx)}: expected (h_0, c_0)")
    return list(hx)


def check_states(name: str, states: list[Any], dtype: torch.dtype, axes: int) -> None:
    """Check that the states of a sequence module are tensors of that many axes."""
    for i, state in enumerate(states):
        check_tensor(name, "hx" if len(states) == 1 else f"hx[{i}]", state, dtype)
    if all(s.dim() == axes for s in states):
        return
    which = f"For {'batched' if axes == 3 else 'unbatched'} {axes}-D input, "
    got = [f"{s.dim()}-D" for s in states]
    if len(states) == 1:
        raise RuntimeError(f"{which}hx should also be {axes}-D but got {got[0]} tensor")
    raise RuntimeError(
        f"{which}hx and cx should also be {axes}-D but got ({', '.join(got)}) tensors"
    )


def check_state_sizes(states: list[Tensor], expected: list[tuple[int, int, int]]) -> None:
    """Check the shapes of the states of a sequence module."""
    for i, (state, shape) in enumerate(zip(states, expected, strict=True)):
        if state.shape != shape:
            which = "" if len(states) == 1 else f"[{i}]"
            raise RuntimeError(f"Expected hidden{which} size {shape}, got {list(state.shape)}")


def check_cell_axes(name: str, input: Any, states: list[Any] | None) -> bool:
    """Check the number of axes of a cell's arguments; return whether there is no batch axis."""
    for what, value in [("input", input), *(("hx", s) for s in states or ())]:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: {what} is a {type(value).__name__}, expected a tensor")
    if input.dim() not in (1, 2):
        raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
    for i, state in enumerate(states or ()):
        if state.dim() not in (1, 2):
            which = f"hx[{i}]" if name == "LSTMCell" else "hidden"
            raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")
    return bool(input.dim() == 1)


def matrix_widths(name: str, weights: Sequence[Tensor]) -> tuple[int, int]:
    """Return how wide a cell's weight_ih [G,I] and weight_hh [G,H] are."""
    for which, weight in zip(("weight_ih", "weight_hh"), weights, strict=True):
        if weight.dim() != 2:
            raise RuntimeError(
                f"{name}: {which} has shape {tuple(weight.shape)}, expected a matrix"
            )
    w_ih, w_hh = weights
    return w_ih.shape[1], w_hh.shape[1]


def check_cell_sizes(input: Tensor, states: list[Tensor] | None, sizes: tuple[int, int]) -> None:
    """Check the shapes of a cell's input [N,I] and states [N,H] against `sizes`, (I, H)."""
    I, H = sizes
    N = input.shape[0]
    if input.shape[1] != I:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {I}")
    for i, state in enumerate(states or ()):
        if state.shape == (N, H):
            continue
        if state.shape[0] != N:
            raise RuntimeError(
                f"Input batch size {N} doesn't match hidden{i} batch size {state.shape[0]}"
            )
        got = state.shape[1] if state.dim() > 1 else state.shape[0]
        if got == H:  # where torch crashes, or names a dimension that the caller does not know
            more = "more" if state.dim() > input.dim() else "fewer"
            raise RuntimeError(f"hidden{i} has {more} axes than input, expected as many")
        raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {got}, expected {H}")


def check_hidden_size(told: int, H: int) -> None:
    """Check the size that a cell tells, of which torch makes states that are not given."""
    if told != H:
        raise RuntimeError(f"hidden0 has inconsistent hidden_size: got {told}, expected {H}")


def read_lengths(lengths: Any, T: int, N: int) -> Padded:
    """Return the layout of N padded rows with these lengths, in any order, zeros allowed."""
    if T == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if lengths is None:
        return Padded(full_rows(T, N))
    return Padded(Rows(T, N, _numbers_of(lengths, N)))


def check_lengths_beside(lengths: Any, T: int, N: int) -> None:
    """Check lengths of a call for shapes alone, or of no rows; those on meta have no values."""
    if isinstance(lengths, Tensor) and lengths.is_meta:
        _check_integers(lengths)
        if lengths.shape != (N,):
            raise ValueError(f"lengths has shape {tuple(lengths.shape)}, expected ({N},)")
    else:
        check_lengths(_numbers_of(lengths, N), T, N)


def _numbers_of(lengths: Any, N: int) -> Any:
    """Return lengths for NumPy; that of one row, which may lack a batch axis, may be a number."""
    if isinstance(lengths, Tensor):
        if not lengths.is_cpu:
            raise RuntimeError(f"lengths is on device {lengths.device}, expected the CPU")
        _check_integers(lengths)
        lengths = array_of(lengths)
    single = isinstance(lengths, int) or getattr(lengths, "ndim", 1) == 0
    return [lengths] if single and N == 1 else lengths


def _check_integers(lengths: Tensor) -> None:
    if lengths.layout is not torch.strided or lengths.dtype not in INTEGERS:
        raise TypeError(
            f"lengths has dtype {str(lengths.dtype).removeprefix('torch.')} and layout "
            f"{lengths.layout}, expected integers in a dense tensor"
        )


def read_packed(name: str, packed: PackedSequence) -> Padded:
    """Return the layout of a PackedSequence after checking that its parts fit together."""
    data, sizes, sorted_indices, unsorted_indices = packed
    if data.dim() != 2:
        raise RuntimeError(f"input must have 2 dimensions, got {data.dim()}")
    if not sizes.is_cpu or sizes.dtype is not torch.int64 or sizes.dim() != 1:
        raise ValueError(
            f"{name}: batch_sizes is a {sizes.dim()}-D {sizes.dtype} tensor on {sizes.device}, "
            "expected a 1-D torch.int64 tensor on the CPU"
        )
    n = array_of(sizes)
    if not len(n) or n[0] < 1 or n[-1] < 0 or (n[1:] > n[:-1]).any():
        raise ValueError(
            f"{name}: batch_sizes of the PackedSequence is {sizes.tolist()}, expected numbers "
            "that start above 0 and never increase"
        )
    if n.sum() != data.shape[0]:
        raise ValueError(
            f"{name}: batch_sizes of the PackedSequence add up to {n.sum()}, expected "
            f"{data.shape[0]}, the rows of its data"
        )
    for which, index in (("sorted", sorted_indices), ("unsorted", unsorted_indices)):
        if index is not None and index.shape != (n[0],):
            raise ValueError(
                f"{name}: {which}_indices of the PackedSequence has shape {tuple(index.shape)}, "
                f"expected ({n[0]},), one for each row"
            )
    return packed_layout(n)
