"""Layers as operators of torch.library: registered right, and one node of every graph."""

from __future__ import annotations

import io
import shutil
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dropin import CELLS, F32, F64, QUIET, SEQUENCES, assert_close, ft, packed, pair, tensors, torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck
from torch.utils.flop_counter import FlopCounterMode

import fastlstm as fl
from fastlstm.torch import kept
from fastlstm.torch.cell_operators import direct_step
from fastlstm.torch.compiler import CALLS, call_directly, key_caches, when_loaded
from fastlstm.torch.operators import NAMES
from fastlstm.torch.sequence import run_operators

T, N, I, H = 5, 3, 4, 6
pytestmark = [
    QUIET,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning"
    ),  # the compiler's own, and FutureWarning
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
BOTH = {"num_layers": 2, "bidirectional": True, "batch_first": True}
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", BOTH),
    ("LSTM", {"proj_size": 2, "bias": False}),
    ("GRU", {"num_layers": 2}),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    *((name, {}) for name in CELLS),
]
every = pytest.mark.parametrize(("name", "options"), FORMS, ids=str)


def draw(*shape: int, seed: int = 0, dtype: Any = F64) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def input_of(name: str, seed: int = 0, dtype: Any = F64) -> Any:
    return draw(*((N, I) if name in CELLS else (N, T, I)), seed=seed, dtype=dtype)


def arguments(
    cell: str, options: dict[str, Any], dtype: Any = F64, grad: bool = True
) -> tuple[Any, ...]:
    """Arguments of an operator: of both directions with `both`, with states with `hx`."""
    batch_first, both = options.get("batch_first", False), options.get("both", False)
    G, D = {"lstm": 4, "gru": 3}.get(cell, 1) * H, 1 + both
    R = options.get("proj") or H
    biases = [(G,), (G,)] if options.get("bias", True) else []
    sizes = [(G, I), (G, R), *biases, *([(R, H)] if R != H else [])] * D
    states = [(D, N, R), (D, N, H)][: 2 if cell == "lstm" else 1]

    def make(*shape: int) -> Any:
        return draw(*shape, seed=len(shape), dtype=dtype).requires_grad_(grad)

    given = [make(*s) if options.get("hx", True) else None for s in states]
    x = make(N, T, I) if batch_first else make(T, N, I)
    rest = batch_first, both, options.get("precision", "float32"), options.get("save", True)
    return (x, *given, [make(*s) for s in sizes], *rest)


def operators(cell: str) -> tuple[Any, Any]:
    found = torch.ops.fastlstm
    return getattr(found, cell).default, getattr(found, f"{cell}_backward").default


