"""What is done with modules beside calling them: copies, files, parametrizations, autocast, ..."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import pytest
from dropin import (
    F32,
    F64,
    QUIET,
    SEQUENCES,
    assert_alike,
    assert_close,
    ft,
    packed,
    pair,
    tensors,
    torch,
)
from torch.nn.utils import parameters_to_vector, parametrizations, parametrize, prune

import fastlstm

pytestmark = [QUIET, pytest.mark.filterwarnings("ignore:`torch.jit.trace")]
T, N, I, H = 5, 3, 4, 6
CELLS = ("LSTMCell", "GRUCell", "RNNCell")
ALL = (*SEQUENCES, *CELLS)
every = pytest.mark.parametrize("name", ALL)


def draw(*shape: int, dtype: Any = F32) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


def x_of(module: Any, dtype: Any = F32) -> Any:
    return (
        draw(T, N, I, dtype=dtype)
        if isinstance(module, torch.nn.RNNBase)
        else draw(N, I, dtype=dtype)
    )


def assert_same(module: Any, other: Any) -> None:
    for a, b in zip(tensors(module(x_of(module))), tensors(other(x_of(module))), strict=True):
        assert torch.equal(a, b)


@every
def test_copies_and_files(name: str) -> None:
    module = getattr(ft, name)(I, H)
    module(x_of(module))
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for other in (
        copy.deepcopy(module),
        copy.copy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(file, weights_only=False),
    ):
        assert type(other) is type(module)
        assert_same(module, other)


@every
def test_weight_norm(name: str) -> None:
    theirs, ours = pair(name, I, H)
    weight = "weight_hh_l0" if name in SEQUENCES else "weight_hh"
    for module in (theirs, ours):
        parametrizations.weight_norm(module, weight)
    assert_alike(ours, theirs, x_of(ours))
    with torch.no_grad():
        for module in (theirs, ours):
            getattr(module.parametrizations, weight).original0.mul_(2)
    assert_alike(ours, theirs, x_of(ours))
    for module in (theirs, ours):
        parametrize.remove_parametrizations(module, weight)
    assert type(ours) is getattr(ft, name)
    assert_alike(ours, theirs, x_of(ours))


@pytest.mark.parametrize("which", ["weight", "bias"])
@pytest.mark.parametrize("name", CELLS)
def test_pruned_cells(name: str, which: str) -> None:
    theirs, ours = pair(name, 3, 5)
    for module in (theirs, ours):
        prune.l1_unstructured(module, f"{which}_hh", 0.4)
    assert_alike(ours, theirs, torch.randn(2, 3))


@every
def test_share_memory_and_new_data(name: str) -> None:
    """Parameters that move are found where they are now."""
    theirs, ours = pair(name, I, H)
    for module in (theirs, ours):
        module(x_of(module))
        module.share_memory()
        for p in module.parameters():
            p.data = 2 * p.data
    assert all(p.is_shared() for p in ours.share_memory().parameters())
    assert_alike(ours, theirs, x_of(ours))
    for module in (theirs, ours):
        for key, p in list(module.named_parameters()):
            setattr(module, key, torch.nn.Parameter(p.detach().flip(0)))
    assert_alike(ours, theirs, x_of(ours))


@every
def test_weights_that_are_not_contiguous(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    for module in (theirs, ours):
        for p in module.parameters():
            if p.dim() == 2:
                p.data = p.data.t().contiguous().t()
    assert_alike(ours, theirs, x_of(ours, F64))


@every
def test_training_step_by_step(name: str) -> None:
    """Ten steps of Adam with clipped gradients: the same parameters as torch's."""
    theirs, ours = pair(name, I, H, dtype=F64)
    for module in (theirs, ours):
        optimizer = torch.optim.Adam(module.parameters(), 0.01)
        for _ in range(10):
            optimizer.zero_grad()
            next(tensors(module(x_of(module, F64)))).square().sum().backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
    assert_close(
        parameters_to_vector(ours.parameters()),
        parameters_to_vector(theirs.parameters()),
        1e-8,
        "p",
    )


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("given", [F32, torch.bfloat16], ids=str)
@every
def test_autocast(name: str, given: Any, low: Any) -> None:
    """Results within bfloat16's rounding of torch's, in torch's dtypes; gradients in float32."""
    for options in ({}, {"proj_size": 2}) if name == "LSTM" else ({},):
        theirs, ours = pair(name, I, H, **options)
        for states in (None, F32, torch.bfloat16):
            args = arguments(ours, given, states)
            for form in args:
                check_autocast(ours, theirs, form, low)


def arguments(module: Any, dtype: Any, state: Any) -> list[tuple[Any, ...]]:
    x, hx = x_of(module).to(dtype), None
    sequence = isinstance(module, torch.nn.RNNBase)
    if state is not None:
        rows = (1, N) if sequence else (N,)
        R = getattr(module, "proj_size", 0) or H
        hx = draw(*rows, R).to(state)
        if "LSTM" in type(module).__name__:
            hx = (hx, draw(*rows, H).to(state))
    forms = [x, packed(x, [5, 2, 3]), packed(x, [5, 5, 5])] if sequence else [x]
    return [(form, hx) for form in forms]


