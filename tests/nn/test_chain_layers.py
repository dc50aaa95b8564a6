"""Chains of layers: what torch makes of the same weights, and streams of them."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm import nn
from fastlstm.nn.chain import ChainStream

FRAME = 24


def modules(dtype: str = "float32", rng: Any = 0) -> list[Any]:
    rng = np.random.default_rng(rng)
    options = {"dtype": dtype, "rng": rng}
    return [
        nn.Conv1d(1, 10, 8, 4, (0, 4), False, "reflect", context=4, **options),
        nn.Magnitude(),
        nn.Conv1d(5, 9, 3, padding=1, **options),
        nn.ReLU(),
        nn.LSTM(9, 7, 2, learn_state=True, **options),
        nn.Linear(7, 3, **options),
        nn.Sigmoid(),
    ]


def make(dtype: str = "float32") -> Any:
    chain = nn.Chain(modules(dtype), FRAME)
    rng = np.random.default_rng(5)
    for name, parameter in chain.named_parameters():
        if name.endswith("_0"):  # the learned state
            parameter.data[...] = rng.standard_normal(parameter.data.shape)
    return chain


def signal(rows: int = 3, frames: int = 4, dtype: str = "float32") -> Any:
    return np.random.default_rng(1).standard_normal((rows, frames * FRAME)).astype(dtype)


def test_sizes_and_names() -> None:
    chain = make()
    assert (chain.in_channels, chain.frame, chain.out_channels, chain.frame_out) == (1, 24, 3, 7)
    assert chain.state_names == ["0.past", "4.h", "4.c", "5.h", "5.c"]
    assert "(0): Conv1d(1, 10, kernel_size=8, stride=4, padding=(0, 4)" in repr(chain)
    assert {"0.weight", "2.bias", "4.weight_hh_l1", "5.weight"} <= set(chain.state_dict())
    other = nn.Chain(modules(rng=9), FRAME)
    other.load_state_dict(chain.state_dict())
    np.testing.assert_array_equal(other(signal()), chain(signal()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_makes_the_same(backend_isa: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    chain, x = make(dtype), signal(dtype=dtype)
    w = {name: torch.from_numpy(value) for name, value in chain.state_dict().items()}
    lstm = torch.nn.LSTM(9, 7, 2, batch_first=True, dtype=getattr(torch, dtype))
    lstm.load_state_dict({k[2:]: v for k, v in w.items() if k[:3] in ("4.w", "4.b")})
    functional = torch.nn.functional
    state = tuple(w[f"4.{n}_0"][:, None].repeat(1, len(x), 1) for n in "hc")
    past, made = torch.zeros(len(x), 4, dtype=getattr(torch, dtype)), []
    with torch.no_grad():
        for part in torch.from_numpy(x).split(FRAME, dim=1):
            whole = torch.cat([past, part], dim=1)
            past = whole[:, -4:]
            padded = functional.pad(whole[:, None], (0, 4), "reflect")
            re_, im = functional.conv1d(padded, w["0.weight"], stride=4).chunk(2, dim=1)
            z = functional.conv1d((re_**2 + im**2).sqrt(), w["2.weight"], w["2.bias"], padding=1)
            y, state = lstm(z.relu().transpose(1, 2), state)
            made.append(functional.linear(y, w["5.weight"], w["5.bias"]).sigmoid())
    expected = torch.cat(made, dim=1).numpy()
    np.testing.assert_allclose(
        chain(x), expected, rtol=0, atol=1e-5 if dtype == "float32" else 1e-10
    )


def test_frames_equal_the_whole(backend_isa: str) -> None:
    chain, x = make(), signal()
    y, stream = chain(x), chain.stream(3)
    made = [stream(part) for part in np.split(x, 4, axis=1)]
    np.testing.assert_array_equal(np.concatenate(made, axis=1), y)
    for n in range(3):
        np.testing.assert_array_equal(chain(x[n]), y[n])
        np.testing.assert_array_equal(chain.stream()(x[n]), y[n])


def test_rows_start_anew_and_move(backend_isa: str) -> None:
    chain, x = make(), signal(4)
    first, second = x[:, :FRAME], x[:, FRAME : 2 * FRAME]
    stream = chain.stream(4)
    fresh = stream(first)
    kept = stream.state
    on = stream(second)
    stream.state = kept
    stream.reset([2])
    y = stream(second)
    np.testing.assert_array_equal(y[[0, 1, 3]], on[[0, 1, 3]])
    np.testing.assert_array_equal(y[2], chain.stream()(second[2]))
    fewer = chain.stream(2)  # rows picked, in another order
    fewer.state = kept.gather([3, 0])
    np.testing.assert_array_equal(fewer(second[[3, 0]]), on[[3, 0]])
    kept.scatter([1], chain.make_state(1))
    stream.state = kept
    np.testing.assert_array_equal(stream(second)[1], chain.stream()(second[1]))
    stream.reset()
    np.testing.assert_array_equal(stream(first), fresh)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda stream: pickle.loads(pickle.dumps(stream)),
}


class Noted(ChainStream):
    """A stream of a user's, with something beside it."""

    __slots__ = ("__dict__",)


