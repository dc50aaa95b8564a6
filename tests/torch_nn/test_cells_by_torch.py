"""Steps of tensors that a kernel does not take and torch does: torch's own step answers."""

from __future__ import annotations

from typing import Any

import pytest
from dropin import CELLS, ft, pair, torch

N, I, H = 2, 3, 4
LAYOUTS = ("strided", "coo", "csr", "mkldnn")
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
OTHERS = (torch.int64, torch.bool, torch.complex64)
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")


def draw(*shape: int, dtype: Any = torch.float32, layout: str = "strided") -> Any:
    found = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)
    if layout == "coo":
        return found.to_sparse()
    if layout == "csr":
        return found.to_sparse_csr()
    return found.to_mkldnn() if layout == "mkldnn" else found


def outcome(module: Any, *given: Any) -> Any:
    """The new states that a call gives; None for an error."""
    try:
        found = module(*given)
    except (RuntimeError, TypeError):
        return None
    return found if isinstance(found, tuple) else (found,)


def check_alike(theirs: Any, ours: Any, *given: Any) -> bool:
    """Assert that both cells have results, and the same, or both none; return whether they have."""
    expected, found = outcome(theirs, *given), outcome(ours, *given)
    assert (expected is None) == (found is None)
    for one, other in zip(expected or (), found or (), strict=True):
        rounded = one.dtype in (torch.bfloat16, torch.float16)
        tolerance = {"rtol": 1e-2, "atol": 1e-2} if rounded else {}
        assert (other.layout, other.requires_grad) == (one.layout, one.requires_grad)
        one, other = (s.to_dense() if s.is_mkldnn else s for s in (one, other))
        torch.testing.assert_close(other, one, **tolerance)  # the dtype, too
    return expected is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_every_mix_of_dtypes(dtype: Any, bias: bool) -> None:
    theirs, ours = pair("LSTMCell", I, H, bias=bias, dtype=dtype)
    taken = set()
    for of_x in (*FLOATS, *OTHERS):
        x = draw(N, I, dtype=of_x)
        for of_h in (*FLOATS, *OTHERS):
            h = draw(N, H, dtype=of_h)
            for of_c in (*FLOATS, *OTHERS):
                if check_alike(theirs, ours, x, (h, draw(N, H, dtype=of_c))):
                    taken.add((of_x, of_h, of_c))
    assert (dtype, dtype, torch.float64) in taken
    assert {(a, b) for a, b, _ in taken} == {(dtype, dtype)}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_every_mix_of_layouts(name: str, bias: bool) -> None:
    theirs, ours = pair(name, I, H, bias=bias)
    taken = 0
    for of_x in LAYOUTS:
        x = draw(N, I, layout=of_x)
        taken += check_alike(theirs, ours, x)
        for of_h in LAYOUTS:
            h = draw(N, H, layout=of_h)
            for of_c in LAYOUTS if name == "LSTMCell" else LAYOUTS[:1]:
                hx = (h, draw(N, H, layout=of_c)) if name == "LSTMCell" else h
                taken += check_alike(theirs, ours, x, hx)
    assert taken > 3


def test_gradients() -> None:
    theirs, ours = pair("LSTMCell", I, H)
    found = []
    for module in (theirs, ours):
        x, c = draw(N, I).requires_grad_(), draw(N, H, dtype=torch.float64).requires_grad_()
        h, c_n = module(x, (draw(N, H), c))
        (h.sum() + (c_n * c_n).sum()).backward()
        found.append([x.grad, c.grad, *(p.grad for p in module.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one)


def test_errors_are_ours() -> None:
    module = ft.LSTMCell(I, H)
    x, h = draw(N, I), draw(N, H)
    for wrong in (h[:, :2], h[:1], h[0]):  # torch reads past their end
        with pytest.raises(RuntimeError, match="hidden1"):
            module(x, (h, wrong.double()))
        with pytest.raises(RuntimeError, match="hidden0"):
            module(x.to_sparse(), (wrong, h))
    with pytest.raises(RuntimeError, match=r"input has layout torch._mkldnn, expected a dense one"):
        module(x.to_mkldnn(), (h, h))
    low = ft.LSTMCell(I, H, precision="bfloat16")  # which torch's own step does not round to
    with pytest.raises(RuntimeError, match="input has layout torch.sparse_coo, expected a dense"):
        low(x.to_sparse(), (h, h))
    with pytest.raises(RuntimeError, match=r"hx\[1\] has dtype torch.float64, expected"):
        low(x, (h, h.double()))
