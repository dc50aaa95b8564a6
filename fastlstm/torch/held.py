"""The tensors of a call that its backward pass reads again, by torch's rules for them.

torch raises if a tensor that backward reads was changed in place, and allows changes to others.
What a kernel reads depends on the gradients that are wanted; a forward pass that is run again
reads all.
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
    """The tensors of a layer from forward to backward, by torch but for those in `others`.

    `others` are (place, tensor, its version); `kept` is what the kernel keeps beside them, which
    refers to the memory of those by torch: at `places`, unless it looks for itself.
    """

    __slots__ = ("kept", "others", "places")

    def __init__(
        self,
        others: list[tuple[int, Tensor, int]],
        kept: Any = None,
        places: tuple[int, ...] | None = None,
    ) -> None:
        self.others, self.kept, self.places = others, kept, places

    def take(self) -> Any:
        """Return what the kernel kept, which serves once; then None."""
        kept, self.kept = self.kept, None
        return kept

    def tensors(self, ctx: Any) -> list[Tensor | None]:
        """Return the tensors; RuntimeError from torch if one changed that the kernel reads.

        Nothing is kept any more if one lies elsewhere now: sharded training frees weights after
        the forward pass, and brings them back for the backward pass.
        """
        found = list(ctx.saved_tensors)
        if self.kept is not None and self.places not in (None, addresses(found)):
            self.kept = None
        for i, t, _ in self.others:
            found[i] = t
        return found

    def check_others(self) -> None:
        """Check that the others are as they were, for a forward pass that is run again."""
        for _, t, version in self.others:
            if t._version != version:
                raise RuntimeError(
                    f"a tensor of shape {tuple(t.shape)} that forward was given has been modified "
                    f"by an inplace operation: it is at version {t._version}, expected {version}. "
                    "This backward pass runs forward again, as the graph was retained, the output "
                    "was changed in place, weights were moved, or a gradient of the gradient is "
                    "asked for"
                )


def hold(ctx: Any, tensors: Tensors, unread: Sequence[int]) -> Held:
    """Hold tensors from forward to backward: those at `unread` here, the rest by torch.

    `ctx` is that of an autograd.Function, which saves no others. `TensorStep.hold` does the same.
    """
    saved = list(tensors)
    others = []
    if not saving_hooked():  # hooks get all that is saved
        for i in unread:
            t = saved[i]
            if t is not None and not t.is_inference():
                others.append((i, t, t._version))
                saved[i] = None
    ctx.save_for_backward(*saved)
    return Held(others, places=addresses(saved))


def addresses(tensors: Tensors) -> tuple[int, ...]:
    """Return where tensors lie in memory, 0 for None."""
    return tuple(0 if t is None else t.data_ptr() for t in tensors)


@cache
def unread(cell: CellSpec, steps: int, needs: tuple[bool, ...]) -> tuple[int, ...]:
    """Return the places of a layer's tensors that the backward pass of a kernel does not read.

    `needs` tells which of them want a gradient. Of `steps` matters if they are 1. The kernels
    copy all states but h, which a GRU reads for its gates too. They read no bias, and a weight
    only where a gradient goes back through it.
    """
    states = len(cell.states)
    weights = needs[1 + states :]
    w_ih, w_hh = any(weights[0::FIELDS]), any(weights[1::FIELDS])
    back = steps > 1 or any(needs[1 : 1 + states])
    read = [w_ih, w_hh or bool(cell.split or cell.late), False][: 1 + states]
    read += [needs[0], back, False, False, True] * (len(weights) // FIELDS)
    return tuple(i for i, r in enumerate(read) if not r)
