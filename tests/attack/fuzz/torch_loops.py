"""Loops of cells whose steps share weights, in graphs of any shape, beside torch's own cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from together import at_once

import fastlstm.torch as ft
from attack.fuzz import torch_calls
from attack.fuzz.draw import Rng, chance, pick
from attack.fuzz.torch_draw import CELLS, dtype_of

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
ROWS = (1, 1, 2, 3, 5, 8, 33, 64, 65, 100)
WIDTHS = (1, 2, 3, 5, 7, 8, 9, 16, 17)


class Loop:
    """Cells of one kind and width, the h of all steps so far, and the losses and gradients of them.

    All is drawn from a generator of its own, so that two of them on the same seed do the same.
    """

    def __init__(self, cells: list[Any], seed: int, rows: int) -> None:
        self.cells, self.rng, self.rows = cells, np.random.default_rng(seed), rows
        self.dtype, self.found = dtype_of(cells[0]), {}
        self.pairs = isinstance(cells[0], torch.nn.LSTMCell)
        self.inputs = [self._leaf() for _ in range(3)]
        self.starts = [self._start() for _ in range(2)]
        self.states: list[Any] = list(self.starts)
        self.hs: list[Any] = []
        self.frozen = False

    def _leaf(self) -> Any:
        shape = self.rows, self.cells[0].hidden_size
        values = torch.from_numpy(self.rng.standard_normal(shape)).to(self.dtype)
        return values.requires_grad_(not chance(self.rng, 4))

    def _start(self) -> Any:
        if chance(self.rng, 6):
            return None
        return (self._leaf(), self._leaf()) if self.pairs else self._leaf()

    @property
    def parameters(self) -> list[Any]:
        """Each once: cells may share some."""
        return list({id(p): p for cell in self.cells for p in cell.parameters()}.values())

    def step(self) -> None:
        """One more, from the last state mostly, of an input or of what a step has made."""
        rng = self.rng
        cell, state = pick(rng, self.cells), self.states[-1]
        if chance(rng, 5):
            state = pick(rng, self.states)
        if chance(rng, 8):
            state = self._apart(state)
        x = pick(rng, self.inputs if chance(rng, 2) or not self.hs else self.hs)
        state = cell(x, state)
        self.states.append(state)
        self.hs += list(state) if self.pairs else [state]

    def _apart(self, state: Any) -> Any:
        """A state that is cut off, or went through an operation of torch's."""
        how = pick(self.rng, (torch.Tensor.detach, torch.Tensor.clone, lambda t: t * 0.5))
        if state is None:
            return None
        return tuple(how(t) for t in state) if self.pairs else how(state)

    def freeze(self) -> None:
        """Let a weight want a gradient, or no longer."""
        parameter = pick(self.rng, self.parameters)
        parameter.requires_grad_(not parameter.requires_grad)
        self.frozen = True

    def learn(self) -> None:
        """Change the weights as an optimizer does, and begin anew."""
        with torch.no_grad():
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.clamp(-1, 1), alpha=0.1)
                    parameter.grad = None
        self.states, self.hs, self.frozen = list(self.starts), [], False

    def loss(self) -> Any:
        """Some of what was made, weighted; None if no gradient reaches it."""
        rng = self.rng
        chosen = [h for h in self.hs if chance(rng, 2)] or self.hs[-1:]
        weights = rng.standard_normal(len(chosen))
        parts = [w * (h * h).sum() for w, h in zip(weights, chosen, strict=True)]
        total = sum(parts) if parts else torch.zeros(())
        return total if total.requires_grad else None

    def backward(self) -> None:
        if (total := self.loss()) is not None:
            total.backward(retain_graph=True)

    def _wanted(self) -> list[Any]:
        leaves = [*self.inputs, *self.parameters]
        leaves += [t for s in self.starts if s is not None for t in (s if self.pairs else (s,))]
        wanted = [t for t in leaves if t.requires_grad and not chance(self.rng, 3)]
        # No c: torch's CPU cell makes h of it, ours both at once, as torch's fused cells do.
        hs = self.hs[:: 2 if self.pairs else 1]
        middle = [h for h in hs if h.requires_grad and chance(self.rng, 4)]
        return wanted + middle

    def some(self) -> None:
        """Gradients of a part of the graph."""
        total = self.loss()
        if total is None or not (wanted := self._wanted()):
            return
        found = torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True)
        self._note("some", found)

    def twice(self) -> None:
        """Gradients of gradients.

        Not of a weight that was frozen, or is no longer, since a step: torch's own operations ask
        it again when they go back.
        """
        total = self.loss()
        if total is None or not (wanted := self._wanted()):
            return
        first = torch.autograd.grad(total, wanted, create_graph=True, allow_unused=True)
        squares = [(g * g).sum() for g in first if g is not None and g.requires_grad]
        if squares and not self.frozen:
            sum(squares).backward(retain_graph=True)  # type: ignore[union-attr]
        self._note("first", first)

    def threads(self) -> None:
        """Two passes through one graph at a time."""
        total = self.loss()
        if total is None or not (wanted := self._wanted()):
            return

        def one(_: int) -> Any:
            return torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True)

        first, second = at_once(2, one)
        for a, b in zip(first, second, strict=True):
            assert (a is None) == (b is None), "one thread has a gradient, the other has none"
            assert a is None or torch.equal(a, b), "two threads found other gradients"
        self._note("threads", first)

    def _note(self, name: str, found: Any) -> None:
        for k, value in enumerate(found):
            self.found[f"d {len(self.found)} {name}[{k}]"] = value

    def results(self) -> dict[str, Any]:
        found = {f"y{k}": h.detach() for k, h in enumerate(self.hs)}
        leaves = [*self.inputs, *self.parameters]
        found |= {f"d{k}": t.grad for k, t in enumerate(leaves)}
        return found | self.found


