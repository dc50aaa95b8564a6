"""What may be put in the place of a parameter: what fits it, and everything else is refused."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kinds import KINDS, layer

import fastlstm as fl
from fastlstm.nn.attention import DotAttention
from fastlstm.train import SGD, Adam, AdamW

MODULES: dict[str, Callable[[], Any]] = {
    "lstm": lambda: fl.LSTM(3, 4, rng=0),
    "lstm-proj": lambda: fl.LSTM(3, 4, proj_size=2, rng=0),
    "gru": lambda: fl.GRU(3, 4, 2, bidirectional=True, rng=0),
    "rnn": lambda: fl.RNN(3, 4, learn_state=True, rng=0),
    "cell": lambda: fl.LSTMCell(3, 4, rng=0),
    "linear": lambda: fl.Linear(3, 4, rng=0),
    "embedding": lambda: fl.Embedding(3, 4, rng=0),
}
each_module = pytest.mark.parametrize("name", MODULES)


@each_module
def test_an_array_is_copied_into_the_parameter(name: str) -> None:
    module = MODULES[name]()
    before = dict(module.named_parameters())
    for part, parameter in before.items():
        value = np.full(parameter.data.shape, 0.5, np.float32)
        setattr(module, part, value)
        value[...] = 7
        assert getattr(module, part) is parameter
        assert (parameter.data == 0.5).all()
    assert dict(module.named_parameters()) == before
    assert all((value == 0.5).all() for value in module.state_dict().values())


def test_a_layer_runs_with_the_array(backend_isa: str) -> None:
    lstm, x = fl.LSTM(3, 4, rng=0), np.ones((5, 2, 3), np.float32)
    lstm.bias_ih_l0 = np.ones(16, np.float32)
    lstm.bias_hh_l0 = [0.25] * 16
    lstm.weight_hh_l0 = np.eye(16, 4)
    other = fl.LSTM(3, 4, rng=1)
    other.load_state_dict(lstm.state_dict())
    np.testing.assert_array_equal(lstm(x)[0], other(x)[0])
    y, _, tape = lstm.forward(x)
    lstm.backward(tape, np.ones_like(y))
    assert all(np.abs(p.grad).max() > 0 for p in lstm.parameters())


def test_a_tensor_of_torch_is_copied_too() -> None:
    torch = pytest.importorskip("torch")
    linear = fl.Linear(3, 4)
    linear.bias = torch.nn.Parameter(torch.full((4,), 2.0))
    assert (linear.bias.data == 2).all()


@each_module
def test_what_does_not_fit(name: str) -> None:
    module = MODULES[name]()
    for part, parameter in module.named_parameters():
        where, shape = f"{type(module).__name__}.{part}", parameter.data.shape
        wrong: list[tuple[Any, type[Exception], str]] = [
            (np.zeros((*shape, 1), np.float32), ValueError, f"{where} has shape {(*shape, 1)}"),
            (np.zeros(parameter.data.size + 1), ValueError, f"{where} has shape"),
            (np.full(shape, 0.1), TypeError, f"{where} has dtype float64, expected float32"),
            (np.full(shape, np.nan, np.float32), ValueError, "is nan, expected finite numbers"),
            (fl.Parameter(np.zeros(99, np.float32)), ValueError, f"{where} has shape (99,)"),
            (fl.Parameter(np.zeros(shape)), ValueError, f"{where} has shape {shape} and dtype f"),
            (None, TypeError, f"{where} is a NoneType, expected a NumPy array of float32"),
            (3, TypeError, f"{where} is a int, expected a NumPy array of float32"),
            (fl.Linear(1, 1), TypeError, f"{where} is a Linear, expected a NumPy array of"),
        ]
        before = parameter.data.copy()
        for value, error, message in wrong:
            with pytest.raises(error, match=re.escape(message)):
                setattr(module, part, value)
        with pytest.raises(AttributeError, match=re.escape(f"{where} cannot be deleted")):
            delattr(module, part)
        assert getattr(module, part) is parameter
        np.testing.assert_array_equal(parameter.data, before)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (fl.LSTM(3, 4, bias=False), ["bias_ih_l0", "bias_hh_l0", "weight_hr_l0"]),
        (fl.GRU(3, 4, 2), ["weight_hr_l0", "weight_hr_l1"]),
        (fl.RNNCell(3, 4, bias=False), ["bias_ih", "bias_hh", "weight_hr"]),
        (fl.Linear(3, 4, bias=False), ["bias"]),
    ],
)
def test_a_parameter_that_the_module_was_made_without(module: Any, names: list[str]) -> None:
    for name in names:
        for value in (np.zeros(16, np.float32), fl.Parameter(np.zeros((4, 4), np.float32)), 1):
            with pytest.raises(AttributeError, match=f"{name} cannot be set: the module was made"):
                setattr(module, name, value)
        with pytest.raises(AttributeError, match=f"{name} cannot be deleted"):
            delattr(module, name)
        assert getattr(module, name, None) is None


def test_modules_inside_are_kept() -> None:
    attention = DotAttention(4)
    for value in (None, np.zeros(3), fl.Parameter(np.zeros(3))):
        with pytest.raises(TypeError, match="DotAttention.combine is a module, expected another"):
            attention.combine = value  # type: ignore[assignment]
    with pytest.raises(AttributeError, match="combine cannot be deleted"):
        del attention.combine
    attention.combine = other = fl.Linear(8, 4, False)
    assert attention.combine is other


def test_what_is_no_parameter_can_be_set_and_deleted() -> None:
    lstm = fl.LSTM(3, 4)
    lstm.note = np.ones(2)  # type: ignore[attr-defined]
    lstm.extra = fl.Parameter(np.ones(2))  # type: ignore[attr-defined]
    assert [name for name, _ in lstm.named_parameters()][-1] == "extra"
    del lstm.note  # type: ignore[attr-defined]
    assert not hasattr(lstm, "note")
    with pytest.raises(AttributeError, match="gone"):
        del lstm.gone  # type: ignore[attr-defined]


def test_tied_parameters_stay_tied() -> None:
    a, b = fl.Linear(3, 3, rng=0), fl.Linear(3, 3, rng=1)
    b.weight = a.weight
    b.weight = np.full((3, 3), 2, np.float32)
    assert a.weight is b.weight
    assert (a.weight.data == 2).all()


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_refuse_alike(copied: Callable[[Any], Any]) -> None:
    for module in (copied(fl.LSTM(3, 4, bias=False)), copied(fl.LSTM(3, 4))):
        with pytest.raises(ValueError, match="weight_hh_l0 has shape"):
            module.weight_hh_l0 = np.zeros(64, np.float32)
        if not module.bias:
            with pytest.raises(AttributeError, match="bias_ih_l0 cannot be set"):
                module.bias_ih_l0 = np.zeros(16, np.float32)
        assert module(np.ones((2, 1, 3), np.float32))[0].shape == (2, 1, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_go_to_the_parameters_that_forward_used(backend_isa: str, kind: str) -> None:
    """Whatever is done to the module between the two, past what it refuses."""
    rng = np.random.default_rng(0)
    x, expected = rng.standard_normal((3, 2, 5)), layer(kind, 5, 6, 2)
    y, _, tape = expected.forward(x)
    expected.backward(tape, np.ones_like(y))
    module = layer(kind, 5, 6, 2)
    used = dict(module.named_parameters())
    _, _, tape = module.forward(x)
    module.weight_ih_l0 = fl.Parameter(np.zeros_like(module.weight_ih_l0.data))
    del vars(module)["weight_hh_l0"]
    module.backward(tape, np.ones_like(y))
    for name, parameter in expected.named_parameters():
        np.testing.assert_array_equal(used[name].grad, parameter.grad)


def test_gradients_of_a_cell_likewise(backend_isa: str) -> None:
    cell, x = fl.GRUCell(3, 4, rng=0), np.ones((2, 3), np.float32)
    used = cell.weight_hh
    h, tape = cell.forward(x, np.ones((2, 4), np.float32))
    del vars(cell)["weight_hh"]
    cell.backward(tape, np.ones_like(h))
    assert np.abs(used.grad).max() > 0


def test_weights_that_are_gone_or_of_another_size(backend_isa: str, kind: str) -> None:
    """Put past the refusals into the module's own dictionary: an error, and never a crash."""
    x = np.ones((3, 2, 5))
    for name in ("weight_ih_l0", "weight_hh_l0"):
        for bad in (None, fl.Parameter(np.zeros(64)), fl.Parameter(np.zeros((0, 1 << 40)))):
            module = layer(kind, 5, 6)
            vars(module)[name] = bad
            for run in (module, module.forward, module.trace, lambda _, m=module: m.stream()):
                with pytest.raises((TypeError, ValueError), match=r"w_[ih]h|NoneType"):
                    run(x)


