"""The superblock, and the headers of objects: messages of several kinds, in both versions."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fastlstm.formats.hdf5.bytes import Bytes

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Kinds of messages.
DATASPACE, LINK_INFO, DATATYPE, EXTERNAL, LINK, LAYOUT = 0x01, 0x02, 0x03, 0x07, 0x06, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
SHARED = 2  # the flag of a message that stands elsewhere


def root_address(file: Bytes) -> int:
    """Return where the header of the root group is."""
    head = file.signed(0, SIGNATURE, 48)
    version = head[8]
    if version in (0, 1):
        sizes, start = head[13:15], 24 if version == 0 else 28
        base, at = file.number(start, 8), file.number(start + 40, 8)
    elif version in (2, 3):
        sizes, base, at = head[9:11], file.number(12, 8), file.number(36, 8)
    else:
        raise ValueError(f"its superblock has version {version}, expected 0 to 3")
    if sizes != b"\x08\x08" or base:
        raise ValueError("its addresses are not of 8 bytes from the start of the file")
    return at


def read_messages(file: Bytes, address: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, flags and bytes of each message of a header of either version."""
    head = file.read(address, 16)
    if head[:4] == b"OHDR":
        yield from _new_messages(file, address)
        return
    version, _, count, _, size = struct.unpack("<BBHII", head[:12])
    if version != 1:
        raise ValueError(f"at {address} stands a header of version {version}, expected 1 or 2")
    blocks = [(address + 16, size)]
    for start, length in blocks:
        data, at = file.read(start, length), 0
        while at + 8 <= length and count > 0:
            kind, size, flags = struct.unpack_from("<HHB", data, at)
            body = data[at + 8 : at + 8 + size]
            at, count = at + 8 + size, count - 1
            if kind == CONTINUATION:
                blocks.append(struct.unpack("<QQ", body[:16]))
            else:
                yield kind, flags, body


def _new_messages(file: Bytes, address: int) -> Iterator[tuple[int, int, bytes]]:
    version, flags = file.read(address + 4, 2)
    if version != 2:
        raise ValueError(f"at {address} stands a header of version {version}, expected 2")
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    blocks = [(at + width, file.number(at, width))]
    step = 6 if flags & 4 else 4
    for start, length in blocks:
        data, at = file.read(start, length), 0
        while at + step <= length:
            kind, size, about = struct.unpack_from("<BHB", data, at)
            body = data[at + step : at + step + size]
            at += step + size
            if kind == CONTINUATION:
                place, whole = struct.unpack("<QQ", body[:16])
                file.signed(place, b"OCHK", 4)
                blocks.append((place + 4, whole - 8))
            else:
                yield kind, about, body
