"""Training of a language model: against torch, the state carried, broken off and resumed."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctrl_c import PressCtrlC

from fastlstm.models import LanguageModel, softmax_loss
from fastlstm.text import columns, windows
from fastlstm.train import (
    SGD,
    Adam,
    CheckpointError,
    History,
    Trainer,
    TrainingInterrupted,
)
from fastlstm.train.metrics import perplexity
from fastlstm.train.schedule import halving, linear
from fastlstm.train.tasks.language import LanguageModelling, evaluate

V, STEPS, BATCH, EPOCHS = 12, 6, 3, 3
COUNT = 7  # windows of an epoch, the last one shorter


def text(count: int = 120, seed: int = 0) -> Any:
    """Tokens in which what follows depends on the two before."""
    rng, ids = np.random.default_rng(seed), [1, 2]
    while len(ids) < count:
        ids.append((2 * ids[-1] + ids[-2] + int(rng.random() < 0.2)) % V)
    return np.array(ids)


def model(**options: Any) -> LanguageModel:
    sizes = {"embedding_dim": 5, "hidden_size": 5, "num_layers": 2, "dtype": "float64", **options}
    return LanguageModel(V, rng=np.random.default_rng(1), **sizes)


def trainer(ours: LanguageModel | None = None, optimizer: Any = None, **options: Any) -> Any:
    ours = ours or model(dropout=0.2)
    sizes = {"batch_size": BATCH, "steps": STEPS, "sum_steps": False}
    task = LanguageModelling(**{name: options.pop(name, sizes[name]) for name in sizes})
    given = {"epochs": EPOCHS, "clip": 0.5, "seed": 3, "schedule": linear, **options}
    return Trainer(ours, optimizer or Adam(ours, lr=0.02), task, **given)


def learn(one: Trainer, *texts: Any) -> History:
    return one.fit(*one.task.source(one.model, *texts))


def fit(one: Trainer) -> Trainer:
    learn(one, text(), text(40, seed=1))
    return one


def everything(one: Trainer) -> dict[str, Any]:
    """The state of a trainer without its times."""
    history = one.history.to_json()
    history["running"]["seconds"] = 0
    for epoch in history["epochs"]:
        epoch.update(seconds=0, validation_seconds=0)
    arrays = {
        "model": one.model.state_dict(),
        "best": one.best_weights,
        "optimizer": one.optimizer.state_dict(),
    }
    flat = {f"{part}/{n}": a.tobytes() for part, s in arrays.items() for n, a in s.items()}
    return {"history": history, **flat}


@pytest.fixture(scope="module")
def unbroken() -> dict[str, Any]:
    return everything(fit(trainer()))


@pytest.mark.parametrize("sum_steps", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_against_torch(sum_steps: bool, tied: bool, torch_on_one_thread: None) -> None:
    """Truncated backpropagation with the state carried, clipping, and a step of plain SGD."""
    torch = pytest.importorskip("torch")
    ours = model(tied=tied, init_range=0.5)
    p = {k: torch.tensor(v, requires_grad=True) for k, v in ours.state_dict().items()}
    theirs = torch.nn.LSTM(5, 5, 2).double()
    weights = {k.removeprefix("lstm."): v for k, v in p.items() if k.startswith("lstm.")}
    functional, lr, clip = torch.nn.functional, 0.7, 0.3
    losses = []
    for _ in range(2):
        state: Any = (torch.zeros(2, BATCH, 5).double(), torch.zeros(2, BATCH, 5).double())
        for window in windows(columns(text(), BATCH), STEPS):
            x = functional.embedding(torch.tensor(window.tokens), p["embedding.weight"])
            state = tuple(s.detach() for s in state)
            y, state = torch.func.functional_call(theirs, weights, (x, state))
            table = p["embedding.weight" if tied else "decoder.weight"]
            logits = (y @ table.T + p["decoder.bias"]).reshape(-1, V)
            targets = torch.tensor(window.targets, dtype=torch.long).reshape(-1)
            loss = functional.cross_entropy(logits, targets)
            losses.append((loss.item(), targets.numel()))
            factor = len(window.tokens) if sum_steps else 1
            gradients = torch.autograd.grad(loss * factor, list(p.values()))
            norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
            for value, gradient in zip(p.values(), gradients, strict=True):
                value.data -= lr * min(1, clip / norm) * gradient
    one = trainer(ours, SGD(ours, lr), epochs=2, clip=clip, schedule=lambda progress: 1.0,
                  sum_steps=sum_steps)  # fmt: skip
    history = learn(one, text())
    assert history.step == len(losses) == 2 * COUNT
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(value, p[name].detach(), rtol=0, atol=1e-5, err_msg=name)
    last = losses[COUNT:]
    mean = sum(loss * n for loss, n in last) / sum(n for _, n in last)
    assert history.epochs[-1].train_loss == pytest.approx(mean, abs=1e-5)
    assert history.epochs[-1].words == sum(n for _, n in last) == 3 * 39


def test_it_learns() -> None:
    ours = LanguageModel(V, 16, 16, embedding_std=1.0, rng=np.random.default_rng(0))
    one = trainer(ours, Adam(ours, lr=0.02), epochs=12, clip=0.0)
    history = learn(one, text(1000), text(200, seed=1))
    losses = [epoch.validation_loss or 0 for epoch in history.epochs]
    assert losses[0] > 2
    assert min(losses) < 1.5
    assert history.best == 1 + int(np.argmin(losses))
    assert evaluate(ours, text(200, seed=1)) == min(losses)  # the best weights are loaded


def test_evaluation_reads_the_text_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, ids = model(), text()
    logits, _ = ours(ids[:-1, None])
    expected = softmax_loss(logits, ids[1:, None])
    assert evaluate(ours, ids) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr("fastlstm.train.tasks.language.LOGITS", 5 * V)  # windows of five
    assert evaluate(ours, ids) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="ids has 1 token, expected at least 2"):
        evaluate(ours, ids[:1])


@pytest.mark.parametrize("at", [1, 2, COUNT - 1, COUNT, COUNT + 1, 2 * COUNT, EPOCHS * COUNT])
def test_ctrl_c_at_any_step_then_resume(at: int, tmp_path: Path, unbroken: dict[str, Any]) -> None:
    path = tmp_path / "state"
    broken = trainer(checkpoint=path, listeners=[PressCtrlC(at)])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted, match=f"its state is in {path}"):
        fit(broken)
    assert signal.getsignal(signal.SIGINT) is before
    assert broken.history.step == at
    resumed = trainer(checkpoint=path)
    resumed.load(path)
    assert everything(fit(resumed)) == unbroken


@pytest.mark.parametrize("epoch", [1, EPOCHS])
def test_resume_between_epochs(epoch: int, tmp_path: Path, unbroken: dict[str, Any]) -> None:
    path = tmp_path / "state"
    with pytest.raises(TrainingInterrupted, match=f"after {epoch} epochs? and 0 windows"):
        fit(trainer(checkpoint=path, listeners=[PressCtrlC(after_epoch=epoch)]))
    resumed = trainer()
    resumed.load(path)
    assert everything(fit(resumed)) == unbroken


def test_without_a_checkpoint_fit_can_be_called_again(unbroken: dict[str, Any]) -> None:
    one = trainer(listeners=[PressCtrlC(COUNT + 2)])
    with pytest.raises(TrainingInterrupted) as caught:
        fit(one)
    assert "state is in" not in str(caught.value)
    assert everything(fit(one)) == unbroken


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_resume_exactly_too(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    expected = everything(fit(trainer(model(cell=cell))))
    with pytest.raises(TrainingInterrupted):
        fit(trainer(model(cell=cell), checkpoint=path, listeners=[PressCtrlC(COUNT + 2)]))
    resumed = trainer(model(cell=cell))
    resumed.load(path)
    assert everything(fit(resumed)) == expected


OTHER = [
    ({"seed": 4}, "seed differ"),
    ({"epochs": 9}, "epochs differ"),
    ({"steps": 5}, "steps differ"),
    ({"clip": 1.0}, "clip differ"),
    ({"sum_steps": True}, "sum_steps differ"),
    ({"identity": {"the text": "other"}}, "the text differ"),
]


@pytest.mark.parametrize(("other", "message"), OTHER, ids=[m for _, m in OTHER])
def test_a_checkpoint_of_another_run_is_refused(
    other: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path, options = tmp_path / "state", {"epochs": 1, "identity": {"the text": "one"}}
    fit(trainer(checkpoint=path, **options))
    trainer(**options).load(path)
    with pytest.raises(CheckpointError, match=message):
        trainer(**{**options, **other}).load(path)
    with pytest.raises(CheckpointError, match="model differ"):
        trainer(model(tied=True), **options).load(path)


def test_a_run_that_diverges_is_stopped() -> None:
    ours = model()
    with (
        pytest.raises((FloatingPointError, ValueError), match="smaller learning rate|NaN"),
        np.errstate(all="ignore"),
    ):
        learn(trainer(ours, SGD(ours, 1e308), clip=0.0), text())


WRONG = [
    ({"epochs": 0}, "epochs is 0, expected at least 1"),
    ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
    ({"steps": -1}, "steps is -1, expected at least 1"),
    ({"seed": -1}, "seed is -1, expected at least 0"),
    ({"clip": math.nan}, "clip is nan, expected a positive number, or 0 for none"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trainer(**options)


def test_wrong_texts() -> None:
    with pytest.raises(ValueError, match="ids has 5 tokens, expected at least 6"):
        learn(trainer(), text(5))
    with pytest.raises(IndexError, match=r"is 12, expected 0 to 11"):
        learn(trainer(), text() + 1)


def test_the_rate_of_zaremba_s_small_network() -> None:
    schedule, steps = halving(13, 4), 2323
    rates = [schedule((k + 0.5) / (13 * steps)) for k in range(13 * steps)]
    expected = [1, 1, 1, 1, *(0.5**k for k in range(1, 10))]
    assert rates == [rate for rate in expected for _ in range(steps)]


def test_history() -> None:
    history = fit(trainer()).history
    again = History.from_json(json.loads(json.dumps(history.to_json())))
    assert again == history
    positions = [at for at, _ in history.curve]
    assert positions == sorted(positions)
    assert len(positions) == EPOCHS * COUNT  # fewer windows than points an epoch: each has one
    assert positions[COUNT - 1] == 1
    of_first = [loss for at, loss in history.curve if at <= 1]
    assert min(of_first) <= history.epochs[0].train_loss <= max(of_first)


def test_perplexity() -> None:
    assert perplexity(0.0) == 1
    assert perplexity(math.log(120)) == pytest.approx(120)
    assert perplexity(1e4) == math.inf
