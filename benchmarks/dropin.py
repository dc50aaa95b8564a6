"""The same module from `torch.nn` and from `fastlstm.torch`: cases, calls, and what must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from benchmarks.timing import measure

SIDES = ("fastlstm.torch", "torch.nn")


@dataclass(frozen=True)
class Case:
    """A module and what is done with it.

    Attributes
    ----------
    module, options : its class, the same in both packages, and how it is made.
    shape : B, T, I, H; T is 1 for a cell.
    trains : forward and backward, with gradients of input and weights; else `inference_mode`.
    packed : a PackedSequence of lengths uniform in 20..T.
    fixed : inside `fastlstm.torch.fixed_weights`, which torch.nn has nothing like.
    at_least : the ratio that is asked of two threads; 0 if none.
    """

    name: str
    module: str
    shape: tuple[int, int, int, int] = (64, 200, 128, 128)
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    trains: bool = True
    packed: bool = False
    fixed: bool = False
    at_least: float = 0.0


CELL = (1, 1, 128, 128)
CASES = {
    case.name: case
    for case in (
        Case("GRU", "GRU", at_least=2.0),
        Case("RNN", "RNN", at_least=1.5),
        Case("LSTM", "LSTM"),
        Case("LSTM proj_size=64", "LSTM", options={"proj_size": 64}, at_least=2.0),
        Case("LSTM float64", "LSTM", dtype="float64", at_least=2.0),
        Case("LSTM packed", "LSTM", packed=True, at_least=8.0),
        Case("GRU packed", "GRU", packed=True, at_least=5.0),
        Case(
            "LSTM two layers both directions", "LSTM",
            options={"num_layers": 2, "bidirectional": True}, at_least=1.6,
        ),
        Case("LSTMCell", "LSTMCell", CELL, trains=False, at_least=3.0),
        Case("LSTMCell fixed_weights", "LSTMCell", CELL, trains=False, fixed=True, at_least=3.0),
        Case("GRUCell", "GRUCell", CELL, trains=False),
        Case("GRUCell fixed_weights", "GRUCell", CELL, trains=False, fixed=True),
        Case("RNNCell", "RNNCell", CELL, trains=False),
        Case("LSTMCell trained", "LSTMCell", CELL),
    )
}  # fmt: skip


def setup(threads: int) -> None:
    """Give both libraries so many threads, and torch its best setting for denormals."""
    import torch

    import fastlstm

    fastlstm.set_num_threads(threads)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def _inputs(case: Case, dtype: Any) -> tuple[Any, ...]:
    """Return what the module is called with."""
    import torch

    B, T, I, H = case.shape
    if not case.module.endswith("Cell"):
        x = torch.randn(T, B, I, dtype=dtype)
        if not case.packed:
            return (x,)
        lengths = torch.randint(20, T + 1, (B,))
        return (torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False),)
    x, *state = torch.randn(B, I, dtype=dtype), *torch.randn(2, B, H, dtype=dtype)
    return (x, tuple(state)) if case.module == "LSTMCell" else (x, state[0])


@contextmanager
def call_of(side: str, case: Case) -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield a function that runs one side of a case and returns outputs and gradients."""
    import torch

    import fastlstm.torch

    torch.manual_seed(0)
    package = torch.nn if side == "torch.nn" else fastlstm.torch
    dtype = getattr(torch, case.dtype)
    module = getattr(package, case.module)(*case.shape[2:], **case.options, dtype=dtype)
    x, *more = _inputs(case, dtype)
    leaf = (x.data if case.packed else x).requires_grad_(case.trains)
    given = (x._replace(data=leaf) if case.packed else leaf, *more)
    with torch.no_grad():
        dy = torch.randn_like(_first(module(*given)))

    def inference() -> dict[str, Any]:
        return {"y": _first(module(*given))}

    def training() -> dict[str, Any]:
        leaf.grad = None
        module.zero_grad()
        y = _first(module(*given))
        y.backward(dy)
        weights = {name: p.grad for name, p in module.named_parameters()}
        return {"y": y.detach(), "dx": leaf.grad, **weights}

    fixes = case.fixed and side != "torch.nn"
    with (
        nullcontext() if case.trains else torch.inference_mode(),
        fastlstm.torch.fixed_weights(module) if fixes else nullcontext(),
    ):
        yield training if case.trains else inference


def _first(value: Any) -> Any:
    """Return the output alone where a module returns it with the states, or packed."""
    while isinstance(value, tuple):
        value = value[0]
    return value


def check(name: str, threads: int) -> float:
    """Return the largest difference of the sides relative to each array's scale.

    Raises
    ------
    RuntimeError
        If it is not what rounding explains.
    """
    case, found = CASES[name], {}
    setup(threads)
    for side in SIDES:
        with call_of(side, case) as call:
            found[side] = call()
    worst = 0.0
    for key, expected in found["torch.nn"].items():
        error = float((found["fastlstm.torch"][key] - expected).abs().max() / expected.abs().max())
        limit = (1e-5 if key == "y" else 1e-4) if case.dtype == "float32" else 1e-10
        if not error < limit:
            raise RuntimeError(f"{key} of {name} differs by {error:.1e}: not timed")
        worst = max(worst, error)
    return float(f"{worst:.1e}")


def time_side(side: str, name: str, threads: int, seconds: float) -> list[float]:
    """Return seconds of a call of one side, one number a sample."""
    setup(threads)
    with call_of(side, CASES[name]) as call:
        return measure(call, seconds).samples
