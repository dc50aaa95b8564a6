"""Small ONNX graphs of operators and sizes that are drawn, beside ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto
from onnx_build import apart, int_tensor, model, node, recurrent_weights, value

from attack.fuzz.draw import Rng, chance, pick
from fastlstm import onnx as fonnx

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
CLOSE = 2e-4  # of the largest number: several operators of float32, each in another order
MOST = 4000  # numbers of an array
MAPS = (
    "Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Identity", "Softplus", "Softsign", "HardSigmoid",
    "Elu", "LeakyRelu", "Erf", "Selu", "Sin", "Cos", "Exp", "Sqrt", "Reciprocal", "Log",
)  # fmt: skip
SAFE = {"Exp": "Tanh", "Sqrt": "Abs", "Reciprocal": "Exp", "Log": "Sigmoid"}  # behind one of these


class Made:
    """A graph as it grows: nodes, constants and the arrays that are known, by name."""

    def __init__(self, rng: Rng, shape: Shape) -> None:
        self.rng, self.nodes, self.constants = rng, list[Any](), dict[str, Array]()
        self.shapes: dict[str, Shape] = {"x": shape}
        self.count = 0  # of names

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def constant(self, array: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def draw(self, *shape: int) -> str:
        scale = 1 / math.sqrt(max(1, math.prod(shape[1:])))
        return self.constant(np.asarray(self.rng.standard_normal(shape) * scale, np.float32))

    def add(self, op: str, inputs: list[str], shape: Shape, **attributes: Any) -> str:
        """A node of one output."""
        name = self.name()
        self.nodes.append(node(op, inputs, [name], **attributes))
        self.shapes[name] = shape
        return name

    def any(self, axes: int | None = None) -> str | None:
        """One of the arrays, of so many axes."""
        names = [n for n, s in self.shapes.items() if axes in (None, len(s))]
        return pick(self.rng, names[-4:]) if names else None


def _map(made: Made, x: str) -> None:
    op, shape = pick(made.rng, MAPS), made.shapes[x]
    if op == "Reciprocal":
        x = made.add("Tanh", [x], shape)
    if op in SAFE:
        x = made.add(SAFE[op], [x], shape)
    made.add(op, [x], shape)


def _two(made: Made, x: str) -> None:
    """An array and another, or a constant that is spread over it."""
    shape, rng = made.shapes[x], made.rng
    op = pick(rng, ("Add", "Sub", "Mul", "Max", "Min"))
    same = [n for n, s in made.shapes.items() if s == shape]
    part = tuple(1 if chance(rng, 2) else n for n in shape)[int(rng.integers(len(shape) + 1)) :]
    other = pick(rng, same) if chance(rng, 2) else made.draw(*part)
    made.add(op, [x, other] if chance(rng, 2) or op == "Sub" else [other, x], shape)


def _matrix(made: Made, x: str) -> None:
    *outer, K = made.shapes[x]
    M, rng = int(made.rng.integers(1, 9)), made.rng
    if len(outer) == 1 and chance(rng, 2):
        turned = int(chance(rng, 2))
        inputs = [x, made.draw(M, K) if turned else made.draw(K, M)]
        if chance(rng, 2):
            inputs.append(made.draw(*pick(rng, ((M,), (1, M), (outer[0], 1), (1,)))))
        alpha, beta = float(pick(rng, (1, 0.5))), float(pick(rng, (1, 2)))
        made.add("Gemm", inputs, (outer[0], M), transB=turned, alpha=alpha, beta=beta)
    elif outer:
        made.add("MatMul", [x, made.draw(K, M)], (*outer, M))


def _turned(made: Made, x: str) -> None:
    order = [int(k) for k in made.rng.permutation(len(made.shapes[x]))]
    made.add("Transpose", [x], tuple(made.shapes[x][k] for k in order), perm=order)


def _shaped(made: Made, x: str) -> None:
    """The same numbers on other axes."""
    shape, rng = made.shapes[x], made.rng
    at, how = int(rng.integers(len(shape))), int(rng.integers(4))
    if how == 0 and len(shape) < 4:
        made.add("Unsqueeze", [x, made.constant(int_tensor([at]))], (*shape[:at], 1, *shape[at:]))
    elif how == 1 and shape[at] == 1 and len(shape) > 1:
        made.add("Squeeze", [x, made.constant(int_tensor([at]))], shape[:at] + shape[at + 1 :])
    elif how == 2:
        wide = math.prod(shape[:at]), math.prod(shape[at:])
        made.add("Flatten", [x], wide, axis=at)
    elif at:
        joined = (*shape[: at - 1], shape[at - 1] * shape[at], *shape[at + 1 :])
        told = [-1 if k == at - 1 else n for k, n in enumerate(joined)]
        made.add("Reshape", [x, made.constant(int_tensor(told))], joined)


def _joined(made: Made, x: str) -> None:
    shape = made.shapes[x]
    at = int(made.rng.integers(len(shape)))
    fitting = [n for n, s in made.shapes.items() if len(s) == len(shape)]
    rest = shape[:at] + shape[at + 1 :]
    fitting = [n for n in fitting if made.shapes[n][:at] + made.shapes[n][at + 1 :] == rest]
    names = [x, *[pick(made.rng, fitting) for _ in range(int(made.rng.integers(3)))]]
    length = sum(made.shapes[n][at] for n in names)
    axis = at - len(shape) if chance(made.rng, 2) else at
    made.add("Concat", names, (*shape[:at], length, *shape[at + 1 :]), axis=axis)


def _cut(made: Made, x: str) -> None:
    """A part of an axis: Slice, Gather or Split."""
    shape, rng = made.shapes[x], made.rng
    at, how = int(rng.integers(len(shape))), int(rng.integers(3))
    n = shape[at]

    def with_length(length: int) -> Shape:
        return (*shape[:at], length, *shape[at + 1 :])

    if how == 0:
        start, step = int(rng.integers(-n, n)), int(pick(rng, (1, 1, 2, -1)))
        end = int(pick(rng, (2**62, n, -1))) if step > 0 else -(2**62)
        length = len(range(n)[start:end:step])
        if length:
            parts = [made.constant(int_tensor([k])) for k in (start, end, at, step)]
            made.add("Slice", [x, *parts], with_length(length))
    elif how == 1:
        index = rng.integers(-n, n, int(rng.integers(1, 5)))
        made.add("Gather", [x, made.constant(int_tensor(index))], with_length(len(index)), axis=at)
    elif n > 1:
        first = int(rng.integers(1, n))
        names = [made.name(), made.name()]
        sizes = made.constant(int_tensor([first, n - first]))
        made.nodes.append(node("Split", [x, sizes], names, axis=at))
        made.shapes |= {names[0]: with_length(first), names[1]: with_length(n - first)}


def _padded(made: Made, x: str) -> None:
    shape, rng = made.shapes[x], made.rng
    mode = pick(rng, ("constant", "reflect", "edge"))
    pads = [int(rng.integers(0, min(n, 3))) for n in (*shape, *shape)]
    longer = tuple(a + n + b for a, n, b in zip(pads, shape, pads[len(shape) :], strict=False))
    made.add("Pad", [x, made.constant(int_tensor(pads))], longer, mode=mode)


def _spread(made: Made, x: str) -> None:
    shape, rng = made.shapes[x], made.rng
    if chance(rng, 2):
        times = [int(n) for n in rng.integers(1, 3, len(shape))]
        longer = tuple(a * b for a, b in zip(shape, times, strict=True))
        made.add("Tile", [x, made.constant(int_tensor(times))], longer)
        return
    longer = tuple(int(rng.integers(1, 4)) if n == 1 else n for n in shape)
    made.add("Expand", [x, made.constant(int_tensor(longer))], longer)


def _reduced(made: Made, x: str) -> None:
    shape, rng = made.shapes[x], made.rng
    op = pick(rng, ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"))
    axes = sorted({int(k) for k in rng.integers(0, len(shape), 2)})
    if len(axes) == len(shape):
        axes = axes[:-1] or axes
    keep = len(axes) == len(shape) or chance(rng, 2)
    left = tuple(1 if k in axes else n for k, n in enumerate(shape) if keep or k not in axes)
    if op == "ReduceSum":
        made.add(op, [x, made.constant(int_tensor(axes))], left, keepdims=int(keep))
    else:
        made.add(op, [x], left, axes=axes, keepdims=int(keep))


def _normal(made: Made, x: str) -> None:
    shape, rng = made.shapes[x], made.rng
    at = int(rng.integers(len(shape)))
    if chance(rng, 2):
        made.add(pick(rng, ("Softmax", "LogSoftmax")), [x], shape, axis=at)
    elif math.prod(shape[at:]) > 2:  # of one or two numbers the differences are rounding alone
        scale, shift = (made.draw(*shape[at:]) for _ in range(2))
        made.add("LayerNormalization", [x, scale, shift], shape, axis=at, epsilon=1e-2)


def _front(made: Made, x: str) -> None:
    """A convolution or a pool over the last axis or the last two."""
    shape, rng = made.shapes[x], made.rng
    n = len(shape) - 2
    if n not in (1, 2):
        return
    C, sizes = shape[1], shape[2:]
    kernel, strides = ([int(k) for k in rng.integers(1, 4, n)] for _ in range(2))
    pads = [int(rng.integers(0, k)) for k in kernel * 2]
    pool = chance(rng, 3)
    spread = [1] * n if pool else [int(k) for k in rng.integers(1, 3, n)]
    there = [p + s + q for p, s, q in zip(pads, sizes, pads[n:], strict=False)]
    out = [
        (t - d * (k - 1) - 1) // s + 1
        for t, d, k, s in zip(there, spread, kernel, strides, strict=True)
    ]
    if min(out) < 1:
        return
    options: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if pool:
        made.add(pick(rng, ("MaxPool", "AveragePool")), [x], (shape[0], C, *out), **options)
        return
    group = C if chance(rng, 4) else 1
    M = group * int(rng.integers(1, 5))
    inputs = [x, made.draw(M, C // group, *kernel)]
    if chance(rng, 2):
        inputs.append(made.draw(M))
    made.add("Conv", inputs, (shape[0], M, *out), group=group, dilations=spread, **options)


def _recurrent(made: Made, x: str) -> None:
    """An LSTM, GRU or RNN over [T,N,I]."""
    shape, rng = made.shapes[x], made.rng
    if len(shape) != 3:
        return
    op, H = pick(rng, ("LSTM", "GRU", "RNN")), int(pick(rng, (1, 3, 8, 9)))
    direction = pick(rng, ("forward", "reverse", "bidirectional"))
    D = 2 if direction == "bidirectional" else 1
    T, N, I = shape
    w, r, b = (made.constant(array) for array in recurrent_weights(op, rng, I, H, D).values())
    inputs = [x, w, r, b if chance(rng, 2) else ""]
    if chance(rng, 3):
        inputs.append(made.constant(rng.integers(1, T + 1, N).astype(np.int32)))
        inputs += [made.draw(D, N, H) for _ in range(2 if op == "LSTM" else 1)]
    more = {"linear_before_reset": int(chance(rng, 2))} if op == "GRU" else {}
    made.add(op, inputs, (T, D, N, H), hidden_size=H, direction=direction, **more)


def _chosen(made: Made, x: str) -> None:
    """Clip, Where and Cast: what goes by conditions that do not hang on rounding."""
    shape, rng = made.shapes[x], made.rng
    how = int(rng.integers(3))
    if how == 0:
        low, high = (made.constant(np.float32(k)) for k in (-0.5, 0.75))
        made.add("Clip", [x, low, high if chance(rng, 2) else ""], shape)
    elif how == 1:
        mask = made.constant(rng.random(shape[-1:]) < 0.5)
        made.add("Where", [mask, x, made.constant(np.float32(0.25))], shape)
    else:
        wide = made.name()  # of float64, which others do not take
        made.nodes.append(node("Cast", [x], [wide], to=TensorProto.DOUBLE))
        made.add("Cast", [wide], shape, to=TensorProto.FLOAT)


KINDS: tuple[tuple[Callable[[Made, str], None], int], ...] = (
    (_map, 4), (_two, 4), (_matrix, 3), (_turned, 3), (_shaped, 3), (_joined, 2), (_cut, 3),
    (_padded, 1), (_spread, 1), (_reduced, 1), (_normal, 2), (_front, 4), (_recurrent, 4),
    (_chosen, 2),
)  # fmt: skip
_CHOICES = [kind for kind, times in KINDS for _ in range(times)]


def graph(rng: Rng) -> tuple[bytes, Shape]:
    """A file, and the shape of its input."""
    shape = tuple(int(n) for n in rng.integers(1, 7, int(rng.integers(1, 5))))
    made = Made(rng, shape)
    for _ in range(int(rng.integers(1, 12))):
        x = made.any(3) if chance(rng, 3) else made.any()
        if x is not None and math.prod(made.shapes[x]) <= MOST:
            pick(rng, _CHOICES)(made, x)
    if not made.nodes:
        _map(made, "x")
    names = [n for n in made.shapes if n != "x"]
    wanted = dict.fromkeys([names[-1], *[pick(rng, names) for _ in range(2)]])
    outputs = [value(name) for name in wanted]
    return model(made.nodes, [value("x", shape=shape)], outputs, made.constants), shape


def _runtime(data: bytes, feeds: list[Array]) -> list[list[Array]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": x}) for x in feeds]


def case(rng: Rng, folder: Path) -> None:
    """The outputs are those of ONNX Runtime, for one input after another."""
    data, shape = graph(rng)
    feeds = [rng.standard_normal(shape).astype(np.float32) for _ in range(2)]
    expected = apart(lambda: _runtime(data, feeds))
    ours = fonnx.load(data)
    for x, others in zip(feeds, expected, strict=True):
        for k, (one, other) in enumerate(zip(ours(x), others, strict=True)):
            assert one.shape == other.shape, f"output {k} has shape {one.shape}, not {other.shape}"
            assert one.dtype == other.dtype, f"output {k} is of {one.dtype}, not {other.dtype}"
            finite = np.isfinite(other)
            assert (finite == np.isfinite(one)).all(), f"output {k} is not finite elsewhere"
            scale = max(float(np.abs(other[finite]).max(initial=0)), 1.0)
            error = float(np.abs(one[finite] - other[finite]).max(initial=0)) / scale
            assert error <= CLOSE, f"output {k}: error {error:.1e} of its scale"
