"""What forward keeps for one backward pass, in the backends in Python."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Saved(Generic[T]):
    """Holder of something that it gives away once, to one of the threads that share it."""

    def __init__(self, tape: T) -> None:
        self._tape = [tape]

    def look(self) -> T:
        """Return it; raise RuntimeError if it was given away."""
        return self._once(self._tape[:])

    def take(self) -> T:
        """Return it and give it away."""
        return self._once(self._tape)  # pop is one step: no two threads get it

    def put_back(self, tape: T) -> None:
        """Keep again what `take` returned: it still serves."""
        self._tape.append(tape)

    def _once(self, tape: list[T]) -> T:
        try:
            return tape.pop()
        except IndexError:
            raise RuntimeError(
                "saved was already used by a backward pass; run forward again"
            ) from None
