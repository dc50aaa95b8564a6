"""torch's side of the other layers and of the losses, as in `fastlstm_ops.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.problem import Arrays
from benchmarks.shapes import Case
from benchmarks.sides import Results, Side, dropout_facts, learning
from benchmarks.torch_layer import arrays, gradients, layer, load


def stream(case: Case, a: Arrays) -> Side:
    """One step of nn.LSTMCell, GRUCell or RNNCell, the state carried by hand."""
    model = getattr(nn, case.cell + "Cell")(case.I, case.H, dtype=getattr(torch, case.dtype))
    load(model, {name[: -len("_l0")]: value for name, value in a["weights"].items()})
    x = torch.from_numpy(a["x"])
    x_0, state = x[0], None

    @torch.inference_mode()
    def call() -> None:
        nonlocal state
        state = model(x_0, state)

    @torch.inference_mode()
    def results() -> Results:
        outputs, carried = [], None
        for x_t in x:
            carried = model(x_t, carried)
            outputs.append(carried[0] if isinstance(carried, tuple) else carried)
        return Results(arrays(y=torch.stack(outputs)), {})

    return Side(call, results)


def tokens(case: Case, a: Arrays) -> Side:
    """Embedding and LSTM forward and backward."""
    model = layer(case, a)
    table = nn.Embedding.from_pretrained(torch.from_numpy(a["table"]), freeze=False)
    words, dy = torch.from_numpy(a["tokens"]), torch.from_numpy(a["dy"])

    def run() -> Tensor:
        y, _ = model(table(words))
        y.backward(dy)
        return y  # type: ignore[no-any-return]

    def call() -> None:
        run()
        model.zero_grad()
        table.zero_grad()

    def results() -> Results:
        outputs = arrays(y=run())
        return Results(outputs, {**gradients(model), "d_table": gradients(table)["d_weight"]})

    return Side(call, results)


def cell(case: Case, a: Arrays) -> Side:
    """nn.LSTMCell, GRUCell or RNNCell forward and backward."""
    model = getattr(nn, case.cell + "Cell")(case.I, case.H, dtype=getattr(torch, case.dtype))
    load(model, a["weights"])
    names = "hc" if case.cell == "LSTM" else "h"
    inputs = [torch.from_numpy(a[name]) for name in ("x", *names)]
    d_outputs = [torch.from_numpy(a["d" + name]) for name in names]

    def run() -> tuple[list[Tensor], list[Tensor]]:
        x, *state = (value.detach().requires_grad_() for value in inputs)
        outputs = model(x, tuple(state) if len(state) > 1 else state[0])
        outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
        torch.autograd.backward(outputs, d_outputs)
        return outputs, [x, *state]

    def results() -> Results:
        outputs, leaves = run()
        d_inputs = {f"d{n}": leaf.grad for n, leaf in zip(("x", *names), leaves, strict=True)}
        outputs_by_name = dict(zip(names, outputs, strict=True))
        return Results(arrays(**outputs_by_name), {**arrays(**d_inputs), **gradients(model)})

    return Side(learning(run, model), results, model)


def peephole(case: Case, a: Arrays) -> Side:
    """nn.LSTM forward and backward."""
    model = layer(case, a)
    x, dy = torch.from_numpy(a["x"]), torch.from_numpy(a["dy"])

    def run() -> tuple[Tensor, Tensor]:
        leaf = x.detach().requires_grad_()
        y, _ = model(leaf)
        y.backward(dy)
        return y, leaf

    def results() -> Results:
        y, leaf = run()
        return Results(arrays(y=y), {**arrays(dx=leaf.grad), **gradients(model)})

    return Side(learning(run, model), results)


def embedding(case: Case, a: Arrays) -> Side:
    """Embedding forward and backward; the gradient is dense, as by default."""
    model = nn.Embedding(case.V, case.I, dtype=getattr(torch, case.dtype))
    load(model, a["weights"])
    words, dy = torch.from_numpy(a["tokens"]), torch.from_numpy(a["dy"])

    def run() -> Tensor:
        y = model(words)
        y.backward(dy)
        return y  # type: ignore[no-any-return]

    return Side(learning(run, model), lambda: Results(arrays(y=run()), gradients(model)), model)


def linear(case: Case, a: Arrays) -> Side:
    """Linear forward and backward."""
    model = nn.Linear(case.I, case.H, dtype=getattr(torch, case.dtype))
    load(model, a["weights"])
    run = _with_input(model, a)

    def results() -> Results:
        y, x = run()
        return Results(arrays(y=y), {**arrays(dx=x.grad), **gradients(model)})

    return Side(learning(run, model), results, model)


def chain(case: Case, a: Arrays) -> Side:
    """A frame of each row through convolutions, nn.LSTM and nn.Linear, the state carried."""
    w = {name: torch.from_numpy(value) for name, value in a["weights"].items()}
    lstm = nn.LSTM(case.H, case.H, batch_first=True, dtype=getattr(torch, case.dtype))
    load(lstm, {name[2:]: value for name, value in a["weights"].items() if name[0] == "4"})
    x, state = torch.from_numpy(a["x"]), None

    def frame(x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        spectrum = functional.conv1d(x_t[:, None], w["0.weight"], stride=case.I // 4)
        re, im = spectrum.chunk(2, dim=1)
        bins = torch.sqrt(re * re + im * im)
        z = functional.relu(functional.conv1d(bins, w["2.weight"], w["2.bias"], padding=1))
        y, state = lstm(z.transpose(1, 2), state)
        logits = functional.linear(torch.tanh(y), w["6.weight"], w["6.bias"])
        return torch.sigmoid(logits).mean(dim=1), state

    @torch.inference_mode()
    def call() -> None:
        nonlocal state
        _, state = frame(x[0], state)

    @torch.inference_mode()
    def results() -> Results:
        outputs, carried = [], None
        for x_t in x:
            y, carried = frame(x_t, carried)
            outputs.append(y)
        return Results(arrays(y=torch.stack(outputs)), {})

    return Side(call, results)


def dropout(case: Case, a: Arrays) -> Side:
    """Dropout forward and backward."""
    torch.manual_seed(0)
    run = _with_input(nn.Dropout(0.5), a)

    def results() -> Results:
        y, x = run()
        found = arrays(y=y, dx=x.grad)
        return dropout_facts(a, found["y"], found["dx"])

    return Side(run, results)


def bce_with_logits(case: Case, a: Arrays) -> Side:
    """Binary cross-entropy and its gradient."""
    return _loss(functional.binary_cross_entropy_with_logits, a)


def cross_entropy(case: Case, a: Arrays) -> Side:
    """Cross-entropy of the softmax and its gradient."""
    return _loss(functional.cross_entropy, a)


def regression_losses(case: Case, a: Arrays) -> Side:
    """All losses of regressions with their gradients."""
    t = torch.from_numpy(a["targets"])

    def run() -> tuple[list[Tensor], list[Tensor]]:
        losses, gradients = [], []
        for loss in _REGRESSION:
            leaves = [torch.from_numpy(a[k]).requires_grad_() for k in ("outputs", "positive")]
            losses.append(value := loss(*leaves, t))
            value.backward()
            gradients += [leaf.grad for leaf in leaves if leaf.grad is not None]
        return losses, gradients

    def results() -> Results:
        losses, gradients = run()
        values = torch.stack(losses).detach().numpy()
        return Results({"loss": values}, {f"d{k}": d.numpy() for k, d in enumerate(gradients)})

    return Side(run, results)


def _pinball(x: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.maximum(0.3 * (t - x), -0.7 * (t - x)).mean()


def _negative_binomial(x: Tensor, v: Tensor, t: Tensor) -> Tensor:
    found = torch.distributions.NegativeBinomial(1 / v, logits=torch.log(v * v))
    return -found.log_prob(t).mean()


_REGRESSION = (
    lambda x, v, t: functional.mse_loss(x, t),
    lambda x, v, t: functional.l1_loss(x, t),
    lambda x, v, t: functional.huber_loss(x, t),
    _pinball,
    lambda x, v, t: functional.gaussian_nll_loss(x, t, v),
    _negative_binomial,
)


def text_classifier(case: Case, a: Arrays) -> Side:
    """A training step of a text classifier, up to the gradients; padding is computed."""
    model = TextClassifier(case.V, case.I, case.H).to(getattr(torch, case.dtype))
    load(model, a["weights"])
    words, lengths, labels = (torch.from_numpy(a[k]) for k in ("tokens", "lengths", "labels"))

    def run() -> tuple[Tensor, Tensor]:
        logits = model(words, lengths)
        loss = functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        return logits, loss

    def results() -> Results:
        logits, loss = run()
        return Results(arrays(logits=logits, loss=loss.reshape(1)), gradients(model))

    return Side(learning(run, model), results, model)


class TextClassifier(nn.Module):
    """fastlstm.TextClassifier with pooling="last" and the same parameter names, in torch.

    Parameters
    ----------
    packed : run a PackedSequence; else run the padding too and take each row's last real output.
    """

    def __init__(self, vocab_size: int, embedding_dim: int, hidden_size: int, packed: bool = False):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.lstm = nn.LSTM(embedding_dim, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, 1)
        self.packed = packed

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Return logits [B] of words [B,T], each row's first `lengths` (at least 1) real."""
        x = self.embedding(words)
        if self.packed:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            last = self.lstm(x)[1][0][-1]
        else:
            last = self.lstm(x)[0][torch.arange(len(words)), lengths - 1]
        return self.head(last)[:, 0]  # type: ignore[no-any-return]


def _with_input(model: nn.Module, a: Arrays) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a function that runs `model` on x both ways and gives y and x."""
    inputs, dy = torch.from_numpy(a["x"]), torch.from_numpy(a["dy"])

    def run() -> tuple[Tensor, Tensor]:
        x = inputs.detach().requires_grad_()
        y = model(x)
        y.backward(dy)
        return y, x

    return run


def _loss(function: Any, a: Arrays) -> Side:
    inputs, labels = torch.from_numpy(a["logits"]), torch.from_numpy(a["labels"])

    def run() -> tuple[Tensor, Tensor]:
        logits = inputs.detach().requires_grad_()
        loss = function(logits, labels)
        loss.backward()
        return loss, logits

    def results() -> Results:
        loss, logits = run()
        return Results(arrays(loss=loss.reshape(1)), arrays(dlogits=logits.grad))

    return Side(run, results)
