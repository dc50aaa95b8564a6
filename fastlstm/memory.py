"""Whether memory is short: what fails for lack of it often says something else."""

from __future__ import annotations

ROOM = 64 << 20  # bytes; asked for, but not written to


def is_memory_short() -> bool:
    """Return whether this process cannot get `ROOM` more bytes.

    Then a library fails to load, or a source to compile, in words that name any other cause.
    """
    try:
        bytearray(ROOM)
    except MemoryError:
        return True
    return False
