"""How a batch lies in memory: padded [T,N,I], packed [total,I], or one step [N,I].

A kernel reads and writes [T,N,...] with a contiguous last axis. A layout makes that of torch's
arrays: as views, but packed rows of different lengths are copied to their places and back.

T steps, N batch rows, I input size; D directions, K size of one direction's state.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastlstm.kernels import Backend, Rows
from fastlstm.kernels.call import Array
from fastlstm.kernels.rows import full_rows

# The address of a tensor without memory is its offset: lower than any memory on common systems.
SURELY_MEMORY = 1 << 40

# The dtypes of real numbers that NumPy has too, and its names for them.
REAL = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
TYPES = {getattr(torch, name): np.dtype(name).str for name in REAL}

ALIGNED = 8  # bytes: where any of them may stand


class Padded:
    """[T,N,I] in any order of its first two axes; states [D,N,K]; `rows` are the lengths."""

    __slots__ = ("rows",)
    shares_y = True  # the caller holds the very y that the kernel keeps for its backward pass

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def read(self, array: Array, backend: Backend) -> Array:
        """Return the [T,N,...] array that a kernel reads."""
        return contiguous_rows(array)

    def buffer(
        self, backend: Backend, width: int, dtype: np.dtype[Any], rows_first: bool = False
    ) -> Array:
        """Return a new [T,N,width] array for a kernel to write; in memory [N,T,width] on demand."""
        T, N = self.rows.T, self.rows.N
        array = backend.empty((N, T, width) if rows_first else (T, N, width), dtype)
        return np.swapaxes(array, 0, 1) if rows_first else array

    def result(self, written: Array, backend: Backend) -> Array:
        """Return what the caller gets for a `buffer` that was written."""
        return written

    def read_state(self, state: Array) -> Array:
        """Return the state as [D,N,K]."""
        return state

    def state_result(self, state: Array) -> Array:
        """Return what the caller gets for a state [D,N,K]."""
        return state


class PackedEven(Padded):
    """The data of a PackedSequence whose rows all have T steps: [T*N,I] is [T,N,I]."""

    __slots__ = ()

    def read(self, array: Array, backend: Backend) -> Array:
        return contiguous_rows(array).reshape(self.rows.T, self.rows.N, -1)

    def result(self, written: Array, backend: Backend) -> Array:
        return written.reshape(-1, written.shape[2])


class Packed(Padded):
    """The data of a PackedSequence, [total,I]: steps one after another, longest rows first."""

    __slots__ = ("_place",)
    shares_y = False
    _place: NDArray[np.int64]  # [total], where each packed row stands in [T*N]

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        step = np.repeat(np.arange(rows.T), rows.n_at)
        self._place = step * rows.N + np.arange(rows.total) - rows.offset[step]

    def read(self, array: Array, backend: Backend) -> Array:
        T, N = self.rows.T, self.rows.N
        padded = backend.empty((T * N, array.shape[1]), array.dtype)
        padded[self._place] = array  # the rest stays unset: it is never read
        return padded.reshape(T, N, -1)

    def result(self, written: Array, backend: Backend) -> Array:
        packed = backend.empty((self.rows.total, written.shape[2]), written.dtype)
        flat = written.reshape(-1, written.shape[2])
        # "clip" because "raise" goes through one more buffer; no place is out of range
        return np.take(flat, self._place, axis=0, out=packed, mode="clip")


class OneStep(Padded):
    """[N,I] and states [N,K]: what a cell is given. Its y is private: the state is the output."""

    __slots__ = ()
    shares_y = False

    def read(self, array: Array, backend: Backend) -> Array:
        return contiguous_rows(array).reshape(1, *array.shape)

    def result(self, written: Array, backend: Backend) -> Array:
        return written.reshape(written.shape[1:])

    def read_state(self, state: Array) -> Array:
        return state.reshape(1, *state.shape)

    def state_result(self, state: Array) -> Array:
        return state.reshape(state.shape[1:])


def packed_layout(batch_sizes: NDArray[np.int64]) -> Padded:
    """Return the layout of checked batch sizes [T], which never increase."""
    T, N = len(batch_sizes), int(batch_sizes[0])
    if batch_sizes[-1] == N:
        return PackedEven(full_rows(T, N))
    ended = -np.diff(batch_sizes, append=0)  # [T], rows whose last step this is
    return Packed(Rows(T, N, np.repeat(np.arange(T, 0, -1), ended[::-1])))


def check_memory(tensor: Tensor) -> None:
    """Raise RuntimeError if the storage of a tensor on the CPU was freed: it would be read at 0."""
    if tensor.data_ptr() >= SURELY_MEMORY or not tensor.numel() or not tensor.is_cpu:
        return
    if not tensor.untyped_storage().data_ptr() and not tensor._is_zerotensor():
        raise RuntimeError(
            f"a tensor of shape {tuple(tensor.shape)} has no memory, expected its values: its "
            "storage was freed, as by untyped_storage().resize_(0)"
        )


def as_tensor(numbers: Any) -> Tensor:
    """Return lengths or a mask as a tensor.

    Of an array it is a copy: torch takes none that runs back, nor one of another machine's bytes.
    """
    if isinstance(numbers, np.ndarray):
        numbers = numbers.astype(numbers.dtype.newbyteorder("="))
    return torch.as_tensor(numbers)


class Memory:
    """The memory of a tensor on the CPU, for NumPy.

    ``Tensor.numpy`` would forbid for good that the tensor's storage changes its size. Those who
    shard weights (FSDP) free it between two calls, and bring it back elsewhere.
    """

    __slots__ = ("__array_interface__", "_tensor")

    def __init__(
        self, address: int, shape: torch.Size, dtype: torch.dtype, tensor: Tensor | None = None
    ) -> None:
        self._tensor = tensor  # kept alive, if it is given
        strides = None
        if tensor is not None and not tensor.is_contiguous():
            strides = tuple(tensor.itemsize * n for n in tensor.stride())
        self.__array_interface__ = {
            "data": (address, False),
            "shape": tuple(shape),
            "strides": strides,
            "typestr": TYPES[dtype],
            "version": 3,
        }


def array_of(tensor: Tensor) -> Array:
    """Return the numbers of a tensor: its own memory, or a copy where they do not stand there.

    The array serves until the storage is freed. It is a copy of a negation that waits (of a
    conjugate's imaginary part), of zeros that torch has not written, and of numbers that no
    processor's address fits (of a file's bytes, say), which kernels refuse. Raises RuntimeError if
    the storage was freed.
    """
    address = tensor.data_ptr()
    if address < SURELY_MEMORY and tensor.numel():
        if tensor._is_zerotensor():
            return np.zeros(tensor.shape, str(tensor.dtype).removeprefix("torch."))
        check_memory(tensor)
    if tensor.dtype not in TYPES or tensor.is_neg() or not tensor.is_cpu:
        array: Array = tensor.numpy(force=True)
    else:
        array = np.asarray(Memory(address, tensor.shape, tensor.dtype, tensor))
    return array if array.flags.aligned else array.copy()


def weight_array(tensor: Tensor) -> Array:
    """Return what `array_of` does, and sooner, of a tensor that the caller keeps alive.

    A weight lies where it was at the last call, as a rule: that array serves again.
    """
    address = tensor.data_ptr()
    if address < SURELY_MEMORY or address % ALIGNED or tensor.dtype not in TYPES:
        return array_of(tensor)
    if not tensor.is_contiguous() or tensor.is_neg() or not tensor.is_cpu:
        return array_of(tensor)
    return _array_at(address, tensor.shape, tensor.dtype)


@lru_cache(1024)
def _array_at(address: int, shape: torch.Size, dtype: torch.dtype) -> Array:
    array: Array = np.asarray(Memory(address, shape, dtype))
    return array


def contiguous_rows(array: Array) -> Array:
    """Return `array`, or a copy if its last axis is not contiguous."""
    return array if has_contiguous_rows(array) else np.ascontiguousarray(array)


def has_contiguous_rows(array: Array) -> bool:
    """Whether the last axis is contiguous."""
    return bool(array.strides[-1] == array.itemsize or array.shape[-1] == 1)
