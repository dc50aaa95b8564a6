"""What is refused, with what message: torch's where torch has one."""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, F64, SEQUENCES, PackedSequence, ft, pair, torch
from torch._subclasses.fake_tensor import FakeTensorMode

T, N, I, H = 5, 3, 2, 4
X = torch.randn(T, N, I)
H0 = torch.randn(1, N, H)
SIZES = torch.tensor([3, 2, 2])
DATA = torch.randn(7, I)


def hx(name: str, h: Any, c: Any = None) -> Any:
    return (h, h if c is None else c) if name.startswith("LSTM") else h


def refused(error: type[Exception], match: str, module: Any, *args: Any, **options: Any) -> None:
    with pytest.raises(error, match=match):
        module(*args, **options)
    with torch.no_grad(), pytest.raises(error, match=match):
        module(*args, **options)


@pytest.mark.parametrize("name", SEQUENCES)
class TestSequences:
    def test_same_as_torch(self, name: str) -> None:
        """Type and message of torch's own error."""
        theirs, ours = pair(name, I, H)
        for args in (
            (X[None],),
            (X[..., :1],),
            (X.double(),),
            (X.long(),),
            (X, hx(name, H0[:, :2])),
            (X, hx(name, H0[..., :2])),
            (X, hx(name, H0[0])),
            (X[:, 0], hx(name, H0)),
            (X[:0],),
            (PackedSequence(torch.randn(7, 2, I), SIZES),),
        ):
            with pytest.raises(Exception) as expected:  # noqa: PT011
                theirs(*args)
            message = str(expected.value)  # where torch's product fails, ours says why
            if "must match the size of tensor" in message:
                message = "input must have 2 dimensions, got 3"
            with pytest.raises(type(expected.value)) as got:
                ours(*args)
            assert str(got.value) == message

    def test_types(self, name: str) -> None:
        module = getattr(ft, name)(I, H)
        refused(TypeError, f"{name}: input is a list, expected a tensor", module, [1])
        refused(TypeError, f"{name}: input is a ndarray", module, X.numpy())
        refused(TypeError, f"{name}: hx(\\[0\\])? is a str", module, X, hx(name, "h"))
        wrong = H0 if name == "LSTM" else (H0, H0)
        refused(TypeError, f"{name}: hx is a (Tensor|tuple), expected a t", module, X, wrong)

    def test_dtypes(self, name: str) -> None:
        module = getattr(ft, name)(I, H)
        refused(
            RuntimeError,
            r"hx(\[0\])? has dtype torch.float64, expected torch.float32, that of the parameters",
            module,
            X,
            hx(name, H0.double()),
        )
        for dtype in (torch.bfloat16, torch.float16):
            refused(
                TypeError,
                rf"{name}: parameters have dtype {dtype}.*convert the module with .float\(\)",
                getattr(ft, name)(I, H, dtype=dtype),
                X.to(dtype),
            )
        mixed = getattr(ft, name)(I, H)
        mixed.bias_hh_l0.data = mixed.bias_hh_l0.data.double()
        refused(RuntimeError, "have dtypes torch.float32 and torch.float64, expected", mixed, X)

    def test_devices(self, name: str) -> None:
        module = getattr(ft, name)(I, H)
        where = r"is on meta, the parameters on cpu. Move it with .cpu\(\), or use torch.nn"
        refused(RuntimeError, f"input {where}", module, X.to("meta"))
        refused(RuntimeError, rf"hx(\[0\])? {where}", module, X, hx(name, H0.to("meta")))
        refused(
            RuntimeError,
            rf"{name}: a parameter is on device meta.*load one with assign=True; or give",
            getattr(ft, name)(I, H, device="meta"),
            X,
        )
        with FakeTensorMode(allow_non_fake_inputs=True):
            elsewhere = getattr(ft, name)(I, H)
            for key, p in list(elsewhere.named_parameters()):
                elsewhere._parameters[key] = torch.empty(p.shape, device="cuda:0")
            refused(
                RuntimeError,
                rf"{name}: a parameter is on device cuda.*move the module with .cpu\(\), or use",
                elsewhere,
                X,
            )
        meta = torch.tensor([1, 1, 1], device="meta")
        refused(RuntimeError, "lengths is on device meta", module, X, lengths=meta)

    def test_layouts(self, name: str) -> None:
        module = getattr(ft, name)(I, H)
        dense = r"has layout torch.sparse_coo, expected a dense one: use .to_dense\(\)"
        refused(RuntimeError, f"input {dense}", module, X.to_sparse())
        refused(RuntimeError, rf"hx(\[0\])? {dense}", module, X, hx(name, H0.to_sparse()))

    def test_packed(self, name: str) -> None:
        module = getattr(ft, name)(I, H)
        bad = PackedSequence(DATA[:, :1], SIZES)
        refused(RuntimeError, "must be equal to input_size. Expected 2, got 1", module, bad)
        bad = PackedSequence(DATA.double(), SIZES)
        refused(RuntimeError, f"{name}: input dtype .torch.float64. does not match", module, bad)
        for sizes in ([2, 3, 2], [0, 0], [4, 4, -1], []):
            bad = PackedSequence(DATA, torch.tensor(sizes, dtype=torch.int64))
            refused(ValueError, "start above 0 and never increase", module, bad)
        for sizes in ([3, 2, 1], [4, 4]):
            bad = PackedSequence(DATA, torch.tensor(sizes))
            refused(ValueError, rf"add up to {sum(sizes)}, expected 7, the rows", module, bad)
        bad = PackedSequence(DATA, SIZES.int())
        refused(
            ValueError, "1-D torch.int32 tensor on cpu, expected a 1-D torch.int64", module, bad
        )
        bad = PackedSequence(DATA, SIZES, torch.tensor([1, 0]), torch.tensor([1, 0]))
        refused(ValueError, r"sorted_indices.* has shape \(2,\), expected \(3,\)", module, bad)
        good = PackedSequence(DATA, SIZES, torch.tensor([1, 0, 2]), torch.tensor([1, 0, 2]))
        for rows in (2, 5):
            wrong = torch.randn(1, rows, H)
            refused(RuntimeError, r"hidden(\[0\])? size \(1, 3, 4\)", module, good, hx(name, wrong))
        refused(ValueError, "lengths is given, expected None", module, good, lengths=[1, 2, 3])

    def test_lengths(self, name: str) -> None:
        module = getattr(ft, name)(I, H)
        refused(ValueError, r"lengths\[1\] is 6, expected 0 to 5", module, X, lengths=[5, 6, 1])
        refused(ValueError, r"lengths\[0\] is -1, expected", module, X, lengths=[-1, 5, 1])
        refused(ValueError, r"lengths has shape \(2,\), expected", module, X, lengths=[5, 1])
        refused(TypeError, "lengths has dtype float", module, X, lengths=torch.ones(3))
        refused(ValueError, r"lengths has shape \(\), expected", module, X, lengths=torch.tensor(5))
        for wrong in (torch.ones(3, dtype=torch.bfloat16), torch.tensor([5, 1, 2]).to_sparse()):
            refused(TypeError, "lengths has dtype .*, expected integers", module, X, lengths=wrong)


