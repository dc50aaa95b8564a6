"""Pack the wheel of a folder 2 % smaller than zlib does (python pack_wheel.py FOLDER).

zopfli looks longer for the shortest deflate; any pip unpacks it.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from check_dist import only

ITERATIONS = 5  # more find nothing that counts
BLOCKS = 0  # in how many a file may be cut, each with a code of its own: any number


def pack(wheel: Path) -> None:
    """Pack the same files in the same order, and no folders: those come with their files."""
    from zopfli import ZipFile

    packed = wheel.with_suffix(".packed")
    with (
        zipfile.ZipFile(wheel) as old,
        ZipFile(packed, "w", iterations=ITERATIONS, block_splitting_max=BLOCKS) as new,
    ):
        for file in (one for one in old.infolist() if not one.is_dir()):
            new.writestr(file, old.read(file))
    packed.replace(wheel)


if __name__ == "__main__":
    pack(only(Path(sys.argv[1]), "*.whl"))
