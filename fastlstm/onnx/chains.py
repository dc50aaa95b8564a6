"""Lines of small convolutions, and what follows them, as one call of a chain.

`Conv`, `Relu`, `Sigmoid`, `Tanh`, and the square root of a sum of squares of its channels' halves,
one after the other, each read by the next alone: the kernels make a chain of them
(`kernels.chain`), between whose stages nothing of Python runs. Only the compiled kernels do, and
only of small ones, as large products are as fast alone, on all cores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.chain import ChainSpec, Convolution, Map, Stage
from fastlstm.onnx.graph import Array
from fastlstm.onnx.values import Call, Ref, Step, copying
from fastlstm.runtime import get_num_threads

MAPS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
MOST = 1 << 20  # multiplications in a row of a convolution
LEAST = 2  # stages of a line


class Link(NamedTuple):
    """A stage of a line: the steps that it replaces, of which the last makes its output."""

    stage: Stage
    steps: list[Step]

    @property
    def output(self) -> Ref:
        return self.steps[-1].outputs[0]


def in_chains(steps: list[Step], outputs: Sequence[Ref]) -> list[Step]:
    """Return the steps with each line of them as one."""
    if kernels.default_backend() != "native":
        return steps
    readers = Counter(ref.root for ref in outputs)
    for step in steps:
        readers.update({ref.root for ref in step.inputs})
    taken: set[int] = set()
    made = []
    for i in range(len(steps)):
        line = _line(steps, i, readers) if i not in taken else []
        if len(line) < LEAST:
            continue
        places = [steps.index(s) for link in line for s in link.steps]
        taken.update(places)
        made.append((max(places), _as_step(line)))
    kept = [(i, step) for i, step in enumerate(steps) if i not in taken]
    return [step for _, step in sorted(kept + made, key=lambda pair: pair[0])]


def _line(steps: list[Step], first: int, readers: Counter[Ref]) -> list[Link]:
    """Return the links that begin with the convolution that a step is; none if it is no such."""
    line: list[Link] = []
    link = _convolution(steps[first])
    while link is not None:
        line.append(link)
        link = _next(steps[first + 1 :], line[-1].output, readers)
    return line


def _next(steps: list[Step], x: Ref, readers: Counter[Ref]) -> Link | None:
    """Return the link that alone reads a value."""
    found = [step for step in steps if any(ref.root is x.root for ref in step.inputs)]
    if len(found) != readers[x.root] or not found:
        return None
    if len(found) == 2:
        return _magnitude(steps, found, x, readers)
    step = found[0]
    if len(found) != 1 or not _is_same(step.inputs[0], x):
        return None
    if step.op in MAPS and _is_same(step.outputs[0], step.outputs[0].root):
        return Link(Map(MAPS[step.op]), [step])
    return _convolution(step)


def _convolution(step: Step) -> Link | None:
    if step.op != "Conv" or step.attributes["groups"] != 1:
        return None
    at, x, weight, bias = (step.attributes["windows"], step.inputs[0], step.attributes["weight"],
                           step.attributes["bias"])  # fmt: skip
    if len(at.size) != 1 or at.dilation != (1,) or x.dtype not in (np.float32, np.float64):
        return None
    if not weight.constant or not (bias is None or bias.constant) or not x.array.size:
        return None
    if weight.array.size * at.output[0] > MOST:
        return None
    padding = at.before[0], at.after[0]
    own = None if bias is None else bias.array
    return Link(Convolution(weight.array, own, at.stride[0], padding=padding), [step])


def _magnitude(
    steps: list[Step], squares: list[Step], x: Ref, readers: Counter[Ref]
) -> Link | None:
    """Return the link of sqrt(re^2 + im^2), of the halves of a value [N,2M,P]."""
    if x.shape[1] % 2 or not all(_is_square(step) for step in squares):
        return None
    halves = np.split(x.array, 2, axis=1)
    for step, half in zip(squares, halves, strict=True):
        if not _is_same_array(step.inputs[0].array, half):
            return None
    total = _only_reader(steps, squares[0].outputs[0], readers)
    other = _only_reader(steps, squares[1].outputs[0], readers)
    if total is None or total is not other or total.attributes.get("function") is not np.add:
        return None
    if total.outputs[0].shape != halves[0].shape:
        return None
    root = _only_reader(steps, total.outputs[0], readers)
    if root is None or root.attributes.get("function") is not np.sqrt:
        return None
    return Link(Map("magnitude"), [*squares, total, root])


def _is_square(step: Step) -> bool:
    """Whether a step multiplies a value with itself, as `Pow` with a 2 does too."""
    if step.attributes.get("function") is not np.multiply:
        return False
    return _is_same(step.inputs[0], step.inputs[1])


def _only_reader(steps: list[Step], x: Ref, readers: Counter[Ref]) -> Step | None:
    found = [step for step in steps if any(ref.root is x.root for ref in step.inputs)]
    return found[0] if len(found) == readers[x.root] == 1 else None


def _is_same(a: Ref, b: Ref) -> bool:
    return _is_same_array(a.array, b.array)


def _is_same_array(a: Array, b: Array) -> bool:
    """Whether two arrays are the same elements in the same places."""
    same = a.__array_interface__["data"][0] == b.__array_interface__["data"][0]
    return same and a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype


def _as_step(line: list[Link]) -> Step:
    """Return the one step for a line, in the place of its last."""
    first, last = line[0].steps[0], line[-1].steps[-1]
    x, out = first.inputs[0], line[-1].output

    def bind() -> list[Call]:
        N, C, P = x.shape
        spec = ChainSpec(tuple(link.stage for link in line), P, C, x.dtype.name)
        chain = kernels.backend("native").chain(spec, N)
        before, turned = _turned(x.array)
        to = out.array.swapaxes(1, 2)  # a chain has the channels last

        def run() -> None:
            np.copyto(to, chain(turned, get_num_threads()))

        return [*before, run]

    return Step("Chain", last.node, (x,), (out,), bind)


def _turned(x: Array) -> tuple[list[Call], Array]:
    """Return [N,C,P] as [N,P,C] in one piece, and the call that copies it where that has to be."""
    turned = x.swapaxes(1, 2)
    if turned.flags.c_contiguous:
        return [], turned
    own = np.empty(turned.shape, turned.dtype)
    return [copying(own, turned)], own
