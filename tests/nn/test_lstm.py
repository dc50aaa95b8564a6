"""What only an LSTM has; the rest in test_recurrent.py."""

from __future__ import annotations

import numpy as np
import pytest
from kinds import H, batch, layer

import fastlstm as fl


@pytest.mark.parametrize("init", ["torch", "orthogonal"])
def test_forget_bias(init: str) -> None:
    state = layer("lstm", init=init, forget_bias=1.5, bidirectional=True).state_dict()
    for suffix in ("_l0", "_l0_reverse"):
        total = state["bias_ih" + suffix] + state["bias_hh" + suffix]
        np.testing.assert_array_equal(total[H : 2 * H], 1.5)
        assert (total[:H] != 1.5).all()


def test_its_state_is_a_pair(backend_isa: str) -> None:
    module = layer("lstm")
    y, state, tape = module.forward(batch())
    _, dstate = module.backward(tape, y)
    for found in (module(batch())[1], state, dstate):
        assert isinstance(found, fl.State)
        assert isinstance(found, tuple)
        h, c = found
        assert h is found.h
        assert c is found.c


def test_a_projection_makes_h_smaller_and_leaves_c() -> None:
    y, (h_n, c_n) = layer("lstm-proj", num_layers=2, bidirectional=True)(batch())
    assert (y.shape[2], h_n.shape[2], c_n.shape[2]) == (10, 5, H)
