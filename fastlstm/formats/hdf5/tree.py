"""The groups, arrays and texts of a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.formats.hdf5.bytes import Bytes
from fastlstm.formats.hdf5.groups import read_links
from fastlstm.formats.hdf5.headers import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    SHARED,
    read_messages,
    root_address,
)
from fastlstm.formats.hdf5.types import read_shape, read_type

NOWHERE = 2**64 - 1  # an address that is undefined
MOST_PIECES = 1_000  # that a long attribute is cut into


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
        self._file, self._left = Bytes(file, size), size
        self._nodes: dict[int, Node] = {}
        self.root = self._node(root_address(self._file), "/")

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
        kind = read_type(_only(found, DATATYPE))
        if kind.dtype is None:
            raise ValueError(f"{found.name} holds texts, expected real numbers")
        shape = read_shape(_only(found, DATASPACE))
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
            raise ValueError(
                f"the attribute {name} holds {count_of(len(texts), 'text')}, expected one"
            )
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

    def _node(self, address: int, name: str) -> Node:
        """Return the object whose header is at an address, which is read once."""
        if address in self._nodes:
            return self._nodes[address]
        messages: dict[int, list[bytes]] = {}
        for kind, flags, data in read_messages(self._file, address):
            if flags & SHARED and kind in (DATATYPE, DATASPACE, LAYOUT, ATTRIBUTE):
                raise ValueError(f"a part of the header of {name} stands elsewhere: not read")
            messages.setdefault(kind, []).append(data)
        is_group = LAYOUT not in messages and DATATYPE not in messages
        links = read_links(self._file, name, messages) if is_group else None
        self._nodes[address] = Node(name, messages, links)
        return self._nodes[address]

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
        return self._file.read(address, size) if size else b""

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
            kind, shape = read_type(datatype), read_shape(dataspace)
            count = _count(shape, name)
            if kind.dtype is not None and count:  # Keras writes an empty list as numbers
                raise ValueError(f"the attribute {name} of {node.name} is no text")
            if count * kind.size > len(data):
                raise ValueError(
                    f"the attribute {name} of {node.name} has fewer than {count_of(count, 'text')}"
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
        head = self._file.signed(collection, b"GCOL", 16)
        (size,) = struct.unpack("<Q", head[8:16])
        at = collection + 16
        while at + 16 <= collection + size:
            index, _, _, held = struct.unpack("<HHIQ", self._file.read(at, 16))
            if index == wanted:
                self._left -= length
                if length > held or self._left < 0:
                    raise ValueError(
                        f"a text of {count_of(length, 'byte')} is larger than its place"
                    )
                return self._file.read(at + 16, length)
            if index == 0:
                break
            at += 16 + held + -held % 8
        raise ValueError(f"the heap at {collection} has no text {wanted}")


def _only(node: Node, kind: int) -> bytes:
    """Return the one message of a kind."""
    found = node.messages.get(kind, [])
    if len(found) != 1 or len(found[0]) < 2:
        raise ValueError(
            f"the header of {node.name} has {count_of(len(found), 'message')} {kind}, expected one"
        )
    return found[0]


def _count(shape: tuple[int, ...], name: str) -> int:
    count = 1
    for size in shape:
        count *= size
        if count > 1 << 62:
            raise ValueError(f"{name} of shape {shape} is larger than the file")
    return count
