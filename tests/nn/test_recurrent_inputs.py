"""Every kind of recurrent layer, given the same input in every form."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from kinds import I, N, T, batch, draw_state, layer, lengths, like, parts, run

from fastlstm.nn import Tokens

pytestmark = pytest.mark.pairs


def test_batch_first_is_the_same_transposed(backend_isa: str, kind: str) -> None:
    x = batch()
    steps_first = layer(kind, num_layers=2, bidirectional=True)
    rows_first = layer(kind, num_layers=2, bidirectional=True, batch_first=True)
    y, state, tape = steps_first.forward(x, lengths=lengths())
    dx, dstate = steps_first.backward(tape, y)
    y2, state2, tape = rows_first.forward(x.swapaxes(0, 1).copy(), lengths=lengths())
    dx2, dstate2 = rows_first.backward(tape, y2)
    assert y2.shape == (N, T, y.shape[2])
    assert y2.flags.c_contiguous
    assert dx2.flags.c_contiguous
    np.testing.assert_array_equal(y2.swapaxes(0, 1), y)
    np.testing.assert_array_equal(dx2.swapaxes(0, 1), dx)
    for a, b in zip(
        [*parts(state2), *parts(dstate2)], [*parts(state), *parts(dstate)], strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_one_sequence_is_a_batch_of_one(backend_isa: str, kind: str) -> None:
    module, x = layer(kind, num_layers=2, batch_first=True), batch()[:, 0]
    y, state, tape = module.forward(x)
    dx, dstate = module.backward(tape, y, state)
    y2, state2, tape = module.forward(x[None])
    dx2, dstate2 = module.backward(tape, y2, state2)
    R = module._size
    assert (y.shape, parts(state)[0].shape, dx.shape) == ((T, R), (2, R), (T, I))
    for a, b in [(y, y2[0]), (dx, dx2[0])]:
        np.testing.assert_array_equal(a, b)
    for a, b in zip(parts(state) + parts(dstate), parts(state2) + parts(dstate2), strict=True):
        np.testing.assert_array_equal(a, b[:, 0])
    np.testing.assert_array_equal(module(x, state)[0], module(x[None], state2)[0][0])


NATIVE = {"little": "<", "big": ">"}[sys.byteorder]


def _variants(x: Any) -> dict[str, Any]:
    wide = np.zeros((T, N, 2 * I))
    wide[..., ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    raw = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(np.float64).reshape(x.shape)
    unaligned[...] = x
    return {
        "fortran": np.asfortranarray(x),
        "strided last axis": wide[..., ::2],
        "reversed": np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        "read-only": readonly,
        "unaligned": unaligned,
        "byte order by name": x.astype(x.dtype.newbyteorder(NATIVE)),
    }


@pytest.mark.parametrize("layout", list(_variants(batch())))
def test_any_memory_layout(backend_isa: str, kind: str, layout: str) -> None:
    module, x = layer(kind, num_layers=2), batch()
    state_0 = draw_state(module)
    y, state, tape = module.forward(x, state_0)
    dx, _ = module.backward(tape, y)
    odd = [np.asfortranarray(parts(state_0)[0]), *(s[::-1][::-1] for s in parts(state_0)[1:])]
    y2, state2, tape = module.forward(_variants(x)[layout], like(module, odd))
    dx2, _ = module.backward(tape, np.asfortranarray(y))
    np.testing.assert_array_equal(y2, y)
    np.testing.assert_array_equal(dx2, dx)
    for a, b in zip(parts(state2), parts(state), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
def test_tokens_are_their_dense_input(
    backend_isa: str, kind: str, batch_first: bool, options: dict[str, Any]
) -> None:
    module, rng = layer(kind, batch_first=batch_first, **options), np.random.default_rng(5)
    table, n = rng.standard_normal((7, I)), lengths()
    ids = rng.integers(0, 7, (N, T) if batch_first else (T, N))
    dense = run(module, table[ids], lengths=n)
    sparse = run(module, Tokens(ids, table), lengths=n)
    expected = np.zeros_like(table)
    np.add.at(expected, ids, dense.pop("dx"))
    np.testing.assert_allclose(sparse.pop("dx"), expected, rtol=0, atol=1e-12)
    for name, value in dense.items():
        if name == "y" or name.startswith("state_n"):
            np.testing.assert_array_equal(sparse[name], value)
        else:
            np.testing.assert_allclose(sparse[name], value, rtol=0, atol=1e-12)
