"""fastlstm's side of the other layers and of the losses, as in `torch_ops.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastlstm as fl
from benchmarks.fastlstm_layer import gradients, layer, step
from benchmarks.problem import Array, Arrays
from benchmarks.shapes import Case
from benchmarks.sides import Results, Side, dropout_facts, learning
from fastlstm import nn


def stream(case: Case, a: Arrays) -> Side:
    """The same as `step`; torch's side differs."""
    return step(case, a)._replace(model=None)


def tokens(case: Case, a: Arrays) -> Side:
    """Embedding and LSTM forward and backward, by distinct tokens."""
    table = nn.Embedding(case.V, case.I, dtype=case.dtype)
    table.load_state_dict({"weight": a["table"]})
    model = layer(case, a)

    def run() -> Array:
        batch, index = table.distinct(a["tokens"])
        y, _, tape = model.forward(batch)
        dtable, _ = model.backward(tape, a["dy"])
        table.add_gradient(index, dtable)
        return y

    def call() -> None:
        run()
        model.zero_grad()
        table.zero_grad()

    def results() -> Results:
        outputs = {"y": run()}
        return Results(outputs, {**gradients(model), "d_table": gradients(table)["d_weight"]})

    return Side(call, results)


def cell(case: Case, a: Arrays) -> Side:
    """One step of LSTMCell, GRUCell or RNNCell, forward and backward."""
    model = getattr(fl, case.cell + "Cell")(case.I, case.H, dtype=case.dtype)
    model.load_state_dict(a["weights"])
    pair = case.cell == "LSTM"
    before = (a["h"], a["c"]) if pair else a["h"]
    dstate = (a["dh"], a["dc"]) if pair else a["dh"]

    def run() -> tuple[Any, ...]:
        *state, tape = model.forward(a["x"], before)
        dx, d_before = model.backward(tape, dstate)
        return state, dx, d_before if pair else (d_before,)

    def results() -> Results:
        state, dx, d_before = run()
        d_inputs = dict(zip(("dx", "dh", "dc"), (dx, *d_before), strict=False))
        return Results(dict(zip("hc", state, strict=False)), {**d_inputs, **gradients(model)})

    return Side(learning(run, model), results, model)


def peephole(case: Case, a: Arrays) -> Side:
    """An LSTM forward and backward whose peepholes are zero."""
    model = fl.PeepholeLSTM(case.I, case.H, batch_first=True, dtype=case.dtype)
    none = {f"p_{gate}_l0": np.zeros(case.H, case.dtype) for gate in "ifo"}
    model.load_state_dict({**a["weights"], **none})

    def run() -> tuple[Array, Array]:
        y, _, tape = model.forward(a["x"])
        dx, _ = model.backward(tape, a["dy"])
        return y, dx

    def results() -> Results:
        y, dx = run()
        found = gradients(model)
        weights = {name: d for name, d in found.items() if not name.startswith("d_p_")}
        return Results({"y": y}, {"dx": dx, **weights})

    return Side(learning(run, model), results)


def embedding(case: Case, a: Arrays) -> Side:
    """Embedding forward and backward; the gradient is row-sparse."""
    model = nn.Embedding(case.V, case.I, dtype=case.dtype)
    model.load_state_dict(a["weights"])

    def run() -> Array:
        y, tape = model.forward(a["tokens"])
        model.backward(tape, a["dy"])
        return y

    return Side(learning(run, model), lambda: Results({"y": run()}, gradients(model)), model)


def linear(case: Case, a: Arrays) -> Side:
    """Linear forward and backward."""
    model = nn.Linear(case.I, case.H, dtype=case.dtype)
    model.load_state_dict(a["weights"])

    def run() -> tuple[Array, Array]:
        y, tape = model.forward(a["x"])
        return y, model.backward(tape, a["dy"])

    def results() -> Results:
        y, dx = run()
        return Results({"y": y}, {"dx": dx, **gradients(model)})

    return Side(learning(run, model), results, model)


def chain(case: Case, a: Arrays) -> Side:
    """A frame of each row through convolutions, an LSTM and a dense layer, the state carried."""
    bins, H = case.V // 2, case.H
    modules = [
        nn.Conv1d(1, 2 * bins, case.I // 2, case.I // 4, bias=False, dtype=case.dtype),
        nn.Magnitude(),
        nn.Conv1d(bins, H, 3, padding=1, dtype=case.dtype),
        nn.ReLU(),
        nn.LSTM(H, H, dtype=case.dtype),
        nn.Tanh(),
        nn.Linear(H, 1, dtype=case.dtype),
        nn.Sigmoid(),
        nn.Mean(),
    ]
    model = nn.Chain(modules, frame=case.I)
    model.load_state_dict(a["weights"])
    stream, x = model.stream(case.B), a["x"]

    def results() -> Results:
        stream.reset()
        return Results({"y": np.stack([stream(x_t)[:, 0] for x_t in x])}, {})

    return Side(lambda: stream(x[0]), results)


def dropout(case: Case, a: Arrays) -> Side:
    """Dropout forward and backward."""
    model = nn.Dropout(0.5, rng=np.random.default_rng(0))

    def run() -> tuple[Array, Array]:
        y, tape = model.forward(a["x"])
        return y, model.backward(tape, a["dy"])

    return Side(run, lambda: dropout_facts(a, *run()))


def bce_with_logits(case: Case, a: Arrays) -> Side:
    """Binary cross-entropy and its gradient."""
    return _loss(fl.bce_with_logits, a)


def cross_entropy(case: Case, a: Arrays) -> Side:
    """Cross-entropy of the softmax and its gradient."""
    return _loss(fl.cross_entropy, a)


def regression_losses(case: Case, a: Arrays) -> Side:
    """All losses of regressions with their gradients."""
    x, v, t = a["outputs"], a["positive"], a["targets"]

    def run() -> list[Any]:
        return [
            fl.mse_loss(x, t),
            fl.l1_loss(x, t),
            fl.huber_loss(x, t),
            fl.quantile_loss(x[..., None], t, [0.3]),
            fl.gaussian_nll_loss(x, t, v),
            fl.negative_binomial_nll_loss(v, t, v),
        ]

    def results() -> Results:
        found = run()
        *points, (_, (dx, dv)), (_, (dmean, dspread)) = found
        gradients = [points[3][1][..., 0] if k == 3 else d for k, (_, d) in enumerate(points)]
        gradients += [dx, dv, dmean + dspread]  # one array is both mean and dispersion
        losses = np.array([loss for loss, _ in found])
        return Results({"loss": losses}, {f"d{k}": d for k, d in enumerate(gradients)})

    return Side(run, results)


def _loss(function: Any, a: Arrays) -> Side:
    def results() -> Results:
        loss, dlogits = function(a["logits"], a["labels"])
        return Results({"loss": np.array([loss])}, {"dlogits": dlogits})

    return Side(lambda: function(a["logits"], a["labels"]), results)


def text_classifier(case: Case, a: Arrays) -> Side:
    """A training step of a text classifier, up to the gradients."""
    model = fl.TextClassifier(case.V, case.I, case.H, dtype=case.dtype)
    model.load_state_dict(a["weights"])

    def run() -> tuple[Array, float]:
        logits, tape = model.forward(a["tokens"], a["lengths"])
        loss, dlogits = fl.bce_with_logits(logits, a["labels"])
        model.backward(tape, dlogits)
        return logits, loss

    def results() -> Results:
        logits, loss = run()
        return Results({"logits": logits, "loss": np.array([loss])}, gradients(model))

    return Side(learning(run, model), results, model)
