from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import Array, MemoryUse, Reset, States, Tokens, Weights, WeightSum

def built_isas() -> list[str]: ...
def supported_isas() -> list[str]: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
def cell_names() -> list[str]: ...
def forward(
    cell: int,
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
) -> tuple[States, Any]: ...
def backward(
    saved: Any,
    dy: Array | None,
    dstate: tuple[Array | None, ...],
    grads: Weights,
    dx: Array | None,
    *,
    accumulate_dx: bool = False,
    n_threads: int = 1,
) -> tuple[States, States | None]: ...
def kept(saved: Any) -> tuple[Array, Array, int]: ...
def memory(
    cell: int,
    rows: Rows,
    input_size: int,
    hidden_size: int,
    *,
    proj_size: int = 0,
    tokens: int = 0,
    recompute: int = 0,
    dtype: DTypeLike = ...,
    n_threads: int = 1,
) -> MemoryUse: ...
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
    scale: float = 1.0,
    total: WeightSum | None = None,
    n_threads: int = 1,
) -> None: ...
def empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array: ...
def vec_exp(array: Array, isa: str | None = None) -> Array: ...
def vec_sigmoid(array: Array, isa: str | None = None) -> Array: ...
def vec_tanh(array: Array, isa: str | None = None) -> Array: ...
def mxcsr() -> int: ...
def be_patient(yes: bool) -> None: ...
def cached_bytes() -> int: ...
def trim() -> None: ...

class PackedWeights:
    def changed(self, tensors: tuple[Any, ...]) -> bool: ...

class TensorStep:
    def __init__(
        self,
        cell: int,
        tensor: type,
        parameter: type,
        exchange: object | None,
        dtypes: tuple[Any, Any],
        is_neg: Any,
        empty_like: Any,
        zeros_like: Any,
    ) -> None: ...
    def tensors(
        self, own: dict[str, Any], bias: bool, input: Any, hx: Any
    ) -> tuple[Any, ...] | None: ...
    def plain(self, tensors: tuple[Any, ...]) -> bool: ...
    def __call__(self, tensors: tuple[Any, ...], n_threads: int) -> tuple[Any, ...] | None: ...
    def pack(self, weights: tuple[Any, ...]) -> PackedWeights | None: ...
    def packed_step(
        self, tensors: tuple[Any, ...], w: PackedWeights, n_threads: int
    ) -> tuple[Any, ...] | None: ...
    def save(self, tensors: tuple[Any, ...], n_threads: int) -> tuple[tuple[Any, ...], Any]: ...
    def backward(
        self,
        kept: Any,
        tensors: tuple[Any, ...],
        dstate: tuple[Any, ...],
        with_dx: bool,
        n_threads: int,
    ) -> list[Any]: ...

class Stream:
    state: States
    def __init__(self, cell: int, layers: list[Weights], batch_size: int) -> None: ...
    def __call__(self, x: Array, /) -> Array: ...
    def reset(self) -> None: ...
