"""Where operations are watched and not only run: torch's own run then, never a constant.

Each test records or watches with one input and compares for a second one, or compares what was
seen with what torch's own module shows.
"""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, F64, QUIET, SEQUENCES, assert_close, ft, packed, pair, tensors, torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from fastlstm.torch.dispatch import eager

T, N, I, H = 5, 2, 3, 4
pytestmark = [QUIET, pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")]
FORMS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in (*SEQUENCES, *CELLS)),
    ("LSTM", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 2}),
    ("RNN", {"nonlinearity": "relu", "bias": False}),
]
every = pytest.mark.parametrize(("name", "options"), FORMS, ids=str)


def draw(name: str, seed: int = 0) -> Any:
    shape = (N, I) if name in CELLS else (T, N, I)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def outputs(module: Any, x: Any) -> list[Any]:
    return list(tensors(module(x)))


def compare(name: str, options: dict[str, Any], run: Any) -> None:
    """Assert that `run` of our module gives what it gives of torch's."""
    theirs, ours = pair(name, I, H, dtype=F64, **options)
    found, expected = list(run(ours)), list(run(theirs))
    assert len(found) == len(expected)
    assert any(e is not None and e.any() for e in expected)
    for k, (actual, value) in enumerate(zip(found, expected, strict=True)):
        assert_close(actual, value, 1e-9, str(k))


@every
def test_make_fx_of_values(name: str, options: dict[str, Any]) -> None:
    def run(module: Any) -> Any:
        graph = make_fx(lambda x: outputs(module, x))(draw(name))
        return [*graph(draw(name, 1)), *graph(draw(name, 2))]

    compare(name, options, run)


@every
def test_make_fx_of_gradients(name: str, options: dict[str, Any]) -> None:
    def run(module: Any) -> Any:
        def gradients(x: Any) -> Any:
            x = x.detach().requires_grad_()
            total = sum(y.square().sum() for y in outputs(module, x))
            return torch.autograd.grad(total, [x, *module.parameters()])

        return make_fx(gradients)(draw(name))(draw(name, 1))

    compare(name, options, run)


@every
def test_make_fx_of_the_backward_pass_alone(name: str, options: dict[str, Any]) -> None:
    def run(module: Any) -> Any:
        x = draw(name).requires_grad_()
        y = outputs(module, x)[0]
        into = [x, *module.parameters()]
        graph = make_fx(lambda d: torch.autograd.grad(y, into, d, retain_graph=True))(y.detach())
        return graph(2 * y.detach() + 1)

    compare(name, options, run)


@every
def test_fake_tensors(name: str, options: dict[str, Any]) -> None:
    _, ours = pair(name, I, H, dtype=F64, **options)
    expected = outputs(ours, draw(name))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        found = outputs(ours, mode.from_tensor(draw(name)))
    assert [type(f).__name__ for f in found] == ["FakeTensor"] * len(expected)
    assert [f.shape for f in found] == [e.shape for e in expected]


@every
def test_operations_are_counted(name: str, options: dict[str, Any]) -> None:
    def run(module: Any) -> Any:
        with FlopCounterMode(display=False) as counter:
            outputs(module, draw(name))[0].sum().backward()
        yield torch.tensor(float(counter.get_total_flops()))

    compare(name, options, run)


class Twice(TorchDispatchMode):
    """Doubles what a product or a matrix product gives."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return 2 * result if "mm" in str(func) or "mul.Tensor" in str(func) else result


class TwiceFunction(TorchFunctionMode):
    """Doubles the first result of a recurrent function."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        named = any(part in getattr(func, "__name__", "") for part in ("lstm", "gru", "rnn"))
        if not named:
            return result
        return (2 * result[0], *result[1:]) if isinstance(result, tuple) else 2 * result


@pytest.mark.parametrize("mode", [Twice, TwiceFunction])
@every
def test_modes_of_users(name: str, options: dict[str, Any], mode: Any) -> None:
    _, ours = pair(name, I, H, dtype=F64, **options)
    plain = outputs(ours, draw(name))[0]

    def run(module: Any) -> Any:
        with mode():
            return outputs(module, draw(name))

    compare(name, options, run)
    assert not torch.allclose(run(ours)[0], plain)


@pytest.mark.parametrize("name", CELLS)
def test_modes_inside_fixed_weights(name: str) -> None:
    def run(module: Any) -> Any:
        if not isinstance(module, getattr(ft, name)):
            with torch.no_grad(), Twice():
                return outputs(module, draw(name))
        with torch.no_grad(), ft.fixed_weights(module), Twice():
            return outputs(module, draw(name))

    compare(name, {}, run)


class Named(torch.Tensor):
    """A class of tensors that torch hands on to results."""


@every
def test_classes_of_tensors(name: str, options: dict[str, Any]) -> None:
    theirs, ours = pair(name, I, H, dtype=F64, **options)
    for module in (theirs, ours):
        found = outputs(module, draw(name).as_subclass(Named))
        assert all(type(f) is Named for f in found)
        weights = {k: p.detach().as_subclass(Named) for k, p in module.named_parameters()}
        found = list(tensors(torch.func.functional_call(module, weights, (draw(name),))))
        assert all(type(f) is Named for f in found)


