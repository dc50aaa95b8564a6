"""The members of groups of the old kind, a tree of names, and of the new one, a list of links."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fastlstm.counts import count_of
from fastlstm.formats.hdf5.bytes import Bytes
from fastlstm.formats.hdf5.headers import LINK, LINK_INFO, SYMBOL_TABLE

DEEPEST = 32  # nodes of a tree


def read_links(file: Bytes, name: str, messages: dict[int, list[bytes]]) -> dict[str, int | None]:
    """Return the members of a group, of the old kind or the new one."""
    found: dict[str, int | None] = {}
    for data in messages.get(LINK_INFO, ()):
        start = 2 + (8 if data[1] & 1 else 0)
        if data[start : start + 8] != b"\xff" * 8:
            raise ValueError(f"{name} has members in a heap of links: not read")
    for data in messages.get(LINK, ()):
        _add(found, name, *_link(data))
    for data in messages.get(SYMBOL_TABLE, ()):
        tree, heap = struct.unpack("<QQ", data[:16])
        head = file.signed(heap, b"HEAP", 32)
        size, _, names = struct.unpack("<QQQ", head[8:32])
        text = file.read(names, size)
        for place, address in _entries(file, tree):
            if place >= len(text):
                raise ValueError(f"{name} has a name at {place} of {count_of(len(text), 'byte')}")
            end = text.find(b"\0", place)
            _add(found, name, text[place : end if end >= 0 else None].decode(), address)
    return found


def _add(links: dict[str, int | None], group: str, name: str, address: int | None) -> None:
    if name in links or not name:
        raise ValueError(f"{group} has a member named {name!r} twice, or without a name")
    links[name] = address


def _entries(file: Bytes, address: int, depth: int = 0) -> Iterator[tuple[int, int | None]]:
    """Yield where its name stands and the address of each member of an old group."""
    if depth > DEEPEST:
        raise ValueError(f"a group has a tree of more than {DEEPEST} levels")
    head = file.signed(address, b"TREE", 24)
    kind, level, count = struct.unpack("<BBH", head[4:8])
    if kind != 0:
        raise ValueError(f"at {address} stands a tree of kind {kind}, expected that of a group")
    data = file.read(address + 24, 16 * count + 8)
    for number in range(count):
        (child,) = struct.unpack_from("<Q", data, 16 * number + 8)
        if level:
            yield from _entries(file, child, depth + 1)
        else:
            yield from _symbols(file, child)


def _symbols(file: Bytes, address: int) -> Iterator[tuple[int, int | None]]:
    head = file.signed(address, b"SNOD", 8)
    (count,) = struct.unpack("<H", head[6:8])
    data = file.read(address + 8, 40 * count)
    for number in range(count):
        place, header, cached = struct.unpack_from("<QQI", data, 40 * number)
        yield place, None if cached == 2 else header


def _link(data: bytes) -> tuple[str, int | None]:
    """Return the name and the address of a link of a new group."""
    version, flags = data[0], data[1]
    if version != 1:
        raise ValueError(f"a link has version {version}, expected 1")
    at, hard = 2, True
    if flags & 8:
        hard, at = data[at] == 0, at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(data[at : at + width], "little")
    name = data[at + width : at + width + size].decode()
    (address,) = struct.unpack_from("<Q", data, at + width + size) if hard else (None,)
    return name, address
