"""Paths as users name them."""

from __future__ import annotations

import os
from pathlib import Path


def named_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of ``~``, which a shell leaves in ``--out=~/x``.

    A name that begins with ``~`` and tells no home stays as it is.
    """
    return Path(os.path.expanduser(path))
