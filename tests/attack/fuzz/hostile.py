"""Values that no call expects, and what may come of them: an error that says which it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from attack.fuzz.draw import Rng, chance, pick

# What the package says that it raises for a wrong argument.
CLEAR = (
    TypeError, ValueError, IndexError, KeyError, RuntimeError, MemoryError, AttributeError,
    OverflowError, NotImplementedError,
)  # fmt: skip
# NumPy's own words where a size is absurd: they say it.
TOO_LARGE = re.compile(
    "array is too big|Maximum allowed dimension|too large to convert|allocate memory"
)


ENDLESS = 1 << 50  # elements of a view: more than any address space holds
OWN_WORDS = "said by the argument itself"


class Lying(np.ndarray[Any, Any]):
    """An array that answers another shape and type than its memory has."""

    @property
    def shape(self) -> Any:  # type: ignore[override]
        return tuple(n + 3 for n in np.ndarray.shape.__get__(self))

    @property
    def size(self) -> Any:
        return 1 << 40


class Changing(np.ndarray[Any, Any]):
    """An array whose dtype is another each time that it is asked."""

    asked = 0

    @property
    def dtype(self) -> Any:  # type: ignore[override]
        Changing.asked += 1
        return np.dtype("float64" if Changing.asked % 2 else "float32")


class NotAnArray:
    """Says that it is an array, and then is none."""

    shape, dtype, ndim, strides, size = (3, 2), np.dtype("float32"), 2, (8, 4), 6

    def __array__(self, *ignored: Any, **more: Any) -> Any:
        raise RuntimeError(OWN_WORDS)

    def __len__(self) -> int:
        return 1 << 40


def anything(rng: Rng) -> Any:
    """A value of a type that is not meant."""
    return pick(
        rng,
        (
            lambda: "x", lambda: b"\0" * 64, dict, lambda: object(), lambda: 3,
            lambda: -1, lambda: 2**63, lambda: -(2**70), lambda: float("nan"), list,
            lambda: [[1.0], [2.0, 3.0]], lambda: (), lambda: (None, None), lambda: NotAnArray(),
            lambda: np.float32(1), lambda: True, lambda: range(3), lambda: np.array(None),
            lambda: memoryview(bytearray(64)), lambda: np.zeros(0), lambda: type,
            lambda: np.ma.masked_array([1.0, 2.0]), lambda: np.zeros(3, "U3"),
        ),
    )()  # fmt: skip


def damaged(rng: Rng, value: Any) -> Any:
    """An array (or what stands in its place) changed into one that does not fit, mostly."""
    if not isinstance(value, np.ndarray) or chance(rng, 4):
        return anything(rng)
    how: tuple[Callable[[], Any], ...] = (
        lambda: value[..., :-1] if value.ndim else value,
        lambda: value[1:] if value.ndim else value,
        lambda: value[None],
        lambda: value.reshape(-1),
        lambda: np.concatenate([value, value], axis=-1) if value.ndim else value,
        lambda: value.astype("float16"),
        lambda: value.astype("complex64"),
        lambda: value.astype("O"),
        lambda: value.astype(value.dtype.newbyteorder()),
        lambda: value.astype("float64" if value.dtype == "float32" else "float32"),
        lambda: value.astype("M8[s]") if value.dtype.kind in "iu" else value.astype("int64"),
        lambda: np.broadcast_to(np.zeros((), value.dtype), (ENDLESS,) * min(value.ndim, 1)),
        lambda: (
            np.broadcast_to(value.reshape(-1)[:1], (1 << 12, *value.shape)) if value.size else value
        ),
        lambda: value[..., :0],
        lambda: value[:0],
        lambda: np.empty((0,) * value.ndim, value.dtype),
        lambda: np.array(value).view(Lying),
        lambda: np.array(value).view(Changing),
        lambda: value * np.nan if value.dtype.kind == "f" else value.astype("i8") - (1 << 20),
        lambda: value + np.inf if value.dtype.kind == "f" else value.astype("i8") + (1 << 20),
        lambda: np.array(value)[::-1],
        lambda: np.lib.stride_tricks.as_strided(value, strides=(0,) * value.ndim),
        lambda: np.rec.array(value) if value.ndim else value,
        lambda: value.tolist(),
    )
    with np.errstate(all="ignore"):
        return pick(rng, how)()


def is_clear(error: BaseException, names: Iterable[str]) -> None:
    """Assert that an error is of a kind that is documented and names what was wrong."""
    told = f"{type(error).__name__}: {str(error)[:300]}"
    assert isinstance(error, CLEAR), f"no documented error: {told}"
    if isinstance(error, MemoryError) or OWN_WORDS in told or TOO_LARGE.search(told):
        return
    words = "|".join(re.escape(name) for name in names)
    found = re.search(rf"(?<![A-Za-z])(?:{words})", told) if words else str(error)
    assert found, f"error without a name: {told}\nexpected one of {', '.join(sorted(names))}"


def attempt(call: Callable[[], Any], names: Iterable[str]) -> Any:
    """Make a hostile call: its result, or None after a clear error."""
    try:
        with np.errstate(all="ignore"):
            return call()
    except Exception as error:
        is_clear(error, names)
        return None
