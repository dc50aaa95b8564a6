"""Who answers a call: a kernel, or torch's own module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as _dispatch_mode_stack

from fastlstm.torch.compiler import when_loaded

F = TypeVar("F", bound=Callable[..., Any])

# Looked up once: every call asks them, and that of a cell takes a few microseconds.
compiling = torch.compiler.is_compiling
_tracing = torch._C._is_tracing
transforming = torch._C._are_functorch_transforms_active
_transforms = torch._C._functorch.get_interpreter_stack
_VMAP = torch._C._functorch.TransformType.Vmap
intercepted = _dispatch_modes = torch._C._len_torch_dispatch_stack
_function_modes = torch._C._len_torch_function_stack
_autocasting = torch._C._is_any_autocast_enabled
_hooks = torch._C._autograd._top_saved_tensors_default_hooks
batched = torch._C._functorch.is_legacy_batchedtensor  # a tensor that stands for many
# What the compiler does with each frame of Python that starts, None where no compiled function
# runs; never None in a torch that does not tell.
_frames: Any = getattr(torch._C._dynamo.eval_frame, "get_eval_frame_callback", bool)

# Modes of torch that take an operator for what it is registered as. By name: to import all of
# their classes takes long.
OF_OPERATORS = (
    "ProxyTorchDispatchMode",
    "FakeTensorMode",
    "FunctionalTensorMode",
    "_FlopCounterMode",
    "TorchFunctionMetadataMode",  # these two of make_fx
    "PreDispatchTorchFunctionMode",
)


def outside_kernels(
    module: torch.nn.Module, input: Any, hx: Any, lengths: Any = None, reset: Any = None
) -> bool:
    """Whether torch's own module must answer a call.

    It must for an empty input, and on the device meta, which has shapes alone: lengths and a reset
    change none of these. And it must where torch or a class of tensors records, transforms or
    intercepts operations: the results of a kernel would be constants in what is recorded.

    Raises RuntimeError if lengths or a reset are given while something records: torch's module
    takes none.
    """
    if shapes_alone(module, input):
        return True
    if recorded() or foreign(module, input, hx):
        if lengths is not None:
            raise RuntimeError(
                "lengths is given, expected None while torch traces, exports or transforms the "
                "module or a tensor is of a class of its own: torch's own operations run then; "
                "use a PackedSequence or padded rows"
            )
        if reset is not None:
            raise RuntimeError(
                "reset is given, expected None while torch traces, exports or transforms the "
                "module or a tensor is of a class of its own: torch's own operations run then; "
                "cut the sequences where it is set"
            )
        return True
    return isinstance(input, Tensor) and input.numel() == 0


def shapes_alone(module: torch.nn.Module, input: Any) -> bool:
    """Whether input and parameters are on the device meta."""
    data = input.data if isinstance(input, PackedSequence) else input
    if not isinstance(data, Tensor) or not data.is_meta:
        return False
    parameters = list(module.parameters())
    return bool(parameters) and all(p.is_meta for p in parameters)


def takes_operators(input: Any) -> bool:
    """Whether a call goes through the operators of `operators`: one of whole rows, or of one step.

    It does for torch's compiler, its export, vmap and those modes of torch that know an operator
    by its registration. A mode of a user's own may look for torch's operations, ONNX has nodes for
    them, and torch.func cannot differentiate what is registered.
    """
    compiled = compiling()
    if not (compiled or _dispatch_modes() or _function_modes() or transforming()):
        return False
    if not isinstance(input, Tensor) or not input.numel() or input.is_meta:
        return False
    if differentiated():
        return False
    if compiled:
        return not (torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export())
    names = [type(mode).__name__ for mode in (*_dispatch_mode_stack(), *_intercepting())]
    known = all(name in OF_OPERATORS for name in names)
    return known and bool(names or transforming()) and not _tracing()


def symbolic_call(module: torch.nn.Module, *args: Any) -> Any:
    """Return a call that torch.fx traces, as one node of its graph; None if it traces none.

    The tracer looks into modules that are not torch's own, but there is nothing to see.
    """
    if torch.compiler.is_compiling() or not isinstance(args[0], torch.fx.Proxy):
        return None
    tracer: Any = args[0].tracer
    while args[-1] is None:
        args = args[:-1]
    return tracer.create_proxy("call_module", tracer.path_of_module(module), args, {})


def differentiated() -> bool:
    """Whether torch.func transforms at this moment, by more than vmap, or derives forward."""
    if forward_ad._current_level >= 0:
        return True
    return transforming() and any(level.key() != _VMAP for level in _transforms() or ())


def vmapped() -> bool:
    """Whether torch.vmap, alone or among other transforms, makes many calls of one."""
    return transforming() and any(level.key() == _VMAP for level in _transforms() or ())


for _asked in (differentiated, vmapped):
    _asked._dynamo_marked_constant = True  # type: ignore[attr-defined]  # not to be traced


def recorded() -> bool:
    """Whether torch records, transforms or intercepts operations at this moment."""
    if torch.compiler.is_compiling():
        return bool(torch.compiler.is_exporting()) or differentiated()
    return not eager()


def plain_mode() -> bool:
    """Whether torch just runs operations: nothing is compiled, recorded, transformed, lowered."""
    return not compiling() and uncompiled_plain_mode()


def uncompiled_plain_mode() -> bool:
    """As `plain_mode`, where nothing is compiled."""
    return not (
        _tracing()
        or transforming()
        or forward_ad._current_level >= 0
        or _dispatch_modes()
        or _autocasting()
        or (_function_modes() and _intercepting())
    )


def eager() -> bool:
    """Whether an operation that is called runs, and nothing else asks which one it was.

    torch.jit.trace, torch.func's transforms, forward-mode derivatives and modes (of make_fx, of
    fake tensors) ask. A default device is a mode too, but only says where tensors are made.
    """
    return not (
        _tracing()
        or transforming()
        or forward_ad._current_level >= 0
        or _dispatch_modes()
        or (_function_modes() and _intercepting())
    )


def _intercepting() -> list[Any]:
    """Return the modes that functions of torch go through, the innermost last."""
    modes: list[Any] = _get_current_function_mode_stack()
    return [mode for mode in modes if type(mode) is not DeviceContext]


def foreign(module: torch.nn.Module, input: Any, hx: Any) -> bool:
    """Whether a tensor of a call is of a subclass, which may have operations of its own."""
    if type(input) is not Tensor:
        input = input.data if isinstance(input, PackedSequence) else input
        if _own_class(input):
            return True
    if hx is not None:
        for state in hx if isinstance(hx, (tuple, list)) else (hx,):
            if _own_class(state):
                return True
    for parameter in module._parameters.values():
        if type(parameter) is not Parameter and _own_class(parameter):
            return True
    return False


def _own_class(value: Any) -> bool:
    return type(value) not in (Tensor, Parameter) and isinstance(value, Tensor)


def plain_gradients(gradients: Iterable[Tensor | None]) -> bool:
    """Whether a backward pass just has to run, once, on gradients that a kernel can read.

    Not where it is recorded itself (create_graph), nor where a gradient stands for many
    (is_grads_batched).
    """
    if torch.is_grad_enabled() or not eager():
        return False
    for g in gradients:
        if g is not None and (type(g) is not Tensor or batched(g)):
            return False
    return True


def saving_hooked() -> bool:
    """Whether someone takes what is saved for backward: to checkpoint it, to move it elsewhere."""
    return _hooks(True) is not None


def uncompiled(function: F) -> F:
    """Keep torch.compile out of `function`: one graph break, around what it cannot look into.

    Also where torch calls it: a compiled function that breaks its graph has each frame compiled
    that starts while it runs, those of operators and of backward passes too.
    """
    disabled: Callable[..., Any] | None = None

    # once the compiler is loaded, which takes long, and not in code that it traces
    def disable(dynamo: Any) -> None:
        nonlocal disabled
        disabled = dynamo.disable(function)
        dynamo.decorators.skip(call)

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if disabled is None or _frames() is None:  # what is disabled takes a microsecond longer
            return function(*args, **options)
        return disabled(*args, **options)

    when_loaded("torch._dynamo", disable)
    return cast(F, call)


class Unscripted:
    """A module whose forward torch.jit.script cannot compile, and says so."""

    def __prepare_scriptable__(self) -> Any:
        name = type(self).__name__
        raise RuntimeError(
            f"torch.jit.script compiles Python's code, but a {name} of fastlstm.torch runs a "
            "kernel: script fastlstm.torch.restore(model), or use torch.jit.trace or torch.export"
        )
