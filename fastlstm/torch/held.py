"""The tensors of a call that its backward pass reads again, by torch's rules for them.

torch tells of a tensor that was changed in place before a backward pass that reads it, and lets
change what is not read. Which tensors a kernel reads depends on the gradients that are wanted; a
forward pass that has to be run again reads all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastlstm.kernels import CellSpec, Weights
from fastlstm.torch.dispatch import saving_hooked

Tensors = Sequence[Tensor | None]
FIELDS = len(Weights._fields)


class Held:
    """Tensors held from forward to backward, some by torch and the others here.

    Parameters
    ----------
    ctx : of an autograd.Function; its only saved tensors are these.
    tensors : those of a layer, in their order.
    read : which of them the kernel reads again.
    """

    __slots__ = ("others",)

    def __init__(self, ctx: Any, tensors: Tensors, read: Sequence[bool]) -> None:
        if saving_hooked():  # whoever takes what is saved is to get all of it
            read = [True] * len(tensors)
        ctx.save_for_backward(*(t if r else None for t, r in zip(tensors, read, strict=True)))
        self.others = [
            None if r or t is None or t.is_inference() else (t, t._version)
            for t, r in zip(tensors, read, strict=True)
        ]

    def tensors(self, ctx: Any) -> list[Tensor | None]:
        """Return the tensors.

        Raises
        ------
        RuntimeError
            From torch, if one changed that the kernel reads.
        """
        others = (other and other[0] for other in self.others)
        return [s if s is not None else t for s, t in zip(ctx.saved_tensors, others, strict=True)]

    def check_others(self) -> None:
        """Check that a forward pass run now would be the one that was.

        Raises
        ------
        RuntimeError
            If one of the tensors was changed that the kernel does not read in its backward pass.
        """
        for other in self.others:
            if other and other[0]._version != other[1]:
                t, version = other
                raise RuntimeError(
                    f"a tensor of shape {tuple(t.shape)} that forward was given has been modified "
                    f"by an inplace operation: it is at version {t._version}, expected {version}. "
                    "This backward pass runs forward again, as the graph was retained, the output "
                    "was changed in place, or a gradient of the gradient is asked for"
                )


def read_again(cell: CellSpec, steps: int, needs: Sequence[bool]) -> list[bool]:
    """Return which of a layer's tensors the backward pass of a kernel reads.

    Parameters
    ----------
    cell : of the layer.
    steps : of the batch.
    needs : which of the tensors want a gradient.

    Returns
    -------
    read : for each of them. Kept apart from them are the cells, the one state beside h; a GRU's
        gates have it that h goes on into the next h.
    """
    states = len(cell.states)
    weights = needs[1 + states :]
    w_ih, w_hh = any(weights[0::FIELDS]), any(weights[1::FIELDS])
    h0 = w_hh or cell.name == "gru"
    before = steps > 1 or any(needs[1 : 1 + states])  # whether gradients go back to an h
    directions = len(weights) // FIELDS
    return [w_ih, h0, False][: 1 + states] + [needs[0], before, False, False, True] * directions
