"""Check what `make wheel` built (python check_dist.py FOLDER): names, tags, contents, sizes."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from glibc import asked_by, can_ask, promised

ROOT = Path(__file__).parents[2]
MAX_WHEEL_BYTES = 3_000_000
MAX_DATA_BYTES = 1_000_000  # of it, what is no code: the sample of reviews, pages of Shakespeare

WHEEL_HOLDS = (
    "fastlstm/__init__.py",
    "fastlstm/py.typed",
    "fastlstm/train_imdb.py",
    "fastlstm/cli/__init__.py",
    "fastlstm/kernels/reference/cells.py",
    "fastlstm/text/data/imdb_sample.coded.bz2",
    "fastlstm/text/data/shakespeare.txt.bz2",
    "fastlstm/text/data/ATTRIBUTION.md",
    "fastlstm/examples/data/made_up_names.tsv",
    "fastlstm/examples/data/toy.tsv",
    "fastlstm/examples/data/ATTRIBUTION.md",
)
SDIST_HOLDS = (
    "LICENSE", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml",
    "setup.py", "docs/tour.md", "docs/inspect.png",
)  # fmt: skip
SOURCES = (".py", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".toml", ".typed", ".bz2")
NOT_IN_WHEEL = (".c", ".h", ".pyx", ".pxd", ".pxi", ".o", ".pyc")
PLATFORM = re.compile(
    r"(linux|manylinux(1|2010|2014|_\d+_\d+)|musllinux_\d+_\d+)_(x86_64|aarch64)"
    r"|macosx_\d+_\d+_(x86_64|arm64|universal2)|win_(amd64|arm64)"
)


def only(folder: Path, pattern: str) -> Path:
    """The one file of `folder` that matches."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"{folder} holds {len(found)} files {pattern}, expected one")
    return found[0]


def sources(folder: str) -> list[str]:
    """The source files of a folder of the project."""
    found = [path for path in (ROOT / folder).rglob("*") if path.name.endswith(SOURCES)]
    return [path.relative_to(ROOT).as_posix() for path in found]


def tag_problems(wheel: Path, archive: zipfile.ZipFile) -> Iterator[str]:
    """What is wrong with the tags that pip chooses a wheel by."""
    python, abi, platforms = wheel.stem.split("-")[-3:]
    this = f"cp{sys.version_info.major}{sys.version_info.minor}"
    if python != this:
        yield f"{wheel.name} is for {python}, expected {this}, which built it"
    for tag in platforms.split("."):
        if not PLATFORM.fullmatch(tag):
            yield f"{wheel.name} has the platform tag {tag}, expected one that wheels are built for"
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
    told = set(re.findall(r"^Tag: (\S+)", archive.read(name).decode(), re.MULTILINE))
    expected = {f"{python}-{abi}-{tag}" for tag in platforms.split(".")}
    if told != expected:
        yield f"{wheel.name} says it is {sorted(told)}, expected {sorted(expected)}, its name"
    least = promised(platforms)
    if least is None:  # not for glibc: what macOS calls nm knows no such symbols, and fails
        return
    if not can_ask():
        yield f"{wheel.name} may need a newer glibc than its tag: nm (binutils) is needed to check"
        return
    for version, symbols in asked_by(wheel).items():
        if version > least:
            names, (major, minor) = ", ".join(symbols), version
            yield f"{wheel.name} needs glibc {major}.{minor} for {names}, newer than its tag"


def unlicensed(archive: zipfile.ZipFile) -> Iterator[str]:
    """Bundled data that no ATTRIBUTION.md beside it tells the origin and the licence of."""
    names = [name for name in archive.namelist() if "/data/" in name]
    for path in names:
        folder, _, name = path.rpartition("/")
        told = f"{folder}/ATTRIBUTION.md"
        text = archive.read(told).decode() if told in names else ""
        if path != told and name not in text:
            yield path


def wheel_problems(wheel: Path) -> list[str]:
    """What is wrong with the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        data = sum(file.compress_size for file in archive.infolist() if "/data/" in file.filename)
        problems = list(tag_problems(wheel, archive))
        problems += [f"{name} has no line in ATTRIBUTION.md" for name in unlicensed(archive)]
    problems += [f"{wheel.name} lacks {name}" for name in WHEEL_HOLDS if name not in names]
    problems += [f"{wheel.name} holds {name}" for name in names if name.endswith(NOT_IN_WHEEL)]
    outside = [name for name in names if not name.startswith(("fastlstm/", "fastlstm-"))]
    problems += [f"{wheel.name} holds {name}" for name in outside]
    if not any(name.startswith("fastlstm/kernels/native/_native.") for name in names):
        problems.append(f"{wheel.name} lacks the extension fastlstm/kernels/native/_native")
    if not any(name.endswith("LICENSE") for name in names):
        problems.append(f"{wheel.name} lacks its licence")
    size = wheel.stat().st_size
    if size >= MAX_WHEEL_BYTES:
        problems.append(f"{wheel.name} has {size:,} bytes, allowed are under {MAX_WHEEL_BYTES:,}")
    if data >= MAX_DATA_BYTES:
        problems.append(f"{wheel.name} has {data:,} bytes of data, expected < {MAX_DATA_BYTES:,}")
    return problems


def sdist_problems(sdist: Path) -> list[str]:
    """What is wrong with the sdist."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {*SDIST_HOLDS, *sources("fastlstm"), *sources("benchmarks"), *sources("tests")}
    problems = [f"{sdist.name} lacks {name}" for name in sorted(expected - names)]
    return problems + [f"{sdist.name} holds {n}" for n in names if n.endswith((".so", ".o"))]


def main(folder: Path) -> None:
    wheel, sdist = only(folder, "*.whl"), only(folder, "*.tar.gz")
    if problems := wheel_problems(wheel) + sdist_problems(sdist):
        raise SystemExit("\n".join(problems))
    for file in (sdist, wheel):
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
