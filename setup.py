"""Build script: compiles the C kernels once per instruction set and links them into one extension.

Everything declarative is in pyproject.toml. Environment variables read here:

FASTLSTM_NO_EXTENSION=1     build the pure Python package: Numba's backend or the reference
FASTLSTM_WERROR=1           warnings in fastlstm/kernels/native/src are errors
FASTLSTM_CFLAGS="-O0"       flags of the compiler that come last
FASTLSTM_SANITIZE=LIST      compile and link with -fsanitize=LIST, for example address,undefined
FASTLSTM_BUILD_ISAS=LIST    instruction sets to build above the baseline: avx2,avx512
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

SOURCE_DIR = Path("fastlstm/kernels/native/src")

# Exact arithmetic is part of the contract (a row gives the same bits in any batch), so nothing here
# lets the compiler reorder or contract floating point. Instruction sets are chosen inside the
# sources (isa_*.c), never by flags: no object may leak its instructions into another.
# -O2: at -O3 the same kernels take half as long again to compile and are no faster, once the short
# loops that must be unrolled say so themselves.
KERNEL_FLAGS = [
    "-O2",
    "-std=c11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-ffunction-sections",  # for link_flags to order
    "-fno-asynchronous-unwind-tables",  # a twentieth of the extension: nothing is thrown in C
    "-pthread",
    "-Wall",
    "-Wextra",
]

# What Cython writes, through which each call goes. -Os saves 70 KB of a wheel, but a call of 31 us
# and a training step of 61 us take 5 % longer, a step of a stream 2 %.
DOOR_FLAGS = ["-O2", "-fno-asynchronous-unwind-tables", "-pthread"]

# What x86 processors are no slower without, as they order instructions themselves: kernels take a
# fourteenth less of a wheel. Without jump threading gcc takes arrays for perhaps not set that are.
# clang has no such flags.
GCC_X86 = ["-fno-schedule-insns2", "-fno-thread-jumps", "-Wno-maybe-uninitialized"]

UNALIGNED = ["-falign-functions=1", "-falign-jumps=1", "-falign-loops=1", "-falign-labels=1"]

# These save 45 KB of what Cython writes, which has hardly a loop. No call takes longer, but for a
# step of a stream: without jump threading, which is 7 KB of them, 1.5 %.
DOOR_GCC_X86 = [
    *GCC_X86,
    "-fno-tree-pre",
    "-fno-tree-dominator-opts",
    "-fno-partial-inlining",
    "-fno-early-inlining",
    "-fno-inline-functions-called-once",
    "-fno-ivopts",
    "-fno-tree-vectorize",
    *UNALIGNED,
]

# Of gcc for Windows it is known that it may move wide vectors on a stack aligned to 16 bytes as if
# they were aligned: a crash. Debian's gcc 12 does not; for others the assembler (binutils 2.38 or
# newer) writes moves that need no alignment. What threads need is the system's own there.
GCC_WINDOWS = ["-Wa,-muse-unaligned-vector-move"]

# One row per instruction set above the baseline: a few lines that compile only where compiler and
# target have it. A set that fails is left out and named; a set that passes must compile.
PROBES = {
    "avx2": """
        #include "intrinsics.h"
        __attribute__((target("avx2,fma"))) __m256 probe(__m256 a) {
            return _mm256_fmadd_ps(a, a, a);
        }""",
    "avx512": """
        #include "intrinsics.h"
        __attribute__((target("avx512f,avx512cd,avx512vl,avx512bw,avx512dq")))
        __m512 probe(__m512 a) {
            return _mm512_and_ps(_mm512_fmadd_ps(a, a, a), a);
        }""",
    "avxvnni": """
        #include "intrinsics.h"
        __attribute__((target("avx2,avxvnni"))) __m256i probe(__m256i a) {
            return _mm256_dpbusd_avx_epi32(a, a, a);
        }""",
    "avx512vnni": """
        #include "intrinsics.h"
        __attribute__((target("avx512f,avx512vnni"))) __m512i probe(__m512i a) {
            return _mm512_dpbusd_epi32(a, a, a);
        }""",
    "avx512bf16": """
        #include "intrinsics.h"
        __attribute__((target("avx512f,avx512bf16"))) __m512 probe(__m512 a) {
            return _mm512_dpbf16_ps(a, (__m512bh)a, (__m512bh)a);
        }""",
    "amx": """
        #include "intrinsics.h"
        __attribute__((target("avx512f,avx512bf16,avx512vnni,amx-tile,amx-bf16,amx-int8")))
        void probe(void *a) {
            _tile_loadconfig(a);
            _tile_dpbf16ps(0, 1, 2);
            _tile_dpbusd(0, 1, 2);
            _tile_release();
        }""",
    "neon": """
        #ifndef __aarch64__
        #error "not a 64-bit ARM target"
        #endif
        #include <arm_neon.h>
        float64x2_t probe(float64x2_t a) { return vfmaq_f64(a, a, a); }""",
    "neondotprod": """
        #include <arm_neon.h>
        __attribute__((target("arch=armv8.2-a+dotprod")))
        int32x4_t probe(int32x4_t s, int8x16_t a) { return vdotq_s32(s, a, a); }""",
    "neonbf16": """
        #include <arm_neon.h>
        __attribute__((target("arch=armv8.2-a+bf16")))
        float32x4_t probe(float32x4_t s, bfloat16x8_t a) { return vbfdotq_f32(s, a, a); }""",
}


def compiles(compiler: list[str], code: str, folder: Path) -> bool:
    """Whether `compiler` (a command) accepts `code`; raises CompileError if it cannot be run."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "probe.c"
    source.write_text(code)
    kernels = f"-I{Path(__file__).parent / SOURCE_DIR}"
    command = [*compiler, "-c", str(source), "-o", str(folder / "probe.o"), kernels]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        raise CompileError(
            f"no C compiler: {compiler[0]!r} was not found. Install one, set CC, or set "
            "FASTLSTM_NO_EXTENSION=1 to install without the compiled kernels"
        ) from None


