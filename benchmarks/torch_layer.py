"""torch's side of the recurrent layers, written as its users would: one function a mode, as in
`fastlstm_layer.py`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.problem import Array, Arrays
from benchmarks.shapes import Case
from benchmarks.sides import Results, Side, learning


def setup(threads: int) -> None:
    """Use `threads` threads; flush denormals, without which vanishing gradients cost torch 3x."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def versions() -> dict[str, Any]:
    """Return what is in use: version and instruction set."""
    return {"version": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability()}


def infer(case: Case, a: Arrays) -> Side:
    """Whole sequences."""
    model, x = layer(case, a), tensor(case, a["x"])

    @torch.inference_mode()
    def run() -> tuple[Tensor, Any]:
        return model(x)  # type: ignore[no-any-return]

    def results() -> Results:
        y, state = run()
        return Results(arrays(y=y, **named(state)), {})

    return Side(run, results, exchanged(case, model))


def train(case: Case, a: Arrays) -> Side:
    """Forward and backward."""
    model, x, dy = layer(case, a), tensor(case, a["x"]), tensor(case, a["dy"])

    def run() -> tuple[Tensor, Any, Tensor]:
        leaf = x.detach().requires_grad_()
        y, state = model(leaf)
        y.backward(dy)
        return y, state, leaf

    def results() -> Results:
        y, state, leaf = run()
        return Results(arrays(y=y, **named(state)), {**arrays(dx=leaf.grad), **gradients(model)})

    return Side(learning(run, model), results, exchanged(case, model))


def ragged(case: Case, a: Arrays) -> Side:
    """The same over rows of different lengths, as a PackedSequence."""
    model, x, lengths = layer(case, a), tensor(case, a["x"]), torch.from_numpy(a["lengths"])
    pack: dict[str, Any] = {"lengths": lengths, "batch_first": True, "enforce_sorted": False}
    dy = pack_padded_sequence(tensor(case, a["dy"]), **pack).data

    def run() -> tuple[Any, ...]:
        leaf = x.detach().requires_grad_()
        y, state = model(pack_padded_sequence(leaf, **pack))
        y.data.backward(dy)
        return y, state, leaf

    def results() -> Results:
        packed, state, leaf = run()
        y, _ = pad_packed_sequence(packed, batch_first=True, total_length=case.T)
        return Results(arrays(y=y, **named(state)), {**arrays(dx=leaf.grad), **gradients(model)})

    return Side(learning(run, model), results, exchanged(case, model))


def step(case: Case, a: Arrays) -> Side:
    """One step of the layer, the state carried by hand."""
    model, x = layer(case, a), tensor(case, a["x"])[:, :, None]
    state: Any = None

    @torch.inference_mode()
    def call() -> None:
        nonlocal state
        _, state = model(x[0], state)

    @torch.inference_mode()
    def results() -> Results:
        outputs, carried = [], None
        for x_t in x:
            y, carried = model(x_t, carried)
            outputs.append(y[:, 0])
        return Results(arrays(y=torch.stack(outputs)), {})

    return Side(call, results, exchanged(case, model))


def layer(case: Case, a: Arrays) -> nn.Module:
    """Return the layer of a case, weights loaded; torch warns that projections are slow.

    In bfloat16 the whole module is, its fastest form; in int8 it is what `quantize_dynamic` makes.
    """
    warnings.filterwarnings("ignore", "LSTM with projections")
    model: nn.Module = getattr(nn, case.cell)(
        case.I,
        case.H,
        case.layers,
        batch_first=True,
        bidirectional=case.bidirectional,
        dtype=getattr(torch, case.dtype),
        **({"proj_size": case.proj} if case.proj else {}),
    )
    load(model, a["weights"])
    if case.precision == "bfloat16":
        return model.bfloat16()
    if case.precision == "int8":
        warnings.filterwarnings("ignore", ".*quantize", UserWarning)  # that it is to be removed
        warnings.filterwarnings("ignore", ".*quantization", DeprecationWarning)
        whole = nn.Sequential(model)
        quantize = torch.ao.quantization.quantize_dynamic
        return quantize(whole, {type(model)}, dtype=torch.qint8)[0]  # type: ignore[no-any-return]
    return model


def tensor(case: Case, value: Array) -> Tensor:
    """Return an array as the layer of a case takes it."""
    found = torch.from_numpy(value)
    return found.bfloat16() if case.precision == "bfloat16" else found


def exchanged(case: Case, model: nn.Module) -> nn.Module | None:
    """Return the model if its weights, not rounded, are to go to the other side and back."""
    return model if case.precision == "float32" else None


def named(state: Any) -> dict[str, Tensor]:
    """Return the last states by name: the LSTM's pair, or h alone."""
    parts = state if isinstance(state, tuple) else (state,)
    return dict(zip(("h_n", "c_n"), parts, strict=False))


def load(model: nn.Module, weights: Arrays) -> None:
    """Load a state_dict of arrays."""
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})


def arrays(**tensors: Tensor | None) -> dict[str, Array]:
    """Return the tensors as arrays; a gradient that is not there as one that fits nothing."""
    return {
        name: np.empty(0) if tensor is None else _array(tensor.detach())
        for name, tensor in tensors.items()
    }


def _array(tensor: Tensor) -> Array:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()


def gradients(model: nn.Module) -> dict[str, Array]:
    """Return copies of all gradients and forget them in the model."""
    found = {"d_" + name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    return arrays(**found)
