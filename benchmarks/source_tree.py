"""Which fastlstm is meant in a clone: its own, or the one that was installed from it.

`python -m benchmarks.ab`, pytest and others put the clone's folder first on the path, and its
package then hides the installed one. That is right for an editable install, which builds the
kernels in place. After a plain `pip install .` the package in the clone has none, and yields.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def is_built(root: Path = ROOT) -> bool:
    """Whether the compiled kernels of this Python are in a clone.

    Of an earlier commit too, which may keep them in another folder.
    """
    kernels = root / "fastlstm" / "kernels"
    return any(any(kernels.rglob(f"_native{suffix}")) for suffix in EXTENSION_SUFFIXES)


def prefer_what_is_built(root: Path = ROOT) -> None:
    """Load the installed package, if there is one, where a clone has no kernels."""
    if not is_built(root):
        sys.path[:] = [place for place in sys.path if Path(place).resolve() != root] + [str(root)]
        import_module("fastlstm")  # now: pytest puts the clone first again
