"""The compiled step of torch's cells, called without the checks that stand before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from attack.fuzz.draw import Rng, chance, pick
from attack.fuzz.hostile import anything, attempt
from attack.fuzz.torch_hostile import damaged
from fastlstm.torch import step as short

ROWS = (1, 2, 3, 8, 64, 65, 300, 1024, 1025)
CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
THREADS = (1, 2, 3, 0, -1, 2**31 - 1)


class Given:
    """A compiled step, and tensors that fit it."""

    def __init__(self, rng: Rng, cell: str, layers: int, dtype: Any) -> None:
        self.step: Any = short.compiled_step(cell, layers)
        self.states, self.layers = 2 if cell == "lstm" else 1, layers
        gates = {"lstm": 4, "gru": 3}.get(cell, 1)
        N, I, H = (int(pick(rng, sizes)) for sizes in (ROWS, (1, 3, 8), (1, 2, 7, 16)))
        bias, K = not chance(rng, 3), max(1, layers)

        def draw(*shape: int) -> Any:
            return torch.randn(shape, dtype=dtype)

        rows: list[Any] = [draw(1, N, I) if layers else draw(N, I)]
        rows += [draw(K, N, H) if layers else draw(N, H) for _ in range(self.states)]
        for k in range(K):
            rows += [draw(gates * H, H if k else I), draw(gates * H, H)]
            rows += [draw(gates * H) if bias else None for _ in range(2)]
        self.tensors = tuple(rows)

    @property
    def dstate(self) -> tuple[Any, ...]:
        return tuple(torch.randn_like(t) for t in self.tensors[1 : 1 + self.states])


def draw(rng: Rng, layers: int = 0) -> Given:
    torch.manual_seed(int(rng.integers(1 << 30)))
    return Given(rng, pick(rng, CELLS), layers, pick(rng, (torch.float32, torch.float64)))


class Claiming(torch.Tensor):
    """A tensor that says what is wanted of it, whatever its memory is."""

    claimed = torch.Size()

    @property
    def shape(self) -> Any:  # type: ignore[override]
        return self.claimed


def claiming(like: Any) -> Any:
    made = like.reshape(-1)[:1].clone().as_subclass(Claiming)
    made.claimed = like.shape
    return made


def spoilt(rng: Rng, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same with one that does not fit, or with one more or less."""
    at, how = int(rng.integers(len(tensors))), int(rng.integers(10))
    if how == 0:
        return tensors[:at]
    if how == 1:
        return (*tensors, tensors[at])
    if how == 2 and tensors[at] is not None:
        return (*tensors[:at], claiming(tensors[at]), *tensors[at + 1 :])
    return (*tensors[:at], damaged(rng, tensors[at]), *tensors[at + 1 :])


def forward(rng: Rng) -> None:
    """A step, of a cell or of layers, of tensors that do not fit: None, or an error."""
    given = draw(rng, pick(rng, (0, 0, 1, 2, 3, 8, 9)))
    bad = spoilt(rng, given.tensors)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: given.step(bad, pick(rng, THREADS)),
        lambda: given.step.read_all(bad),
        lambda: given.step.save(bad, pick(rng, THREADS)),
        lambda: given.step.wants_gradient(bad),
        lambda: given.step.of_leaves(bad),
        lambda: given.step.tensors(pick(rng, ({}, anything(rng))), True, bad[0], bad[1:]),
        lambda: _packed(rng, given, bad),
    )
    attempt(pick(rng, calls), ())


def _packed(rng: Rng, given: Given, bad: tuple[Any, ...]) -> Any:
    """Weights of one step beside the rows of another."""
    first = 1 + given.states
    held = given.step.pack(pick(rng, (bad[first:], given.tensors[first:])))
    if held is None:
        return None
    held.changed(bad)
    other = pick(rng, (given, draw(rng, given.layers)))
    return other.step.packed_step(pick(rng, (bad, other.tensors)), held, pick(rng, THREADS))


def backward(rng: Rng) -> None:
    """Backward of what was saved, with tensors, gradients and sums that are not that step's."""
    given = draw(rng)
    other = pick(rng, (given, draw(rng)))
    saved = attempt(lambda: given.step.save(given.tensors, 1), ())
    if saved is None:
        return
    kept, threads = saved[1], pick(rng, THREADS)
    sums = attempt(lambda: other.step.gather(other.tensors[-4:]), ())
    for _ in range(int(rng.integers(1, 6))):
        tensors, dstate = given.tensors, given.dstate
        if chance(rng, 4):
            tensors = pick(rng, (spoilt(rng, tensors), other.tensors))
        if chance(rng, 3):
            dstate = pick(rng, (spoilt(rng, dstate), other.dstate, (None, None), ()))
        if chance(rng, 4):
            kept = pick(rng, (other.step.read_all(other.tensors), kept, None, anything(rng)))
        given_sums = pick(rng, (sums, sums, None, anything(rng)))
        if chance(rng, 3):
            call = lambda t=tensors, d=dstate, k=kept: given.step.backward(k, t, d, True, threads)  # noqa: E731
        else:
            call = lambda t=tensors, d=dstate, k=kept, s=given_sums: (  # noqa: E731
                given.step.backward_rows(k, t, d, chance(rng, 2), s, threads)
            )
        attempt(call, ())
        kept = given.step.save(given.tensors, 1)[1]
    if sums is not None:
        attempt(lambda: sums.finish(threads), ())
    attempt(lambda: given.step.gather(spoilt(rng, given.tensors[-4:])), ())


def summed(rng: Rng) -> None:
    """The sums over some steps are those of the steps' own gradients."""
    given = draw(rng)
    w, rows = 1 + given.states, len(given.tensors[0])
    sums = given.step.gather(given.tensors[w:])
    expected: list[Any] = [None if t is None else torch.zeros_like(t) for t in given.tensors[w:]]
    if rows > 64:  # as many as are saved for a backward pass
        return
    for _ in range(int(rng.integers(1, 12))):
        x = torch.randn_like(given.tensors[0])
        tensors, dstate = (x, *given.tensors[1:]), given.dstate
        kept = [given.step.save(tensors, 1)[1] for _ in range(2)]
        found = given.step.backward(kept[0], tensors, dstate, True, 1)
        for total, value in zip(expected, found[w:], strict=True):
            if total is not None:
                total += value
        own = given.step.backward_rows(kept[1], tensors, dstate, True, sums, 1)
        for one, same in zip(own, found, strict=False):
            assert torch.equal(one, same), "gradients of rows"
    limit = 1e-4 if given.tensors[0].dtype == torch.float32 else 1e-10
    for total, value in zip(expected, sums.finish(1), strict=True):
        if total is not None:
            error = float((total - value).abs().max() / total.abs().max().clamp(min=1e-1))
            assert error <= limit, f"sum of gradients: error {error:.1e} of its scale"
