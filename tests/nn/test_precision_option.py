"""The option `precision` of a module and of a whole model: set, copied, refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from kinds import CELL_KINDS, KINDS, layer
from rounded_layers import ROUNDED, X, assert_near, make

import fastlstm as fl
from fastlstm.models import LanguageModel, SoftmaxDecoder
from fastlstm.nn.attention import DotAttention


def test_every_kind_has_the_option() -> None:
    for cls, options in [*KINDS.values(), *CELL_KINDS.values()]:
        assert cls(3, 6, precision="bfloat16", **options).precision == "bfloat16"


@pytest.mark.usefixtures("rounding")
def test_set_precision_of_a_whole_model(precision: str) -> None:
    model = LanguageModel(30, 8, 9, num_layers=2, rng=0)
    tokens = np.random.default_rng(0).integers(0, 30, (4, 6))
    plain = model(tokens)[0]
    model.set_precision(precision)
    assert model.recurrent.precision == model.decoder.precision == precision
    assert repr(model).count(f"precision={precision}") == 2
    assert_near(model(tokens)[0], plain, 0.05)
    model.set_precision("float32")
    np.testing.assert_array_equal(model(tokens)[0], plain)


class Pair(fl.Module):
    def __init__(self, one: Any, two: Any) -> None:
        self.one, self.two = one, two


def test_set_precision_of_all_or_none() -> None:
    pair = Pair(fl.GRU(3, 4, rng=0), Pair(fl.Embedding(3, 4), fl.Linear(3, 4, dtype="float64")))
    with pytest.raises(ValueError, match=r"^two\.two: precision is 'int8' with arrays of float64"):
        pair.set_precision("int8")
    assert pair.one.precision == pair.two.two.precision == "float32"
    with pytest.raises(ValueError, match="precision is 'half', expected one of"):
        pair.set_precision("half")
    pair.two.two = fl.Linear(3, 4)
    pair.set_precision("int8")
    assert pair.one.precision == pair.two.two.precision == "int8"


def test_set_precision_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="Embedding has no module with an option precision"):
        fl.Embedding(3, 4).set_precision("int8")


def test_custom_cells_stay_in_float32() -> None:
    pytest.importorskip("numba")
    from fastlstm.examples.minimal_gated_unit import MinimalGatedUnit

    for make_it in (
        lambda: MinimalGatedUnit(3, 4, precision="int8"),
        lambda: setattr(MinimalGatedUnit(3, 4), "precision", "bfloat16"),
        lambda: MinimalGatedUnit(3, 4).set_precision("bfloat16"),
    ):
        with pytest.raises(ValueError, match="expected 'float32' for a custom cell"):
            make_it()
    assert MinimalGatedUnit(3, 4, precision="float32").precision == "float32"


def test_copies_and_parameters(kind: str, precision: str) -> None:
    module = make(kind, precision)
    assert f"precision={precision}" in repr(module)
    assert "precision" not in repr(layer(kind))
    for other in (copy.copy(module), copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.precision == precision
    assert module.state_dict().keys() == layer(kind).state_dict().keys()
    plain = make(kind, "float32")
    plain.load_state_dict(module.state_dict())
    assert plain.precision == "float32"


def test_a_module_pickled_before_there_was_a_choice() -> None:
    module = fl.LSTM(3, 4, rng=0)
    del module.__dict__["precision"]
    old = pickle.loads(pickle.dumps(module))
    assert old.precision == "float32"
    old(np.ones((2, 1, 3), np.float32))


def test_assignment_is_checked(kind: str) -> None:
    single = make(kind, "int8")
    for unknown in ("float16", "INT8", None, 8):
        with pytest.raises(ValueError, match=f"precision is {unknown!r}, expected one of float32"):
            single.precision = unknown
    assert single.precision == "int8"
    double = layer(kind)
    for name in ROUNDED:
        with pytest.raises(ValueError, match=f"precision is '{name}' with arrays of float64"):
            double.precision = name
        with pytest.raises(ValueError, match=f"precision is '{name}' with arrays of float64"):
            layer(kind, precision=name)
    double.precision = "float32"


def test_int8_is_for_inference(kind: str) -> None:
    module = make(kind, "int8", dropout=0.0)
    before = copy.deepcopy(module._rng)
    for call in (
        lambda: module.forward(X),
        lambda: module.trace(X),
        lambda: module.tbptt(X, 2),
        lambda: module.memory_plan(3, 4),
    ):
        with pytest.raises(ValueError, match="precision is 'int8', which is for inference alone"):
            call()
    assert module._rng.random() == before.random(), "a pass that was refused drew numbers"
    x = np.ones((2, 5), np.float32)
    for other in (fl.Linear(5, 3, precision="int8"), SoftmaxDecoder(5, 3, precision="int8")):
        with pytest.raises(ValueError, match="precision is 'int8'"):
            other.forward(x)
    attention = DotAttention(5, precision="int8")
    with pytest.raises(ValueError, match="precision is 'int8'"):
        attention.forward(x[None], x[None])


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_int8_weights_must_be_finite(bad: float) -> None:
    module = fl.LSTM(4, 9, 2, proj_size=3, bidirectional=True, rng=0, precision="int8")
    for name in ("weight_ih_l1", "weight_hh_l0_reverse", "weight_hr_l1_reverse"):
        parameter = getattr(module, name)
        kept = parameter.data[1, 2]
        parameter.data[1, 2] = bad
        with pytest.raises(ValueError, match=rf"^{name}\[1, 2\] is {bad}, expected finite"):
            module(X)
        parameter.data[1, 2] = kept
    module(X)
    cell = fl.GRUCell(4, 9, rng=0, precision="int8")
    cell.weight_hh.data[1, 2] = bad
    with pytest.raises(ValueError, match=r"^weight_hh\[1, 2\] is"):
        cell(X[0])
    for other in (fl.Linear(4, 3, precision="int8"), SoftmaxDecoder(4, 3, precision="int8")):
        other.weight.data[1, 2] = bad
        with pytest.raises(ValueError, match=r"^weight\[1, 2\] is"):
            other(X[0])


@pytest.mark.slow
def test_numba_says_what_to_do(load_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load_backend("numba")
    monkeypatch.setenv("FASTLSTM_BACKEND", "numba")
    module = make("lstm", "bfloat16")
    for call in (lambda: module(X), lambda: module.stream(5), lambda: module.memory_plan(3, 4)):
        with pytest.raises(NotImplementedError, match="FASTLSTM_BACKEND=native"):
            call()