def wanted_levels() -> list[str]:
    """Names of the instruction sets to be built where that is possible: FASTLSTM_BUILD_ISAS."""
    named = os.environ.get("FASTLSTM_BUILD_ISAS", "")
    names = named.replace(",", " ").split() or list(PROBES)
    unknown = [name for name in names if name not in PROBES]
    if unknown:
        raise CompileError(
            f"FASTLSTM_BUILD_ISAS={named!r} has {unknown[0]!r}, expected names of "
            f"{', '.join(PROBES)}"
        )
    return names


def supported_levels(compiler: list[str], folder: Path) -> list[str]:
    """Names of the instruction sets that `compiler` can build; probes are written to `folder`."""
    return [name for name, code in PROBES.items() if compiles(compiler, code, folder)]


def without_pythons_own(command: list[str]) -> list[str]:
    """A compiler's command without how Python itself was optimized, and what it is warned of.

    The kernels have flags of their own: any Python builds the same ones (and a cache of compiled
    files has them).
    """
    own = ("-O", "-g", "-W", "-fwrapv", "-fno-strict-overflow")
    return [word for word in command if not word.startswith(own)]


def kernel_sources(levels: list[str], folder: Path = SOURCE_DIR) -> list[Path]:
    """The C files to compile for `levels`; *.inc.c are included by others."""
    left_out = [name for name in PROBES if name not in levels]
    files = [file for file in sorted(folder.glob("*.c")) if ".inc." not in file.name]
    return [file for file in files if file.stem.split("_")[1:2] not in [[n] for n in left_out]]


def is_gcc_x86(compiler: list[str], folder: Path) -> bool:
    """Whether `compiler` takes GCC_X86 and makes code for these processors."""
    code = """
        #ifndef __x86_64__
        #error "not for x86-64"
        #endif
        int probe;"""
    return compiles([*compiler, *GCC_X86, "-Werror"], code, folder)


def is_gcc_windows(compiler: list[str], folder: Path) -> bool:
    """Whether `compiler` is gcc and makes code for Windows: mingw-w64."""
    code = """
        #if !defined(__MINGW32__) || defined(__clang__)
        #error "not gcc for Windows"
        #endif
        int probe;"""
    return compiles(compiler, code, folder)


def kernel_flags(compiler: list[str], folder: Path) -> list[str]:
    """KERNEL_FLAGS, with what gcc needs for Windows."""
    if is_gcc_windows(compiler, folder):
        return [*(flag for flag in KERNEL_FLAGS if flag != "-pthread"), *GCC_WINDOWS]
    return KERNEL_FLAGS


