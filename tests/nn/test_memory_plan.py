"""What `memory_plan` promises is what a forward and its backward take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinds import layer

import fastlstm as fl
from fastlstm.nn import Tokens

pytestmark = pytest.mark.pairs

ALLOWED = 0.1  # of the plan, either way
# The reference lets go of a layer's y when the layer above it has run backward; compiled kernels
# read it in their own backward.
LESS_IN_REFERENCE = 0.25
T, N, I, H = 50, 24, 32, 48
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deep": {"num_layers": 3, "bidirectional": True},
    "dropout": {"num_layers": 3, "dropout": 0.5},
    "variational": {"num_layers": 3, "dropout": 0.5, "variational": True},
    "weight drop": {"num_layers": 2, "weight_drop": 0.5, "bidirectional": True},
    "recompute": {"num_layers": 2, "recompute": 5},
    "float32": {"dtype": "float32", "bias": False},
}


def assert_as_planned(taken: dict[str, int], plan: Any) -> None:
    for name, size in taken.items():
        ratio = size / getattr(plan, name)
        assert 1 - LESS_IN_REFERENCE <= ratio <= 1 + ALLOWED, f"{name}: {ratio:.2f} of the plan"


def measure(module: Any, x: Any, lengths: Any) -> dict[str, int]:
    """Peaks of the two passes and what is held between them, of memory that NumPy asks for."""
    y, _ = module(x, lengths=lengths)
    for p in module.parameters():
        p.zero_grad()
        assert p.grad is not None
    tracemalloc.start()
    try:
        out = module.forward(x, lengths=lengths)
        kept, forward = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        module.backward(out[-1], y)
        backward = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return {"forward": forward, "kept": kept, "backward": backward}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("ragged", [False, True])
def test_reference(
    kind: str, options: dict[str, Any], ragged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTLSTM_BACKEND", "reference")
    module = layer(kind, I, H, **options)
    x = np.random.default_rng(0).standard_normal((T, N, I)).astype(module.dtype)
    lengths = np.random.default_rng(1).integers(T // 2, T + 1, N) if ragged else None
    assert_as_planned(measure(module, x, lengths), module.memory_plan(T, N, lengths))


def test_reference_of_tokens(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLSTM_BACKEND", "reference")
    module, rng = layer(kind, I, H), np.random.default_rng(0)
    x = Tokens(rng.integers(0, 2000, (T, N)), rng.standard_normal((2000, I)))
    assert_as_planned(measure(module, x, None), module.memory_plan(T, N, tokens=2000))


SCRIPT = """
import numpy as np
from kinds import layer
from pathlib import Path

def resident(name):
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if name in s)
    return 1024 * int(line.split()[1])

module = layer({kind!r}, {I}, {H}, dtype="float32", **{options!r})
for steps in (2, {T}):
    x = np.random.default_rng(0).standard_normal((steps, {N}, {I})).astype("float32")
    y, _, tape = module.forward(x[:2])
    module.backward(tape, y)  # pages of code, gradients