class Fickle(fl.Parameter):
    """A parameter whose data is another array at each look."""

    __slots__ = ("looks",)
    looks: int

    @property
    def data(self) -> Any:
        self.looks = getattr(self, "looks", 0) + 1
        return self._data if self.looks % 2 else self._data[:1, :1].copy()

    @data.setter
    def data(self, value: Any) -> None:
        self._data = value


def test_data_that_differs_at_each_look(backend_isa: str) -> None:
    lstm, x = fl.LSTM(3, 4, rng=0), np.ones((5, 2, 3), np.float32)
    expected = lstm(x)[0]
    fickle = Fickle(lstm.weight_hh_l0.data)
    vars(lstm)["weight_hh_l0"] = fickle
    for k in range(4):
        if k % 2:  # the second look of a call that makes one
            with pytest.raises(ValueError, match=r"w_hh has shape \(1, 1\), expected \(4, any\)"):
                lstm(x)
        else:
            np.testing.assert_array_equal(lstm(x)[0], expected)
    assert fickle.looks == 4


class TestRows:
    def test_of_a_parameter_of_one_axis(self) -> None:
        parameter = fl.Parameter(np.zeros(6))
        parameter.add_rows(np.array([1, 4]), np.array([1.0, 2.0]))
        parameter.add_rows(np.array([0, 4]), np.array([3.0, 5.0]))
        assert parameter.rows is not None
        np.testing.assert_array_equal(parameter.rows.index, [0, 1, 4])
        np.testing.assert_array_equal(parameter.rows.value, [3, 1, 7])

    def test_an_index_that_is_used_again_by_the_caller(self) -> None:
        parameter, index = fl.Parameter(np.zeros(6)), np.array([1, 4])
        parameter.add_rows(index, np.array([1.0, 2.0]))
        index[:] = 5, 7
        assert parameter.rows is not None
        np.testing.assert_array_equal(parameter.rows.index, [1, 4])

    @pytest.mark.parametrize("shape", [(6,), (6, 2), (6, 2, 3)])
    def test_adam_takes_them_as_the_dense_step(self, backend_isa: str, shape: Any) -> None:
        from fastlstm.train.optim import Adam

        rows, dense = (fl.Parameter(np.ones(shape)) for _ in range(2))
        g = np.arange(2.0 * rows.data[0].size).reshape(2, *shape[1:]) + 1
        rows.add_rows(np.array([1, 4]), g)
        dense.grad[[1, 4]] = g
        for parameter in (rows, dense):
            Adam({"p": parameter}.items(), lr=0.1).step()
        np.testing.assert_array_equal(rows.data, dense.data)
        assert (rows.data[[1, 4]] != 1).all()

    WRONG: list[tuple[Any, Any, str]] = [
        ([0, 6], np.zeros((2, 3)), "index[1] is 6, expected 0 to 5"),
        ([-1, 0], np.zeros((2, 3)), "index[0] is -1, expected 0 to 5"),
        ([1, 1], np.zeros((2, 3)), "index does not increase"),
        ([0.0], np.zeros((1, 3)), "index has dtype float64, expected integers"),
        ([[0]], np.zeros((1, 3)), "index has shape (1, 1), expected 1 axis"),
        ([0], np.zeros((2, 3)), "value has shape (2, 3), expected (1, 3)"),
        ([0], np.zeros(3), "value has shape (3,), expected (1, 3)"),
        ([0], np.zeros((1, 3), complex), "value has dtype complex128, expected float64"),
    ]

    @pytest.mark.parametrize(("index", "value", "message"), WRONG)
    def test_what_does_not_fit(self, index: Any, value: Any, message: str) -> None:
        parameter = fl.Parameter(np.zeros((6, 3)))
        with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
            parameter.add_rows(np.array(index), value)
        assert parameter.rows is None


