"""Every kind of recurrent layer, and how to run one in one go: what the tests of all share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cases import Array, draw_lengths
from numpy.typing import NDArray

import fastlstm as fl
from fastlstm.nn.recurrent import Recurrent

# Name -> class and the options that make the kind; tests draw H of at least 6.
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (fl.LSTM, {}),
    "lstm-proj": (fl.LSTM, {"proj_size": 5}),
    "lstm-peephole": (fl.PeepholeLSTM, {}),
    "gru": (fl.GRU, {}),
    "gru-before": (fl.GRU, {"reset_after": False}),
    "rnn-tanh": (fl.RNN, {}),
    "rnn-relu": (fl.RNN, {"nonlinearity": "relu"}),
}
CELL_KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (fl.LSTMCell, {}),
    "gru": (fl.GRUCell, {}),
    "gru-before": (fl.GRUCell, {"reset_after": False}),
    "rnn-tanh": (fl.RNNCell, {}),
    "rnn-relu": (fl.RNNCell, {"nonlinearity": "relu"}),
}

T, N, I, H = 6, 5, 4, 9
Results = dict[str, Array]


def layer(kind: str, *sizes: int, **options: Any) -> Any:
    """A layer of a kind, I=4 and H=9 unless said, in float64 unless said."""
    cls, own = KINDS[kind]
    options = {"dtype": "float64", "rng": np.random.default_rng(0), **own, **options}
    input_size, hidden_size, *more = sizes or (I, H)
    if more:
        options["num_layers"] = more[0]
    return cls(input_size, hidden_size, **options)


def batch(seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((T, N, I))


def lengths() -> NDArray[np.int64]:
    return draw_lengths(np.random.default_rng(2), T, N)


def parts(state: Any) -> list[Array]:
    """The arrays of a state, however it came."""
    return [state] if isinstance(state, np.ndarray) else list(state)


def like(module: Recurrent, values: Sequence[Array | None]) -> Any:
    """A state as the module takes it where it is no `State`."""
    return tuple(values) if len(module._cell.states) > 1 else values[0]


def draw_state(module: Recurrent, rows: int = N, seed: int = 4) -> Any:
    rng = np.random.default_rng(seed)
    values = [
        rng.standard_normal((len(module._suffixes), rows, size)).astype(module.dtype)
        for size in module._state_sizes()
    ]
    return like(module, values)


def weights_of_loss(outputs: Sequence[Array]) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal(o.shape).astype(o.dtype) for o in outputs]


def run(module: Any, x: Any, state: Any = None, lengths: Any = None, **options: Any) -> Results:
    """Outputs, and the gradients of a fixed weighted sum of them."""
    module.zero_grad()
    y, state_n, tape = module.forward(x, state, lengths, **options)
    dy, *d_n = weights_of_loss([y, *parts(state_n)])
    dx, dstate = module.backward(tape, dy, like(module, d_n))
    results = {"y": y, "dx": dx}
    results.update((f"state_n[{i}]", s) for i, s in enumerate(parts(state_n)))
    results.update((f"dstate[{i}]", s) for i, s in enumerate(parts(dstate)))
    results.update((f"d{name}", p.grad.copy()) for name, p in module.named_parameters())
    return results


def assert_all_equal(actual: Results, expected: Results) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)
