"""Who wants to know, in the middle of a backward pass, which gradients are ready.

Layers tell it where they have added to those of their parameters, so that these may be sent away
while the layers below are at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from fastlstm.nn.parameter import Parameter

Listener = Callable[[Sequence[Parameter]], None]

_listener: ContextVar[Listener | None] = ContextVar("fastlstm_ready", default=None)


def ready(*parameters: Parameter | None) -> None:
    """Tell that a layer has added to the gradients of these; None stands for what it has not."""
    listener = _listener.get()
    if listener is not None:
        listener([one for one in parameters if one is not None])


@contextmanager
def told_when_ready(listener: Listener) -> Iterator[None]:
    """Let `listener` be told, inside the block, of the parameters of each layer that is done."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