def torch_can(module: Any, args: tuple[Any, ...], low: Any) -> bool:
    """Whether torch's own module runs: its fused LSTM knows no float16 and no mixed dtypes.

    Nor does it cast float32 down where the processor has no AVX-512, it fails there.
    """
    if not isinstance(module, torch.nn.LSTM) or module.proj_size:
        return True
    dtypes = {t.dtype for t in tensors(args)}
    if dtypes == {F32} and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return low != torch.float16 and len(dtypes) == 1


def check_autocast(ours: Any, theirs: Any, args: tuple[Any, ...], low: Any) -> None:
    with torch.autocast("cpu", dtype=low):
        found = list(tensors(ours(*args)))
        assert all(t.isfinite().all() for t in found)
        expected = list(tensors(theirs(*args))) if torch_can(ours, args, low) else []
    for a, b in zip(found, expected, strict=False):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)
    ours.zero_grad()
    found[0].sum().backward()
    assert all(p.grad.dtype == F32 for p in ours.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", ALL)
def test_autocast_leaves_float64_alone(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = (next(tensors(m(x_of(m, F64)))) for m in (ours, theirs))
    assert_close(found, expected, 1e-10, "y")


class Compiled(torch.nn.Module):
    """A model around a recurrent module."""

    def __init__(self, rnn: Any) -> None:
        super().__init__()
        self.a, self.rnn, self.b = torch.nn.Linear(I, I), rnn, torch.nn.Linear(H, 1)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.a(x))
        y = self.rnn(x)
        if isinstance(y, tuple):
            y = y[0]
        return self.b(torch.tanh(y))


def run_compiled(rnn: Any) -> tuple[Any, list[Any], list[str]]:
    """The output, the gradients, and the graphs that were compiled, as text."""
    torch.manual_seed(1)
    model, graphs = Compiled(rnn), []
    torch._dynamo.reset()

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(str(graph.graph))
        return graph.forward

    y = torch.compile(model, backend=backend)(x_of(rnn))
    y.sum().backward()
    torch._dynamo.reset()
    return y, [p.grad for p in model.parameters()], graphs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@every
def test_compile(name: str) -> None:
    """Same results and gradients, in one graph with what stands around the module."""
    theirs, ours = pair(name, I, H)
    y, gradients, graphs = run_compiled(ours)
    expected, expected_gradients, _ = run_compiled(theirs)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(gradients, expected_gradients)
    (graph,) = graphs
    assert graph.count("torch.ops.fastlstm") == 1
    assert "numpy" not in graph


@every
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_trace(name: str) -> None:
    """A trace records torch's operations: it holds for another batch, and needs no fastlstm."""
    theirs, ours = pair(name, I, H)
    traced = torch.jit.trace(ours, (x_of(ours),), check_trace=False)
    other = draw(T, N + 2, I) if name in SEQUENCES else draw(N + 2, I)
    for a, b in zip(tensors(traced(other)), tensors(theirs(other)), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(RuntimeError, match="lengths is given, expected None while torch traces"):
        torch.jit.trace(lambda x: ft.GRU(I, H)(x, lengths=[T] * N), (draw(T, N, I),))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@every
def test_export(name: str) -> None:
    theirs, ours = pair(name, I, H)
    exported = torch.export.export(ours, (x_of(ours),)).module()
    for a, b in zip(tensors(exported(x_of(ours))), tensors(theirs(x_of(ours))), strict=True):
        torch.testing.assert_close(a, b)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)


def test_import_fastlstm_loads_no_torch() -> None:
    done = run("import fastlstm, sys; assert not {'torch', 'fastlstm.torch'} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


def test_import_loads_no_compiler() -> None:
    """torch._dynamo takes longer to load than all of torch."""
    done = run(
        "import torch, fastlstm.torch as ft, sys\n"
        "ft.GRU(2, 3)(torch.zeros(1, 1, 2))\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_without_torch() -> None:
    done = run("import sys; sys.modules['torch'] = None\nimport fastlstm.torch")
    assert "ImportError: fastlstm.torch needs PyTorch: pip install 'fastlstm[torch]'" in done.stderr


def test_number_of_threads_is_fastlstms(threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ft.explain(ft.GRU(I, H), draw(T, N, I)).threads == fastlstm.get_num_threads()
    fastlstm.set_num_threads(3)
    assert ft.explain(ft.GRU(I, H), draw(T, N, I)).threads == 3


@every
def test_skipped_initialization(name: str) -> None:
    """torch asks for device in the signature."""
    module = torch.nn.utils.skip_init(getattr(ft, name), I, H, bias=False, dtype=F64)
    assert {(p.device.type, p.dtype) for p in module.parameters()} == {("cpu", F64)}
    kept = torch.nn.utils.skip_init(getattr(ft, name), I, H, precision="bfloat16", device="cpu")
    assert kept.precision == "bfloat16"


@pytest.mark.parametrize("name", CELLS)
def test_a_device_by_position(name: str) -> None:
    options = (True, "tanh", "meta") if name == "RNNCell" else (True, "meta")
    assert getattr(ft, name)(I, H, *options).weight_ih.is_meta
    with pytest.raises(TypeError, match="device"):
        getattr(ft, name)(I, H, *options, device="cpu")
