"""Recurrent layers from the maths of one unit.

A cell is two small functions: forward computes the new states of one unit from its gates and
states, and backward the gradients. `custom_cell` compiles them with Numba into the time loop and
returns a layer class that can do all that `LSTM` and `GRU` can::

    def forward(z, h):                  # z: W_ih x + b_ih + W_hh h + b_hh, of one unit
        a = tanh(z)
        return 0.9 * h + 0.1 * a, a     # the new state, and what backward needs

    def backward(dh, a):                # gradients of z and h
        return dh * 0.1 * (1 - a * a), 0.9 * dh

    Leaky = custom_cell("Leaky", gates=("z",), forward=forward, backward=backward, keeps=("a",))
    layer = Leaky(64, 128, num_layers=2, bidirectional=True)
    gradcheck(Leaky(3, 4, dtype="float64"))

Whole cells: `fastlstm.examples.peephole_lstm`, `fastlstm.examples.minimal_gated_unit`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from fastlstm import lazy
from fastlstm.differences import GradReport, gradcheck
from fastlstm.kernels import CellSpec
from fastlstm.kernels.activations import exp, sigmoid, tanh
from fastlstm.nn.recurrent import Recurrent

if TYPE_CHECKING:
    from fastlstm.kernels.numba.maths import Maths
else:
    Maths = lazy.hint("fastlstm.kernels.numba.maths", "Maths")

__all__ = ["CustomLayer", "GradReport", "custom_cell", "exp", "gradcheck", "sigmoid", "tanh"]

Function = Callable[..., Any]


class CustomLayer(Recurrent):
    """Base of the layers that `custom_cell` returns.

    Letters: T steps, N batch, I input_size, H hidden_size, L num_layers, D directions (1 or 2),
    G the number of gates times H.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, rng,
    init, learn_state, recompute, recurrent_dropout, weight_drop, variational : as of `LSTM`.

    Attributes
    ----------
    weight_ih_l{k} : Parameter [G, I or D*H], gates in the order they were named.
    weight_hh_l{k} : Parameter [G, H].
    bias_ih_l{k}, bias_hh_l{k} : Parameter [G], or None.
    {param}_l{k} : Parameter [H], for each of `custom_cell`'s params; uniform in +-1/sqrt(H).
    ..._reverse : the same for the second direction.
    {state}_0 : Parameter [L*D, H], with `learn_state`.
    """

    _cell: Maths
    _engine = "numba"

    def _read_precision(self, value: Any) -> str:
        if super()._read_precision(value) != "float32":
            raise ValueError(
                f"precision is {value!r}, expected 'float32' for a custom cell: the backend that "
                "compiles it rounds no products (LSTM, GRU and RNN have the others)"
            )
        return str(value)

    def _find_cell(self) -> Callable[[], CellSpec]:
        return partial(getattr, type(self), "_cell")  # by the class, whose name pickle finds


def _plain(function: Function) -> Function:
    """Return the Python function of one that Numba has compiled."""
    return cast(Function, getattr(function, "py_func", function))


def custom_cell(
    name: str,
    *,
    gates: Sequence[str],
    forward: Function,
    backward: Function,
    states: Sequence[str] = ("h",),
    keeps: Sequence[str] = (),
    params: Sequence[str] = (),
    split: Sequence[str] = (),
    late: Sequence[str] = (),
    mix: Function | None = None,
    mix_backward: Function | None = None,
    mix_keeps: Sequence[str] = (),
) -> type[CustomLayer]:
    """Return a layer class whose cell is given by functions of one unit.

    The names of the functions' arguments say what they take, in any order. They compute with
    numbers, `sigmoid`, `tanh`, `exp`, ``a if b else c``, `abs`, `min`, `max` and all else that
    Numba compiles; they raise nothing and also run as plain Python. Their constants have the
    precision of the layer. The first call of a layer compiles them and keeps the result on disk.

    Parameters
    ----------
    name : of the class; pickle needs a variable of that name.
    gates : names of the gates, in the order of the rows of weight_ih and weight_hh.
    forward : takes each gate (``W_ih x + b_ih + W_hh h + b_hh`` of the unit), each state before the
        step (the first is optional), and any of params and mix_keeps. Returns the new states, then
        what it keeps.
    backward : takes ``d<state>``, the gradients of the new states, and any of keeps, the states
        before (by name) and after the step (``<state>_next``), params and mix_keeps. Returns the
        gradient of each argument of forward, in that order.
    states : names of the states; the first is the output, which also meets weight_hh.
    keeps : names, for backward, of what forward returns after the states. They may be those of
        gates, which backward cannot take otherwise.
    params : names of learned numbers of each unit, such as the peephole weights of an LSTM.
    split : gates whose two products stay apart: instead of ``n`` forward takes ``n_x`` (W_ih x +
        b_ih) and ``n_h`` (W_hh h + b_hh), as for the candidate of a GRU.
    late : gates whose weight_hh is multiplied with the result of `mix` instead of h.
    mix : takes gates that are not late (forward does not take these), states and params; returns
        the input of the late gates' weight_hh, then mix_keeps.
    mix_backward : takes ``dmixed``; ``d<name>`` for a name of mix_keeps that forward takes; and
        mix_keeps, states and params. Returns the gradient of each argument of mix.
    mix_keeps : names of what mix returns after its result, for forward and both backwards.

    Raises
    ------
    ImportError
        If Numba is not installed.
    ValueError
        If a function takes or returns what it should not, or a name is used twice.
    """
    from fastlstm.kernels.numba.maths import Maths

    maths = Maths(
        name=name,
        gates=tuple(gates),
        states=tuple(states),
        forward=_plain(forward),
        backward=_plain(backward),
        keeps=tuple(keeps),
        params=tuple(params),
        split=tuple(split),
        late=tuple(late),
        mix=mix and _plain(mix),
        mix_backward=mix_backward and _plain(mix_backward),
        mix_keeps=tuple(mix_keeps),
    )
    body = {
        "__module__": sys._getframe(1).f_globals.get("__name__", "__main__"),
        "__doc__": f"The cell {name}, made by `fastlstm.custom_cell`.\n\n    "
        + (CustomLayer.__doc__ or "").partition("\n\n    ")[2],
        "_cell": maths,
    }
    return cast("type[CustomLayer]", type(name, (CustomLayer,), body))
