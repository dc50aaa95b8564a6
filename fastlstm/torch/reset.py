"""Where rows start anew inside a batch: the mask `reset` of sequence modules and cells.

A mask is a tensor of zeros and ones of any dtype. A kernel is given it as bools for each
direction, made when it runs: an operator is recorded with the tensor.

T steps, N batch rows, D directions, L layers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastlstm.kernels import Rows
from fastlstm.kernels.masked import refuse_masked
from fastlstm.torch.check import INTEGERS
from fastlstm.torch.dispatch import compiling, eager, plain_mode
from fastlstm.torch.layout import array_of, as_tensor

RESET_AT = ("before", "after")
DTYPES = (torch.bool, *INTEGERS, torch.float32, torch.float64, torch.float16, torch.bfloat16)
Starts = tuple[NDArray[np.bool_], ...]  # [T,N] of each direction


class Cuts(NamedTuple):
    """What a caller says of where rows start anew."""

    mask: Any
    at: Any


class Read(NamedTuple):
    """`Cuts` that were checked."""

    mask: Tensor | None = None  # [T,N], 1 where a row starts anew before a step
    ended: Ended | None = None


def read_cuts(
    name: str,
    cuts: Cuts,
    sizes: tuple[Any, Any],
    order: str,
    lengths: Any,
    directions: int,
    on_meta: bool = False,
) -> Read:
    """Return the checked cuts of a batch.

    `on_meta` says that the input is, of which only shapes are asked: a mask may be there too.

    `sizes` are T and N, and `order` is that of the mask's axes: "TN", "NT", or "T" of one row
    without its axis.
    """
    check_reset_at(name, cuts.at)
    T, N = sizes
    mask = read_mask(name, cuts.mask, {"TN": (T, N), "NT": (N, T), "T": (T,)}[order], on_meta)
    check_values(name, mask)
    mask = mask.transpose(0, 1) if order == "NT" else mask[:, None] if order == "T" else mask
    if cuts.at == "before":
        return Read(mask)
    return Read(moved(mask), Ended(mask, lengths, directions))


def read_mask(name: str, reset: object, shape: tuple[Any, ...], on_meta: bool = False) -> Tensor:
    """Return the mask of a call after checking all but its values."""
    if isinstance(reset, np.ndarray):
        reset = _of_array(name, reset)
    if not isinstance(reset, Tensor):
        raise TypeError(
            f"{name}: reset is a {type(reset).__name__}, expected a tensor of bool or of 0 and 1"
        )
    if not (reset.is_cpu or (on_meta and reset.is_meta)):
        raise RuntimeError(f"{name}: reset is on device {reset.device}, expected the CPU")
    if reset.dtype not in DTYPES or reset.layout is not torch.strided:
        raise TypeError(
            f"{name}: reset has dtype {reset.dtype} and layout {reset.layout}, expected a dense "
            "tensor of bool or of 0 and 1"
        )
    if tuple(reset.shape) != shape:
        raise ValueError(f"{name}: reset has shape {tuple(reset.shape)}, expected {shape}")
    if reset.requires_grad:
        raise ValueError(
            f"{name}: reset requires a gradient, but has none, expected reset.detach()"
        )
    return reset


def _of_array(name: str, reset: NDArray[Any]) -> Tensor:
    """Return a mask of NumPy as a tensor."""
    if not compiling():  # a compiler has tensors in the place of arrays
        refuse_masked(f"{name}: reset", reset)
        if reset.dtype.kind not in "biuf":
            raise TypeError(
                f"{name}: reset has dtype {reset.dtype}, expected bools or numbers 0 and 1"
            )
        if reset.dtype.itemsize > 8:  # wider than those of torch
            reset = reset.astype(np.float64)
    return as_tensor(reset)


def check_reset_at(name: str, reset_at: object) -> None:
    """Check where a row starts anew."""
    if not isinstance(reset_at, str) or reset_at not in RESET_AT:
        raise ValueError(f"{name}: reset_at is {reset_at!r}, expected 'before' or 'after'")


def check_values(name: str, mask: Tensor) -> None:
    """Check that a mask holds 0 and 1 alone, if its values are there to be read."""
    if mask.dtype is torch.bool or mask.is_meta or torch.compiler.is_compiling():
        return
    if eager():
        as_bools(mask, f"{name}: reset")


def as_bools(mask: Tensor, what: str = "") -> NDArray[np.bool_]:
    """Return a mask as bools of its own; ValueError if it holds other numbers than 0 and 1.

    `what` is its name, if its places are those that the caller knows.
    """
    wide = mask.detach().float() if mask.dtype is torch.bfloat16 else mask.detach()
    values = array_of(wide)
    marked: NDArray[np.bool_] = np.array(values != 0)
    if values.dtype != bool and not (marked == values).all():
        place = tuple(int(i) for i in np.argwhere(marked != values)[0])
        at = f"{what}[{', '.join(map(str, place))}] is" if what else "reset holds"
        raise ValueError(f"{at} {values[place]}, expected 0 or 1, or bools")
    return marked


def read_starts(mask: Tensor | None, rows: Rows, directions: int) -> Starts | None:
    """Return the steps that start anew in each direction for a mask [T,N] "before" steps.

    A cut lies before the step marked: the backward direction starts anew at the step that comes
    before that one in time. None if no step within the rows' lengths is marked.
    """
    if mask is None:
        return None
    marked = as_bools(mask) & (np.arange(rows.T)[:, None] < rows.lengths)
    if not marked.any():
        return None
    if directions == 1:
        return (marked,)
    return marked, np.concatenate([marked[1:], np.zeros_like(marked[:1])])


class Ended:
    """Rows that start anew after their last step, and what that does to states [L*D,N,K]."""

    def __init__(self, mask: Tensor, lengths: Any, directions: int) -> None:
        """Find them in a mask [T,N] "after" steps; `lengths` have been checked, None for T."""
        self._directions = directions
        if lengths is None:
            self._rows = mask[-1] != 0
            return
        steps = as_tensor(lengths).reshape(-1).long()
        last = (steps - 1).clamp(0, mask.shape[0] - 1)
        self._rows = (mask.gather(0, last[None])[0] != 0) & (steps > 0)

    def before(self, state: Tensor) -> Tensor:
        """Return the initial states: the backward direction does not use those given."""
        return self._without(state, 1)

    def after(self, state: Tensor) -> Tensor:
        """Return the last states: those of the forward direction are zeros again."""
        return self._without(state, 0)

    def _without(self, state: Tensor, direction: int) -> Tensor:
        here = torch.arange(state.shape[0]) % self._directions == direction
        return state.masked_fill((here[:, None] & self._rows)[:, :, None], 0)


def moved(mask: Tensor) -> Tensor:
    """Return the mask "before" steps that says the same as one [T,N] "after" them."""
    return torch.cat([torch.zeros_like(mask[:1]), mask[:-1]])


def reset_step(module: Any, input: Any, hx: Any, cuts: Cuts) -> tuple[Any, Cuts | None]:
    """Return hx and None where a module makes one step, of which hx can say all that cuts do.

    That is sooner. Otherwise, and where the call is not a right one, what was given.
    """
    if cuts.at != "before" or module.bidirectional or not plain_mode():
        return hx, cuts
    if type(input) is not Tensor or input.dim() != 3 or input.shape[module.batch_first] != 1:
        return hx, cuts
    if input.is_meta:
        return hx, cuts
    N = input.shape[not module.batch_first]
    states = hx if isinstance(hx, (tuple, list)) else () if hx is None else (hx,)
    if not all(isinstance(s, Tensor) and s.dim() == 3 and s.shape[1] == N for s in states):
        return hx, cuts
    name, order = module.mode.partition("_")[0], "NT" if module.batch_first else "TN"
    mask = read_cuts(name, cuts, (1, N), order, None, 1).mask
    assert mask is not None
    return _reset_states(hx, mask[0]), None


def reset_cell(name: str, input: Any, hx: Any, reset: Any) -> Any:
    """Return the states of a cell, with zeros in the rows [N] that `reset` marks.

    States that do not fit are left for the cell to refuse.
    """
    if not isinstance(input, Tensor) or input.dim() not in (1, 2):
        return hx
    rows = tuple(input.shape[:-1])
    mask = read_mask(name, reset, rows, input.is_meta)
    check_values(name, mask)
    if input.is_meta:  # of shapes alone, which a reset does not change
        return hx
    states = hx if isinstance(hx, (tuple, list)) else () if hx is None else (hx,)
    if not all(isinstance(s, Tensor) and tuple(s.shape[:-1]) == rows for s in states):
        return hx
    return _reset_states(hx, mask)


def _reset_states(hx: Any, mask: Tensor) -> Any:
    """Return the states [...,N,K] with zeros in the rows that a mask [N] marks."""
    if hx is None:
        return None
    marked = (mask != 0).unsqueeze(-1)
    if isinstance(hx, Tensor):
        return hx.masked_fill(marked, 0)
    return tuple(s.masked_fill(marked, 0) for s in hx)
