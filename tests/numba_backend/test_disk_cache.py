"""Compiled code on disk: found by the next process, and not by another cell."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

COMPILE = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
import numpy as np
from fastlstm.kernels.numba.engine import shared
for name in ("pack", "sum_tokens"):
    getattr(shared(np.dtype("f4")), name)
"""
COMPILED = ["compiling product.pack", "compiling gradients.sum_tokens"]  # soon done
LOOP = """
from fastlstm.kernels.numba.cells import MATHS
from fastlstm.kernels.numba.engine import Loops
Loops(MATHS["rnn_relu"], np.dtype("f4")).forward
"""


def start(folder: Path, code: str = COMPILE, **environment: str) -> subprocess.Popen[str]:
    chosen = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    chosen |= {"FASTLSTM_CACHE": str(folder), **environment}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, env=chosen
    )


def compile_in_a_process(
    folder: Path, code: str = COMPILE, **environment: str
) -> tuple[list[str], str]:
    """Return what was compiled, and standard error."""
    with start(folder, code, **environment) as process:
        out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    lines = out.splitlines()
    assert not lines or lines[0].startswith("fastlstm: Numba compiles for this processor")
    return lines[1:], error


def test_the_next_process_compiles_nothing(tmp_path: Path) -> None:
    """And the files are in the user's folder: beside the sources they would hide a new install."""
    compiled = [*COMPILED, "compiling forward.run"]  # the last around the functions of a cell
    assert compile_in_a_process(tmp_path, COMPILE + LOOP) == (compiled, "")
    files = sorted((tmp_path / "numba").iterdir())
    assert len(files) == len(compiled)
    assert compile_in_a_process(tmp_path, COMPILE + LOOP) == ([], "")
    assert sorted((tmp_path / "numba").iterdir()) == files


USE = """
import sys
import numpy as np
from fastlstm.kernels import CELLS, Call, Rows, Weights, backend
from fastlstm.kernels.numba.engine import shared

for name in ("pack", "product"):
    getattr(shared(np.dtype("f4")), name)
for cell in sys.argv[1:]:
    results = []
    for name in ("numba", "reference"):
        rng = np.random.default_rng(0)
        draw = lambda *shape: rng.standard_normal(shape).astype("f4")
        w = Weights(draw(5, 3), draw(5, 5), draw(5), draw(5))
        x, y = draw(4, 2, 3), np.empty((4, 2, 5), "f4")
        backend(name).forward(CELLS[cell], Call(x, (draw(2, 5),), w, Rows(4, 2), y))
        results.append(y)
    np.testing.assert_allclose(*results, atol=1e-5, err_msg=cell)
"""


def test_code_of_several_processes_can_be_used_together(tmp_path: Path) -> None:
    """What each calls its functions is its own: they are of one name, and of the same types."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for cells in ([], ["rnn_relu"], ["rnn_tanh"], ["rnn_relu", "rnn_tanh"]):
        command = [sys.executable, "-c", USE, *cells]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr


def test_numbas_own_variable_has_the_last_word(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    compile_in_a_process(tmp_path / "other", NUMBA_CACHE_DIR=str(chosen))
    assert len(list((chosen / "fastlstm").iterdir())) == len(COMPILED)
    assert not (tmp_path / "other").exists()


def test_a_relative_folder_stays_where_it_was_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import numba

    from fastlstm.kernels.numba.cache import folder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", f"of-{tmp_path.name}")
    first = folder()
    assert first == tmp_path / f"of-{tmp_path.name}" / "fastlstm"
    monkeypatch.chdir(tmp_path.parent)
    assert folder() == first


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that several processes wrote to at once."""
    folder = tmp_path_factory.mktemp("written")
    for process in [start(folder) for _ in range(3)]:
        _, error = process.communicate(timeout=600)
        assert (process.returncode, error) == (0, "")
    return folder


def test_several_processes_write_at_once(written: Path) -> None:
    assert len(list((written / "numba").iterdir())) == len(COMPILED)
    assert compile_in_a_process(written) == ([], "")


