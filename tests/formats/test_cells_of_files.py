"""Files know the cells that the kernels have, by the classes that have them."""

from __future__ import annotations

import fastlstm as fl
from fastlstm.formats.cells import cell_of, made_of
from fastlstm.formats.describe import KINDS
from fastlstm.kernels import CELLS


def test_every_cell_has_a_class() -> None:
    assert set(made_of()) == set(CELLS)
    for name, (made, options) in made_of().items():
        assert getattr(fl, made)(2, 3, **options)._cell is CELLS[name]
        assert cell_of(made, {"reset_after": True, "nonlinearity": "tanh", **options}).name == name


def test_activations_do_not_matter_to_shapes() -> None:
    assert cell_of("RNN", {"nonlinearity": "softsign"}) is CELLS["rnn_tanh"]
    assert cell_of("GRUCell", {"reset_after": False}) is CELLS["gru_reset_before"]
    assert cell_of("LSTMCell", {}) is CELLS["lstm"]


def test_what_is_written_of_each() -> None:
    sizes = ("input_size", "hidden_size", "num_layers", "bias", "bidirectional")
    own = {"LSTM": ("proj_size",), "PeepholeLSTM": ()}
    for name, more in own.items():
        assert KINDS[name].options == (*sizes, *more, "dtype", "learn_state")
    assert KINDS["GRU"].options == (*sizes, "dtype", "learn_state", "reset_after")
    assert KINDS["RNN"].options == (*sizes, "dtype", "learn_state", "nonlinearity")
    assert KINDS["LSTMCell"].options == ("input_size", "hidden_size", "bias", "dtype")
    assert set(KINDS["LSTM"].others) == set(KINDS["GRUCell"].others) != set(KINDS["RNN"].others)
