"""setup.py: what it builds, leaves out and says, with compilers old, absent and new."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from setup_file import ROOT, load_setup

if not (ROOT / "setup.py").exists():
    pytest.skip("needs the source tree, not only the installed package", allow_module_level=True)
if not shutil.which("cc"):
    pytest.skip("needs a C compiler called cc", allow_module_level=True)

ISA_FILES = {"avx2", "avx512", "neon", "base"}


@pytest.fixture
def setup() -> ModuleType:
    """setup.py as a module."""
    return load_setup()


@pytest.fixture
def old_compiler(tmp_path: Path) -> list[str]:
    """A compiler that knows nothing of AVX-512, nor of AMX, which stands on it."""
    script = tmp_path / "old-cc"
    script.write_text('#!/bin/sh\nif grep -qs avx512 "$2"; then exit 1; fi\nexec cc "$@"\n')
    script.chmod(0o755)
    return [str(script)]


def test_old_compiler_builds_fewer_levels(
    setup: ModuleType, old_compiler: list[str], tmp_path: Path
) -> None:
    new = setup.supported_levels(["cc"], tmp_path)
    old = setup.supported_levels(old_compiler, tmp_path)
    assert old == [name for name in new if not name.startswith(("avx512", "amx"))]


def test_missing_compiler_is_named(setup: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="'no-such-cc' was not found.*FASTLSTM_NO_EXTENSION=1"):
        setup.supported_levels(["no-such-cc"], tmp_path)


@pytest.mark.parametrize("levels", [[], ["avx2"], ["avx2", "avx512"], ["neon"]])
def test_sources_are_those_of_the_levels(setup: ModuleType, levels: list[str]) -> None:
    names = {path.name for path in setup.kernel_sources(levels, ROOT / setup.SOURCE_DIR)}
    assert "dispatch.c" in names
    assert not any(".inc." in name for name in names)
    for isa in ISA_FILES:
        present = {f"isa_{isa}_f32.c", f"isa_{isa}_f64.c"} & names
        assert len(present) == (2 if isa in ("base", *levels) else 0)
    assert setup.kernel_macros(levels) == [(f"FL_HAVE_{name.upper()}", "1") for name in levels]


def test_nothing_is_tuned_to_the_building_machine(setup: ModuleType) -> None:
    flags = setup.KERNEL_FLAGS
    assert not [flag for flag in flags if flag.startswith(("-march", "-mtune", "-mavx", "-mcpu"))]
    assert "-ffast-math" not in flags
    assert "-ffp-contract=off" in flags


def test_no_extension_on_request(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_NO_EXTENSION", "1")
    assert setup.extensions() == []


def test_sanitizers_on_request(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [flag for flag in setup.debug_flags() if "sanitize" in flag]
    monkeypatch.setenv("FASTLSTM_SANITIZE", "address,undefined")
    assert "-fsanitize=address,undefined" in setup.debug_flags()


def test_flags_of_the_users_own(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTLSTM_CFLAGS", raising=False)
    assert setup.flags_of_user() == []
    monkeypatch.setenv("FASTLSTM_CFLAGS", "-O0 '-DNAME=a b'")
    assert setup.flags_of_user() == ["-O0", "-DNAME=a b"]


def test_functions_stand_beside_their_likes(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel is packed smaller for it; nothing is asked of linkers that have their own order."""
    monkeypatch.delenv("FASTLSTM_SANITIZE", raising=False)
    if "GNU ld" not in said("cc", "-Wl,--version"):
        pytest.skip("the linker is not GNU ld")
    assert "-ffunction-sections" in setup.KERNEL_FLAGS
    for isa in ("a", "b"):
        code = f"int forward_{isa}(void){{return 1;}} int backward_{isa}(void){{return 2;}}"
        (tmp_path / f"{isa}.c").write_text(code)
    flags = [flag for flag in setup.link_flags() if flag != "-Wl,-s"]
    sources = [str(tmp_path / "a.c"), str(tmp_path / "b.c")]
    library = str(tmp_path / "ab.so")
    said("cc", "-shared", "-fPIC", "-ffunction-sections", *sources, *flags, "-o", library)
    lines = [line.split() for line in said("nm", "-n", library).splitlines()]
    order = [words[-1] for words in lines if "ward_" in words[-1]]
    assert order == ["backward_a", "backward_b", "forward_a", "forward_b"]


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("platform", "tag", "expected"),
    [
        ("darwin", "macosx-11.0-universal2", ("-arch arm64", "macosx-11.0-arm64")),
        ("darwin", "macosx-11.0-arm64", ("-arch arm64", "macosx-11.0-arm64")),
        ("linux", "linux-aarch64", (None, None)),
    ],
)
def test_a_python_for_two_kinds_of_mac_builds_for_one(
    setup: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    tag: str,
    expected: tuple[str | None, str | None],
) -> None:
    names = ("ARCHFLAGS", "_PYTHON_HOST_PLATFORM")
    for name in names:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(setup.sys, "platform", platform)
    monkeypatch.setattr(setup.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(setup.sysconfig, "get_platform", lambda: tag)
    setup.choose_architecture()
    assert tuple(os.environ.get(name) for name in names) == expected
    monkeypatch.setenv("ARCHFLAGS", "-arch arm64 -arch x86_64")
    setup.choose_architecture()
    assert os.environ["ARCHFLAGS"] == "-arch arm64 -arch x86_64"


def test_instruction_sets_on_request(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup.wanted_levels() == list(setup.PROBES)
    monkeypatch.setenv("FASTLSTM_BUILD_ISAS", "avx2, neon")
    assert setup.wanted_levels() == ["avx2", "neon"]
    monkeypatch.setenv("FASTLSTM_BUILD_ISAS", "avx2 sse")
    with pytest.raises(Exception, match="'avx2 sse' has 'sse', expected names of avx2, "):
        setup.wanted_levels()


def test_pythons_own_flags_are_not_the_kernels(setup: ModuleType) -> None:
    command = ["gcc", "-pthread", "-Wsign-compare", "-DNDEBUG", "-g", "-fwrapv", "-O3", "-fPIC"]
    assert setup.without_pythons_own(command) == ["gcc", "-pthread", "-DNDEBUG", "-fPIC"]


def test_smaller_flags_are_of_the_sets_they_do_not_slow(setup: ModuleType) -> None:
    def flags_of(name: str, gcc_x86: bool) -> list[str]:
        return list(setup.smaller_flags(setup.SOURCE_DIR / f"{name}.c", gcc_x86))

    assert flags_of("isa_base_f32", False) == ["-Os"]
    assert flags_of("isa_avx2_f32", True) == setup.GCC_X86
    assert flags_of("isa_avx2_i8", True) == flags_of("isa_avxvnni_i8", True)
    for name in ("isa_avx512_f32", "isa_neon_f32", "dispatch"):
        assert flags_of(name, False) == []
    assert "-Os" not in flags_of("isa_avx512_f32", True)
    for name in ("isa_avx512_f32", "isa_avx512bf16", "isa_base_f32", "isa_avx2_f64", "threads"):
        assert "-fno-caller-saves" in flags_of(name, True)


def test_gcc_for_windows_moves_no_vector_as_aligned(setup: ModuleType, tmp_path: Path) -> None:
    """Its stack is aligned to 16 bytes, whatever is on it; and threads are not those of POSIX."""
    assert setup.kernel_flags(["cc"], tmp_path) == setup.KERNEL_FLAGS
    mingw = "x86_64-w64-mingw32-gcc"
    if not shutil.which(mingw):
        pytest.skip(f"{mingw} is not installed")
    flags = setup.kernel_flags([mingw], tmp_path)
    assert set(flags) - set(setup.KERNEL_FLAGS) == set(setup.GCC_WINDOWS)
    assert set(setup.KERNEL_FLAGS) - set(flags) == {"-pthread"}


def test_clang_cl_is_given_flags_in_its_words(setup: ModuleType) -> None:
    for name in ("clang-cl", "clang-cl.exe", "/llvm/bin/clang-cl"):
        flags = setup.in_words_of([name], ["-std=c11", "-Wall"])
        assert flags[1:] == ["/clang:-std=c11", "/clang:-Wall"]
    assert setup.in_words_of(["clang"], ["-std=c11"]) == ["-std=c11"]
    target = f"--target={setup.CLANG_CL_TARGETS['win-arm64']}"
    assert target in setup.in_words_of(["clang-cl", target], ["-Wall"])


def test_visual_studios_own_compiler_is_refused_and_clang_cl_named(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Exception, match="'clang-cl' is not .* FASTLSTM_NO_EXTENSION=1"):
        setup.find_clang_cl()
    for name in ("cl", "clang-cl"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("CC", "cl")
    with pytest.raises(Exception, match="clang-cl, and 'cl' is not a clang-cl"):
        setup.find_clang_cl()
    monkeypatch.delenv("CC")
    assert setup.find_clang_cl() == str(tmp_path / "clang-cl")