@pytest.mark.parametrize("how", COPIES)
def test_a_copied_stream_goes_on_alone(backend_isa: str, how: str) -> None:
    chain, x = make(), signal()
    parts = np.split(x, 4, axis=1)
    stream = chain.stream(3)
    expected = [stream(part) for part in parts]
    stream.reset()
    stream(parts[0])
    for parameter in chain.parameters():  # the stream's weights are its own
        parameter.data[...] = 0
    other = COPIES[how](stream)
    np.testing.assert_array_equal(other(parts[1]), expected[1])
    np.testing.assert_array_equal(other(parts[2]), expected[2])
    np.testing.assert_array_equal(stream(parts[1]), expected[1])
    other.reset()
    np.testing.assert_array_equal(other(parts[0]), expected[0])
    noted = Noted(stream._backend, stream._spec, stream._initial)
    assert type(COPIES[how](noted)) is Noted


def test_a_chain_that_carries_nothing(backend_isa: str) -> None:
    chain = nn.Chain([nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Mean()], 2)
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype("float32")
    stream = chain.stream(2)
    y = stream(x)
    stream.reset([1])
    stream.state = stream.state.gather([1, 0])
    np.testing.assert_array_equal(stream(x), y)
    expected = np.tanh(x @ chain.state_dict()["0.weight"].T + chain.state_dict()["0.bias"])
    np.testing.assert_allclose(y, expected.reshape(2, 3, 2, 2).mean(axis=2), atol=1e-6)


