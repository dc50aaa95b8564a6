"""The tensors of a call that its backward pass reads again, by torch's rules for them.

torch tells of a tensor that was changed in place before a backward pass that reads it, and lets
change what is not read. Which tensors a kernel reads depends on the gradients that are wanted; a
forward pass that has to be run again reads all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import Tensor

from fastlstm.kernels import CellSpec
from fastlstm.torch.dispatch import saving_hooked

Tensors = Sequence[Tensor | None]
FIELDS = 5  # weights of a layer in one direction; torch has no cell with more


class Held:
    """Tensors held from forward to backward, some by torch and the others here.

    Parameters
    ----------
    ctx : of an autograd.Function; its only saved tensors are these.
    tensors : those of a layer, in their order.
    unread : the places of those that the kernel does not read again.
    """

    __slots__ = ("others",)

    def __init__(self, ctx: Any, tensors: Tensors, unread: Sequence[int]) -> None:
        saved = list(tensors)
        self.others: list[tuple[int, Tensor, int]] = []
        if not saving_hooked():  # whoever takes what is saved is to get all of it
            for i in unread:
                t = saved[i]
                if t is not None and not t.is_inference():
                    self.others.append((i, t, t._version))
                    saved[i] = None
        ctx.save_for_backward(*saved)

    def tensors(self, ctx: Any) -> list[Tensor | None]:
        """Return the tensors.

        Raises
        ------
        RuntimeError
            From torch, if one changed that the kernel reads.
        """
        found = list(ctx.saved_tensors)
        for i, t, _ in self.others:
            found[i] = t
        return found

    def check_others(self) -> None:
        """Check that a forward pass run now would be the one that was.

        Raises
        ------
        RuntimeError
            If one of the tensors was changed that the kernel does not read in its backward pass.
        """
        for _, t, version in self.others:
            if t._version != version:
                raise RuntimeError(
                    f"a tensor of shape {tuple(t.shape)} that forward was given has been modified "
                    f"by an inplace operation: it is at version {t._version}, expected {version}. "
                    "This backward pass runs forward again, as the graph was retained, the output "
                    "was changed in place, or a gradient of the gradient is asked for"
                )


@cache
def unread(cell: CellSpec, steps: int, needs: tuple[bool, ...]) -> tuple[int, ...]:
    """Return the places of a layer's tensors that the backward pass of a kernel does not read.

    Parameters
    ----------
    cell : which cell.
    steps : 1 or more, which are all the same.
    needs : which of the layer's tensors want a gradient.

    Notes
    -----
    Of the states, the kernels copy all but h; a GRU reads that for its gates too. Biases they do
    not read, and a weight only where a gradient goes back through it.
    """
    states = len(cell.states)
    weights = needs[1 + states :]
    w_ih, w_hh = any(weights[0::FIELDS]), any(weights[1::FIELDS])
    back = steps > 1 or any(needs[1 : 1 + states])
    read = [w_ih, w_hh or bool(cell.split), False][: 1 + states]
    read += [needs[0], back, False, False, True] * (len(weights) // FIELDS)
    return tuple(i for i, r in enumerate(read) if not r)
