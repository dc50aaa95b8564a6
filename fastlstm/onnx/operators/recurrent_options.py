"""What a recurrent node is: its family, its options, and the kernel's cell that has them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log
from typing import Any, NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import CellSpec
from fastlstm.kernels.spec import ACTIVATIONS, SIGMOID, with_activations
from fastlstm.kernels.spec import Activation as KernelActivation
from fastlstm.onnx.graph import Array, Node
from fastlstm.onnx.operators import loops
from fastlstm.onnx.operators.activations import Activation, read_activations

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


class Family(NamedTuple):
    """A recurrent operator.

    Attributes
    ----------
    gates : how many.
    order : which of the file's gates each of the kernel's is.
    states : how many.
    activations : the usual ones.
    step, inputs : what runs it in NumPy.
    """

    gates: int
    order: tuple[int, ...]
    states: int
    activations: tuple[str, ...]
    step: Callable[..., loops.Step]
    inputs: Callable[..., Array] = loops.inputs_part


FAMILIES = {
    "LSTM": Family(4, (0, 2, 3, 1), 2, ("Sigmoid", "Tanh", "Tanh"), loops.lstm_step),
    "GRU": Family(3, (1, 0, 2), 1, ("Sigmoid", "Tanh"), loops.gru_step, loops.gru_inputs),
    "RNN": Family(1, (0,), 1, ("Tanh",), loops.rnn_step),
}


def options_of(node: Node) -> tuple[tuple[bool, ...], list[loops.Options]]:
    """Return whether each direction runs backward, and its options."""
    direction = node.text("direction", "forward", tuple(DIRECTIONS))
    backward = DIRECTIONS[direction]
    clip = node.number("clip") if "clip" in node.attributes else None
    if clip is not None and not clip > 0:
        clip = None
    read = read_activations(node, FAMILIES[node.op].activations, len(backward))
    input_forget = bool(node.integer("input_forget", 0))
    linear = bool(node.integer("linear_before_reset", 0))
    return backward, [loops.Options(a, clip, input_forget, linear) for a in read]


def kernel_of(
    node: Node, options: loops.Options, peepholes: bool, dtype: Any = np.float32
) -> CellSpec | None:
    """Return the kernel's cell for a direction, None if there is none with its options.

    A clip that an activation cannot see is none; gates that are coupled have a cell if the forget
    gate can be made with weights of its own, see `coupling`.
    """
    clips = [options.clip] * len(options.activations)
    if node.op == "LSTM":
        clips[-1] = None  # the last one sees the cell as it is
    read = [_read(a, clip, dtype) for a, clip in zip(options.activations, clips, strict=True)]
    known = [activation for activation in read if activation is not None]
    if len(known) < len(read):
        return None
    gate, *values = [SIGMOID] * (node.op == "RNN") + known
    if node.op == "LSTM" and options.input_forget:
        shift = coupling(options)
        if shift is None or shift and gate.clip < inf:  # clipped, f(s - x) is not 1 - f(x)
            return None
    cell = with_activations(_name(node.op, options, peepholes), values[0], gate, *values[1:])
    return cell if cell.usual or kernels.default_backend() != "numba" else None


def _name(op: str, options: loops.Options, peepholes: bool) -> str:
    """Return the name of the kernel's cell with the usual activations."""
    if op == "RNN":
        return "rnn_tanh"
    if op == "GRU":
        return "gru" if options.linear_before_reset else "gru_reset_before"
    return "peephole_lstm" if peepholes else "lstm"


def coupling(options: loops.Options) -> float | None:
    """Return a number s for which 1 - f(x) = f(s - x) with f the activation of the gates, or None.

    The forget gate of an LSTM with `input_forget` is then one with the negative weights of the
    input gate, and s more in its bias.
    """
    name, alpha, beta = options.activations[0]
    if name == "sigmoid":
        return 0.0
    if name == "hardsigmoid" and alpha:
        return (1 - 2 * beta) / alpha
    return 1.0 if (name, alpha, beta) == ("affine", 1, 0) else None


def _saturates(activation: Activation, clip: float, dtype: Any) -> bool:
    """Whether an activation is at its ends where the clip begins, but for less than rounding."""
    name, alpha, beta = activation
    rounding = float(np.finfo(dtype).eps) / 2
    if name == "sigmoid":
        return clip >= -log(rounding)
    if name == "tanh":
        return clip >= log(2 / rounding) / 2
    low, high = sorted((beta - alpha * clip, beta + alpha * clip))
    return name == "hardsigmoid" and low <= 0 and high >= 1


def _read(activation: Activation, clip: float | None, dtype: Any) -> KernelActivation | None:
    """Return an activation of the kernels with its clip, None if they do not have it."""
    name, alpha, beta = activation
    reach = inf if clip is None or _saturates(activation, clip, dtype) else clip
    if name == "hardsigmoid":
        return KernelActivation("hard_sigmoid", alpha, beta, clip=reach)
    if (name, alpha, beta) == ("affine", 1, 0):
        return KernelActivation("linear", clip=reach)
    return KernelActivation(name, clip=reach) if name in ACTIVATIONS else None
