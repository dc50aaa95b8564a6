"""Recurrent layers of equal shape and options, run in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.many.batch import Batches, read_batches
from fastlstm.many.plan import Plan
from fastlstm.many.stream import ManyStream
from fastlstm.many.walk import Run, States, run_backward, run_forward
from fastlstm.nn.check import MOST_SIZE, check_flag, check_size, refuse_keywords
from fastlstm.nn.module import Array, Module, Tape
from fastlstm.nn.parameter import Parameter, check_finite
from fastlstm.nn.recurrent import FIXED, Recurrent
from fastlstm.nn.sequence import check_not_nan
from fastlstm.nn.state import read_states

# Options that may be changed at any time; in these and in those that are fixed, layers that run
# together are equal.
CHANGING = (*Recurrent.OPTIONS, "precision")
NOISE = [name for name, option in Recurrent.OPTIONS.items() if option.noise]
read_changing = attrgetter(*CHANGING)


class Together(Module):
    """M recurrent layers of equal shape and options as one module: see `together`.

    Letters: M models; T steps, N batch, I input_size, L num_layers, D directions (1 or 2), R the
    size of an output, as of `LSTM`.

    Every array has an axis of models in front; results and gradients are those of calls of each
    layer, to the bit. A model is wholly on one thread, and threads (`set_num_threads`) take the
    models in turns. Options are read and set as of one layer: ``models.precision = "bfloat16"``
    sets that of all.

    Attributes
    ----------
    models : M.
    """

    def __init__(self, layers: Iterable[Recurrent]) -> None:
        self._layers = list(layers)
        self._plan: Plan | None = None
        self._check_layers()

    @property
    def models(self) -> int:
        return len(self._layers)

    def __len__(self) -> int:
        return self.models

    def __getitem__(self, model: int) -> Recurrent:
        """Return the layer of a model."""
        return self._layers[self._number(model)]

    def _number(self, model: int) -> int:
        """Return the number 0 to M-1 of a model; TypeError or IndexError if there is none."""
        M = self.models
        if check_size("model", model, -(1 << 62)) not in range(-M, M):
            raise IndexError(f"model is {model}, expected {-M} to {M - 1}")
        return range(M)[model]

    def __getattr__(self, name: str) -> Any:
        if name in CHANGING or name in FIXED:
            return getattr(self._layers[0], name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CHANGING or name in FIXED:
            for layer in self._layers:
                setattr(layer, name, value)
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_plan": None}

    def extra_repr(self) -> str:
        """Return the layer that there are M of."""
        return f"{self._layers[0]!r}, models={self.models}"

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield ``("0.weight_ih_l0", parameter)`` and so on, layer by layer."""
        for m, layer in enumerate(self._layers):
            yield from layer.named_parameters(f"{prefix}{m}.")

    def __call__(
        self,
        x: Array,
        state: Any = None,
        lengths: ArrayLike | None = None,
        **unknown: NoReturn,
    ) -> tuple[Array, Any]:
        """Run over a batch for each model and keep nothing.

        Parameters
        ----------
        x : [M,T,N,I], with batch_first [M,N,T,I]; or [M,T,I], one row for each model without its
            batch axis, which all results then lack too. One batch for all is
            ``np.broadcast_to(x, (M, *x.shape))``, without a copy.
        state : h_0 [M,L*D,N,R], of an LSTM (h_0, c_0) with c_0 [M,L*D,N,H]; None for zeros.
        lengths : integers in 0..T, how many steps of each row are real: [M,N], or [N] of all
            models.

        Returns
        -------
        y : [M,T,N,D*R] (with batch_first [M,N,T,D*R]), zeros past each row's length.
        state : each row's state after its last step, shaped as above.

        Raises
        ------
        TypeError, ValueError
            If an argument or a layer's options do not fit, or a parameter holds NaN.
        """
        y, state_n, run = self._run(x, state, lengths, unknown, save=False)
        return run.batch.answer(y), self._answer(state_n, run.batch)

    def forward(
        self,
        x: Array,
        state: Any = None,
        lengths: ArrayLike | None = None,
        **unknown: NoReturn,
    ) -> tuple[Array, Any, Tape]:
        """Run to train: y and state as above, and the tape.

        The tape refers to x, y and the parameters: change none of them before `backward`.
        ValueError if the layers have dropout of any kind, or `precision` is "int8".
        """
        self._layers[0]._check_trains()
        for name in NOISE:
            if getattr(self, name):
                raise ValueError(
                    f"{name} is {getattr(self, name)}, expected 0: models in one call have no "
                    "dropout"
                )
        y, state_n, run = self._run(x, state, lengths, unknown, save=True)
        return run.batch.answer(y), self._answer(state_n, run.batch), Tape(self, run)

    def backward(
        self, tape: Tape, dy: Array | None, dstate: Any = None, *, needs_dx: bool = True
    ) -> tuple[Any, Any]:
        """Add to the gradient of each layer's parameters; return those of the inputs.

        Arguments, results and errors as of `LSTM.backward`, with an axis of models in front.
        """
        batch: Batches = self._look(tape)[0].batch
        d_out = batch.read_dy(dy, self._layers[0]._width)
        d_n = self._read("dstate", dstate, batch)
        needs_dx = check_flag("needs_dx", needs_dx)
        run: Run = self._take(tape)[0]
        dx, dstate_0 = run_backward(run, d_out, d_n, needs_dx)
        return None if dx is None else batch.answer(dx), self._answer(dstate_0, batch)

    def stream(self, batch_size: int = 1) -> ManyStream:
        """Return a runner of single steps of all models, the state inside: a `ManyStream`.

        Weights are copied. Errors as of `LSTM.stream`.
        """
        check_size("batch_size", batch_size, most=MOST_SIZE)
        if self.bidirectional:
            raise ValueError("bidirectional is True: a stream has no end to run back from")
        for name, parameter in self.named_parameters():
            check_finite(name, parameter.data)
        self._check_changing()
        return ManyStream([self[m].stream(batch_size) for m in range(self.models)])

    def _run(
        self, x: Any, state: Any, lengths: Any, unknown: dict[str, Any], *, save: bool
    ) -> tuple[Array, States, Run]:
        if unknown:
            refuse_keywords(self, unknown, self.__call__)
        plan = self._planned()
        batch = read_batches(x, lengths, self.models, plan.like)
        y, state_n, run = run_forward(plan, batch, self._read("state", state, batch), save)
        check_not_nan(self, state_n[0])
        return y, state_n, run

    def _read(self, name: str, given: Any, batch: Batches) -> States:
        """Return a state that a user gave, or zeros."""
        like, M, N = self._layers[0], self.models, batch.x.shape[2]
        K, sizes = len(like._suffixes), like._state_sizes()
        if given is None:
            return [np.zeros((M, K, N, size), like.dtype) for size in sizes]
        shapes = [(M, K, size) if batch.single else (M, K, N, size) for size in sizes]
        states = read_states(name, given, like._cell.states, shapes, like.dtype)
        return [s[:, :, None] for s in states] if batch.single else states

    def _answer(self, states: States, batch: Batches) -> Any:
        """Return states [M,K,N,...] as the caller expects them: those of an LSTM as a pair."""
        parts = tuple(batch.answer(s) for s in states)
        return parts if len(parts) > 1 else parts[0]

    def _planned(self) -> Plan:
        """Return the plan of the parameters as they are, and of the precision."""
        self._check_changing()
        used, plan = self._read_parameters(), self._plan
        if plan is None or not plan.serves(used):
            layers = [self[m] for m in range(self.models)]
            _check_own(layers)
            self._plan = plan = Plan(self._layers[0], layers, used)
        plan.check_rounds()
        return plan

    def _read_parameters(self) -> list[Parameter]:
        """Return the parameters as they are now."""
        return [vars(layer)[name] for layer in self._layers for name in self._names]

    def _check_changing(self) -> None:
        """Raise ValueError if the layers differ in an option."""
        if len(set(map(read_changing, self._layers))) > 1:
            _check_alike(self._layers, CHANGING)

    def _check_layers(self) -> None:
        """Raise TypeError or ValueError if the layers do not run together."""
        if not self._layers:
            raise ValueError("layers is empty, expected one recurrent layer at least")
        like = self._layers[0]
        for m, layer in enumerate(self._layers):
            if not isinstance(layer, Recurrent):
                raise TypeError(f"layers[{m}] is a {type(layer).__name__}, expected a recurrent "
                                "layer such as LSTM")  # fmt: skip
            if type(layer) is not type(like):
                raise TypeError(
                    f"layers[{m}] is a {type(layer).__name__}, expected {type(like).__name__} as "
                    "layers[0]"
                )
        _check_alike(self._layers, FIXED + CHANGING)
        if like.learn_state:
            raise ValueError("layers[0].learn_state is True, expected False: give the state")
        _check_own(self._layers)
        self._names = [name for name, _ in like.named_parameters()]