def test_layers_alone(backend_isa: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("float32")
    conv = nn.Conv1d(4, 3, 2, rng=0)
    weight, bias = conv.weight.data, conv.bias.data
    expected = sum(x[:, k : 4 + k] @ weight[:, :, k].T for k in (0, 1)) + bias
    np.testing.assert_allclose(conv(x), expected, atol=1e-6)
    np.testing.assert_array_equal(conv(x[0]), conv(x)[0])
    np.testing.assert_array_equal(nn.ReLU()(x), np.maximum(x, 0))
    np.testing.assert_allclose(nn.Tanh()(x), np.tanh(x), atol=1e-6)
    np.testing.assert_allclose(nn.Sigmoid()(x), 1 / (1 + np.exp(-x)), atol=1e-6)
    np.testing.assert_allclose(nn.Magnitude()(x), np.hypot(x[..., :2], x[..., 2:]), atol=1e-6)
    np.testing.assert_allclose(nn.Mean()(x)[:, 0], x.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    "x", [None, np.zeros(3, "f4"), np.zeros((0, 2), "f4"), np.zeros((2, 3), "i4")]
)
def test_layers_alone_name_what_is_wrong(x: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"x (is|has)|dtype is"):
        nn.ReLU()(x)


def test_training_is_refused() -> None:
    for module in (nn.Chain([nn.Linear(2, 3)]), nn.Conv1d(1, 1, 1), nn.ReLU(), nn.Magnitude()):
        for call in (lambda m=module: m.forward(np.zeros((1, 2))), lambda m=module: m.backward(0)):
            with pytest.raises(NotImplementedError, match="for inference alone"):
                call()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "modules is [], expected a list of modules"),
        (nn.ReLU(), "modules is ReLU(), expected a list of modules"),
        ([nn.Linear(2, 3), nn.Dropout(0.5)], "modules[1] is a Dropout, expected Conv1d, Linear"),
        ([fl.LSTM(2, 3, bidirectional=True)], "modules[0] is bidirectional"),
        ([nn.Linear(2, 3, precision="bfloat16")], "modules[0] has a precision of bfloat16"),
        ([nn.ReLU()], "modules have no weights"),
        ([nn.Linear(2, 3), nn.Linear(4, 5)], "stages[1].weight has shape (5, 4, 1)"),
        ([nn.Linear(2, 3), nn.Linear(3, 5, dtype="float64")], "stages[1].weight is an array of"),
        ([nn.Linear(2, 3), fl.GRU(2, 5)], "stages[1] has an input size of 2, expected 3"),
        ([nn.Conv1d(2, 3, 2)], "stages[0] has a kernel of 2, expected at most 1"),
    ],
)
def test_modules_that_are_no_chain(wrong: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        nn.Chain(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size is 0, expected at least 1"),
        ({"stride": 1.5}, "stride is 1.5, expected an integer"),
        ({"padding": (1, 2, 3)}, "padding is (1, 2, 3), expected a number, or one before"),
        ({"padding": (1, -2)}, "padding is -2, expected at least 0"),
        (
            {"padding_mode": "circular"},
            "padding_mode is 'circular', expected one of zeros, reflect",
        ),
        ({"groups": 2}, "groups is 2, expected 1"),
        ({"dilation": 2}, "dilation is 2, expected 1"),
        ({"context": -1}, "context is -1"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"device": "cpu"}, "Conv1d got an unexpected keyword argument 'device'"),
    ],
)
def test_wrong_convolutions(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        nn.Conv1d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 2, **options})
    assert nn.Conv1d(2, 2, 1, groups=1, dilation=1).extra_repr() == "2, 2, kernel_size=1, stride=1"


def test_wrong_calls() -> None:
    chain = make()
    for x in (signal()[:, :-1], signal()[..., None, None], np.zeros((0, FRAME), "f4"), "signal"):
        with pytest.raises((TypeError, ValueError), match="x "):
            chain(x)
    with pytest.raises(ValueError, match="frame is 0"):
        nn.Chain(modules(), 0)
    with pytest.raises(ValueError, match="batch_size is 0"):
        chain.stream(0)
    stream = chain.stream(3)
    np.testing.assert_array_equal(stream(signal().tolist()), chain(signal()))
    with pytest.raises(ValueError, match="state"):
        stream.state = chain.make_state(2)
    chain.state_dict()
    getattr(chain, "5").bias.data[1] = np.inf
    with pytest.raises(ValueError, match=r"5.bias\[1\] is inf, expected finite numbers"):
        chain.stream()
    with pytest.raises(AttributeError, match="frame is 24 and cannot become 12"):
        chain.frame = 12


@pytest.mark.parametrize("name", ["context", "padding"])
def test_what_stands_around_a_frame_has_an_end(name: str) -> None:
    sizes: dict[str, Any] = {name: (1 << 20) + 1}
    with pytest.raises(ValueError, match=f"{name} is 1048577, expected at most 1,048,576"):
        nn.Conv1d(1, 1, 1, **sizes)


def test_a_frame_has_an_end() -> None:
    with pytest.raises(ValueError, match="frame is .*, expected at most 1,073,741,824"):
        nn.Chain([nn.Linear(1, 1)], frame=10**30)
