"""Who answers a call: a kernel, or torch where its operations are wanted and not only results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

F = TypeVar("F", bound=Callable[..., Any])


def outside_kernels(input: Any, lengths: Any = None) -> bool:
    """Whether torch's own module must answer a call.

    It must where operations are recorded or transformed and not only run: under torch.jit.trace
    and torch.export (with them the export to ONNX), inside torch.func's transforms and with
    forward-mode derivatives, which all know torch's operations and not a kernel. And for an empty
    input, where there is nothing to compute.

    Raises
    ------
    RuntimeError
        If operations are recorded or transformed and lengths are given: torch's module takes none.
    """
    if recorded():
        if lengths is not None:
            raise RuntimeError(
                "lengths is given, expected None while torch traces, exports or transforms the "
                "module: its own operations run then; use a PackedSequence or padded rows"
            )
        return True
    return isinstance(input, Tensor) and input.numel() == 0


def recorded() -> bool:
    """Whether torch records or transforms operations at this moment."""
    if torch.compiler.is_compiling():
        return bool(torch.compiler.is_exporting())
    return bool(
        torch._C._is_tracing()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def plain_mode() -> bool:
    """Whether torch just runs operations: nothing is compiled, recorded, transformed, lowered."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._is_tracing()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._is_any_autocast_enabled()
    )


def uncompiled(function: F) -> F:
    """Keep torch.compile out of `function`: one graph break, around what it cannot look into.

    torch.compiler.disable alone would load the compiler, which takes longer than all of torch.
    """
    disabled: Callable[..., Any] | None = None

    @wraps(function)
    def call(*args: Any) -> Any:
        nonlocal disabled
        if "torch._dynamo" not in sys.modules:
            return function(*args)
        if disabled is None:
            disable: Any = torch.compiler.disable
            disabled = disable(function)
        return disabled(*args)

    return cast(F, call)
