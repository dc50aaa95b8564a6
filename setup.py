"""Build script: compiles the C kernels once per instruction set and links them into one extension.

Everything declarative is in pyproject.toml. Environment variables read here:

FASTLSTM_NO_EXTENSION=1     build the pure Python package: Numba's backend or the reference
FASTLSTM_WERROR=1           warnings in fastlstm/kernels/native/src are errors
FASTLSTM_SANITIZE=LIST      compile and link with -fsanitize=LIST, for example address,undefined
FASTLSTM_BUILD_ISAS=LIST    instruction sets to build above the baseline: avx2,avx512
"""

from __future__ import annotations

import os
import subprocess
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
    "-pthread",
    "-Wall",
    "-Wextra",
]

# One row per instruction set above the baseline: a few lines that compile only where compiler and
# target have it. A set that fails is left out and named; a set that passes must compile.
PROBES = {
    "avx2": """
        #include <immintrin.h>
        __attribute__((target("avx2,fma"))) __m256 probe(__m256 a) {
            return _mm256_fmadd_ps(a, a, a);
        }""",
    "avx512": """
        #include <immintrin.h>
        __attribute__((target("avx512f,avx512cd,avx512vl,avx512bw,avx512dq")))
        __m512 probe(__m512 a) {
            return _mm512_and_ps(_mm512_fmadd_ps(a, a, a), a);
        }""",
    "avxvnni": """
        #include <immintrin.h>
        __attribute__((target("avx2,avxvnni"))) __m256i probe(__m256i a) {
            return _mm256_dpbusd_avx_epi32(a, a, a);
        }""",
    "avx512vnni": """
        #include <immintrin.h>
        __attribute__((target("avx512f,avx512vnni"))) __m512i probe(__m512i a) {
            return _mm512_dpbusd_epi32(a, a, a);
        }""",
    "avx512bf16": """
        #include <immintrin.h>
        __attribute__((target("avx512f,avx512bf16"))) __m512 probe(__m512 a) {
            return _mm512_dpbf16_ps(a, (__m512bh)a, (__m512bh)a);
        }""",
    "amx": """
        #include <immintrin.h>
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
    command = [*compiler, "-c", str(source), "-o", str(folder / "probe.o")]
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


def kernel_macros(levels: list[str]) -> list[tuple[str, str | None]]:
    """Macros that tell dispatch.c what there is: FL_HAVE_AVX512 and so on."""
    return [(f"FL_HAVE_{name.upper()}", "1") for name in levels]


def debug_flags(names: str | None = None) -> list[str]:
    """Flags of FASTLSTM_SANITIZE; without it no debug information, which would fill the wheel.

    -g1 has the lines that a report names. Where each variable is, which -g adds, takes the compiler
    as long as all the rest; to go on after an error, which nobody asks for, takes a quarter.
    """
    names = os.environ.get("FASTLSTM_SANITIZE", "") if names is None else names
    if not names:
        return ["-g0"]
    checks = [f"-fsanitize={names}", "-fno-sanitize-recover=all"]
    return [*checks, "-fno-omit-frame-pointer", "-g1", "-O1"]


def debug_flags_of_cython() -> list[str]:
    """The same for what Cython writes: five times as fast to compile, and seldom long at work."""
    return [*debug_flags(), "-O0"] if os.environ.get("FASTLSTM_SANITIZE") else debug_flags()


class BuildKernels(build_ext):
    """build_ext that compiles the kernels itself: own flags, in parallel, one probe per level."""

    def build_extension(self, ext: Extension) -> None:
        if not hasattr(self.compiler, "compiler_so"):
            raise PlatformError(
                f"the kernels need gcc or clang, not {self.compiler.compiler_type!r}; set "
                "FASTLSTM_NO_EXTENSION=1 to install without them"
            )
        self.force = True  # flags come from the environment, so time stamps do not tell
        possible = supported_levels(self.compiler.compiler_so, Path(self.build_temp))
        levels = [name for name in possible if name in wanted_levels()]
        missing = [name for name in PROBES if name not in levels]
        print(
            f"fastlstm: instruction sets built: {', '.join(['base', *levels])}; "
            f"not for this compiler and machine, or not wanted: {', '.join(missing)}"
        )
        ext.extra_objects = self.compile_kernels(levels)
        ext.extra_compile_args += debug_flags_of_cython()
        ext.extra_link_args += debug_flags()
        super().build_extension(ext)

    def compile_kernels(self, levels: list[str]) -> list[str]:
        """Compile each C source to an object file; returns their paths."""
        werror = ["-Werror"] if os.environ.get("FASTLSTM_WERROR") == "1" else []
        flags = KERNEL_FLAGS + werror + debug_flags()

        def compile_one(path: Path) -> list[str]:
            return self.compiler.compile(
                [str(path)],
                output_dir=self.build_temp,
                macros=kernel_macros(levels),
                extra_postargs=flags,
            )

        before = self.compiler.compiler_so
        self.compiler.set_executable("compiler_so", without_pythons_own(before))
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return sum(pool.map(compile_one, kernel_sources(levels)), [])
        finally:
            self.compiler.set_executable("compiler_so", before)


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
        extra_compile_args=["-O2", "-pthread"],
        extra_link_args=["-pthread"],
    )
    return cythonize([native], build_dir="build/cython", language_level=3)


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
