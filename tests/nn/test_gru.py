"""The two GRUs; torch's is compared in test_recurrent_torch.py, the other one here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import F32, F64, TOLERANCE, Array
from checks import assert_close
from kinds import H, I, N, T, batch, draw_state, layer, lengths, weights_of_loss

import fastlstm as fl


def torch_loop(
    torch: Any, p: dict[str, Any], suffix: str, x: Any, h: Any, n: Array, reverse: bool
) -> tuple[Any, Any]:
    """One direction of the variant whose reset gate meets h before the product, row by row."""
    y = torch.zeros(T, N, H, dtype=x.dtype)
    w_ih, w_hh, b_ih, b_hh = (
        p[part + suffix] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h_n = []
    for row, length in enumerate(n):
        h_t, steps = h[row], range(length)
        for t in reversed(steps) if reverse else steps:
            r_x, z_x, n_x = (w_ih @ x[t, row] + b_ih + b_hh).chunk(3)
            w_r, w_z, w_n = w_hh.chunk(3)
            r, z = torch.sigmoid(r_x + w_r @ h_t), torch.sigmoid(z_x + w_z @ h_t)
            h_t = (1 - z) * torch.tanh(n_x + w_n @ (r * h_t)) + z * h_t
            y[t, row] = h_t
        h_n.append(h_t)
    return y, torch.stack(h_n)


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
def test_reset_before_against_torch(backend_isa: str, dtype: np.dtype[Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    gru = layer("gru-before", num_layers=2, bidirectional=True, dtype=dtype)
    x, h_0, n = batch().astype(dtype), draw_state(gru), lengths()
    y, h_n, tape = gru.forward(x, h_0, n)
    dy, dh_n = weights_of_loss([y, h_n])
    dx, dh_0 = gru.backward(tape, dy, dh_n)

    p = {k: torch.tensor(v, requires_grad=True) for k, v in gru.state_dict().items()}
    x_t, h_t = (torch.tensor(a, requires_grad=True) for a in (x, h_0))
    below, last = x_t, []
    for k in range(2):
        runs = [
            torch_loop(torch, p, f"_l{k}{name}", below, h_t[2 * k + d], n, bool(d))
            for d, name in enumerate(("", "_reverse"))
        ]
        below = torch.cat([run[0] for run in runs], dim=2)
        last += [run[1] for run in runs]
    outputs = (below, torch.stack(last))
    weights = (torch.tensor(w) for w in (dy, dh_n))
    sum((o * w).sum() for o, w in zip(outputs, weights, strict=True)).backward()

    expected = {"y": outputs[0], "h_n": outputs[1], "dx": x_t.grad, "dh_0": h_t.grad}
    expected.update((name, value.grad) for name, value in p.items())
    found = {"y": y, "h_n": h_n, "dx": dx, "dh_0": dh_0}
    found.update((name, value.grad) for name, value in gru.named_parameters())
    for name, value in found.items():
        what = "output" if name in ("y", "h_n") else "gradient"
        tolerance = TOLERANCE["torch" if dtype == F64 else what, dtype]
        assert_close(value, expected[name].detach().numpy(), tolerance, name)


def test_the_variants_differ_and_share_their_weights(backend_isa: str) -> None:
    after, before = fl.GRU(I, H), fl.GRU(I, H, reset_after=False)
    before.load_state_dict(after.state_dict())
    assert (after.reset_after, before.reset_after) == (True, False)
    x = batch().astype(np.float32)
    assert (after(x)[0] != before(x)[0]).any()
    for gru in (after, before):
        gru.bias_hh_l0.data[...] = 0
    y, y2 = after(x)[0], before(x)[0]
    np.testing.assert_allclose(y2[0], y[0], rtol=0, atol=1e-6)  # h is 0: no reset to apply
    assert np.abs(y2[1:] - y[1:]).max() > 1e-3
    assert fl.GRUCell(I, H, reset_after=False).reset_after is False
