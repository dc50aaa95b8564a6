"""What a cell is: the one row that backends, tests and benchmarks read.

Letters used everywhere: T steps, N batch rows, I input size, H hidden size, G gates * H,
U distinct tokens of a batch. Arrays are row-major; a T+1 buffer holds the initial state in slot 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

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
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    saved: dict[str, str]

    def gate_rows(self, hidden_size: int) -> int:
        """Return G, the rows of `weight_ih` and `weight_hh`."""
        return len(self.gates) * hidden_size


LSTM = CellSpec(
    name="lstm",
    gates=("i", "f", "g", "o"),
    states=("h", "c"),
    saved={"gates": "[T, N, G]", "h": "[T+1, N, H]", "c": "[T+1, N, H]"},
)

CELLS = {LSTM.name: LSTM}


class Weights(NamedTuple):
    """Weights of one layer in one direction, or their gradients; C-contiguous."""

    w_ih: Array  # [G, I]
    w_hh: Array  # [G, H]
    b_ih: Array | None  # [G]
    b_hh: Array | None  # [G]


class Tokens(NamedTuple):
    """Input given by its distinct rows: the input of row n at time t is ``table[ids[t, n]]``.

    A batch of text holds far fewer distinct tokens than tokens, so the product with the input
    weights is made once for each of them.
    """

    ids: NDArray[np.int64]  # [T, N], rows of table; any valid row past a row's length
    table: Array  # [U, I]


class Stream(Protocol):
    """One time step after another, state inside; checks, shapes and errors as `reference.Stream`.

    The array returned may be overwritten by the next call.
    """

    state: tuple[Array, Array]

    def __call__(self, x: Array, /) -> Array: ...

    def reset(self) -> None: ...


class Kernel(Protocol):
    """What `kernels.get` returns: forward and backward of one layer in one direction.

    Contracts, compared bit for bit by the tests: a row's results depend neither on the other
    rows nor on `n_threads`; T steps in one call are the same as any split of them with the
    state carried over; `Tokens` give the result of ``table[ids]``.
    """

    def forward(
        self,
        x: Array | Tokens,
        h0: Array,
        c0: Array,
        weights: Weights,
        rows: Rows,
        y: Array,
        *,
        reverse: bool = False,
        save: bool = False,
        n_threads: int = 1,
    ) -> tuple[Array, Array, Any]:
        """Run all steps: see `reference.forward`."""
        ...

    def backward(
        self,
        saved: Any,
        dy: Array | None,
        dh_n: Array | None,
        dc_n: Array | None,
        grads: Weights,
        dx: Array | None,
        *,
        accumulate_dx: bool = False,
        n_threads: int = 1,
    ) -> tuple[Array, Array]:
        """Run all steps backward: see `reference.backward`."""
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
        n_threads: int = 1,
    ) -> None:
        """One step of the optimizer: see `reference_adam.adam`."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """As `numpy.empty`, quick for large arrays that come and go each step."""
        ...
