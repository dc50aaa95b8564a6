"""A module whose weights are kept in few bits, as buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from warnings import warn

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fastlstm.torch.layout import check_memory
from fastlstm.torch.rounding import quantize

Self = TypeVar("Self", bound="Stored")
DTYPES = (torch.qint8, torch.float16)
MOST = 65504.0  # of float16


class Stored(torch.nn.Module):
    """Weights as int8 with a scale for each row, or as float16; biases as float32.

    Buffers: a weight ``w`` is ``w`` int8 [G,K] with ``w_scale`` float32 [G], or ``w`` float16.
    A state_dict holds them; one of the float module is rounded where it is loaded. Converting a
    model to another dtype leaves them as they are, as it does torch.ao's.

    Attributes
    ----------
    dtype : torch.qint8 or torch.float16.
    """

    dtype: torch.dtype
    _matrices: tuple[str, ...]  # names of the weights

    def _store(self, tensors: Iterable[tuple[str, Tensor | None]], dtype: torch.dtype) -> None:
        """Keep parameters by name: of two axes in few bits, others as they are."""
        self.dtype = dtype
        matrices = []
        with torch.inference_mode(False), torch.no_grad():
            for name, tensor in tensors:
                if tensor is None:
                    self.register_buffer(name, None)
                elif tensor.dim() == 1:
                    self.register_buffer(name, tensor.detach().clone())
                else:
                    matrices.append(name)
                    for key, value in self._rounded(name, tensor.detach()).items():
                        self.register_buffer(key, value)
        self._matrices = tuple(matrices)

    def _rounded(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """Return the buffers that hold a weight [G,K]."""
        if self.dtype is torch.float16:
            if weight.abs().max() > MOST:
                warn(f"{name} has numbers beyond float16's {MOST}: they become that", stacklevel=2)
            return {name: weight.clamp(-MOST, MOST).to(torch.float16)}
        finite = weight.isfinite()
        if not finite.all():
            j, k = (~finite).nonzero()[0].tolist()
            value = weight[j, k].item()
            raise ValueError(f"{name}[{j}, {k}] is {value}, expected finite numbers in int8")
        q, scale = quantize(weight.float())
        q *= scale != 0
        return {name: q, f"{name}_scale": scale[:, 0].clone()}

    def float_weight(self, name: str) -> Any:
        """Return a weight as float32 [G,K], a bias as it is, or None.

        Rounded to 8 bits again it gives the same whole numbers and scales.
        """
        kept = self._buffers[name]
        if kept is not None:
            self._check_place(kept)
        if name not in self._matrices or kept is None:
            return kept
        if self.dtype is torch.float16:
            return kept.float()
        scale = self._buffers[f"{name}_scale"]
        assert scale is not None
        self._check_place(scale)
        return kept * scale[:, None]

    def _check_place(self, kept: Tensor) -> None:
        """Raise RuntimeError if a buffer is not in the CPU's memory."""
        if not kept.is_cpu:
            raise RuntimeError(
                f"{self._get_name()}: its weights are on device {kept.device}, but it runs on the "
                "CPU: move the module with .cpu()"
            )
        check_memory(kept)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        errors: list[str] = rest[-1]
        for name in self._matrices:
            key = prefix + name
            given = state_dict.get(key)
            if isinstance(given, Tensor) and given.is_floating_point() and given.dim() == 2:
                for part, value in self._rounded(name, given).items():
                    state_dict[prefix + part] = value
            elif given is not None and self.dtype is torch.float16:
                errors.append(
                    f"{key} is of {getattr(given, 'dtype', type(given))}, expected floats of two "
                    "axes: this module keeps float16, not whole numbers and their scales"
                )
                state_dict[key] = self._buffers[name]
                state_dict.pop(f"{key}_scale", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, kept in before.items():  # .half() or .double() of a model is not meant for them
            new = self._buffers[name]
            if kept is not None and new is not None and new.dtype is not kept.dtype:
                self._buffers[name] = kept.to(new.device)
        return self

    def __prepare_scriptable__(self) -> Any:
        raise RuntimeError(
            f"torch.jit.script compiles Python's code, but a {self._get_name()} of fastlstm.torch "
            "is more than that: script the float model"
        )

    def _get_name(self) -> str:
        return f"DynamicQuantized{type(self).__name__}"


def wanted_dtype(module: torch.nn.Module) -> torch.dtype:
    """Return what the qconfig of a module, put there by torch.ao's tools, says of weights."""
    weight = getattr(getattr(module, "qconfig", None), "weight", None)
    dtype: torch.dtype = weight().dtype if weight is not None else torch.qint8
    return dtype


def check_dtype(name: str, dtype: torch.dtype) -> None:
    """Raise RuntimeError for a dtype of weights that there is no such module for."""
    if dtype not in DTYPES:
        raise RuntimeError(
            f"Unsupported dtype for dynamic quantization of {name}: {dtype}, expected torch.qint8 "
            "or torch.float16"
        )


def without_backward(name: str, run: Callable[[], Any], *given: Any) -> Any:
    """Return what `run` makes of tensors; where they want a gradient, results say there is none.

    Without that they would look like constants, and a training loop would go on in silence.
    """
    wanted = [t for t in _tensors(given) if t.requires_grad] if torch.is_grad_enabled() else []
    if not wanted:
        return run()
    with torch.no_grad():
        result = run()
    return _attached(name, wanted, result)


class NoBackward(torch.autograd.Function):
    """A result in whose place a backward pass stops with an error."""

    @staticmethod
    def forward(ctx: Any, name: str, result: Tensor, *inputs: Tensor) -> Tensor:
        ctx.name = name
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            f"{ctx.name} has no backward pass: it is quantized, for inference alone. Train the "
            "model that quantize_dynamic was given, and quantize it afterwards"
        )


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)


def _attached(name: str, wanted: list[Tensor], value: Any) -> Any:
    if isinstance(value, PackedSequence):
        return PackedSequence(_attached(name, wanted, value.data), *value[1:])
    if isinstance(value, tuple):
        return tuple(_attached(name, wanted, part) for part in value)
    return NoBackward.apply(name, value, *wanted)