def test_parameters_hold_floats() -> None:
    with pytest.raises(TypeError, match="data has dtype int64, expected float32 or float64"):
        fl.Parameter(np.arange(3))
    unaligned = np.frombuffer(bytes(9), np.uint8)[1:].view(np.float32)
    assert fl.Parameter(unaligned).data.flags.aligned


def test_pickles_of_the_time_when_parameters_stood_beside_modules() -> None:
    layer = fl.Linear(2, 3, rng=0)
    layer.weight.add_rows(np.array([1]), np.ones((1, 2), "float32"))
    written = pickle.dumps(layer, protocol=2)
    earlier = written.replace(b"cfastlstm.nn.parameter\n", b"cfastlstm.nn.module\n")
    assert earlier != written
    again = pickle.loads(earlier)
    np.testing.assert_array_equal(again.weight.data, layer.weight.data)
    np.testing.assert_array_equal(again.weight.rows.value, layer.weight.rows.value)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_read_only_parameters_are_named_before_anything_changes(kind: Any) -> None:
    """As of a file that is mapped into memory; such a layer can be run, and frozen."""
    layer = fl.Linear(2, 3, rng=0)
    values, before = layer.state_dict(), layer.weight.data.copy()
    layer.bias.data.flags.writeable = False
    told = r"bias is a read-only array, expected one to write to: assign a copy to its \.data"
    with pytest.raises(ValueError, match=told):
        layer.load_state_dict({name: value + 1 for name, value in values.items()})
    with pytest.raises(ValueError, match=told):
        kind(layer, lr=0.1)
    np.testing.assert_array_equal(layer.weight.data, before)
    layer.bias.trainable = False
    kind(layer, lr=0.1)
    layer.bias.data = layer.bias.data.copy()
    layer.load_state_dict(values)
