"""Modules: names of parameters, state_dict, gradients."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.nn import Linear, Module, Parameter


class Nested(Module):
    """A parameter beside a module."""

    def __init__(self) -> None:
        self.scale = Parameter(np.ones(3, np.float32))
        self.inner = Linear(2, 3)
        self.other = "no parameter"


def test_names() -> None:
    assert list(Nested().state_dict()) == ["scale", "inner.weight", "inner.bias"]


def test_a_shared_parameter_has_one_name() -> None:
    """The first one's, as in torch."""
    module = Nested()
    module.again = Linear(2, 3)  # type: ignore[attr-defined]
    module.again.weight = module.inner.weight  # type: ignore[attr-defined]
    names = ["scale", "inner.weight", "inner.bias", "again.bias"]
    assert list(module.state_dict()) == names
    assert len(list(module.parameters())) == 4
    module.load_state_dict({**module.state_dict(), "inner.weight": np.ones((3, 2))})
    np.testing.assert_array_equal(module.again.weight.data, np.ones((3, 2)))  # type: ignore[attr-defined]


def test_state_dict_is_a_copy() -> None:
    module = Nested()
    module.state_dict()["scale"][:] = 5
    assert (module.scale.data == 1).all()


def test_load_copies_into_the_same_arrays() -> None:
    module, other = Nested(), Nested()
    data = module.inner.weight.data
    module.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(data, other.inner.weight.data)
    assert module.inner.weight.data is data


def test_load_converts_real_numbers() -> None:
    module = Nested()
    module.load_state_dict({**module.state_dict(), "scale": [1, 2, 3]})
    assert module.scale.data.tolist() == [1, 2, 3]
    assert module.scale.data.dtype == np.float32


WRONG = [
    ({"scale": np.ones(4)}, ValueError, "scale has shape (4,), expected (3,)"),
    ({"scale": [1, np.nan, 3]}, ValueError, "scale[1] is nan, expected finite numbers"),
    ({"scale": [1, 2, -np.inf]}, ValueError, "scale[2] is -inf, expected finite numbers"),
    ({"scale": [1, 1e300, 3]}, ValueError, "scale[1] is inf, expected finite numbers"),
    ({"scale": [1j, 1, 1]}, TypeError, "scale has dtype complex128, expected real numbers"),
    ({"scale": "abc"}, TypeError, "scale has dtype <U3, expected real numbers"),
    ({"extra": [1]}, KeyError, "state does not fit Nested: missing [], unknown ['extra']"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG, ids=[m for *_, m in WRONG])
def test_a_wrong_state_changes_nothing(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    module = Nested()
    before = module.state_dict()
    wrong = {k: v + 1 for k, v in before.items()}
    with pytest.raises(error, match=re.escape(message)):
        module.load_state_dict({**wrong, **change})
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_missing_name() -> None:
    with pytest.raises(KeyError, match=re.escape("missing ['inner.bias', 'scale'], unknown []")):
        Nested().load_state_dict({"inner.weight": np.zeros((3, 2))})


def test_gradients() -> None:
    module = Nested()
    assert not any(p.has_grad for p in module.parameters())
    module.scale.grad[...] = 2
    module.scale.add_rows(np.array([1]), np.array([7.0], np.float32))
    assert module.scale.has_grad
    module.zero_grad()
    assert not module.scale.grad.any()
    assert module.scale.rows is None


def test_parameter_data_keeps_shape_and_dtype() -> None:
    parameter = Parameter(np.zeros((2, 3), np.float32))
    parameter.data = np.ones((2, 3), np.float32)
    for wrong in (np.ones((3, 2), np.float32), np.ones((2, 3))):
        with pytest.raises(ValueError, match="data has shape"):
            parameter.data = wrong
    assert parameter.data.all()