def test_damaged_files_are_made_again(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    whole = {path: path.read_bytes() for path in (tmp_path / "numba").iterdir()}
    cut, changed = whole
    cut.write_bytes(whole[cut][:100])
    changed.write_bytes(whole[changed][:-9] + bytes(9))
    made, _ = compile_in_a_process(tmp_path)
    assert sorted(made) == sorted(COMPILED)
    assert compile_in_a_process(tmp_path) == ([], "")


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made, error = compile_in_a_process(tmp_path / "file" / "cache")
    assert made == COMPILED
    assert error.count("set FASTLSTM_CACHE to a folder that can be written to") == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_told_once_and_not_waited_for(written: Path, tmp_path: Path) -> None:
    """A named pipe without a writer, and folders in the place of the files."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    whole = sorted((tmp_path / "numba").iterdir())
    for path in whole:
        path.unlink()
        path.mkdir()
    made, error = compile_in_a_process(tmp_path)
    assert made == COMPILED
    assert error.count("compiled code cannot be kept on disk") == 1
    for path in whole:
        path.rmdir()
        os.mkfifo(path)
    assert compile_in_a_process(tmp_path) == (COMPILED, "")
    assert compile_in_a_process(tmp_path) == ([], "")


def name_of(*functions: Any, of: Any = None, signature: Any = (), processor: Any = "") -> Any:
    from fastlstm.kernels.numba.cache import _name_of

    return _name_of(of or leaky, functions, signature, processor)


def make(constant: float = 1.0, captured: Any = 2.0) -> Any:
    def function(x: float) -> float:
        return x * captured

    def other(x: float) -> float:
        return x * captured + 0.5

    return function if constant == 1 else other


LEAK = 0.5


def leaky(x: float) -> float:
    return LEAK * x


def test_the_name_holds_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        name_of(make()),
        name_of(make(constant=0)),
        name_of(make(captured=3.0)),
        name_of(make(captured=np.float32(2))),
        name_of(make(captured=make(captured=4.0))),
        name_of(make(captured=make(captured=5.0))),
        name_of(make(), make(captured=3.0)),
        name_of(leaky),
        name_of(leaky, of=make),
        name_of(leaky, signature=(1,)),
        name_of(leaky, processor="other"),
    ]
    monkeypatch.setitem(globals(), "LEAK", 0.25)
    names.append(name_of(leaky))
    assert None not in names
    assert len(set(names)) == len(names)
    assert name_of(make()) == names[0]


def made_of(code: str, **outside: Any) -> Any:
    """Return the function f of some code."""
    there = {"__name__": "made", **outside}
    exec(code, there)
    return there["f"]


def module_with(**attributes: Any) -> types.ModuleType:
    module = types.ModuleType("settings")
    vars(module).update(attributes)
    return module


class Rate(enum.IntEnum):
    SLOW = 1


@pytest.mark.parametrize(
    "pair",
    [
        [made_of("def f(x): return s.rate * x", s=module_with(rate=r)) for r in (1, 2)],
        [
            made_of("def f(x): return s.t.rate * x", s=module_with(t=module_with(rate=r)))
            for r in (1, 2)
        ],
        [made_of("def f(x): return s.g(x)", s=module_with(g=make(captured=r))) for r in (1.0, 2.0)],
        [made_of(f"def f(x, k={r}): return k * x") for r in (1, 2)],
        [made_of(f"def f(x, *, k={r}): return k * x") for r in (1, 2)],
        [made_of(f"def f(x): return (lambda y: {r} * y)(x)") for r in (1.5, 2.5)],
        [made_of("def f(x): return (lambda y: k * y)(x)", k=r) for r in (1, 2)],
        [made_of("def f(x): return a * x + b", a=a, b=b) for a, b in ((1, 23), (12, 3))],
        [made_of("def f(x): return a * x + b", a=a, b=b) for a, b in ((1, 1.0), (1.0, 1))],
        [made_of("def f(x): return k[1] * x", k=k) for k in ((1, (2, 3)), ((1, 2), 3))],
    ],
)
def test_functions_that_compute_otherwise_have_other_names(pair: list[Any]) -> None:
    one, other = (name_of(function) for function in pair)
    assert one is not None
    assert other is not None
    assert one != other


def test_options_of_numba_are_in_the_name() -> None:
    import numba

    names = [name_of(numba.njit(error_model=model)(leaky)) for model in ("numpy", "python")]
    assert len({*names, name_of(leaky)}) == 3


def test_a_function_with_one_inside_keeps_its_name() -> None:
    code = "def f(x): return (lambda y: 2 * y)(x)"
    assert name_of(made_of(code)) == name_of(made_of(code)) is not None


@pytest.mark.parametrize("held", [object(), Rate, module_with(rate=[1])])
def test_what_cannot_be_described_is_not_cached(held: Any) -> None:
    """The members of a class may change under the same name."""
    assert name_of(made_of("def f(x): return s.rate * x", s=held)) is None


def test_a_changed_module_is_compiled_anew(tmp_path: Path) -> None:
    """What a cell takes from a module of constants is in its code."""
    (tmp_path / "cells.py").write_text(
        "from fastlstm.custom import custom_cell, tanh\n"
        "import settings\n"
        "def forward(z, h):\n    a = tanh(z)\n    return settings.RATE * a, a\n"
        "def backward(dh, a):\n    return settings.RATE * dh * (1 - a * a), 0.0 * dh\n"
        "Made = custom_cell('Made', gates=('z',), forward=forward, backward=backward,"
        " keeps=('a',))\n"
        "import numpy as np\n"
        "layer = Made(2, 3, rng=0)\n"
        "y, _ = layer(np.ones((1, 1, 2), 'f4'))\n"
        "z = layer.weight_ih_l0.data.sum(1) + layer.bias_ih_l0.data + layer.bias_hh_l0.data\n"
        "np.testing.assert_allclose(y[0, 0], settings.RATE * np.tanh(z), rtol=1e-5)\n"
    )
    for rate in (0.5, 0.25):
        (tmp_path / "settings.py").write_text(f"RATE = {rate}\n")
        code = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(tmp_path)!r})"
        compile_in_a_process(tmp_path / "cache", f"{code}\nimport cells")


def test_arguments_of_other_types_are_refused() -> None:
    """Code for them would be looked for under the name of what there is."""
    from numba.core import types

    from fastlstm.kernels.numba.cache import compile_cached

    compiled = compile_cached(leaky, (make(captured=object()),), (types.float64,))
    assert compiled(3.0) == 1.5
    with pytest.raises(TypeError, match="No matching definition"):
        compiled("text")
