"""Numbers of 64 bits that stand for tokens, characters and runs of them, always the same.

What is stored in a model depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

UInt64s = NDArray[np.uint64]
BYTES = 8
STEP = np.uint64(0x9E3779B97F4A7C15)  # odd: no two states become one
CHARACTER = np.uint64(0xD6E8FEB86659FD93)  # makes characters differ from tokens


def hash_tokens(tokens: Iterable[str]) -> UInt64s:
    """Return the hash of each token, uint64: of its UTF-8 bytes, by BLAKE2b."""
    digests = (
        blake2b(token.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()
        for token in tokens
    )
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def hash_characters(codes: NDArray[np.integer]) -> UInt64s:
    """Return the hash of each character, given its number."""
    return mix(codes.astype(np.uint64) + CHARACTER)


def mix(state: UInt64s) -> UInt64s:
    """Return other numbers, each bit of which depends on all (Stafford 2011; in SplitMix64)."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64s = z ^ (z >> np.uint64(31))
    return mixed


def extend(state: UInt64s, following: UInt64s) -> UInt64s:
    """Return the hashes of runs, each longer by the token or character that follows."""
    return mix(state * STEP + following)
