"""What a cell is: the one row that backends, tests and benchmarks read.

Letters used everywhere: T steps, N batch rows, I input size, H hidden size, G gates * H,
U distinct tokens of a batch. Arrays are row-major; a T+1 buffer holds the initial state in slot 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.rows import Rows

# float32 or float64; all arrays of one kernel call share one of the two.
Array = NDArray[Any]
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class CellSpec(NamedTuple):
    """One kind of recurrent cell.

    Attributes
    ----------
    name : the name in `kernels.get`.
    gates : gate names in the order of their rows in the weights (torch's order).
    states : state names, the output first; each is [N, H].
    saved : arrays the forward pass keeps for the backward pass, with their shapes.
    projects : whether a projection of the output is possible (`Weights.w_hr`).
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    saved: dict[str, str]
    projects: bool = False

    def gate_rows(self, hidden_size: int) -> int:
        """Return G, the rows of `weight_ih` and `weight_hh`."""
        return len(self.gates) * hidden_size

    @property
    def traced(self) -> tuple[str, ...]:
        """What `Kernel.trace` returns: the gates, then the states, without h."""
        return tuple(name for name in self.gates + self.states[1:] if name != self.states[0])


LSTM = CellSpec(
    name="lstm",
    gates=("i", "f", "g", "o"),
    states=("h", "c"),
    saved={"gates": "[T, N, G]", "h": "[T+1, N, R or H]", "c": "[T+1, N, H]"},
    projects=True,
)
# torch's: the reset gate meets the recurrent product.
GRU = CellSpec(
    name="gru",
    gates=("r", "z", "n"),
    states=("h",),
    saved={"gates": "[T, N, G]", "hn": "[T, N, H]", "h": "[T+1, N, H]"},
)
# Keras's (reset_after=False) and ONNX's (linear_before_reset=0): the reset gate meets h before it.
GRU_RESET_BEFORE = CellSpec(
    name="gru_reset_before",
    gates=("r", "z", "n"),
    states=("h",),
    saved={"gates": "[T, N, G]", "h": "[T+1, N, H]"},
)
RNN_TANH = CellSpec(name="rnn_tanh", gates=("h",), states=("h",), saved={"h": "[T+1, N, H]"})
RNN_RELU = RNN_TANH._replace(name="rnn_relu")

CELLS = {cell.name: cell for cell in (LSTM, GRU, GRU_RESET_BEFORE, RNN_TANH, RNN_RELU)}


class Weights(NamedTuple):
    """Weights of one layer in one direction, or their gradients; C-contiguous.

    With a projection the output is ``W_hr h`` and R its size; without one R is H.
    """

    w_ih: Array  # [G, I]
    w_hh: Array  # [G, R]
    b_ih: Array | None = None  # [G]
    b_hh: Array | None = None  # [G]
    w_hr: Array | None = None  # [R, H]


# The states of a cell in the order of `CellSpec.states`: h [N, R], and c [N, H] where there is one.
States = tuple[Array, ...]


class Reset(NamedTuple):
    """Where rows start anew inside a batch.

    The step at time t of row n starts from `state` if ``mask[t, n]``, and not from the step run
    before it: as if the sequence had been cut there. Past a row's length nothing is read.
    """

    mask: NDArray[np.bool_]  # [T, N], C-contiguous
    state: States  # the state to start from, each [N, R or H]


class Tokens(NamedTuple):
    """Input given by its distinct rows: the input of row n at time t is ``table[ids[t, n]]``.

    A batch of text holds far fewer distinct tokens than tokens, so the product with the input
    weights is made once for each of them.
    """

    ids: NDArray[np.int64]  # [T, N], rows of table; any valid row past a row's length
    table: Array  # [U, I]


class MemoryUse(NamedTuple):
    """Bytes of one layer in one direction, beside its arguments and results."""

    kept: int  # from forward to backward
    forward: int  # at work in forward
    backward: int  # at work in backward


class Stream(Protocol):
    """One time step after another, state inside; checks, shapes and errors as `reference.Stream`.

    The array returned may be overwritten by the next call.
    """

    state: States  # each [L, N, R or H]: copies out, values in

    def __call__(self, x: Array, /) -> Array: ...

    def reset(self) -> None: ...


class WeightSum(NamedTuple):
    """A running sum of weights: ``sum = keep sum + add p``, in the rows that a step changes.

    Attributes
    ----------
    sum : like the weights p.
    keep, add : [U], one for each of these rows; [1] where all of p is changed.
    """

    sum: Array
    keep: Array
    add: Array


class Kernel(Protocol):
    """What `kernels.get` returns: forward and backward of one layer in one direction.

    Contracts, compared bit for bit by the tests: a row's results depend neither on the other
    rows nor on `n_threads`; T steps in one call are the same as any split of them with the
    state carried over; `Tokens` give the result of ``table[ids]``; a `Reset` gives the result
    of cutting the rows there; `recompute` changes no gradient.
    """

    cell: CellSpec

    def forward(
        self,
        x: Array | Tokens,
        state: States,
        weights: Weights,
        rows: Rows,
        y: Array,
        *,
        reverse: bool = False,
        reset: Reset | None = None,
        save: bool = False,
        recompute: int = 0,
        n_threads: int = 1,
    ) -> tuple[States, Any]:
        """Run all steps: see `reference.Kernel.forward`."""
        ...

    def backward(
        self,
        saved: Any,
        dy: Array | None,
        dstate: tuple[Array | None, ...],
        grads: Weights,
        dx: Array | None,
        *,
        accumulate_dx: bool = False,
        n_threads: int = 1,
    ) -> tuple[States, States | None]:
        """Run all steps backward: see `reference.Kernel.backward`."""
        ...

    def trace(
        self,
        x: Array | Tokens,
        state: States,
        weights: Weights,
        rows: Rows,
        y: Array,
        *,
        reverse: bool = False,
        reset: Reset | None = None,
        n_threads: int = 1,
    ) -> tuple[States, dict[str, Array]]:
        """Run all steps, and return what was inside: see `reference.Kernel.trace`."""
        ...

    def memory(
        self,
        rows: Rows,
        input_size: int,
        hidden_size: int,
        *,
        proj_size: int = 0,
        tokens: int = 0,
        recompute: int = 0,
        dtype: DTypeLike = np.float32,
        n_threads: int = 1,
    ) -> MemoryUse:
        """Bytes that a forward with `save` and its backward (with dx) will take."""
        ...

    def Stream(self, layers: list[Weights], batch_size: int) -> Stream:
        """Return a single-step runner over copies of the weights of stacked layers."""
        ...

    def pool(
        self, y: Array, lengths: Any, *, mean: bool, max: bool, n_threads: int = 1
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Mean and maximum over each row's real steps: see `reference_pool.pool`."""
        ...

    def pool_backward(
        self,
        dy: Array,
        lengths: Any,
        dmean: Array | None,
        dmax: Array | None,
        step: Array | None,
        *,
        n_threads: int = 1,
    ) -> None:
        """Gradient of y: see `reference_pool.pool_backward`."""
        ...

    def adam(
        self,
        p: Array,
        m: Array,
        v: Array,
        g: Array,
        index: Any,
        *,
        rate: float,
        root: float,
        eps: float,
        beta1: float,
        beta2: float,
        shrink: float = 1.0,
        decay: float = 0.0,
        scale: float = 1.0,
        total: WeightSum | None = None,
        n_threads: int = 1,
    ) -> None:
        """One step of the optimizer: see `reference_adam.adam`."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """As `numpy.empty`, quick for large arrays that come and go each step."""
        ...