def together(layers: Iterable[Recurrent]) -> Together:
    """Return one module that runs recurrent layers of equal shape and options in one call.

    ::

        models = fl.together([fl.LSTM(8, 16, rng=seed) for seed in range(1000)])
        y, state, tape = models.forward(x)  # x [1000,T,N,8] -> y [1000,T,N,16]
        models.backward(tape, dy)  # adds to the gradients of each layer

    The layers stay what they are: their parameters are read and their gradients added to in place,
    without copies. `LSTM(..., models=M)` makes layers whose parameters lie in one array each.

    Parameters
    ----------
    layers : `LSTM`, `GRU`, `RNN` or others of one class, each once; see docs/many.md.

    Raises
    ------
    TypeError, ValueError
        If there is none, or they differ in their class, sizes or options, share a parameter or
        learn their initial state: the message names the layer and the option.
    """
    if isinstance(layers, Recurrent):
        raise TypeError(f"layers is a {type(layers).__name__}, expected several in a list")
    return Together(layers)


def _check_alike(layers: Sequence[Recurrent], names: Sequence[str]) -> None:
    """Raise ValueError if a layer differs from the first in an option."""
    for name in names:
        expected = getattr(layers[0], name, None)
        for m, layer in enumerate(layers):
            value = getattr(layer, name, None)
            if value != expected:
                raise ValueError(
                    f"layers[{m}].{name} is {value!r}, expected {expected!r}, that of layers[0]"
                )


def _check_own(layers: Sequence[Recurrent]) -> None:
    """Raise ValueError if two layers share a parameter: both would add to its gradient at once."""
    seen: dict[int, str] = {}
    for m, layer in enumerate(layers):
        for name, parameter in layer.named_parameters():
            where = f"layers[{m}].{name}"
            if id(parameter) in seen:
                raise ValueError(
                    f"{where} is {seen[id(parameter)]}, expected one of the layer's own"
                )
            seen[id(parameter)] = where
