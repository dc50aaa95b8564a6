"""HDF5 files that anybody may have made: groups, arrays of numbers and texts of them.

The library of HDF5 can be made to run forever or to follow links out of the file; this reads what
h5py writes for Keras, and nothing else: contiguous arrays, attributes, hard links. Every other
thing is refused by its name. What is read is counted, so that no loop in a file goes on for long.

Names are those of the "HDF5 File Format Specification". All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NOWHERE = 2**64 - 1  # an address that is undefined
MOST_READS = 2_000_000
MOST_PIECES = 1_000  # that a long attribute is cut into
DEEPEST = 32  # nodes of a B-tree
# Kinds of messages in the header of an object.
DATASPACE, LINK_INFO, DATATYPE, EXTERNAL, LINK, LAYOUT = 0x01, 0x02, 0x03, 0x07, 0x06, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
SHARED = 2  # the flag of a message that stands elsewhere
# By size: where the sign, exponent and mantissa of the usual floats stand.
FLOATS = {
    2: (0, 16, 10, 5, 0, 10, 15), 4: (0, 32, 23, 8, 0, 23, 127), 8: (0, 64, 52, 11, 0, 52, 1023),
}  # fmt: skip


class Node(NamedTuple):
    """A group or an array.

    Attributes
    ----------
    name : its path.
    messages : of its header, by kind.
    links : of a group, addresses of the members by name; None in place of an address that is
        none: a link to another place.
    """

    name: str
    messages: dict[int, list[bytes]]
    links: dict[str, int | None] | None

    def __contains__(self, name: object) -> bool:
        return self.links is not None and name in self.links


class Type(NamedTuple):
    """The type of an element: a dtype of numbers, or of texts the bytes of one."""

    dtype: np.dtype[Any] | None
    size: int
    variable: bool  # a text that stands in the global heap


class Tree:
    """What a file holds.

    Parameters
    ----------
    file : open for reading.
    size : its bytes; no more are read in all as arrays.

    Attributes
    ----------
    root : the group that all else is in.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size, self._left, self._reads = file, size, size, 0
        self.root = self._node(self._root_address(), "/")

    def child(self, group: Node, name: str) -> Node:
        """Return a member of a group, which may be of groups inside; KeyError if there is none."""
        for part in filter(None, name.split("/")):
            if group.links is None:
                raise ValueError(f"{group.name} is an array, expected a group")
            if part not in group.links:
                raise KeyError(f"{group.name} has no {part}")
            address, path = group.links[part], f"{group.name.rstrip('/')}/{part}"
            if address is None:
                raise ValueError(f"{path} is a link to another place: not followed")
            group = self._node(address, path)
        return group

    def group(self, group: Node, name: str) -> Node:
        """Return a group in a group; ValueError if something else is there."""
        found = self.child(group, name)
        if found.links is None:
            raise ValueError(f"{found.name} is an array, expected a group")
        return found

    def names(self, group: Node) -> list[str]:
        """Return the names of the members of a group."""
        return list(group.links or ())

    def array(self, group: Node, name: str) -> NDArray[Any]:
        """Return an array of real numbers; ValueError if it is none."""
        found = self.child(group, name)
        if found.links is not None:
            raise ValueError(f"{found.name} is a group, expected an array")
        if EXTERNAL in found.messages:
            raise ValueError(f"{found.name} lies in another file: not read")
        if FILTERS in found.messages:
            raise ValueError(f"{found.name} is compressed, as Keras's arrays never are")
        kind = _datatype(_only(found, DATATYPE))
        if kind.dtype is None:
            raise ValueError(f"{found.name} holds texts, expected real numbers")
        shape = _shape(_only(found, DATASPACE))
        count = _count(shape, found.name)
        self._left -= count * kind.size
        if self._left < 0:
            raise ValueError(f"{found.name} of shape {shape} is larger than the file")
        raw = self._contents(found, count * kind.size)
        array: NDArray[Any] = np.frombuffer(raw, kind.dtype).reshape(shape)
        return array.astype(kind.dtype.newbyteorder("="), copy=False)

    def has_attribute(self, node: Node, name: str) -> bool:
        """Whether an object has an attribute."""
        return any(found == name for found, _, _, _ in self._attributes(node))

    def text(self, node: Node, name: str) -> str | None:
        """Return a text among the attributes, None if there is none of this name."""
        if not self.has_attribute(node, name):
            return None
        texts = self._texts(node, name)
        if len(texts) != 1:
            raise ValueError(f"the attribute {name} holds {len(texts)} texts, expected one")
        return texts[0]

    def texts(self, node: Node, name: str) -> list[str]:
        """Return a list of texts, which Keras may have cut into several attributes."""
        if self.has_attribute(node, name):
            return self._texts(node, name)
        found: list[str] = []
        for number in range(MOST_PIECES):
            if not self.has_attribute(node, f"{name}{number}"):
                return found
            found += self._texts(node, f"{name}{number}")
        raise ValueError(f"{name} is in more than {MOST_PIECES} pieces")

    # ---- bytes ---------------------------------------------------------------------------------

    def _read(self, address: int, size: int) -> bytes:
        """Return bytes of the file; ValueError if it has not so many there."""
        self._reads += 1
        if self._reads > MOST_READS:
            raise ValueError(f"it has more than {MOST_READS:,} pieces")
        if size < 0 or address + size > self._size:
            raise ValueError(f"{size} bytes at {address} lie past the end, {self._size}")
        self._file.seek(address)
        found = self._file.read(size)
        if len(found) != size:
            raise ValueError(f"the file ends before {address + size}, its size was {self._size}")
        return found

    def _signed(self, address: int, signature: bytes, size: int) -> bytes:
        """Return `size` bytes that begin with a signature."""
        found = self._read(address, size)
        if not found.startswith(signature):
            raise ValueError(f"at {address} stands {found[:4]!r}, expected {signature!r}")
        return found

    def _root_address(self) -> int:
        head = self._signed(0, SIGNATURE, 48)
        version = head[8]
        if version in (0, 1):
            sizes, start, at = head[13:15], 24 if version == 0 else 28, None
            base = self._number(start, 8)
            at = self._number(start + 40, 8)
        elif version in (2, 3):
            sizes, base, at = head[9:11], self._number(12, 8), self._number(36, 8)
        else:
            raise ValueError(f"its superblock has version {version}, expected 0 to 3")
        if sizes != b"\x08\x08" or base:
            raise ValueError("its addresses are not of 8 bytes from the start of the file")
        return at

    def _number(self, address: int, size: int) -> int:
        return int.from_bytes(self._read(address, size), "little")

    # ---- headers and groups --------------------------------------------------------------------

    def _node(self, address: int, name: str) -> Node:
        """Return the object whose header is at an address."""
        messages: dict[int, list[bytes]] = {}
        for kind, flags, data in self._messages(address):
            if flags & SHARED and kind in (DATATYPE, DATASPACE, LAYOUT, ATTRIBUTE):
                raise ValueError(f"a part of the header of {name} stands elsewhere: not read")
            messages.setdefault(kind, []).append(data)
        is_group = LAYOUT not in messages and DATATYPE not in messages
        return Node(name, messages, self._links(name, messages) if is_group else None)

    def _messages(self, address: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield kind, flags and bytes of each message of a header of either version."""
        head = self._read(address, 16)
        if head[:4] == b"OHDR":
            yield from self._new_messages(address)
            return
        version, _, count, _, size = struct.unpack("<BBHII", head[:12])
        if version != 1:
            raise ValueError(f"at {address} stands a header of version {version}, expected 1 or 2")
        blocks = [(address + 16, size)]
        for start, length in blocks:
            data, at = self._read(start, length), 0
            while at + 8 <= length and count > 0:
                kind, size, flags = struct.unpack_from("<HHB", data, at)
                body = data[at + 8 : at + 8 + size]
                at, count = at + 8 + size, count - 1
                if kind == CONTINUATION:
                    blocks.append(struct.unpack("<QQ", body[:16]))
                else:
                    yield kind, flags, body

    def _new_messages(self, address: int) -> Iterator[tuple[int, int, bytes]]:
        version, flags = self._read(address + 4, 2)
        if version != 2:
            raise ValueError(f"at {address} stands a header of version {version}, expected 2")
        at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        blocks = [(at + width, self._number(at, width))]
        step = 6 if flags & 4 else 4
        for start, length in blocks:
            data, at = self._read(start, length), 0
            while at + step <= length:
                kind, size, about = struct.unpack_from("<BHB", data, at)
                body = data[at + step : at + step + size]
                at += step + size
                if kind == CONTINUATION:
                    place, whole = struct.unpack("<QQ", body[:16])
                    self._signed(place, b"OCHK", 4)
                    blocks.append((place + 4, whole - 8))
                else:
                    yield kind, about, body

    def _links(self, name: str, messages: dict[int, list[bytes]]) -> dict[str, int | None]:
        """Return the members of a group, of the old kind or the new one."""
        found: dict[str, int | None] = {}
        for data in messages.get(LINK_INFO, ()):
            start = 2 + (8 if data[1] & 1 else 0)
            if data[start : start + 8] != b"\xff" * 8:
                raise ValueError(f"{name} has members in a heap of links: not read")
        for data in messages.get(LINK, ()):
            self._add(found, name, *_link(data))
        for data in messages.get(SYMBOL_TABLE, ()):
            tree, heap = struct.unpack("<QQ", data[:16])
            head = self._signed(heap, b"HEAP", 32)
            size, _, names = struct.unpack("<QQQ", head[8:32])
            text = self._read(names, size)
            for place, address in self._entries(tree):
                if place >= len(text):
                    raise ValueError(f"{name} has a name at {place} of {len(text)} bytes")
                end = text.find(b"\0", place)
                self._add(found, name, text[place : end if end >= 0 else None].decode(), address)
        return found

    def _add(
        self, links: dict[str, int | None], group: str, name: str, address: int | None
    ) -> None:
        if name in links or not name:
            raise ValueError(f"{group} has a member named {name!r} twice, or without a name")
        links[name] = address

    def _entries(self, address: int, depth: int = 0) -> Iterator[tuple[int, int | None]]:
        """Yield where its name stands and the address of each member of an old group."""
        if depth > DEEPEST:
            raise ValueError(f"a group has a tree of more than {DEEPEST} levels")
        head = self._signed(address, b"TREE", 24)
        kind, level, count = struct.unpack("<BBH", head[4:8])
        if kind != 0:
            raise ValueError(f"at {address} stands a tree of kind {kind}, expected that of a group")
        data = self._read(address + 24, 16 * count + 8)
        for number in range(count):
            (child,) = struct.unpack_from("<Q", data, 16 * number + 8)
            if level:
                yield from self._entries(child, depth + 1)
            else:
                yield from self._symbols(child)

    def _symbols(self, address: int) -> Iterator[tuple[int, int | None]]:
        head = self._signed(address, b"SNOD", 8)
        (count,) = struct.unpack("<H", head[6:8])
        data = self._read(address + 8, 40 * count)
        for number in range(count):
            place, header, cached = struct.unpack_from("<QQI", data, 40 * number)
            yield place, None if cached == 2 else header

    # ---- arrays and attributes -----------------------------------------------------------------

    def _contents(self, node: Node, size: int) -> bytes:
        """Return the bytes of an array, which stand in one piece."""
        data = _only(node, LAYOUT)
        version, kind = data[0], data[1]
        if version not in (3, 4):
            raise ValueError(f"{node.name} has a layout of version {version}, expected 3 or 4")
        if kind == 0:
            return data[4 : 4 + size] if len(data) >= 4 + size else self._short(node)
        if kind == 3:
            raise ValueError(f"{node.name} lies in another file: not read")
        if kind != 1:
            raise ValueError(f"{node.name} is in chunks, as Keras's arrays never are")
        address, stored = struct.unpack("<QQ", data[2:18])
        if stored < size or (address == NOWHERE and size):
            self._short(node)
        return self._read(address, size) if size else b""

    def _short(self, node: Node) -> bytes:
        raise ValueError(f"{node.name} has fewer bytes than its shape tells")

    def _attributes(self, node: Node) -> Iterator[tuple[str, bytes, bytes, bytes]]:
        """Yield name, datatype, dataspace and data of each attribute."""
        for data in node.messages.get(ATTRIBUTE_INFO, ()):
            start = 2 + (2 if data[1] & 1 else 0)
            if data[start : start + 8] != b"\xff" * 8:
                raise ValueError(f"{node.name} has attributes in a heap: not read")
        for data in node.messages.get(ATTRIBUTE, ()):
            version, flags, *sizes = struct.unpack_from("<BBHHH", data)
            if version not in (1, 2, 3) or (version > 1 and flags & 3):
                raise ValueError(f"an attribute of {node.name} is of version {version}: not read")
            at, parts = 9 if version == 3 else 8, []
            for size in sizes:
                parts.append(data[at : at + size])
                at += size + (-size % 8 if version == 1 else 0)
            name = parts[0].partition(b"\0")[0].decode()
            yield name, parts[1], parts[2], data[at:]

    def _texts(self, node: Node, name: str) -> list[str]:
        for found, datatype, dataspace, data in self._attributes(node):
            if found != name:
                continue
            kind, shape = _datatype(datatype), _shape(dataspace)
            count = _count(shape, name)
            if kind.dtype is not None and count:  # Keras writes an empty list as numbers
                raise ValueError(f"the attribute {name} of {node.name} is no text")
            if count * kind.size > len(data):
                raise ValueError(
                    f"the attribute {name} of {node.name} has fewer than {count} texts"
                )
            pieces = (data[k * kind.size : (k + 1) * kind.size] for k in range(count))
            raw = [self._heaped(piece) if kind.variable else piece for piece in pieces]
            return [text.rstrip(b"\0").decode() for text in raw]
        raise KeyError(f"{node.name} has no attribute {name}")

    def _heaped(self, place: bytes) -> bytes:
        """Return a text of the global heap."""
        length, collection, wanted = struct.unpack("<IQI", place)
        if not length:
            return b""
        head = self._signed(collection, b"GCOL", 16)
        (size,) = struct.unpack("<Q", head[8:16])
        at = collection + 16
        while at + 16 <= collection + size:
            index, _, _, held = struct.unpack("<HHIQ", self._read(at, 16))
            if index == wanted:
                self._left -= length
                if length > held or self._left < 0:
                    raise ValueError(f"a text of {length} bytes is larger than its place")
                return self._read(at + 16, length)
            if index == 0:
                break
            at += 16 + held + -held % 8
        raise ValueError(f"the heap at {collection} has no text {wanted}")


def _only(node: Node, kind: int) -> bytes:
    """Return the one message of a kind."""
    found = node.messages.get(kind, [])
    if len(found) != 1 or len(found[0]) < 2:
        raise ValueError(
            f"the header of {node.name} has {len(found)} messages {kind}, expected one"
        )
    return found[0]


def _count(shape: tuple[int, ...], name: str) -> int:
    count = 1
    for size in shape:
        count *= size
        if count > 1 << 62:
            raise ValueError(f"{name} of shape {shape} is larger than the file")
    return count


def _shape(data: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace tells; ValueError if it is none."""
    version, axes = data[0], data[1]
    start = {1: 8, 2: 4}.get(version)
    if start is None or (version == 2 and data[3] == 2):
        raise ValueError(f"a dataspace of version {version} is empty or unknown, expected a shape")
    if len(data) < start + 8 * axes:
        raise ValueError(f"a dataspace of {axes} axes has {len(data)} bytes")
    return struct.unpack_from(f"<{axes}Q", data, start)


def _datatype(data: bytes) -> Type:
    """Return a type of real numbers or of texts; ValueError if it is another one."""
    kind, bits = data[0] & 15, int.from_bytes(data[1:4], "little")
    (size,) = struct.unpack_from("<I", data, 4)
    order = ">" if bits & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return Type(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"), size, False)
    if kind == 1 and size in FLOATS and not bits & 0x40:
        if struct.unpack_from("<HHBBBBI", data, 8) == FLOATS[size]:
            return Type(np.dtype(f"{order}f{size}"), size, False)
    if kind == 3 and size:
        return Type(None, size, False)
    if kind == 9 and size == 16 and bits & 15 == 1:
        return Type(None, size, True)
    raise ValueError(f"a type is of class {kind} and {size} bytes, expected real numbers or texts")


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
