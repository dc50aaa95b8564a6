"""The maths of a cell: functions of one unit, and where each of their numbers lies in memory.

The time loop knows no cell. For each row it has addresses of the gates' products, of the states
before and after the step and so on (`SOURCES`); a function's arguments and results are places
in them. The row of a step is cut into slots of H numbers:

    late gates | split gates' x | other gates | split gates' h | mix keeps | overflow

The product with the input covers the first three kinds, that with h the third and fourth, that
with what `mix` returns the first. What `forward` keeps lies over them, and the gradients of all
of them and of the parameters come in place of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.spec import CellSpec

Function = Callable[..., Any]
Place = tuple[int, int]  # source, slot

# Rows that arguments and results lie in; then for each state after h: before, after, gradient.
SOURCES = ("z", "h", "h_next", "params", "mixed", "dh", "dmixed", "dkept", "dmix")
Z, H, H_NEXT, PARAMS, MIXED, DH, DMIXED, DKEPT, DMIX = range(len(SOURCES))
BEFORE, AFTER, GRADIENT = range(3)


def state_source(state: int, which: int) -> int:
    """Return the source of a state after h; `state` counts from 1."""
    return len(SOURCES) + 3 * (state - 1) + which


@dataclass(frozen=True, kw_only=True, eq=False)
class Maths(CellSpec):
    """A cell with its functions; see `fastlstm.custom_cell`, which has the same arguments."""

    forward: Function
    backward: Function
    keeps: tuple[str, ...] = ()
    mix: Function | None = None
    mix_backward: Function | None = None
    mix_keeps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_names()
        for name in (*self.split, *self.late):
            if name not in self.gates:
                raise ValueError(f"{name!r} is no gate, expected one of {', '.join(self.gates)}")
        both = set(self.split) & set(self.late)
        if both:
            raise ValueError(f"gate {both.pop()!r} is in split and in late, expected one of them")
        if bool(self.late) != (self.mix is not None) or bool(self.mix) != bool(self.mix_backward):
            raise ValueError("late, mix and mix_backward: expected all three or none")
        if self.mix_keeps and self.mix is None:
            raise ValueError(f"mix_keeps is {self.mix_keeps}, expected () without mix")
        self._check_taken()
        self._check_results()

    @cached_property
    def others(self) -> tuple[str, ...]:
        """Gates that are neither split nor late."""
        return tuple(g for g in self.gates if g not in self.split + self.late)

    @cached_property
    def x_gates(self) -> tuple[str, ...]:
        """Gates in the order of the product with the input."""
        return self.late + self.split + self.others

    @cached_property
    def h_gates(self) -> tuple[str, ...]:
        """Gates in the order of the product with h; its first slot is `h_slot`."""
        return self.others + self.split

    @cached_property
    def h_slot(self) -> int:
        return len(self.late) + len(self.split)

    @cached_property
    def products(self) -> int:
        """Slots that products fill."""
        return len(self.gates) + len(self.split)

    @cached_property
    def bias_slots(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slots that each gate's b_ih goes to, and its b_hh, in the order of the gates."""
        x = {gate: slot for slot, gate in enumerate(self.x_gates)}
        h = {gate: self.h_slot + slot for slot, gate in enumerate(self.h_gates)}
        h |= {gate: x[gate] for gate in self.late}
        of_x, of_h = (np.array([slots[gate] for gate in self.gates]) for slots in (x, h))
        return of_x, of_h

    @cached_property
    def first_param(self) -> int:
        """Slot of the first parameter's gradient."""
        return self.products + len(self.mix_keeps)

    @cached_property
    def slots(self) -> int:
        """Slots of a row."""
        return self.first_param + max(len(self.keeps) - self.products, len(self.params), 0)

    @cached_property
    def takes_h(self) -> bool:
        """Whether forward takes the first state, the output, by itself."""
        return self.states[0] in arguments(self.forward)

    @cached_property
    def _products(self) -> dict[str, Place]:
        names = [*self.late, *(f"{g}_x" for g in self.split), *self.others]
        names += [f"{g}_h" for g in self.split]
        return {name: (Z, slot) for slot, name in enumerate(names)}

    @cached_property
    def _before(self) -> dict[str, Place]:
        """States before the step, and parameters."""
        places = {self.states[0]: (H, 0)}
        for i, name in enumerate(self.states[1:], 1):
            places[name] = (state_source(i, BEFORE), 0)
        places.update((name, (PARAMS, k)) for k, name in enumerate(self.params))
        return places

    @cached_property
    def _after(self) -> dict[str, Place]:
        places = {f"{self.states[0]}_next": (H_NEXT, 0)}
        for i, name in enumerate(self.states[1:], 1):
            places[f"{name}_next"] = (state_source(i, AFTER), 0)
        return places

    @cached_property
    def _mix_kept(self) -> dict[str, Place]:
        return {name: (Z, self.products + k) for k, name in enumerate(self.mix_keeps)}

    @cached_property
    def _kept(self) -> dict[str, Place]:
        over = len(self.mix_keeps)
        slots = (k if k < self.products else k + over for k in range(len(self.keeps)))
        return {name: (Z, slot) for name, slot in zip(self.keeps, slots, strict=True)}

    @property
    def kept(self) -> dict[str, Place]:
        """What forward and mix keep of a step."""
        return {**self._mix_kept, **self._kept}

    @property
    def inside(self) -> tuple[str, ...]:
        """All that its functions keep, under the names it gave, and the states without h."""
        return (*self.kept, *self.states[1:])

    @cached_property
    def _gradients(self) -> dict[str, Place]:
        """Gradients of what forward takes, by the name of the argument."""
        places = dict(self._products)
        places[self.states[0]] = (DH, 0)
        for i, name in enumerate(self.states[1:], 1):
            places[name] = (state_source(i, GRADIENT), 0)
        places.update((name, (DKEPT, k)) for k, name in enumerate(self.mix_keeps))
        places.update((name, (Z, self.first_param + k)) for k, name in enumerate(self.params))
        return places

    @cached_property
    def forward_ins(self) -> list[Place]:
        known = {**self._products, **self._before, **self._mix_kept}
        return _places(self.forward, known)

    @cached_property
    def mix_ins(self) -> list[Place]:
        return _places(self.mix, {**self._products, **self._before}) if self.mix else []

    @cached_property
    def mix_state_names(self) -> list[str]:
        """States that mix takes: their gradients are added to those of forward."""
        return [n for n in arguments(self.mix) if n in self.states] if self.mix else []

    @cached_property
    def tables(self) -> tuple[NDArray[np.int64], ...]:
        """Places [n, 2]: ins and outs of forward, mix, backward, mix_backward in this order; then
        the sources [n] of the gradients that those of mix's states are added to.

        They are made with the cell, before there are threads to make them twice: compiled code
        keeps their addresses.
        """
        d_states = {f"d{n}": self._gradients[n] for n in self.states}
        backward = {**self._before, **self._after, **self._mix_kept, **d_states, **self._kept}
        tables = [
            self.forward_ins,
            [*self._after.values(), *self._kept.values()],
            self.mix_ins,
            [(MIXED, 0), *self._mix_kept.values()],
            _places(self.backward, backward),
            [self._gradients[name] for name in arguments(self.forward)],
            *self._mix_backward_tables(),
        ]
        arrays = [np.array(places, np.int64).reshape(-1, 2) for places in tables]
        gradient_of = {name: state_source(i, GRADIENT) for i, name in enumerate(self.states)}
        gradient_of[self.states[0]] = DH
        return *arrays, np.array([gradient_of[n] for n in self.mix_state_names], np.int64)

    def _mix_backward_tables(self) -> tuple[list[Place], list[Place]]:
        if self.mix is None or self.mix_backward is None:
            return [], []
        known = {**self._before, **self._mix_kept, "dmixed": (DMIXED, 0)}
        known.update((f"d{n}", (DKEPT, k)) for k, n in enumerate(self.mix_keeps))
        # A gate may give its name to what mix keeps of it: here it is the gate.
        outs = {**self._gradients, **self._products}
        outs.update((n, (DMIX, k)) for k, n in enumerate(self.mix_state_names))
        return _places(self.mix_backward, known), [outs[n] for n in arguments(self.mix)]

    def _check_names(self) -> None:
        if not self.gates or not self.states:
            raise ValueError(f"gates is {self.gates}, states {self.states}: expected one at least")
        for names in (self.gates + self.states + self.params, self.keeps, self.mix_keeps):
            for name in names:
                if not name.isidentifier():
                    raise ValueError(f"{name!r}: expected a name that an argument can have")
                if names.count(name) > 1:
                    raise ValueError(f"{name!r} is the name of two things, expected one")

    def _check_results(self) -> None:
        """Every function takes names that exist and returns as many numbers as it must."""
        ins, _, mix_ins = self.tables[:3]
        _check_results(self.forward, len(self.states) + len(self.keeps), "states, then keeps")
        _check_results(self.backward, len(ins), "one for each argument of forward")
        if self.mix is not None and self.mix_backward is not None:
            _check_results(self.mix, 1 + len(self.mix_keeps), "what is mixed, then mix_keeps")
            _check_results(self.mix_backward, len(mix_ins), "one for each argument of mix")

    def _check_taken(self) -> None:
        """Every product, state and parameter is taken, products and parameters only once."""
        first = arguments(self.mix) if self.mix else []
        second = [name for name in arguments(self.forward) if name not in self.mix_keeps]
        for name in self._products:
            late = name in self.late or name not in self.gates
            if (name in first) + (name in second) != 1 or (late and name in first):
                where = "forward" if late or self.mix is None else "one of mix and forward"
                raise ValueError(f"gate {name!r} of {self.name}: expected an argument of {where}")
        for name in self.params:
            if (name in first) + (name in second) != 1:
                raise ValueError(
                    f"parameter {name!r} of {self.name}: expected one function with it"
                )
        for name in self.states[1:]:
            if name not in second:
                raise ValueError(f"state {name!r} of {self.name}: expected an argument of forward")


def arguments(function: Function) -> list[str]:
    """Return the names of a function's arguments."""
    return list(inspect.signature(function).parameters)


def _places(function: Function, known: dict[str, Place]) -> list[Place]:
    for name in arguments(function):
        if name not in known:
            raise ValueError(
                f"{function.__name__} has an argument {name!r}, expected any of {', '.join(known)}"
            )
    return [known[name] for name in arguments(function)]


def _check_results(function: Function, count: int, what: str) -> None:
    """Run a function in Python to see how many numbers it returns."""
    result = function(*(np.float64(0.5) for _ in arguments(function)))
    results: Sequence[Any] = result if isinstance(result, tuple) else (result,)
    if len(results) != count:
        raise ValueError(
            f"{function.__name__} returns {count_of(len(results), 'number')}, expected {count}: "
            f"{what}"
        )