@every
def test_wrapped_weights(name: str, options: dict[str, Any]) -> None:
    """Two tensors in one: both are computed with."""

    def run(module: Any) -> Any:
        weights = {k: TwoTensor(p.detach(), 2 * p.detach()) for k, p in module.named_parameters()}
        x = TwoTensor(draw(name), draw(name, 1))
        for y in tensors(torch.func.functional_call(module, weights, (x,))):
            yield from (y.a, y.b)

    compare(name, options, run)


@pytest.mark.parametrize("name", SEQUENCES)
def test_class_of_a_packed_input_and_of_a_state(name: str) -> None:
    theirs, ours = pair(name, I, H, dtype=F64)
    for module in (theirs, ours):
        y, _ = module(packed(draw(name).as_subclass(Named), [5, 3]))
        assert type(y.data) is Named
        state = torch.zeros(1, N, H, dtype=F64).as_subclass(Named)
        assert type(module(draw(name), (state, state) if name == "LSTM" else state)[0]) is Named


@every
def test_default_device_is_no_reason_to_leave_the_kernels(
    name: str, options: dict[str, Any]
) -> None:
    _, ours = pair(name, I, H, dtype=F64, **options)
    expected = outputs(ours, draw(name))
    with torch.device("cpu"):
        assert eager()
        assert ft.explain(ours, draw(name)).runs_on == "fastlstm"
        found = outputs(ours, draw(name))
    for actual, value in zip(found, expected, strict=True):
        assert torch.equal(actual, value)


def test_explain_says_why() -> None:
    module, x = ft.GRU(I, H, dtype=F64), draw("GRU")
    assert ft.explain(module, x.as_subclass(Named)).runs_on.startswith("torch: a tensor is of")
    with Twice():
        assert "recorded" in ft.explain(module, x).runs_on


def test_lengths_are_refused_where_operations_are_watched() -> None:
    module, x = ft.GRU(I, H, dtype=F64), draw("GRU")
    with Twice(), pytest.raises(RuntimeError, match="lengths is given, expected None"):
        module(x, lengths=[5, 2])
    with pytest.raises(RuntimeError, match="a tensor is of a class of its own"):
        module(x.as_subclass(Named), lengths=[5, 2])


@every
def test_many_gradients_at_once(name: str, options: dict[str, Any]) -> None:
    def run(module: Any) -> Any:
        x = draw(name).requires_grad_()
        found = outputs(module, x)
        many = [torch.stack([y.detach(), y.detach() + 1, 3 * y.detach()]) for y in found]
        into = [x, *module.parameters()]
        yield from torch.autograd.grad(found, into, many, is_grads_batched=True, retain_graph=True)
        yield from torch.autograd.grad(found, into, [m[1] for m in many])  # alone, by the kernel
        yield torch.autograd.functional.jacobian(
            lambda v: outputs(module, v)[0], x.detach(), vectorize=True
        )

    compare(name, options, run)


@every
def test_vmap_of_gradients(name: str, options: dict[str, Any]) -> None:
    def run(module: Any) -> Any:
        x = draw(name).requires_grad_()
        y = outputs(module, x)[0]

        def gradient(d: Any) -> Any:
            return torch.autograd.grad(y, x, d, retain_graph=True)[0]

        yield torch.vmap(gradient)(torch.stack([y.detach(), y.detach() + 1]))

    compare(name, options, run)


@pytest.mark.parametrize("lengths", [[2, 5], [0, 3], [5, 5]])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}], ids=str)
def test_second_derivatives_of_ragged_rows(lengths: list[int], options: dict[str, Any]) -> None:
    """Those of padded rows are those of the packed ones, and of a row without steps its state's."""
    found = []
    for form in (True, False):
        torch.manual_seed(0)
        module = ft.LSTM(I, H, dtype=F64, **options)
        x, h, c = draw("LSTM").requires_grad_(), *torch.ones(2, 2, N, H, dtype=F64)
        D = 2 if options else 1
        hx = (h[:D].requires_grad_(), c[:D].requires_grad_())
        if form:
            y, ends = module(x, hx, lengths=lengths)
        else:
            some = [k for k in range(N) if lengths[k]]
            part = packed(x[:, some], [lengths[k] for k in some])
            y, ends = module(part, tuple(s[:, some] for s in hx))
        into = [x, *hx, *module.parameters()]
        total = sum(t.pow(3).sum() for t in tensors((y, ends)))
        first = torch.autograd.grad(total, into, create_graph=True)
        if not form and len(some) < N:  # what lies in the states of a row without steps
            total_of_states = sum(s[:, 0].pow(3).sum() for s in hx)
            first = tuple(
                a if b is None else a + b
                for a, b in zip(
                    first,
                    torch.autograd.grad(
                        total_of_states, into, create_graph=True, allow_unused=True
                    ),
                    strict=True,
                )
            )
        second = torch.autograd.grad(sum(g.pow(2).sum() for g in first), into)
        found.append([*first, *second])
    assert found[0][-1].any()
    for k, (actual, expected) in enumerate(zip(*found, strict=True)):
        assert_close(actual, expected, 1e-9, str(k))