# What clang-cl makes code for, as itself it may be one that another processor emulates.
CLANG_CL_TARGETS = {
    "win-amd64": "x86_64-pc-windows-msvc",
    "win-arm64": "aarch64-pc-windows-msvc",
}


def is_clang_cl(compiler: list[str]) -> bool:
    """Whether `compiler` is clang as a compiler for Visual Studio."""
    return Path(compiler[0]).stem.startswith("clang-cl")


def in_words_of(compiler: list[str], flags: list[str]) -> list[str]:
    """Flags of gcc and clang as `compiler` takes them, with those it has by itself.

    To clang-cl Python also gives those of Visual Studio, and it knows no use for some.
    """
    if not is_clang_cl(compiler):
        return flags
    own = ["-Wno-unused-command-line-argument", *compiler[1:]]
    return [*own, *(f"/clang:{flag}" for flag in flags)]


def smaller_flags(path: Path, gcc_x86: bool) -> list[str]:
    """Flags that make a kernel's code smaller, and no slower where speed matters.

    What every processor can run is for the old ones alone: it is up to 6 % slower for it. Those
    with AVX2 or AVX-512 would be by a fifth; the latter need no partial redundancies eliminated.
    """
    level = path.stem.split("_")[1:2]
    flags = list(GCC_X86) if gcc_x86 else []
    wide = bool(level) and level[0].startswith(("avx512", "amx"))
    if gcc_x86 and wide:
        flags.append("-fno-tree-pre")
    # Of float64 checks are made more than runs, and 8 bits with and without AVX-VNNI take less of a
    # wheel where they are alike. AVX2 in float32 is up to 3 % slower for these.
    if gcc_x86 and (wide or level == ["base"] or not path.stem.endswith("_f32")):
        flags += [*UNALIGNED, "-fno-caller-saves"]
    return [*flags, "-Os"] if level == ["base"] else flags


def kernel_macros(levels: list[str]) -> list[tuple[str, str | None]]:
    """Macros that tell dispatch.c what there is: FL_HAVE_AVX512 and so on."""
    return [(f"FL_HAVE_{name.upper()}", "1") for name in levels]


def debug_flags(names: str | None = None) -> list[str]:
    """Flags of FASTLSTM_SANITIZE; without it no debug information, which would fill the wheel.

    -g1 has the lines that a report names. Where each variable is, which -g adds, takes the compiler
    as long as all the rest; to go on after an error, which nobody asks for, takes a quarter.
    Without optimizing, the tests take twice as long; what -O1 adds to -Og, longer than it saves.
    """
    names = os.environ.get("FASTLSTM_SANITIZE", "") if names is None else names
    if not names:
        return ["-g0"]
    checks = [f"-fsanitize={names}", "-fno-sanitize-recover=all"]
    return [*checks, "-fno-omit-frame-pointer", "-g1", "-Og"]


def link_flags() -> list[str]:
    """The same for the linker, which leaves out the names that only debuggers read.

    A function stands beside its likes for other instruction sets and precisions: a wheel is packed
    with no more than 32 KB in view, and what repeats there takes a twelfth less of the whole wheel.
    The same instructions run. Linkers that keep their own order (lld, mold) take the word as well.
    """
    strips = sys.platform == "linux" and not os.environ.get("FASTLSTM_SANITIZE")
    return [*debug_flags(), "-Wl,-s", "-Wl,--sort-section=name"] if strips else debug_flags()


def debug_flags_of_cython() -> list[str]:
    """The same for what Cython writes: five times as fast to compile, and seldom long at work."""
    return [*debug_flags(), "-O0"] if os.environ.get("FASTLSTM_SANITIZE") else debug_flags()


def flags_of_user() -> list[str]:
    """The flags in FASTLSTM_CFLAGS."""
    return shlex.split(os.environ.get("FASTLSTM_CFLAGS", ""))


def find_clang_cl() -> str:
    """The path of clang-cl, or of what CC names instead; PlatformError without it.

    Visual Studio's own compiler has no vectors that + and * take, which the kernels are made of.
    """
    name = os.environ.get("CC", "clang-cl")
    found = shutil.which(name)
    if not found or not is_clang_cl([found]):
        raise PlatformError(
            f"the kernels need gcc, clang or clang-cl, and {name!r} is not a clang-cl that is on "
            "PATH: install it (LLVM, or Visual Studio's component C++ Clang tools), or build with "
            "--compiler=mingw32, or set FASTLSTM_NO_EXTENSION=1 to install without them"
        )
    return found


