"""What stands between recurrent layers in models of other libraries; rows come first.

Letters: N rows, T steps, I features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.call import DTYPES
from fastlstm.kernels.rows import any_integers
from fastlstm.nn.check import (
    as_array,
    check_array,
    check_choice,
    check_dtype,
    check_flag,
    check_number,
    check_size,
)
from fastlstm.nn.module import Array, Module, described
from fastlstm.nn.parameter import Parameter

MOST_STEPS = 1 << 16  # of a stride, a dilation or padding: so many zeros are put before the input
Mask = NDArray[np.bool_] | None  # [N,T], which steps count; None for all


class Step(Module):
    """Base of what takes and gives a mask beside its input.

    What x must be stands in attributes, of which most are those of the class:

    dtype : that of the parameters; None where there are none, and x has either one.
    takes : I, the features of x; None for any number of them.
    over_steps : whether x is [N,T,I], else it has any axes before its features.
    """

    dtype: Any = None
    takes: int | None = None
    over_steps = False

    def run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return the output and the mask for the next layer.

        TypeError or ValueError if x is no array of numbers that the layer takes.
        """
        return self._run(self._read(x), mask)

    def __call__(self, x: Any) -> Any:
        """Return the output where no step is masked."""
        return self.run(x, None)[0]

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return what `run` does, of an x that was checked."""
        raise NotImplementedError

    def _read(self, x: Any) -> Any:
        dtype = self.dtype
        if dtype is None:
            own = isinstance(x, np.ndarray) and x.dtype in DTYPES
            dtype = x.dtype if own else np.dtype(np.float32)
        x = as_array("x", x, dtype)
        axes = 3 if self.over_steps else max(x.ndim, 1)
        x = check_array("x", x, dtype, (None,) * (axes - 1) + (self.takes,))
        if not x.shape[-1] or (self.over_steps and not x.shape[1]):
            least = "at least one step and one feature" if self.over_steps else "features"
            raise ValueError(f"x has shape {x.shape}, expected {least}")
        return x


class MaskZero(Step):
    """Masks the token 0 for all that follows, as Keras's ``Embedding(mask_zero=True)``."""

    def run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return x, which the embedding checks, and the mask of what is not 0."""
        tokens = any_integers("x", x)
        if tokens.ndim != 2:
            raise ValueError(f"x has shape {tokens.shape}, expected tokens [N,T]")
        return x, tokens != 0


class Masking(Step):
    """Masks steps of which every feature is `value`, and makes them zero."""

    over_steps = True

    def __init__(self, value: float = 0.0) -> None:
        self.value = check_number("value", value)

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return x and the mask of the other steps."""
        real = (x != self.value).any(axis=-1)
        return np.where(real[..., None], x, x.dtype.type(0)), real


class Activation(Step):
    """A function of each number, or the softmax over the last axis.

    Parameters
    ----------
    name : one of ACTIVATIONS.
    alpha : the slope below zero of "leaky_relu", the factor of "elu".
    """

    def __init__(self, name: str, alpha: float = 1.0) -> None:
        self.name = check_choice("name", name, tuple(ACTIVATIONS))
        self.alpha = check_number("alpha", alpha)

    def extra_repr(self) -> str:
        """Return the name."""
        return described(self.name, alpha=(self.alpha, 1.0))

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return the function of x."""
        with np.errstate(over="ignore"):
            return ACTIVATIONS[self.name](x, x.dtype.type(self.alpha)), mask


def _sigmoid(x: Array, alpha: Any) -> Array:
    y: Array = 1 / (1 + np.exp(-x))
    return y


def _softmax(x: Array, alpha: Any) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y: Array = e / e.sum(axis=-1, keepdims=True)
    return y


def _elu(x: Array, alpha: Any) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: Array, alpha: Any) -> Array:
    y: Array = x.dtype.type(1.0507009873554805) * _elu(x, x.dtype.type(1.6732632423543772))
    return y


ACTIVATIONS: dict[str, Callable[[Array, Any], Array]] = {
    "linear": lambda x, alpha: x,
    "relu": lambda x, alpha: np.maximum(x, 0),
    "leaky_relu": lambda x, alpha: np.where(x > 0, x, alpha * x),
    "elu": _elu,
    "selu": _selu,
    "sigmoid": _sigmoid,
    "tanh": lambda x, alpha: np.tanh(x),
    "softmax": _softmax,
    "softplus": lambda x, alpha: np.logaddexp(x, x.dtype.type(0)),
    "softsign": lambda x, alpha: x / (1 + np.abs(x)),
    "exponential": lambda x, alpha: np.exp(x),
    "silu": lambda x, alpha: x * _sigmoid(x, alpha),
}


class Scale(Step):
    """``y = x * scale + shift`` of each feature: a batch normalization whose statistics stand.

    Parameters
    ----------
    features : I.
    dtype : float32 or float64.

    Attributes
    ----------
    scale, shift : Parameter [I].
    """

    def __init__(self, features: int, *, dtype: Any = "float32") -> None:
        self.features = self.takes = check_size("features", features)
        self.dtype = check_dtype(dtype)
        self.scale = Parameter(np.ones(features, dtype))
        self.shift = Parameter(np.zeros(features, dtype))

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return y."""
        return x * self.scale.data + self.shift.data, mask