dy = np.ones(({T}, {N}, y.shape[2]), "float32")
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
out = module.forward(x)
module.backward(out[-1], dy)
print(resident("VmHWM") - before, module.memory_plan({T}, {N}).peak)
"""


WHOLE = [
    ("lstm-proj", {}),
    ("gru-before", {}),
    # Not three layers of the smallest cell: there the compiled backend's freed blocks, which it
    # keeps, do not fit what is asked for next, and come on top.
    ("lstm", {"num_layers": 2, "bidirectional": True}),
    ("gru", {"num_layers": 2, "bidirectional": True}),
    ("lstm", {"num_layers": 4, "recompute": 20}),
    ("gru", {"num_layers": 4, "recompute": 20}),
    ("rnn-tanh", {"num_layers": 4, "recompute": 20}),
]


BFLOAT16 = [
    (kind, {**options, "precision": "bfloat16"})
    for kind, options in [("lstm", {}), ("gru", {"num_layers": 2}), ("lstm-proj", {}), *WHOLE[4:]]
]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("kind", "options", "backend"),
    [
        *[(*whole, "native") for whole in (*WHOLE, *BFLOAT16)],
        *[pytest.param(*whole, "numba", marks=pytest.mark.slow) for whole in WHOLE],
    ],
    ids=str,
)
def test_resident_memory_of_a_process(
    load_backend: Callable[[str], Any], kind: str, options: dict[str, Any], backend: str
) -> None:
    load_backend(backend)
    # Half as many where what is not of each step is little: not of what Numba compiles.
    steps = 400 if backend == "native" and "recompute" not in options else 800
    script = SCRIPT.format(kind=kind, options=options, T=steps, N=64, I=96, H=128)
    folders = [Path(__file__).parent, Path(__file__).parents[1], Path(fl.__file__).parents[1]]
    path = os.pathsep.join(map(str, folders))
    environment = {**os.environ, "PYTHONPATH": path, "FASTLSTM_BACKEND": backend}
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert not found.returncode, found.stderr
    taken, planned = map(int, found.stdout.split())
    assert abs(taken - planned) <= ALLOWED * planned, f"{taken} bytes, not {planned}"


LARGE = [(64, 200, 128, 128), (256, 200, 128, 256), (64, 100, 1024, 1024)]
SHARE = 0.65  # of y, dx and what is kept, an LSTM has 4 for 7 in float32, a GRU 3.5 for 6
# Half of all is y, dx and, the same in both, float32 sums of the gradients of weights.
LARGEST = {"gru": 0.66, "gru-before": 0.7}


@pytest.mark.usefixtures("native", "threads")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sizes", LARGE, ids=str)
@pytest.mark.parametrize("kind", ["lstm", "lstm-proj", "gru", "gru-before"])
def test_bfloat16_takes_less(kind: str, sizes: tuple[int, ...], n_threads: int) -> None:
    """All of it, with y and dx, which stay float32."""
    N, T, *features = sizes
    fl.set_num_threads(n_threads)
    options: Any = {"dtype": "float32", "rng": np.random.default_rng(0)}
    full = layer(kind, *features, **options).memory_plan(T, N)
    half = layer(kind, *features, precision="bfloat16", **options).memory_plan(T, N)
    share = LARGEST.get(kind, SHARE) if sizes == LARGE[2] else SHARE
    assert half.peak <= share * full.peak


def test_recompute_takes_less(backend_isa: str, kind: str) -> None:
    plain = layer(kind, I, H).memory_plan(400, 16)
    saving = layer(kind, I, H, recompute=20).memory_plan(400, 16)
    assert saving.kept < plain.kept
    assert saving.peak < plain.peak
    assert plain.peak == max(plain.forward, plain.backward)


def test_it_depends_on_what_it_should(backend_isa: str, kind: str) -> None:
    module = layer(kind, I, H, 2)
    plan = module.memory_plan(T, N)
    assert module.memory_plan(T, N, [T] * N) == plan
    assert module.memory_plan(T, N, [T // 2] * N).kept < plan.kept
    assert module.memory_plan(2 * T, N).kept > plan.kept
    assert layer(kind, I, H).memory_plan(T, N, tokens=9).backward < plan.backward
    assert layer(kind, I, H, 2, dtype="float32").memory_plan(T, N).kept < plan.kept


WRONG: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((0, 3), {}, "T is 0, expected at least 1"),
    ((3, 0), {}, "N is 0, expected at least 1"),
    ((3, 2), {"lengths": [1, 4]}, "lengths[1] is 4, expected 0 to 3"),
    ((3, 2), {"tokens": -1}, "tokens is -1, expected at least 0"),
    ((3.0, 2), {}, "T is 3.0, expected an integer"),
]


@pytest.mark.parametrize(("sizes", "options", "message"), WRONG, ids=[m for *_, m in WRONG])
def test_wrong_arguments(sizes: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        layer("gru").memory_plan(*sizes, **options)