def test_second_state_of_an_lstm() -> None:
    for module, first in ((ft.LSTM(I, H), H0), (ft.LSTMCell(I, H), H0[0])):
        x = X if first is H0 else X[0]
        refused(RuntimeError, "lstm expects two hidden states, got 3", module, x, (first,) * 3)
        if first is H0:  # torch's cell takes another dtype there
            wrong = (first, first.double())
            refused(RuntimeError, r"hx\[1\] has dtype torch.float64", module, x, wrong)
        for wrong in (first[..., :2], first[..., :2, :]):
            refused(RuntimeError, r"hidden\[?1", module, x, (first, wrong))


@pytest.mark.parametrize("name", CELLS)
class TestCells:
    def test_same_as_torch(self, name: str) -> None:
        theirs, ours = pair(name, I, H)
        x, h = X[0], H0[0]
        for args in (
            (x[None],),
            (x[:, :1],),
            (x, hx(name, h[:2])),
            (x, hx(name, h[:, :2])),
            (x, hx(name, h[None, None])),
            (x[0], hx(name, h)),
            (x, hx(name, h[0])),
        ):
            with pytest.raises(Exception) as expected:  # noqa: PT011
                theirs(*args)
            with pytest.raises(type(expected.value)) as got:
                ours(*args)
            assert str(got.value) == str(expected.value)

    def test_states_with_other_axes_than_the_input(self, name: str) -> None:
        """Of the right sizes: torch reads at an address near 0, or names no argument."""
        module = getattr(ft, name)(I, 1)
        refused(RuntimeError, "hidden0 has more axes", module, X[0, 0], hx(name, torch.zeros(1, 1)))
        refused(RuntimeError, "hidden0 has fewer axes", module, X[0, :1], hx(name, torch.zeros(1)))

    def test_others(self, name: str) -> None:
        module, x, h = getattr(ft, name)(I, H), X[0], H0[0]
        refused(TypeError, f"{name}: input is a list, expected a tensor", module, [1])
        for dtype in (F64, torch.int64, torch.bfloat16):
            say = f"{name}: input dtype .{dtype}. does not match weight dtype"
            refused(RuntimeError, say, module, x.to(dtype))
        refused(RuntimeError, "hx.* has dtype torch.float64", module, x, hx(name, h.double()))
        refused(RuntimeError, "input is on meta, the parameters on cpu", module, x.to("meta"))
        refused(RuntimeError, "hx.* is on meta, the par", module, x, hx(name, h.to("meta")))
        half = getattr(ft, name)(I, H, dtype=torch.bfloat16)
        refused(TypeError, f"{name}: parameters have dtype torch.bfloat16", half, x.bfloat16())
        if name == "LSTMCell":
            refused(TypeError, "hx is a Tensor, expected a tuple", module, x, h)


def test_unknown_nonlinearity() -> None:
    module = ft.RNNCell(I, H)
    module.nonlinearity = "sigmoid"
    refused(RuntimeError, "Unknown nonlinearity: sigmoid, expected tanh or relu", module, X[0])


def test_a_failed_call_leaves_the_module_usable() -> None:
    module = ft.LSTM(I, H, dtype=F64)
    expected = module(X.double())[0]
    with pytest.raises(ValueError, match="dtype"):
        module(X)
    assert torch.equal(module(X.double())[0], expected)
