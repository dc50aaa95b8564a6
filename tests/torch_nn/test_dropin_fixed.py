"""`fixed_weights`: steps of cells with weights that were packed once."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from dropin import CELLS, F32, F64, SEQUENCES, ft, tensors, torch

from fastlstm.torch import step

I, H = 21, 37
each_cell = pytest.mark.parametrize("name", CELLS)


def cell_and_step(name: str, N: int = 1, dtype: Any = F32, **options: Any) -> tuple[Any, Any, Any]:
    torch.manual_seed(3)
    module = getattr(ft, name)(I, H, dtype=dtype, **options)
    x, h, c = (torch.randn(N, size, dtype=dtype) for size in (I, H, H))
    return module, x, (h, c) if name == "LSTMCell" else h


def first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


@each_cell
@pytest.mark.parametrize("N", [1, 3, 64, 70, 1030])
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("bias", [True, False])
def test_same_bits(name: str, N: int, dtype: Any, bias: bool) -> None:
    module, x, hx = cell_and_step(name, N, dtype, bias=bias)
    with torch.no_grad():
        expected = module(x, hx)
        with ft.fixed_weights(torch.nn.Sequential(module)):
            found = module(x, hx)
    assert torch.equal(first(found), first(expected))
    if name == "LSTMCell":
        assert torch.equal(found[1], expected[1])


@pytest.mark.usefixtures("native")
@each_cell
def test_takes_the_packed_weights(name: str) -> None:
    """What torch cannot tell of a change shows that the old weights are at work, until the end."""
    module, x, hx = cell_and_step(name)
    with torch.no_grad():
        before = first(module(x, hx))
        with ft.fixed_weights(module):
            module.weight_hh.data.mul_(0.5)
            assert torch.equal(first(module(x, hx)), before)
        assert not torch.equal(first(module(x, hx)), before)


@pytest.mark.usefixtures("native")
@each_cell
@pytest.mark.parametrize("which", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
def test_a_change_is_an_error(name: str, which: str) -> None:
    module, x, hx = cell_and_step(name)
    message = rf"a weight of {name} changed inside fixed_weights, expected none"
    with torch.no_grad(), ft.fixed_weights(module):
        module(x, hx)
        getattr(module, which).mul_(0.5)
        with pytest.raises(RuntimeError, match=message):
            module(x, hx)
    with torch.no_grad(), ft.fixed_weights(module):
        setattr(module, which, torch.nn.Parameter(getattr(module, which).clone()))
        with pytest.raises(RuntimeError, match=message):
            module(x, hx)


@each_cell
def test_gradients_as_ever(name: str) -> None:
    module, x, hx = cell_and_step(name, 2)
    first(module(x, hx)).sum().backward()
    expected = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    with ft.fixed_weights(module):
        first(module(x, hx)).sum().backward()
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)


@each_cell
def test_unusual_calls(name: str) -> None:
    """No batch axis, another dtype, parametrized weights: the long way, the same results."""
    module, x, hx = cell_and_step(name)
    row = tuple(s[0] for s in hx) if isinstance(hx, tuple) else hx[0]
    with torch.no_grad(), ft.fixed_weights(module):
        assert torch.equal(first(module(x[0], row)), first(module(x, hx))[0])
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            module(x.double(), hx)
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh", dim=None)
    with torch.no_grad(), ft.fixed_weights(module):
        inside = first(module(x, hx))
    with torch.no_grad():
        assert torch.equal(first(module(x, hx)), inside)


@pytest.mark.usefixtures("native")
@each_cell
def test_blocks_in_blocks_and_errors_in_them(name: str) -> None:
    module, x, hx = cell_and_step(name)
    with ft.fixed_weights(module):
        with pytest.raises(RuntimeError), ft.fixed_weights(module):
            module(x[:, :-1], hx)
        assert vars(module)[step.FIXED] is not None
    assert step.FIXED not in vars(module)


@each_cell
def test_blocks_that_overlap(name: str) -> None:
    """As those of two threads, or of generators: the first to begin is the first to end."""
    module, x, hx = cell_and_step(name)
    first_block, second_block = ft.fixed_weights(module), ft.fixed_weights(module)
    first_block.__enter__()
    second_block.__enter__()
    first_block.__exit__(None, None, None)
    second_block.__exit__(None, None, None)
    assert step.FIXED not in vars(module)
    with torch.no_grad():
        module.weight_hh.mul_(0.5)
        module(x, hx)


@each_cell
def test_inference_tensors(name: str) -> None:
    with torch.inference_mode():
        module, x, hx = cell_and_step(name)
        expected = first(module(x, hx))
        with ft.fixed_weights(module):
            assert torch.equal(first(module(x, hx)), expected)


def test_a_cell_that_cannot_enter_leaves_no_other_inside() -> None:
    module, wrong = cell_and_step("LSTMCell")[0], cell_and_step("RNNCell")[0]
    wrong.nonlinearity = "sine"
    with pytest.raises(RuntimeError, match="Unknown nonlinearity: sine"):
        ft.fixed_weights(torch.nn.ModuleList([module, wrong])).__enter__()
    assert step.FIXED not in vars(module)


def test_another_nonlinearity_inside() -> None:
    module, x, hx = cell_and_step("RNNCell")
    with torch.no_grad(), ft.fixed_weights(module):
        module.nonlinearity = "relu"
        found = module(x, hx)
    with torch.no_grad():
        assert torch.equal(module(x, hx), found)


@each_cell
def test_copies_are_free_of_it(name: str) -> None:
    module, x, hx = cell_and_step(name)
    with torch.no_grad(), ft.fixed_weights(module):
        expected = first(module(x, hx))
        for made in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert step.FIXED not in vars(made)
            assert torch.equal(first(made(x, hx)), expected)
            made.weight_hh.mul_(0.5)
            assert not torch.equal(first(made(x, hx)), expected)


@each_cell
def test_a_shallow_copy_outlives_the_block(name: str) -> None:
    module, x, hx = cell_and_step(name)
    with torch.no_grad():
        with ft.fixed_weights(module):
            made = copy.copy(module)
        module.weight_hh.mul_(0.5)
        assert torch.equal(first(made(x, hx)), first(module(x, hx)))


def test_bad_models() -> None:
    with pytest.raises(TypeError, match="model is a int, expected a torch.nn.Module"):
        with ft.fixed_weights(3):
            pass
    with pytest.raises(ValueError, match=r"without a cell of fastlstm.torch.*accelerate\(model\)"):
        with ft.fixed_weights(torch.nn.LSTMCell(2, 3)):
            pass


@pytest.mark.parametrize("layers", [1, 2, 3, 9])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("name", SEQUENCES)
def test_modules_too(name: str, dtype: Any, batch_first: bool, layers: int) -> None:
    module = getattr(ft, name)(I, H, layers, batch_first=batch_first, dtype=dtype)
    for N in (1, 5, 70):
        x = torch.randn(*((N, 1) if batch_first else (1, N)), I, dtype=dtype)
        h = torch.randn(layers, N, H, dtype=dtype)
        hx = (h, 2 * h) if name == "LSTM" else h
        with torch.no_grad():
            expected = list(tensors(module(x, hx)))
            with ft.fixed_weights(torch.nn.Sequential(module)):
                assert all(map(torch.equal, tensors(module(x, hx)), expected))
                other = copy.deepcopy(module)
                longer = module(torch.cat([x, x], int(batch_first)), hx)[0]
                assert torch.equal(
                    longer.select(int(batch_first), 0), x_first(expected, batch_first)
                )
            assert all(map(torch.equal, tensors(other(x, hx)), expected))


def x_first(outputs: list[Any], batch_first: bool) -> Any:
    return outputs[0].select(int(batch_first), 0)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("layers", [1, 2, 8])
@pytest.mark.parametrize("name", SEQUENCES)
def test_modules_take_the_packed_weights(name: str, layers: int) -> None:
    module, x = getattr(ft, name)(I, H, layers), torch.randn(1, 2, I)
    h = torch.randn(layers, 2, H)
    hx = (h, 2 * h) if name == "LSTM" else h
    with torch.no_grad():
        for which, weight in module.named_parameters():
            before = module(x, hx)[0]
            with ft.fixed_weights(module):
                if which.startswith("weight"):  # biases are read where they are
                    weight.data.mul_(0.5)
                    assert torch.equal(module(x, hx)[0], before)
                weight.mul_(0.5)
                with pytest.raises(RuntimeError, match=f"a weight of {name} changed inside fixed"):
                    module(x, hx)
            assert not torch.equal(module(x, hx)[0], before)


@pytest.mark.parametrize("options", [{"num_layers": 9}, {"bidirectional": True}, {"proj_size": 3}])
def test_other_modules_run_as_ever(options: dict[str, Any]) -> None:
    module, x = ft.LSTM(I, H, **options), torch.randn(1, 2, I)
    with torch.no_grad(), ft.fixed_weights(module):
        before = module(x)[0]
        module.weight_hh_l0.mul_(0.5)
        module.weight_ih_l0.mul_(0.5)
        assert not torch.equal(module(x)[0], before)