def cells(rng: Rng) -> tuple[list[Any], list[Any]]:
    """Ours and torch's, one to three of a kind, some of whose weights are the same ones."""
    name, H, count = pick(rng, CELLS), int(pick(rng, WIDTHS)), int(pick(rng, (1, 1, 2, 3)))
    options: dict[str, Any] = {"bias": not chance(rng, 4)}
    if name == "RNNCell":
        options["nonlinearity"] = pick(rng, ("tanh", "relu"))
    relu = options.get("nonlinearity") == "relu"
    options["dtype"] = torch.float64 if relu or not chance(rng, 4) else torch.float32
    torch.manual_seed(int(rng.integers(1 << 30)))
    found = []
    for module in (ft, torch.nn):
        found.append([getattr(module, name)(H, H, **options) for _ in range(count)])
    ours, theirs = found
    for one, other in zip(ours, theirs, strict=True):
        other.load_state_dict(one.state_dict())
    shared = [n for n in NAMES if options["bias"] or "bias" not in n]
    if count > 1 and chance(rng, 2):
        for name in [n for n in shared if chance(rng, 2)]:
            for side in found:
                setattr(side[1], name, getattr(side[0], name))
    return ours, theirs


def graphs(rng: Rng) -> None:
    """Steps, passes and changes in any order: values and gradients are torch's."""
    sides, seed, rows = cells(rng), int(rng.integers(1 << 30)), int(pick(rng, ROWS))
    loops = [Loop(side, seed, rows) for side in sides]
    names = ["step"] * 12 + ["backward", "backward", "some", "some", "twice", "freeze"]
    if loops[0].dtype == torch.float64:  # or weights that were rounded differently go on with it
        names += ["learn", "learn"]
    plan = ["step"] * 3 + [pick(rng, names) for _ in range(int(rng.integers(4, 30)))]
    if chance(rng, 4):
        plan.append("threads")
    plan.append("backward")
    for loop in loops:
        for name in plan:
            getattr(loop, name)()
    ours, theirs = (loop.results() for loop in loops)
    torch_calls.same(ours, theirs, loops[0].dtype)


def freed(rng: Rng) -> None:
    """A graph gone through once and given back: an error where torch has one."""
    sides, seed, rows = cells(rng), int(rng.integers(1 << 30)), int(pick(rng, ROWS))
    told = []
    for side in sides:
        loop = Loop(side, seed, rows)
        for _ in range(5):
            loop.step()
        first, second = loop.loss(), loop.loss()
        if first is None or second is None:
            return
        first.backward()
        try:
            second.backward()
            told.append("")
        except RuntimeError as error:
            told.append(str(error))
    ours, theirs = told
    assert bool(ours) == bool(theirs), f"a graph given back: {ours!r}, torch's {theirs!r}"
    assert not ours or "second time" in ours, ours