class BuildKernels(build_ext):
    """build_ext that compiles the kernels itself: own flags, in parallel, one probe per level."""

    def build_extension(self, ext: Extension) -> None:
        compiler = self.find_compiler()
        self.force = True  # flags come from the environment, so time stamps do not tell
        folder = Path(self.build_temp)
        possible = supported_levels(compiler, folder)
        levels = [name for name in possible if name in wanted_levels()]
        missing = [name for name in PROBES if name not in levels]
        print(
            f"fastlstm: instruction sets built: {', '.join(['base', *levels])}; "
            f"not for this compiler and machine, or not wanted: {', '.join(missing)}"
        )
        gcc_x86 = is_gcc_x86(compiler, folder)
        ext.extra_objects = self.compile_kernels(compiler, levels, gcc_x86)
        smaller = DOOR_GCC_X86 if gcc_x86 else []
        door = [*ext.extra_compile_args, *smaller, *debug_flags_of_cython(), *flags_of_user()]
        ext.extra_compile_args = in_words_of(compiler, door)
        ext.extra_link_args += link_flags()
        if sys.platform == "win32":
            ext.extra_link_args = [] if is_clang_cl(compiler) else ["-static-libgcc"]
        super().build_extension(ext)

    def find_compiler(self) -> list[str]:
        """The command that compiles; of Visual Studio's compilers clang-cl is made to."""
        if hasattr(self.compiler, "compiler_so"):
            return self.compiler.compiler_so
        self.compiler.initialize()
        self.compiler.cc = find_clang_cl()
        target = CLANG_CL_TARGETS.get(self.plat_name)
        return [self.compiler.cc, *([f"--target={target}"] if target else [])]

    def compile_kernels(self, compiler: list[str], levels: list[str], gcc_x86: bool) -> list[str]:
        """Compile each C source to an object file; returns their paths."""
        werror = ["-Werror"] if os.environ.get("FASTLSTM_WERROR") == "1" else []
        flags = kernel_flags(compiler, Path(self.build_temp)) + werror

        def compile_one(path: Path) -> list[str]:
            own = [*flags, *smaller_flags(path, gcc_x86), *debug_flags(), *flags_of_user()]
            return self.compiler.compile(
                [str(path)],
                output_dir=self.build_temp,
                macros=kernel_macros(levels),
                extra_postargs=in_words_of(compiler, own),
            )

        if not is_clang_cl(compiler):
            self.compiler.set_executable("compiler_so", without_pythons_own(compiler))
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return sum(pool.map(compile_one, kernel_sources(levels)), [])
        finally:
            if not is_clang_cl(compiler):
                self.compiler.set_executable("compiler_so", compiler)


def extensions() -> list[Extension]:
    """The one extension, or none where FASTLSTM_NO_EXTENSION=1 asks for pure Python."""
    if os.environ.get("FASTLSTM_NO_EXTENSION") == "1":
        print("fastlstm: FASTLSTM_NO_EXTENSION=1, building without the compiled kernels")
        return []
    from Cython.Build import cythonize

    native = Extension(
        "fastlstm.kernels.native._native",
        sources=["fastlstm/kernels/native/_native.pyx"],
        include_dirs=[str(SOURCE_DIR)],
        extra_compile_args=DOOR_FLAGS,
        extra_link_args=["-pthread", "-lm"],
    )
    return cythonize([native], build_dir="build/cython", language_level=3)


def choose_architecture() -> None:
    """Have a Python for both kinds of Mac build for this one, unless ARCHFLAGS names others.

    No instruction set above the baseline compiles for two kinds at once. `cibuildwheel` sets the
    same two variables: setuptools asks the one for the compiler's flags, the other for the tag.
    """
    if sys.platform != "darwin" or "ARCHFLAGS" in os.environ:
        return
    machine = platform.machine()
    os.environ["ARCHFLAGS"] = f"-arch {machine}"
    tag = sysconfig.get_platform().replace("universal2", machine)
    os.environ.setdefault("_PYTHON_HOST_PLATFORM", tag)


if __name__ == "__main__":
    choose_architecture()
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
