"""Damage of bytes: flips, cuts, pieces moved and repeated, numbers made huge."""

from __future__ import annotations

from collections.abc import Callable

from attack.fuzz.draw import Rng, pick

PIECES = (
    b"\0", b"\xff\xfe", b'"', b'""', b"'", b"\n", b"\r\n", b"\r", b"\t", b",", b";", b"{", b"}",
    b"[[[[", b"\xef\xbb\xbf", b"\xc3", b"9" * 20, b"-1", b"1e999", b"NaN", b"null", b"\x1a",
    b"\xe2\x80\xae", b"\x1b[31m", b"{}" * 50, b"[" * 3000, b'{"a":' * 3000, b"A" * 5000,
)  # fmt: skip


def _at(rng: Rng, data: bytes) -> int:
    return int(rng.integers(len(data) + 1))


def flip(rng: Rng, data: bytes) -> bytes:
    """Some bytes become others."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if changed:
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


def flip_bit(rng: Rng, data: bytes) -> bytes:
    changed = bytearray(data)
    if changed:
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(rng: Rng, data: bytes) -> bytes:
    """Nothing behind some place."""
    return data[: _at(rng, data)]


def drop(rng: Rng, data: bytes) -> bytes:
    """A piece is missing."""
    start, end = sorted((_at(rng, data), _at(rng, data)))
    return data[:start] + data[min(end, start + 200) :]


def repeat(rng: Rng, data: bytes) -> bytes:
    """A piece comes again somewhere else."""
    start, to = _at(rng, data), _at(rng, data)
    piece = data[start : start + int(rng.integers(1, 300))]
    return data[:to] + piece * int(rng.integers(1, 4)) + data[to:]


def insert(rng: Rng, data: bytes) -> bytes:
    """Something that formats give a meaning to."""
    to = _at(rng, data)
    return data[:to] + pick(rng, PIECES) + data[to:]


def number(rng: Rng, data: bytes) -> bytes:
    """Digits become others, or more of them."""
    places = [k for k, byte in enumerate(data) if 48 <= byte <= 57]
    if not places:
        return insert(rng, data)
    at = places[int(rng.integers(len(places)))]
    new = pick(rng, (b"0", b"-1", b"9" * 19, b"4611686018427387904", b"1.5", b"1e308", b"NaN", b""))
    return data[:at] + new + data[at + 1 :]


def swap(rng: Rng, data: bytes) -> bytes:
    """Two pieces change places."""
    size = max(1, int(rng.integers(1, 100)))
    a, b = sorted((_at(rng, data), _at(rng, data)))
    if b - a < size:
        return flip(rng, data)
    return (
        data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]
    )


HOW: tuple[Callable[[Rng, bytes], bytes], ...] = (
    flip, flip, flip_bit, flip_bit, cut, drop, repeat, insert, insert, number, number, swap,
)  # fmt: skip


def mutated(rng: Rng, data: bytes) -> bytes:
    """A file damaged once or a few times; empty now and then."""
    if int(rng.integers(200)) == 0:
        return b""
    for _ in range(pick(rng, (1, 1, 1, 2, 4))):
        data = pick(rng, HOW)(rng, data)
    return data
