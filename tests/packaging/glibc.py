"""Which versions of glibc the extensions of a wheel ask for, symbol by symbol."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

Version = tuple[int, int]

SYMBOL = re.compile(r"\bU (\w+)@+GLIBC_(\d+)\.(\d+)")
TAG = re.compile(r"manylinux_(\d+)_(\d+)_\w+")
# The names that three of these tags had before.
OLD_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


def asked(lines: Iterable[str]) -> dict[Version, list[str]]:
    """Return the versions of glibc in what `nm -D` says, newest first: the symbols of each."""
    found: dict[Version, list[str]] = {}
    for line in lines:
        if match := SYMBOL.search(line):
            found.setdefault((int(match[2]), int(match[3])), []).append(match[1])
    return {version: sorted(found[version]) for version in sorted(found, reverse=True)}


def can_ask() -> bool:
    """Return whether nm (binutils) is there, without which `asked_by` fails."""
    return shutil.which("nm") is not None


def asked_by(wheel: Path) -> dict[Version, list[str]]:
    """Return the same of a wheel's extensions."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                words = ["nm", "-D", archive.extract(name, folder)]
                lines += subprocess.check_output(words, text=True).splitlines()
    return asked(lines)


def promised(tags: str) -> Version | None:
    """Return the oldest glibc that a wheel's platform tags name; None if they name none."""
    found: list[Version] = []
    for tag in tags.split("."):
        if match := TAG.fullmatch(tag):
            found.append((int(match[1]), int(match[2])))
        elif (name := tag.partition("_")[0]) in OLD_TAGS:
            found.append(OLD_TAGS[name])
    return min(found, default=None)
