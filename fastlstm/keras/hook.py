"""The hook: Keras's layers ask us first, at `inner_loop`, where each of them runs its steps.

There a layer has its input, mask and states ready, and everything around it stays Keras's: states
that are kept, casts, the merging of `Bidirectional`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock
from typing import Any

from keras import backend, layers

from fastlstm.keras.report import count
from fastlstm.keras.run import run
from fastlstm.keras.why_not import compiling, why_not

BACKENDS = ("torch", "numpy")
LAYERS = (layers.RNN, layers.LSTM, layers.GRU)  # SimpleRNN runs by RNN's

_lock = RLock()
_enabled = False  # by `enable`
_blocks = 0  # of `enabled` that are open, in all threads
_ours: dict[Any, tuple[Any, Any]] = {}  # class -> its own method, ours in its place


def enable() -> None:
    """Put the kernels under Keras's recurrent layers, those that exist and those made later.

    That holds in the whole process until `disable`. A second call changes nothing.

    Raises
    ------
    RuntimeError
        If Keras runs on another backend than torch and numpy.
    """
    global _enabled
    _check_backend()
    with _lock:
        _enabled = True
        _switch()


def disable() -> None:
    """Give Keras its own methods back, as they were; a block of `enabled` keeps ours to its end."""
    global _enabled
    with _lock:
        _enabled = False
        _switch()


@contextmanager
def enabled() -> Iterator[None]:
    """Put the kernels under Keras's recurrent layers inside a ``with`` block, in all threads.

    Blocks may be nested and overlap in threads: the hook ends with the last of them, or goes on
    where `enable` was called.

    Raises
    ------
    RuntimeError
        As `enable`.
    """
    _check_backend()
    _open(1)
    try:
        yield
    finally:
        _open(-1)


def _open(change: int) -> None:
    global _blocks
    with _lock:
        _blocks += change
        _switch()


def _check_backend() -> None:
    name = backend.backend()
    if name not in BACKENDS:
        raise RuntimeError(
            f"Keras runs on its {name} backend, expected {' or '.join(BACKENDS)}: set the "
            "environment variable KERAS_BACKEND before Keras is imported"
        )


def _switch() -> None:
    """Make Keras's classes have our method or theirs, as is wanted now."""
    if _enabled or _blocks:
        for layer in LAYERS if not _ours else ():
            theirs = vars(layer)["inner_loop"]
            _ours[layer] = theirs, _method(layer, theirs)
            layer.inner_loop = _ours[layer][1]
        return
    for layer, (theirs, ours) in _ours.items():
        if vars(layer)["inner_loop"] is ours:  # else somebody wrapped it: it steps aside itself
            layer.inner_loop = theirs
    _ours.clear()


def _method(layer: Any, theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Return what runs a layer's steps in the place of Keras's own method."""

    @wraps(theirs)
    def inner_loop(
        self: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> Any:
        current = _ours.get(layer, (None, None))[1] is inner_loop
        # What was refused to an LSTM or a GRU comes by once more, on its way out.
        refused = layer is layers.RNN and isinstance(self, LAYERS[1:])
        if current and not refused and not compiling():
            reason = why_not(self, sequences, initial_state, mask, training)
            count(type(self).__name__, reason)
            if not reason:
                return run(self, sequences, initial_state, mask, training)
        return theirs(self, sequences, initial_state, mask=mask, training=training)

    return inner_loop
