"""Layers as operators of torch.library: what torch's tools record, compile, export and count.

`torch.ops.fastlstm.lstm`, `gru`, `rnn_tanh` and `rnn_relu` are one layer each, both of its
directions; each has a `..._backward` beside it. As an operator gives tensors alone, what the
kernel keeps for backward goes by way of `kept`.

T steps, N batch rows, I input size, H hidden size, R output size of one direction, D directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastlstm import kernels
from fastlstm._version import __version__
from fastlstm.runtime import get_num_threads
from fastlstm.torch import compiler, flops, function, kept, operations, vmap
from fastlstm.torch.dispatch import batched, uncompiled
from fastlstm.torch.given import Given, given_backward, given_forward
from fastlstm.torch.held import FIELDS, Tensors
from fastlstm.torch.layout import as_tensor
from fastlstm.torch.precision import DEFAULT
from fastlstm.torch.step import compiled_step

NAMES = ("lstm", "gru", "rnn_tanh", "rnn_relu")
NAMESPACE = "fastlstm"
OPTIONS = "bool batch_first, bool bidirectional, str precision"
ROWS = "Tensor? lengths=None, Tensor? reset=None"
_library = torch.library.Library(NAMESPACE, "DEF")


class Whole(NamedTuple):
    """The layout of a `function.Layer` for `run`."""

    batch_first: bool  # of x and y
    lengths: Tensor | None = None
    reset: Tensor | None = None  # [T,N]

    def more(self) -> tuple[Tensor | None, ...]:
        """Return the last arguments of an operator: what is not given has no place."""
        given = self.lengths, self.reset
        return given if self.reset is not None else given[: self.lengths is not None]


def layout_of(lengths: Any, T: Any, N: Any) -> Whole:
    """Return the layout for `run`; an operator looks into lengths and reset when it runs."""
    return Whole(False, None if lengths is None else as_tensor(lengths))


def run(layer: Any, x: Tensor, states: Tensors, weights: Tensors) -> tuple[Tensor, ...]:
    """Return what `function.run` does, by the operator of the cell; the layout is `Whole`.

    The operator keeps what a backward pass needs, but not in a program that is exported.
    """
    save = function.wants_gradient(x, states, weights) and not torch.compiler.is_exporting()
    there = [w for w in weights if w is not None]
    options = layer.layout.batch_first, len(weights) > FIELDS, layer.precision, save
    operator, more = getattr(torch.ops.fastlstm, layer.cell.name), layer.layout.more()
    outputs = operator(x, *states, there, *options, *more)
    return tuple(outputs[:-1])


def _define(cell: kernels.CellSpec) -> None:
    """Register the two operators of a cell."""
    name, states = f"{NAMESPACE}::{cell.name}", cell.states
    given = f"Tensor x, {_each('Tensor? {}0', states)}, Tensor[] weights"
    ends, dends = _each("Tensor {}", states), _each("Tensor? d{}", states)
    _library.define(
        f"{cell.name}({given}, {OPTIONS}, bool save, {ROWS}) -> (Tensor y, {ends}, Tensor kept)"
    )
    _library.define(
        f"{cell.name}_backward(Tensor? dy, {dends}, Tensor y, Tensor kept, {given}, {OPTIONS}, "
        f"bool[] needs, {ROWS}) -> Tensor[]"
    )
    _library.impl(cell.name, partial(_forward, cell), "CPU")
    _library.impl(f"{cell.name}_backward", partial(_backward, cell), "CPU")
    library = torch.library
    library.register_fake(name, partial(_fake_forward, cell), lib=_library)
    library.register_fake(f"{name}_backward", partial(_fake_backward, cell), lib=_library)
    library.register_autograd(
        name, partial(_gradients, cell), setup_context=partial(_save, cell), lib=_library
    )
    library.register_autograd(f"{name}_backward", _no_second_derivative, lib=_library)
    flops.register(cell.name, len(states))
    vmap.register(cell.name, len(states), _library)
    library.register_autocast(name, "cpu", torch.float32, lib=_library)


def _each(form: str, states: Sequence[str]) -> str:
    return ", ".join(form.format(s) for s in states)


@uncompiled
def _forward(cell: kernels.CellSpec, *args: Any) -> tuple[Tensor, ...]:
    given, save = given_forward(cell, args)
    if not given.x.numel():
        return _of_no_rows(given)
    short = None if save else _one_step(given)
    if short is not None:
        return (*short, kept.nothing())
    (y, *ends), saved = function.forward_layer(given.layer(), given.tensors(), save=save)
    if given.batch_first:
        y = y.transpose(0, 1)
    marker = kept.nothing() if saved is None else kept.keep(saved, _reread(given, y))
    return y, *ends, marker


def _one_step(given: Given) -> tuple[Tensor, ...] | None:
    """Return the outputs of a plain step in one direction, by the short way; None if it is none."""
    cell, x, states, weights, batch_first, bidirectional, precision, *rows = given
    if (
        any(t is not None for t in rows)
        or x.shape[batch_first] != 1
        or bidirectional
        or precision != DEFAULT
        or len(weights) % 2
    ):
        return None
    step = compiled_step(cell.name, 1)
    if step is None:
        return None
    N, H = x.shape[not batch_first], weights[1].shape[1]
    start = (x.new_zeros(1, N, H) if s is None else s for s in states)
    biases = () if len(weights) > 2 else (None, None)
    outputs: tuple[Tensor, ...] | None
    outputs = step((x, *start, *weights, *biases), get_num_threads())
    return outputs


@uncompiled
def _backward(cell: kernels.CellSpec, *args: Any) -> list[Tensor]:
    grads, y, marker, given, needs = given_backward(cell, args)
    if not given.x.numel():
        pairs = zip(_inputs(given), needs, strict=True)
        return [torch.zeros_like(t) for t, n in pairs if n and t is not None]
    layer, tensors, places = given.layer(), given.tensors(), given.places()
    saved = kept.take(marker, _reread(given, y))
    if saved is None:
        saved = function.forward_layer(layer, tensors, save=True)[1]
    assert saved is not None
    if given.batch_first and grads[0] is not None:
        grads[0] = grads[0].transpose(0, 1)
    asked = _spread(needs, places, len(tensors))
    found = list(function.backward_layer(layer, saved, tensors, grads, asked))
    if given.batch_first and found[0] is not None:
        found[0] = found[0].transpose(0, 1)
    return [_whole(found[p], tensors[p]) for p, n in zip(places, needs, strict=True) if n]


def _spread(needs: Sequence[bool], places: Sequence[int], size: int) -> list[bool]:
    """Return `needs` at their places among `size` tensors."""
    asked = [False] * size
    for place, need in zip(places, needs, strict=True):
        asked[place] = need
    return asked


def _whole(gradient: Tensor | None, of: Tensor | None) -> Tensor:
    """Return a gradient as an operator has to: in order in memory, and zeros for None."""
    if gradient is None:
        assert of is not None
        return torch.zeros_like(of, memory_format=torch.contiguous_format)
    return gradient.contiguous()


def _reread(given: Given, y: Tensor) -> list[Tensor | None]:
    """Return the tensors whose memory the kernel may read again."""
    return [y, *_inputs(given)]


def _inputs(given: Given) -> list[Tensor | None]:
    return [given.x, *given.states, *given.weights]


def _of_no_rows(given: Given) -> tuple[Tensor, ...]:
    """Return the outputs for an empty batch."""
    T, N, D, H, R = given.sizes()
    if T == 0 or N:
        shape = tuple(given.x.shape)
        raise RuntimeError(f"x has shape {shape}, expected one step at least, of one number")
    return (*_empties(given), kept.nothing())


def _empties(given: Given) -> list[Tensor]:
    """Return y and the last states, not yet written."""
    _, N, D, H, R = given.sizes()
    x = given.x
    sizes = given.cell.state_sizes(H, R)
    return [x.new_empty(*x.shape[:2], D * R), *(x.new_empty(D, N, size) for size in sizes)]


def _fake_forward(cell: kernels.CellSpec, *args: Any) -> tuple[Tensor, ...]:
    given, save = given_forward(cell, args)
    return (*_empties(given), given.x.new_empty(int(save), dtype=torch.uint8))


def _fake_backward(cell: kernels.CellSpec, *args: Any) -> list[Tensor]:
    *_, given, needs = given_backward(cell, args)
    states = _empties(given)[1:]
    like = [given.x, *states, *given.weights]
    return [t.new_empty(t.shape) for t, n in zip(like, needs, strict=True) if n]


@uncompiled
def _save(cell: kernels.CellSpec, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep for backward what its operator takes."""
    given, _ = given_forward(cell, inputs)
    ctx.options = given.batch_first, given.bidirectional, given.precision
    ctx.mark_non_differentiable(output[-1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[0], output[-1], given.lengths, given.reset, *_inputs(given))


@uncompiled
def _gradients(cell: kernels.CellSpec, ctx: Any, *grads: Any) -> tuple[Any, ...]:
    y, marker, lengths, reset, *tensors = ctx.saved_tensors
    more = Whole(False, lengths, reset).more()
    count = 1 + len(cell.states)
    needs = [*ctx.needs_input_grad[:count], *ctx.needs_input_grad[count]]
    grads = grads[:count]
    if torch.is_grad_enabled() or any(g is not None and batched(g) for g in grads):
        x, states, weights = tensors[0], tensors[1:count], tensors[count:]
        batch_first, both, precision = ctx.options
        given = Given(cell, x, states, weights, batch_first, both, precision, lengths, reset)
        every = _of_torch(given, grads, needs)
    else:
        operator = getattr(torch.ops.fastlstm, f"{cell.name}_backward")
        weights = tensors[count:]
        answer = operator(*grads, y, marker, *tensors[:count], weights, *ctx.options, needs, *more)
        found = iter(answer)
        every = [next(found) if n else None for n in needs]
    options = 4 + len(more)
    return *every[:count], every[count:], *[None] * options


def _of_torch(given: Given, grads: Sequence[Any], needs: Sequence[bool]) -> list[Tensor | None]:
    """Return the gradients in torch's own operations: of many at once, or to go on from."""
    with torch.enable_grad():  # x may be a view here, which is to have a gradient too
        tensors = given.tensors()
    places, (dy, *dstates) = given.places(), grads
    asked = _spread(needs, places, len(tensors))
    if given.batch_first and dy is not None:
        dy = dy.transpose(0, 1)
    found = operations.gradients(given.layer(), tensors, (dy, *dstates), asked)
    if given.batch_first and found[0] is not None:
        found[0] = found[0].transpose(0, 1)
    return [found[p] for p in places]


def _no_second_derivative(ctx: Any, *_: Any) -> None:
    raise RuntimeError(
        "the backward operators of fastlstm have no derivative: for second derivatives call the "
        "layer without a compiler, with create_graph=True, or use restore(model)"
    )


compiler.key_caches(f"torch.ops.{NAMESPACE}", __version__)
for _name in NAMES:
    _define(kernels.CELLS[_name])