def backward_arguments(cell: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of the backward operator that asks for all gradients."""
    *outputs, marker = operators(cell)[0](*given)
    grads = [draw(*y.shape, seed=7, dtype=y.dtype) for y in outputs]
    states = given[: len(outputs)]
    needs = [t is not None for t in states] + [True] * len(given[len(outputs)])
    return (*grads, outputs[0], marker, *given[:-1], needs)


def check_operators(cell: str, options: dict[str, Any], dtype: Any = F64) -> None:
    forward, backward = operators(cell)
    opcheck(forward, arguments(cell, options, dtype))
    opcheck(backward, backward_arguments(cell, arguments(cell, options, dtype, grad=False)))


@pytest.mark.parametrize("cell", NAMES)
def test_opcheck(cell: str) -> None:
    check_operators(cell, {"both": True, "batch_first": True})


@pytest.mark.slow
@pytest.mark.parametrize("cell", NAMES)
def test_opcheck_of_all_options(cell: str) -> None:
    """In float32 or float64: either with each value of each option, and of each pair of them."""
    projections = (0, 2) if cell == "lstm" else (0,)
    for both, batch_first, hx, bias, proj in product(*[(False, True)] * 4, projections):
        options = {"both": both, "batch_first": batch_first, "hx": hx, "bias": bias, "proj": proj}
        dtype = F64 if (both + batch_first + hx + bias + proj // 2) % 2 else F32
        check_operators(cell, {**options, "save": hx == both}, dtype)
    check_operators(cell, {"precision": "bfloat16"}, F32)
    quantized = {"precision": "int8", "save": False}
    opcheck(operators(cell)[0], arguments(cell, quantized, F32, grad=False))


class Graphs:
    """A backend of torch.compile that runs the graphs of forward and backward as they are."""

    def __init__(self) -> None:
        from torch._dynamo.backends.common import aot_autograd

        self.seen: list[Any] = []
        self.backend = aot_autograd(fw_compiler=self.see, bw_compiler=self.see)

    def see(self, graph: Any, _: Any) -> Any:
        from functorch.compile import make_boxed_func

        self.seen.append(graph)
        return make_boxed_func(graph.forward)

    def compile(self, function: Any, **options: Any) -> Any:
        torch._dynamo.reset()
        return torch.compile(function, backend=self.backend, fullgraph=True, **options)


def count(graph: Any) -> tuple[int, int]:
    """How many operators of ours a graph has, forward and backward."""
    names = [str(n.target) for n in graph.graph.nodes if "fastlstm" in str(n.target)]
    back = sum("_backward" in name for name in names)
    return len(names) - back, back


def layers(module: Any) -> int:
    return getattr(module, "num_layers", 1)


def run(function: Any, module: Any, x: Any) -> list[Any]:
    """The outputs of a function of x, and the gradients of a sum of them."""
    x, weights = x.clone().requires_grad_(), list(module.parameters())
    outputs = list(tensors(function(x)))
    total = sum((k + 1) * y.float().square().sum() for k, y in enumerate(outputs))
    return [*outputs, *torch.autograd.grad(total, [x, *weights], allow_unused=True)]


def assert_equal(found: Any, expected: Any) -> None:
    for k, (actual, value) in enumerate(zip(found, expected, strict=True)):
        assert_close(actual, value, 1e-6 if value.dtype is not F64 else 1e-10, str(k))


def check_compiled(module: Any, x: Any, **options: Any) -> None:
    graphs = Graphs()
    compiled = graphs.compile(module, **options)
    assert_equal(run(compiled, module, x), run(module, module, x))
    assert [count(g) for g in graphs.seen] == [(layers(module), 0), (0, layers(module))]


@every
def test_compiled(name: str, options: dict[str, Any]) -> None:
    """One graph forward and one backward, with one operator for each layer in it."""
    check_compiled(getattr(ft, name)(I, H, dtype=F64, **options), input_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("name", SEQUENCES)
def test_compiled_for_many_shapes(name: str, dynamic: bool) -> None:
    module = getattr(ft, name)(I, H, dtype=F64, **BOTH)
    graphs = Graphs()
    compiled = graphs.compile(module, dynamic=dynamic)
    for shape in ((3, 5, I), (4, 7, I), (6, 2, I)):
        assert_equal(run(compiled, module, draw(*shape)), run(module, module, draw(*shape)))
    assert len(graphs.seen) == (2 if dynamic else 6)
    check_compiled(module, draw(T, I))  # without a batch axis


@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_compiled_with_states(name: str) -> None:
    options = BOTH if name == "LSTM" else {}
    module = getattr(ft, name)(I, H, dtype=F64, **options)
    x, h = input_of(name), draw(*((4,) if options else ()), N, H)
    h.requires_grad_()
    hx = (h, 2 * h) if name == "LSTM" else h

    def gradients(call: Any) -> Any:
        y = next(tensors(call(x, hx)))
        return torch.autograd.grad(y.sum(), [h, *module.parameters()], retain_graph=True)

    assert_equal(gradients(Graphs().compile(module)), gradients(module))


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_compiled_in_lower_precision(precision: str) -> None:
    module = ft.LSTM(I, H, precision=precision, **BOTH)
    x = input_of("LSTM", dtype=F32)
    if precision == "bfloat16":
        check_compiled(module, x)
        return
    with torch.no_grad():
        assert torch.equal(Graphs().compile(module)(x)[0], module(x)[0])
    with pytest.raises(Exception, match="precision is 'int8', which is for inference"):
        Graphs().compile(module)(x)


@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_compiled_with_a_precision_that_changes(name: str) -> None:
    torch._dynamo.reset()
    module, x = getattr(ft, name)(4, 5), torch.randn(3, 2, 4)
    x = x[0] if name == "GRUCell" else x
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    found = []
    with torch.no_grad():
        for precision in ("float32", "bfloat16", "int8", "float32"):
            module.precision = precision
            found.append(compiled(x)[0])
            assert torch.equal(found[-1], module(x)[0])
    assert len({tuple(y.flatten().tolist()) for y in found}) == 3


@pytest.mark.parametrize("name", ["LSTM", "GRU", "LSTMCell"])
def test_compiled_under_autocast(name: str) -> None:
    module, x = getattr(ft, name)(I, H), input_of(name, dtype=F32)

    def call(x: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return list(tensors(module(x)))

    found, expected = Graphs().compile(call)(x), call(x)
    assert [y.dtype for y in found] == [y.dtype for y in expected]
    assert_equal(found, expected)


def test_operator_under_autocast() -> None:
    given = arguments("lstm", {}, F32, grad=False)
    low = given[0].bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = torch.ops.fastlstm.lstm(low, *given[1:])[0]
    assert y.dtype is F32
    assert torch.equal(y, torch.ops.fastlstm.lstm(low.float(), *given[1:])[0])


@pytest.mark.slow
def test_compiled_with_dropout_and_packed() -> None:
    module = ft.GRU(I, H, dropout=0.5, dtype=F64, **BOTH)
    x, results = input_of("GRU"), []
    for call in (Graphs().compile(module), module):
        torch.manual_seed(5)
        results.append(run(call, module, x))
    assert_equal(*results)
    module.eval()

    def of_packed(x: Any) -> Any:  # with a break in the graph, at the packing
        return module(packed(x, [2, 5, 4], batch_first=True))

    torch._dynamo.reset()
    compiled = torch.compile(of_packed, backend="eager")
    assert_equal(run(compiled, module, x), run(of_packed, module, x))


@pytest.mark.parametrize("told", ["order", "states", "both"])  # what tells how many rows there are
@pytest.mark.parametrize("name", SEQUENCES)
def test_compiled_with_a_packed_sequence(name: str, told: str) -> None:
    """One graph, if it is packed outside; other lengths may follow."""
    module, x = getattr(ft, name)(I, H, dtype=F64, **BOTH), input_of(name)
    hx = draw(4, N, H, seed=1)
    given = None if told == "order" else (hx, 2 * hx) if name == "LSTM" else hx
    graphs = Graphs()
    compiled = graphs.compile(module)
    for lengths in ([5, 4, 2], [3, 3, 1]):
        lengths = lengths if told == "states" else [lengths[k] for k in (2, 0, 1)]
        ordered = told == "states"

        def call(of: Any, x: Any, n: Any = lengths, ordered: bool = ordered) -> Any:
            return of(packed(x[:, : max(n)], n, batch_first=True, sort=ordered), given)

        assert_equal(run(partial(call, compiled), module, x), run(partial(call, module), module, x))
    assert [count(g) for g in graphs.seen[:2]] == [(2, 0), (0, 2)]


def test_compiled_with_a_packed_sequence_of_rows_that_no_shape_tells() -> None:
    """A break in the graph: the compiler says so, and without `fullgraph` it is right."""
    module, x = ft.GRU(I, H, dtype=F64, batch_first=True), input_of("GRU")

    def call(of: Any, x: Any) -> Any:
        return of(packed(x, [5, 4, 2], batch_first=True, sort=True))

    compiled = torch.compile(module, backend="eager")
    assert_equal(run(partial(call, compiled), module, x), run(partial(call, module), module, x))
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        call(torch.compile(module, backend="eager", fullgraph=True), x)


def test_compiled_with_wrong_states_beside_a_packed_sequence() -> None:
    module = ft.GRU(I, H, dtype=F64, batch_first=True)
    given = packed(input_of("GRU"), [2, 5, 4], batch_first=True)
    with pytest.raises(Exception, match=r"Expected hidden size \(1, 3, 6\), got \[1, 4, 6\]"):
        Graphs().compile(module)(given, draw(1, 4, H))


@pytest.mark.parametrize("rows", [2, 4])
def test_compiled_with_states_of_other_rows_than_a_packed_sequence(rows: int) -> None:
    """No shape tells it: how many rows the first step has does, when the code runs."""
    module = ft.GRU(I, H, dtype=F64, batch_first=True)
    given = packed(input_of("GRU"), [4, 1, 1], batch_first=True, sort=True)
    with pytest.raises(RuntimeError, match="Expected hidden size"):
        module(given, draw(1, rows, H))
    with pytest.raises(RuntimeError, match="hx has another number of rows than the first step"):
        Graphs().compile(module)(given, draw(1, rows, H))


LENGTHS = [2, 5, 0]


@pytest.mark.parametrize("kind", [list, torch.tensor])
@pytest.mark.parametrize("name", SEQUENCES)
def test_compiled_with_lengths(name: str, kind: Any) -> None:
    """One graph still; lengths in a tensor may be others the next time."""
    module, x = getattr(ft, name)(I, H, dtype=F64, **BOTH), input_of(name)
    graphs = Graphs()
    compiled = graphs.compile(module)
    for lengths in (LENGTHS, LENGTHS[::-1]) if kind is torch.tensor else (LENGTHS,):
        given = kind(lengths)
        found = run(lambda x, n=given: compiled(x, lengths=n), module, x)
        assert_equal(found, run(lambda x, n=given: module(x, lengths=n), module, x))
    assert [count(g) for g in graphs.seen] == [(2, 0), (0, 2)]


@pytest.mark.parametrize("cell", NAMES)
def test_opcheck_with_lengths(cell: str) -> None:
    forward, backward = operators(cell)
    options = {"both": True, "batch_first": True}
    lengths = torch.tensor(LENGTHS)
    given = (*arguments(cell, options), lengths)
    opcheck(forward, given)
    plain = arguments(cell, options, grad=False)
    *outputs, marker = forward(*plain, lengths)
    grads = [draw(*y.shape, seed=7) for y in outputs]
    needs = [True] * (1 + len(grads) - 1 + len(plain[len(grads)]))
    opcheck(backward, (*grads, outputs[0], marker, *plain[:-1], needs, lengths))


def test_exported_with_lengths() -> None:
    module, x = ft.LSTM(I, H, dtype=F64, **BOTH), input_of("LSTM")
    given = {"lengths": torch.tensor(LENGTHS)}
    program = torch.export.export(module, (x,), given)
    nodes = [n for n in program.graph.nodes if "fastlstm" in str(n.target)]
    assert len(nodes) == 2
    other = {"lengths": torch.tensor([5, 1, 3])}
    assert_equal(tensors(program.module()(x, **other)), tensors(module(x, **other)))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([2, 6, 1], "lengths.1. is 6, expected 0 to 5"), ([1, 2], "lengths has shape .2,., expected")],
)
def test_wrong_lengths_in_a_compiled_module(lengths: list[int], message: str) -> None:
    module, x = ft.GRU(I, H, dtype=F64, batch_first=True), input_of("GRU")
    with pytest.raises(Exception, match=message):
        Graphs().compile(module)(x, lengths=torch.tensor(lengths))


def test_vmap_with_lengths() -> None:
    module, lengths = ft.LSTM(I, H, dtype=F64, **BOTH), torch.tensor(LENGTHS)
    many = torch.stack([input_of("LSTM", k) for k in range(3)])
    found = tensors(torch.vmap(lambda x: module(x, lengths=lengths))(many))
    each = zip(*[list(tensors(module(x, lengths=lengths))) for x in many], strict=True)
    assert_equal(found, [torch.stack(parts) for parts in each])


def cell_arguments(cell: str, rows: int = N, bias: bool = True) -> tuple[Any, ...]:
    G = {"lstm": 4, "gru": 3}.get(cell, 1) * H
    states = [draw(rows, H, seed=k) for k in range(2 if cell == "lstm" else 1)]
    biases = [draw(G, seed=5), draw(G, seed=6)] if bias else [None, None]
    return (draw(rows, I), *states, draw(G, I, seed=3), draw(G, H, seed=4), *biases)


@pytest.mark.parametrize("cell", NAMES)
def test_opcheck_of_steps(cell: str) -> None:
    for bias in (True, False):
        opcheck(
            getattr(torch.ops.fastlstm, f"{cell}_cell").default, cell_arguments(cell, bias=bias)
        )


@pytest.mark.parametrize("rows", [0, 3, 65, 1025])
@pytest.mark.parametrize("cell", NAMES)
def test_steps_as_operators(cell: str, rows: int) -> None:
    """Of no rows, of few, of more than go the short way: as of a layer."""
    x, *states, w_ih, w_hh, b_ih, b_hh = cell_arguments(cell, rows)
    found = getattr(torch.ops.fastlstm, f"{cell}_cell")(x, *states, w_ih, w_hh, b_ih, b_hh)
    start, weights = [s[None] for s in states], [w_ih, w_hh, b_ih, b_hh]
    options = False, False, "float32", False
    _, *ends, _ = getattr(torch.ops.fastlstm, cell)(x[None], *start, weights, *options)
    assert_equal(tensors(found), [e[0] for e in ends])


@pytest.mark.parametrize("name", CELLS)
def test_a_compiled_loop_of_steps(name: str) -> None:
    """Without gradients each step is its own operator, with them that of a layer."""
    cell = getattr(ft, name)(I, H, dtype=F64)

    def loop(xs: Any) -> Any:
        hx = None
        for x in xs.unbind():
            hx = cell(x, hx)
        return hx

    graphs = Graphs()
    compiled, xs = graphs.compile(loop), draw(4, N, I)
    with torch.no_grad():
        assert_equal(tensors(compiled(xs)), tensors(loop(xs)))
    names = [str(n.target) for n in graphs.seen[0].graph.nodes if "fastlstm" in str(n.target)]
    assert len(names) == 4
    assert all("_cell" in name for name in names)
    assert_equal(run(compiled, cell, xs), run(loop, cell, xs))
    assert [count(g) for g in graphs.seen[1:]] == [(4, 0), (0, 4)]


@pytest.mark.parametrize("rows", [0, 3, 65, 1025])
@pytest.mark.parametrize("cell", NAMES)
def test_what_compiled_code_calls_for_a_step(cell: str, rows: int) -> None:
    """Outputs are those of the operator, of any tensors; modes of torch see the operator."""
    operator = getattr(torch.ops.fastlstm, f"{cell}_cell")
    call = direct_step(cell)
    for given in (cell_arguments(cell, rows), cell_arguments(cell, rows, bias=False)):
        assert_equal(tensors(call(*given)), tensors(operator(*given)))
        apart = [t if t is None else t.repeat_interleave(2, -1)[..., ::2] for t in given]
        assert_equal(tensors(call(*apart)), tensors(operator(*given)))
        with FlopCounterMode(display=False) as found:
            call(*given)
        with FlopCounterMode(display=False) as expected:
            operator(*given)
        assert found.get_total_flops() == expected.get_total_flops()
        assert rows == 0 or found.get_total_flops() > 0
    wrong = draw(rows, I + 1), *cell_arguments(cell, rows)[1:]
    if rows:
        with pytest.raises((ValueError, RuntimeError)):
            call(*wrong)


class Watching:
    """What a call was registered as, and the code that the compiler would write for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.entries: dict[str, Any] = {}

    def module(self) -> Any:
        entry = SimpleNamespace
        return SimpleNamespace(CUSTOM_EXTERN_KERNEL_CODEGEN=self.entries, CustomCodegen=entry)

    def add_import_once(self, line: str) -> None:
        self.lines.append(line)


def test_compiled_code_names_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registration waits for the compiler; an older one, without a register, stays as it is."""
    watching = Watching()
    code = SimpleNamespace(V=SimpleNamespace(graph=SimpleNamespace(wrapper_code=watching)))
    monkeypatch.setitem(sys.modules, "torch._inductor.virtualized", code)
    monkeypatch.setitem(sys.modules, CALLS, SimpleNamespace())
    where = "fastlstm.torch.cell_operators", "direct_step", "gru"
    call_directly("fastlstm.gru_cell.default", *where)
    monkeypatch.setitem(sys.modules, CALLS, watching.module())
    call_directly("fastlstm.gru_cell.default", *where)
    node = SimpleNamespace(
        codegen_args=lambda: ["x", "h"], codegen_kwargs=list, get_name=lambda: "buf0"
    )
    watching.entries["torch.ops.fastlstm.gru_cell.default"].python(node, watching.lines.append)
    scope: dict[str, Any] = {}
    exec("\n".join(watching.lines[:2]), scope)
    assert watching.lines[2] == "buf0 = direct_step_gru(x, h)"
    x, h, *weights = cell_arguments("gru")
    assert_equal([scope["direct_step_gru"](x, h, *weights)], [direct_step("gru")(x, h, *weights)])


def test_inductor_makes_a_graph_of_steps() -> None:
    config = pytest.importorskip("torch._inductor.config")
    if not hasattr(config, "fx_wrapper"):
        pytest.skip("an older compiler makes code alone")
    torch._dynamo.reset()
    module, x = ft.GRUCell(I, H), torch.randn(N, I)
    state = torch.randn(N, H)
    asserts = {"alignment_asserts": False, "size_asserts": False}  # which are code
    with torch.no_grad(), config.patch(fx_wrapper=True, **asserts):
        found = torch.compile(module, fullgraph=True)(x, state)
        assert torch.equal(found, module(x, state))


def test_what_waits_for_the_compiler_waits_until_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who only looks where a module stands has not loaded it."""
    name, seen = "loaded_later", list[Any]()
    (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    before = list(sys.meta_path)
    when_loaded(name, seen.append)
    when_loaded(name, seen.append)
    assert find_spec(name) is not None
    assert not seen
    module = import_module(name)
    monkeypatch.delitem(sys.modules, name)
    assert seen == [module, module]
    assert sys.meta_path == before


@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_symbolic_tracing_keeps_a_module_whole(name: str) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = getattr(ft, name)(I, H, dtype=F64)

        def forward(self, x: Any, hx: Any) -> Any:
            return self.inner(x + 1, hx)[0] * 2

    model = Model()
    x = input_of(name)
    h = draw(*((N, H) if name in CELLS else (1, T, H)), seed=2)
    hx = (h, 2 * h) if "LSTM" in name else h
    graph = torch.fx.symbolic_trace(model)
    calls = [n for n in graph.graph.nodes if n.op == "call_module"]
    assert [n.target for n in calls] == ["inner"]
    assert_equal(tensors(graph(x, hx)), tensors(model(x, hx)))


@pytest.mark.slow
def test_compiled_and_checkpointed() -> None:
    module, x = ft.LSTM(I, H, dtype=F64, **BOTH), input_of("LSTM")

    def call(x: Any) -> Any:
        return torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False)

    graphs = Graphs()
    assert_equal(run(graphs.compile(call), module, x), run(module, module, x))
    assert [count(g) for g in graphs.seen] == [(2, 0), (2, 2)]


@pytest.mark.parametrize("transform", ["grad", "jvp"])
def test_compiled_transforms(transform: str) -> None:
    """torch.func cannot differentiate an operator, so torch's own operations are compiled."""
    theirs, ours = pair("LSTM", I, H, dtype=F64)
    x = draw(T, N, I)

    def of(module: Any) -> Any:
        def total(x: Any) -> Any:
            return module(x)[0].square().sum()

        if transform == "grad":
            return torch.func.grad(total)
        return lambda x: torch.func.jvp(total, (x,), (x,))[1]

    assert_close(Graphs().compile(of(ours))(x), of(theirs)(x), 1e-10, transform)


@every
def test_exported(name: str, options: dict[str, Any]) -> None:
    """The program holds one operator for each layer, keeps nothing, and serves other inputs."""
    module = getattr(ft, name)(I, H, dtype=F64, **options)
    program = torch.export.export(module, (input_of(name),))
    nodes = [n for n in program.graph.nodes if "fastlstm" in str(n.target)]
    assert len(nodes) == layers(module)
    assert not any(n.args[-1] for n in nodes)
    other = input_of(name, 1)
    assert_equal(tensors(program.module()(other)), tensors(module(other)))
    assert_equal(run(program.module(), program.module(), other), run(module, module, other))


@pytest.mark.slow
@pytest.mark.parametrize("strict", [True, False])
def test_exported_for_many_shapes(strict: bool) -> None:
    module, Dim = ft.GRU(I, H, dtype=F64, **BOTH), torch.export.Dim
    shapes = ({0: Dim("N", min=2), 1: Dim("T", min=2)},)
    program = torch.export.export(module, (draw(3, 5, I),), dynamic_shapes=shapes, strict=strict)
    memory = io.BytesIO()
    torch.export.save(program, memory)
    memory.seek(0)
    call = torch.export.load(memory).module()
    for shape in ((4, 7, I), (2, 2, I)):
        assert_equal(tensors(call(draw(*shape))), tensors(module(draw(*shape))))


def test_onnx_gets_torchs_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = ft.GRU(I, H), draw(T, N, I, dtype=F32)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    nodes = [str(n.target) for n in torch.export.export(module, (x,)).graph.nodes]
    assert not any("fastlstm" in name for name in nodes)
    assert any("gru" in name for name in nodes)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("name", SEQUENCES)
def test_onnx_nodes(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    module = getattr(ft, name)(I, H)
    for model in (module, torch.nn.Sequential(module)):
        memory = io.BytesIO()
        torch.onnx.export(model, (draw(T, N, I, dtype=F32),), memory, dynamo=False)
        nodes = [n.op_type for n in onnx.load_from_string(memory.getvalue()).graph.node]
        assert nodes.count(name) == 1


@every
def test_make_fx(name: str, options: dict[str, Any]) -> None:
    module = getattr(ft, name)(I, H, dtype=F64, **options)
    graph = make_fx(lambda x: run(module, module, x))(input_of(name))
    assert count(graph) == (layers(module), layers(module))
    other = input_of(name, 1)
    assert_equal(graph(other), run(module, module, other))


@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_make_fx_of_fake_tensors(mode: str) -> None:
    module = ft.LSTM(I, H, dtype=F64, **BOTH)
    x = input_of("LSTM")

    def call(x: Any, *weights: Any) -> Any:
        names = [name for name, _ in module.named_parameters()]
        return torch.func.functional_call(module, dict(zip(names, weights, strict=True)), (x,))[0]

    weights = [p.detach() for p in module.parameters()]
    graph = make_fx(call, tracing_mode=mode)(x, *weights)
    assert count(graph) == (2, 0)
    other = draw(4, 7, I) if mode == "symbolic" else 2 * x
    assert_equal([graph(other, *weights)], [call(other, *weights)])


@every
def test_fake_tensors(name: str, options: dict[str, Any]) -> None:
    """Shapes and strides of outputs and gradients without a number computed."""
    module = getattr(ft, name)(I, H, dtype=F64, **options)
    expected = run(module, module, input_of(name))
    with FakeTensorMode():
        fake = getattr(ft, name)(I, H, dtype=F64, **options)
        found = run(fake, fake, torch.empty(*input_of(name).shape, dtype=F64))
    assert {type(f).__name__ for f in found} == {"FakeTensor"}
    assert [f.shape for f in found] == [e.shape for e in expected]


@pytest.mark.parametrize("leaves", ["", "x", "h", "xh"])
@every
def test_flops(name: str, options: dict[str, Any], leaves: str) -> None:
    """As many as of torch's own operations."""
    totals = []
    for module in pair(name, I, H, dtype=F64, **options):
        x = input_of(name).requires_grad_("x" in leaves)
        R, D = options.get("proj_size", H), 1 + options.get("bidirectional", False)
        first = (layers(module) * D,) if name in SEQUENCES else ()
        rows = N if options.get("batch_first") or name in CELLS else T
        h = draw(*first, rows, R).requires_grad_("h" in leaves)
        c = draw(*first, rows, H).requires_grad_("h" in leaves)
        with FlopCounterMode(display=False) as counter:
            y = next(tensors(module(x, (h, c) if "LSTM" in name else h)))
            y.sum().backward()
        totals.append(counter.get_total_flops())
    assert totals[0] == totals[1] > 0


@pytest.mark.parametrize("name", [*SEQUENCES, *CELLS])
def test_vmap(name: str) -> None:
    module = getattr(ft, name)(I, H, dtype=F64)
    x = torch.stack([input_of(name, k) for k in range(3)], 1)
    found = tensors(torch.vmap(module, in_dims=1)(x))
    each = zip(*[list(tensors(module(part))) for part in x.unbind(1)], strict=True)
    assert_equal(found, [torch.stack(parts) for parts in each])
    one = input_of(name)
    many = {k: torch.stack([p.detach(), 2 * p.detach()]) for k, p in module.named_parameters()}
    found = torch.vmap(lambda w: torch.func.functional_call(module, w, (one,)))(many)
    each = [
        torch.func.functional_call(module, {k: w[i] for k, w in many.items()}, (one,))
        for i in (0, 1)
    ]
    each = zip(*[list(tensors(e)) for e in each], strict=True)
    assert_equal(tensors(found), [torch.stack(parts) for parts in each])


@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_gradients_around_vmap(name: str) -> None:
    module = getattr(ft, name)(I, H, dtype=F64)
    x = torch.stack([input_of(name, k) for k in range(3)])
    each = lambda x: [torch.stack(p) for p in zip(*[tensors(module(v)) for v in x], strict=True)]  # noqa: E731
    assert_equal(run(torch.vmap(module), module, x), run(each, module, x))


@pytest.mark.parametrize("batch_first", [False, True])
def test_vmap_of_the_operators(batch_first: bool) -> None:
    given = arguments("lstm", {"both": True, "batch_first": batch_first}, grad=False)
    x, h, c, weights, *options = given
    many = torch.stack([x, 2 * x, -x]), torch.stack([c, -c, c], 2)

    def call(x: Any, c: Any) -> Any:
        return torch.ops.fastlstm.lstm(x, h, c, weights, *options)[:3]

    found = torch.vmap(call, in_dims=(0, 2))(*many)
    each = [call(many[0][k], many[1][:, :, k]) for k in range(3)]
    assert_equal(found, [torch.stack(parts) for parts in zip(*each, strict=True)])
    dy, *back = backward_arguments("lstm", given)
    backward = operators("lstm")[1]
    found = torch.vmap(lambda d: backward(d, *back))(torch.stack([dy, 3 * dy]))
    each = [backward(d, *back) for d in (dy, 3 * dy)]
    assert_equal(found, [torch.stack(parts) for parts in zip(*each, strict=True)])


@pytest.mark.parametrize("options", [{}, BOTH], ids=str)
@pytest.mark.parametrize("name", SEQUENCES)
def test_second_derivatives_and_many_gradients(name: str, options: dict[str, Any]) -> None:
    """Through an operator they are those of torch's own operations."""
    results = []
    theirs, ours = pair(name, I, H, dtype=F64, **options)
    for module, call in ((theirs, theirs), (ours, partial(run_operators, ours, hx=None))):
        x = input_of(name).requires_grad_()
        into = [x, *module.parameters()]
        first = torch.autograd.grad(call(x)[0].square().sum(), into, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), into)
        y = call(x)[0]
        many = torch.stack([y.detach(), 2 * y.detach() + 1])
        results.append([*second, *torch.autograd.grad(y, into, many, is_grads_batched=True)])
    assert_equal(*results)


def test_derivative_of_a_backward_operator_is_an_error() -> None:
    given = list(backward_arguments("gru", arguments("gru", {}, grad=False)))
    given[0].requires_grad_()
    found = operators("gru")[1](*given)
    with pytest.raises(RuntimeError, match="backward operators of fastlstm have no derivative"):
        found[0].sum().backward()


def test_no_rows() -> None:
    x, *states, weights, _, _, precision, save = arguments("lstm", {}, grad=False)
    empty = [t[:, :0] for t in states]
    found = torch.ops.fastlstm.lstm(x[:, :0], *empty, weights, False, False, precision, save)
    assert [tuple(y.shape) for y in found[:3]] == [(T, 0, H), (1, 0, H), (1, 0, H)]
    needs = [True] * (3 + len(weights))
    given = (*found[:3], found[0], found[3], x[:, :0], *empty, weights, False, False, precision)
    for g, of in zip(operators("lstm")[1](*given, needs), weights, strict=False):
        assert not g.any() or of is None
    with pytest.raises(RuntimeError, match="expected one step at least"):
        torch.ops.fastlstm.lstm(x[:0], *states, weights, False, False, precision, save)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", NAMES)
def test_one_step(cell: str, batch_first: bool, bias: bool) -> None:
    """It is the step that a longer call makes first, in the same form."""
    for hx in (True, False):
        options = {"batch_first": batch_first, "bias": bias, "hx": hx}
        x, *rest, _ = arguments(cell, options, grad=False)
        first = x[:, :1].contiguous() if batch_first else x[:1]
        y, *ends, _ = operators(cell)[0](first, *rest, False)
        expected = operators(cell)[0](x, *rest, True)[0]
        assert_close(y, expected[:, :1] if batch_first else expected[:1], 1e-12, "y")
        assert y.stride() == torch.empty(y.shape).stride()
        assert torch.equal(ends[0].flatten(), y.flatten())
        assert ends[0].data_ptr() != y.data_ptr()
        kept_form = operators(cell)[0](first, *rest, True)
        assert_equal(ends, kept_form[1:-1])


def kept_now() -> int:
    return len(kept._kept)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_kept(cell: str) -> None:
    """It serves one backward pass and goes with its marker; without it forward runs again."""
    before = kept_now()
    given = arguments(cell, {"both": True}, grad=False)
    back = backward_arguments(cell, given)
    backward, place = operators(cell)[1], len(given[:-5]) + 1
    assert kept_now() == before + 1
    expected = backward(*back)
    assert kept_now() == before
    again = backward_arguments(cell, given)
    other = [t.clone() if k in (place - 1, place + 1) else t for k, t in enumerate(again)]
    copied = [t.clone() if k == place else t for k, t in enumerate(again)]
    for changed in (back, copied, other):
        for actual, value in zip(backward(*changed), expected, strict=True):
            assert torch.equal(actual, value)
    del again, copied, other, changed
    assert kept_now() == before
    operators(cell)[0](*given[:-1], False)
    assert kept_now() == before


def test_explain_names_operators() -> None:
    module, x = ft.GRU(I, H, dtype=F64), draw(T, N, I)
    with FlopCounterMode(display=False):
        assert ft.explain(module, x).runs_on == "fastlstm, as operators that are recorded"
    assert ft.explain(module, x).runs_on == "fastlstm"


def test_option_of_the_compiler_is_left_alone() -> None:
    from torch._dynamo import config

    assert not config.allow_rnn
    graphs = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    module = torch.nn.GRU(I, H)
    torch.compile(lambda x: module(x)[0] + 1, backend=backend)(draw(T, N, I, dtype=F32))
    assert not any("gru" in str(g.graph) for g in graphs)
    assert not config.allow_rnn


def test_the_caches_of_the_compiler_know_the_version() -> None:
    from torch._inductor import config

    marked = getattr(config, "unsafe_marked_cacheable_functions", None)
    if marked is None:
        pytest.skip("this compiler has no such option")
    assert marked["torch.ops.fastlstm"] == fl.__version__
    assert "unsafe_marked_cacheable_functions" in str(config.save_config_portable())


compiler = pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs a C++ compiler")


@pytest.mark.slow(seconds=40)
@pytest.mark.filterwarnings("ignore")
@compiler
@pytest.mark.parametrize("name", ["LSTM", "GRUCell"])
def test_inductor(name: str) -> None:
    options = BOTH if name == "LSTM" else {}
    module = getattr(ft, name)(I, H, **options)
    torch._dynamo.reset()

    def call(x: Any) -> Any:
        return next(tensors(module(torch.relu(x) + 1))).sigmoid()

    compiled, x = torch.compile(call, fullgraph=True), input_of(name, dtype=F32)
    assert_equal(run(compiled, module, x), run(call, module, x))


@pytest.mark.slow(seconds=40)
@pytest.mark.filterwarnings("ignore")
@compiler
@pytest.mark.parametrize("name", CELLS)
def test_inductor_calls_steps_without_the_dispatcher(name: str) -> None:
    from torch._inductor.utils import run_and_get_code

    if find_spec(CALLS) is None:
        pytest.skip("this compiler has no register of calls")
    cell, xs = getattr(ft, name)(I, H), draw(3, N, I, dtype=F32)

    def loop(xs: Any) -> Any:
        hx = None
        for x in xs.unbind():
            hx = cell(x, hx)
        return hx

    torch._dynamo.reset()
    with torch.no_grad():
        found, (code,) = run_and_get_code(torch.compile(loop, fullgraph=True), xs)
        assert_equal(tensors(found), tensors(loop(xs)))
    calls = [line for line in code.splitlines() if "= direct_step_" in line and "buf" in line]
    assert len(calls) == 3
    assert "torch.ops.fastlstm" not in "".join(calls)


@pytest.mark.slow(seconds=60)
@pytest.mark.filterwarnings("ignore")
@compiler
def test_no_program_of_another_version_comes_from_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torch._dynamo.utils import counters
    from torch._inductor import config

    if not hasattr(config, "unsafe_marked_cacheable_functions"):
        pytest.skip("this compiler has no such option")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    module, x = ft.GRU(I, H), draw(T, N, I, dtype=F32)
    found = []
    for version in ("1.0", "1.0", "1.1"):
        key_caches("torch.ops.fastlstm", version)
        torch._dynamo.reset()
        counters.clear()
        with torch.no_grad():
            assert torch.equal(torch.compile(module)(x)[0], module(x)[0])
        found.append(bool(counters["inductor"]["fxgraph_cache_hit"]))
    key_caches("torch.ops.fastlstm", fl.__version__)
    assert found == [False, True, False]


@pytest.mark.slow(seconds=60)
@pytest.mark.filterwarnings("ignore")
@compiler
def test_aot_inductor(tmp_path: Any) -> None:
    module, Dim = ft.LSTM(I, H, **BOTH), torch.export.Dim
    shapes = ({0: Dim("N", min=2), 1: Dim("T", min=2)},)
    with torch.no_grad():
        program = torch.export.export(module, (draw(3, 5, I, dtype=F32),), dynamic_shapes=shapes)
        path = torch._inductor.aoti_compile_and_package(
            program, package_path=str(tmp_path / "m.pt2")
        )
        loaded, x = torch._inductor.aoti_load_package(path), draw(4, 7, I, dtype=F32)
        assert_equal(tensors(loaded(x)), tensors(module(x)))
