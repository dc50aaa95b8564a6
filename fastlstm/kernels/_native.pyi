from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import Array, Tokens, Weights

def built_isas() -> list[str]: ...
def supported_isas() -> list[str]: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
def forward(
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
) -> tuple[Array, Array, Any]: ...
def backward(
    saved: Any,
    dy: Array | None,
    dh_n: Array | None,
    dc_n: Array | None,
    grads: Weights,
    dx: Array | None,
    *,
    accumulate_dx: bool = False,
    n_threads: int = 1,
) -> tuple[Array, Array]: ...
def pool(
    y: Array, lengths: NDArray[np.int64], *, mean: bool, max: bool, n_threads: int = 1
) -> tuple[Array | None, Array | None, Array | None]: ...
def pool_backward(
    dy: Array,
    lengths: NDArray[np.int64],
    dmean: Array | None,
    dmax: Array | None,
    step: Array | None,
    *,
    n_threads: int = 1,
) -> None: ...
def adam(
    p: Array,
    m: Array,
    v: Array,
    g: Array,
    index: NDArray[np.int64] | None,
    *,
    rate: float,
    root: float,
    eps: float,
    beta1: float,
    beta2: float,
    shrink: float = 1.0,
    decay: float = 0.0,
    n_threads: int = 1,
) -> None: ...
def empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array: ...
def vec_exp(array: Array, isa: str | None = None) -> Array: ...
def vec_sigmoid(array: Array, isa: str | None = None) -> Array: ...
def vec_tanh(array: Array, isa: str | None = None) -> Array: ...
def mxcsr() -> int: ...
def cached_bytes() -> int: ...
def trim() -> None: ...

class Stream:
    state: tuple[Array, Array]
    def __init__(self, layers: list[Weights], batch_size: int) -> None: ...
    def __call__(self, x: Array, /) -> Array: ...
    def reset(self) -> None: ...
