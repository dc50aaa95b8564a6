"""fastlstm's side of the recurrent layers: one function a mode, as in `torch_layer.py`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import fastlstm as fl
from benchmarks.problem import Array, Arrays
from benchmarks.shapes import Case
from benchmarks.sides import Results, Side
from fastlstm import nn


def setup(threads: int) -> None:
    """Use `threads` threads.

    Raises
    ------
    RuntimeError
        If the compiled kernels are missing and nobody asked for the reference by
        FASTLSTM_BACKEND=reference: its times would mean nothing.
    """
    fl.set_num_threads(threads)
    backend = fl.runtime_info()["backend"]
    if backend != os.environ.get("FASTLSTM_BACKEND", "native"):
        raise RuntimeError(
            f"fastlstm runs on its {backend} backend, expected native: "
            "pip install . in the clone, with a C compiler"
        )


def versions() -> dict[str, Any]:
    """Return what is in use: version, backend, instruction set, NumPy's BLAS."""
    info = fl.runtime_info()
    return {name: info[name] for name in ("version", "backend", "isa", "numpy", "blas")}


def infer(case: Case, a: Arrays) -> Side:
    """Whole sequences."""
    model = layer(case, a)

    def results() -> Results:
        y, state = model(a["x"])
        return Results({"y": y, **named(state)}, {})

    return Side(lambda: model(a["x"]), results, model)


def train(case: Case, a: Arrays) -> Side:
    """Forward and backward."""
    return _train(case, a, None)


def ragged(case: Case, a: Arrays) -> Side:
    """The same over rows of different lengths."""
    return _train(case, a, a["lengths"])


def _train(case: Case, a: Arrays, lengths: Array | None) -> Side:
    model = layer(case, a)

    def call() -> None:
        _, _, tape = model.forward(a["x"], lengths=lengths)
        model.backward(tape, a["dy"])
        model.zero_grad()

    def results() -> Results:
        y, state, tape = model.forward(a["x"], lengths=lengths)
        dx, _ = model.backward(tape, a["dy"])
        return Results({"y": y, **named(state)}, {"dx": dx, **gradients(model)})

    return Side(call, results, model)


def step(case: Case, a: Arrays) -> Side:
    """One step, the state kept inside a stream."""
    model = layer(case, a)
    run, x = model.stream(case.B), a["x"][0]

    def results() -> Results:
        fresh = model.stream(case.B)
        return Results({"y": np.stack([fresh(x_t).copy() for x_t in a["x"]])}, {})

    return Side(lambda: run(x), results, model)


def layer(case: Case, a: Arrays) -> Any:
    """Return the layer of a case, weights loaded.

    Options that a case does not ask for are left out: earlier commits, which are compared with this
    one, may not know them.
    """
    options: dict[str, Any] = {}
    if case.proj:
        options["proj_size"] = case.proj
    if case.precision != "float32":
        options["precision"] = case.precision
    model = getattr(fl, case.cell)(
        case.I,
        case.H,
        case.layers,
        batch_first=True,
        bidirectional=case.bidirectional,
        dtype=case.dtype,
        **options,
    )
    model.load_state_dict(a["weights"])
    return model


def named(state: Any) -> dict[str, Array]:
    """Return the last states by name: the LSTM's pair, or h alone."""
    parts = state if isinstance(state, tuple) else (state,)
    return dict(zip(("h_n", "c_n"), parts, strict=False))


def gradients(model: nn.Module) -> dict[str, Array]:
    """Return copies of all gradients, made dense, and forget them in the model."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.rows is None:
            dense = parameter.grad.copy()
        else:
            dense = np.zeros_like(parameter.data)
            dense[parameter.rows.index] = parameter.rows.value
        found["d_" + name] = dense
    model.zero_grad()
    return found
