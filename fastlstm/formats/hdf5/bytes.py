"""The bytes of a file, of which every piece that is read is checked and counted."""

from __future__ import annotations

from typing import BinaryIO

from fastlstm.counts import count_of

MOST_READS = 2_000_000
MOST_TIMES = 4  # that each byte is read on average; nothing needs more than about one


class Bytes:
    """A file that is read piece by piece.

    Parameters
    ----------
    file : open for reading.
    size : its bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size, self._reads = file, size, 0
        self._left = MOST_TIMES * size + (1 << 20)

    def read(self, address: int, size: int) -> bytes:
        """Return bytes of the file; ValueError if it has not so many there."""
        self._reads += 1
        if self._reads > MOST_READS:
            raise ValueError(f"it has more than {MOST_READS:,} pieces")
        if size < 0 or address + size > self.size:
            raise ValueError(f"{count_of(size, 'byte')} at {address} lie past the end, {self.size}")
        self._left -= size
        if self._left < 0:
            raise ValueError(f"its {self.size} bytes are read again and again: it runs in circles")
        self._file.seek(address)
        found = self._file.read(size)
        if len(found) != size:
            raise ValueError(f"the file ends before {address + size}, its size was {self.size}")
        return found

    def signed(self, address: int, signature: bytes, size: int) -> bytes:
        """Return `size` bytes that begin with a signature."""
        found = self.read(address, size)
        if not found.startswith(signature):
            raise ValueError(f"at {address} stands {found[:4]!r}, expected {signature!r}")
        return found

    def number(self, address: int, size: int) -> int:
        """Return a whole number of `size` bytes."""
        return int.from_bytes(self.read(address, size), "little")