class PReLU(Step):
    """``y = x`` above zero and ``weight * x`` below, with a weight for each feature."""

    def __init__(self, features: int, *, dtype: Any = "float32") -> None:
        self.features = self.takes = check_size("features", features)
        self.dtype = check_dtype(dtype)
        self.weight = Parameter(np.zeros(features, dtype))

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return y."""
        return np.where(x > 0, x, self.weight.data * x), mask


class Pool(Step):
    """The mean or the maximum over the steps; as in Keras the mean is that of unmasked ones."""

    over_steps = True

    def __init__(self, name: str) -> None:
        self.name = check_choice("name", name, ("mean", "max"))

    def extra_repr(self) -> str:
        """Return the name."""
        return self.name

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return [N,I]."""
        if self.name == "max":
            return x.max(axis=1), None
        if mask is None:
            return x.mean(axis=1, dtype=x.dtype), None
        weight = mask.astype(x.dtype)[..., None]
        return (x * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1), None


class ZeroPad(Step):
    """Zeros before and behind the steps; a mask ends there, as in Keras.

    Parameters
    ----------
    before, after : how many.
    """

    over_steps = True

    def __init__(self, before: int, after: int = 0) -> None:
        self.before = check_size("before", before, 0, MOST_STEPS)
        self.after = check_size("after", after, 0, MOST_STEPS)

    def extra_repr(self) -> str:
        """Return both numbers."""
        return described(self.before, self.after)

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return [N,before+T+after,I]."""
        return np.pad(x, ((0, 0), (self.before, self.after), (0, 0))), None


class AveragePool(Step):
    """The mean of every so many steps; a rest is left out, and a mask ends there, as in Keras."""

    over_steps = True

    def __init__(self, size: int) -> None:
        self.size = check_size("size", size, most=MOST_STEPS)

    def extra_repr(self) -> str:
        """Return of how many steps."""
        return described(self.size)

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return [N,T//size,I]."""
        N, T, I = x.shape
        if T < self.size:
            raise ValueError(f"x has {count_of(T, 'step')}, expected {self.size} or more")
        parts = x[:, : T // self.size * self.size].reshape(N, T // self.size, self.size, I)
        return parts.mean(axis=2, dtype=x.dtype), None


class Flatten(Step):
    """All features of all steps of a row, side by side."""

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return [N,T*I]."""
        return x.reshape(len(x), math.prod(x.shape[1:])), None


class Conv1D(Step):
    """A convolution over the steps.

    Parameters
    ----------
    in_features, out_features, kernel_size : I, O and K.
    stride, dilation : of the steps.
    padding : "valid": none; "causal": zeros before; "same": zeros on both sides.
    bias : whether to add one.
    dtype : float32 or float64.

    Attributes
    ----------
    weight : Parameter [K,I,O], the oldest step first.
    bias : Parameter [O], or None.
    """

    over_steps = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        padding: str = "valid",
        bias: bool = True,
        *,
        dtype: Any = "float32",
    ) -> None:
        self.in_features = self.takes = check_size("in_features", in_features)
        self.out_features = check_size("out_features", out_features)
        self.kernel_size = check_size("kernel_size", kernel_size)
        self.stride = check_size("stride", stride, most=MOST_STEPS)
        self.dilation = check_size("dilation", dilation, most=MOST_STEPS)
        self.padding = check_choice("padding", padding, ("valid", "causal", "same"))
        self.dtype = check_dtype(dtype)
        bias = check_flag("bias", bias)
        self.weight = Parameter(np.zeros((kernel_size, in_features, out_features), dtype))
        self.bias = Parameter(np.zeros(out_features, dtype)) if bias else None

    def _run(self, x: Any, mask: Mask) -> tuple[Any, Mask]:
        """Return [N,T',O]; masked steps are read as they are, and the mask ends, as in Keras."""
        T, reach = x.shape[1], (self.kernel_size - 1) * self.dilation
        before, after = self.pads(T)
        x = np.pad(x, ((0, 0), (before, after), (0, 0)))
        if x.shape[1] <= reach:
            raise ValueError(
                f"x has {count_of(T, 'step')}, expected more than {reach - before - after}"
            )
        last = x.shape[1] - reach
        y = sum(
            x[:, k * self.dilation : k * self.dilation + last : self.stride] @ self.weight.data[k]
            for k in range(self.kernel_size)
        )
        return y if self.bias is None else y + self.bias.data, None

    def pads(self, T: int) -> tuple[int, int]:
        """Return how many zeros stand before and after T steps."""
        reach = (self.kernel_size - 1) * self.dilation
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return reach, 0
        total = max((-(-T // self.stride) - 1) * self.stride + reach + 1 - T, 0)
        return total // 2, total - total // 2
