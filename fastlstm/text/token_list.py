"""Numbered lists of tokens, their JSON files, and tokens in order of frequency."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.counts import count_of
from fastlstm.files.json_value import read_json
from fastlstm.files.naming import named_path
from fastlstm.files.writing import replacing

AnyList = TypeVar("AnyList", bound="TokenList")


class TokenList:
    """Distinct tokens in order of number, as a list `tokens`; the first ones are special.

    Raises ValueError if `tokens` does not start with the special ones, or repeats one.
    """

    SPECIAL: ClassVar[tuple[str, ...]]
    UNKNOWN: ClassVar[int]  # the number of any token that is not in the list
    KIND: ClassVar[tuple[str, str]]  # the "format" of its files, and what messages call them
    KEY: ClassVar[str]  # of the tokens in a file

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = list(tokens)
        first = self.tokens[: len(self.SPECIAL)]
        if first != list(self.SPECIAL):
            raise ValueError(f"{self.KEY} starts with {first}, expected {list(self.SPECIAL)}")
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) != len(self):
            raise ValueError(f"{self.KEY} has {count_of(len(self) - len(self._ids), 'repetition')}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_ids"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._ids = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def id(self, token: str) -> int:
        """The number of a token, that of ``<unk>`` if it is unknown."""
        return self._ids.get(token, self.UNKNOWN)

    def named(self, ids: ArrayLike) -> list[str]:
        """Return the tokens of some numbers, of any shape; IndexError for one out of range."""
        numbers = np.asarray(ids).ravel()
        bad = numbers[(numbers < 0) | (numbers >= len(self))]
        if bad.size:
            raise IndexError(f"ids has {bad[0]}, expected 0 to {len(self) - 1}")
        return [self.tokens[i] for i in numbers.tolist()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON; an earlier file stays intact until the new one is complete."""
        about = {"format": self.KIND[0], "version": 1, **self._about()}
        with replacing(named_path(path)) as file:
            text = json.dumps({**about, self.KEY: self.tokens}, ensure_ascii=False)
            file.write(text.encode(errors="backslashreplace"))  # escapes of JSON

    @classmethod
    def load(cls: type[AnyList], path: str | os.PathLike[str]) -> AnyList:
        """Read a file of `save`; OSError as `open`, ValueError for a damaged or another file."""
        path = named_path(path)
        try:
            document = read_json(path)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        if not isinstance(document, dict) or document.get("format") != cls.KIND[0]:
            raise ValueError(f"{path} is not {cls.KIND[1]}")
        cls._check(path, document)
        tokens = document.get(cls.KEY)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError(f"{path} is damaged: no list of {cls.KEY}")
        try:
            return cls._from_file(document, tokens)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def _about(self) -> dict[str, Any]:
        """Return more entries for the file."""
        return {}

    @classmethod
    def _check(cls, path: str | os.PathLike[str], document: dict[str, Any]) -> None:
        """Raise ValueError if a file is of another version."""
        if document.get("version") != 1:
            raise ValueError(f"{path} has version {document.get('version')}, expected 1")

    @classmethod
    def _from_file(cls: type[AnyList], document: dict[str, Any], tokens: list[str]) -> AnyList:
        return cls(tokens)


def by_frequency(counts: Mapping[str, int]) -> list[str]:
    """Return the tokens with a count, the most frequent first, then by spelling."""
    seen = (token for token, count in counts.items() if count > 0)
    return sorted(seen, key=lambda token: (-counts[token], token))
