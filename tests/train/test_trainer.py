"""The training loop: what each option does, the best epoch, stopping, errors."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toy import BagOfWords, Problem, texts

from fastlstm.models import SequenceRegressor
from fastlstm.nn import bce_with_logits, mse_loss
from fastlstm.text import Batch
from fastlstm.train import SGD, AdamW, Epoch, History, Listener, Running, Trainer, evaluate
from fastlstm.train.schedule import constant, linear
from fastlstm.train.tasks.regression import Regression


def same(one: Trainer, other: Trainer) -> bool:
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(np.array_equal(p.data, q.data) for p, q in pairs)


class Recorder(Listener):
    """Notes the names of the calls, and the weights of each epoch as they would be kept."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.weights: list[dict[str, np.ndarray]] = []
        self.trainer: Trainer | None = None

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        self.calls.append(f"start {steps_per_epoch} {epochs}")

    def on_step(self, history: History) -> None:
        self.calls.append("step")

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self.calls.append(f"epoch {epoch.epoch} {is_best}")
        assert self.trainer is not None
        if self.trainer.average:
            self.weights.append(self.trainer.average.weights())
        else:
            self.weights.append(self.trainer.model.state_dict())

    def on_stop(self) -> None:
        self.calls.append("stop")


def recorded(**options: Any) -> tuple[Trainer, Recorder]:
    recorder = Recorder()
    trainer = Problem().trainer(listeners=[recorder], **options)
    recorder.trainer = trainer
    return trainer, recorder


def test_it_learns() -> None:
    problem = Problem(texts(300))
    trainer = problem.fit(problem.trainer(epochs=20))
    first, last = trainer.history.epochs[0], trainer.history.epochs[-1]
    assert last.train_loss < 0.5 * first.train_loss
    assert trainer.history.epochs[trainer.history.best - 1].validation_accuracy > 0.75


def test_the_seed_reproduces_a_run_exactly() -> None:
    problem = Problem()
    one, two = problem.fit(problem.trainer()), problem.fit(problem.trainer())
    assert same(one, two)
    assert [e.train_loss for e in one.history.epochs] == [e.train_loss for e in two.history.epochs]


@pytest.mark.parametrize("without", ["transform", "dropout"])
def test_another_seed_gives_other_random_numbers(without: str) -> None:
    """Each of the two random streams, alone, depends on the seed."""

    def fit(seed: int) -> Trainer:
        problem = Problem()
        model = BagOfWords(dropout=0.0 if without == "dropout" else 0.2)
        options = {"transform": None} if without == "transform" else {}
        return problem.fit(problem.trainer(model=model, seed=seed, **options))

    assert same(fit(5), fit(5))
    assert not same(fit(5), fit(6))


def test_each_step_of_a_run_draws_its_own_dropout() -> None:
    """Also the same batch in the next epoch."""
    problem, drawn = Problem(), []

    class Watching(BagOfWords):
        def forward(self, tokens: Any, lengths: Any, rng: np.random.Generator) -> Any:
            drawn.append(rng.bit_generator.state["state"]["state"])
            return super().forward(tokens, lengths, rng)

    problem.fit(problem.trainer(model=Watching(), epochs=3))
    assert len(drawn) == 3 * problem.steps
    assert len(set(drawn)) == len(drawn)


def test_equal_to_a_loop_written_by_hand() -> None:
    problem = Problem()
    options = {"average": None, "transform": None, "clip": 0.0}
    model = BagOfWords(dropout=0.0)
    trainer = problem.trainer(
        model=model, optimizer=SGD(model, lr=0.5), schedule=linear, epochs=2, **options
    )
    trainer.fit(problem.batches, problem.steps)
    other = BagOfWords(dropout=0.0)
    for step in range(2 * problem.steps):
        epoch, number = divmod(step, problem.steps)
        batch = next(iter(problem.batches(epoch, number)))
        other.zero_grad()
        logits, tape = other.forward(batch.tokens, batch.lengths, np.random.default_rng())
        other.backward(tape, bce_with_logits(logits, batch.labels)[1])
        optimizer = SGD(other, lr=0.5 * (1 - (step + 0.5) / (2 * problem.steps)))
        optimizer.step()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{"clip": 0.01}, {"schedule": constant}, {"average": None}, {"transform": None}]
)
def test_every_option_has_an_effect(options: dict[str, Any]) -> None:
    problem = Problem()
    assert not same(problem.fit(problem.trainer()), problem.fit(problem.trainer(**options)))


def test_clip_limits_the_step() -> None:
    model = BagOfWords()
    before = model.state_dict()
    trainer = Problem().trainer(
        model=model,
        optimizer=SGD(model, lr=1.0),
        clip=1e-3,
        average=None,
        epochs=1,
        schedule=constant,
    )
    trainer.fit(Problem().batches, 1)  # one step
    moved = math.sqrt(sum(((p - before[n]) ** 2).sum() for n, p in model.state_dict().items()))
    assert moved == pytest.approx(1e-3, rel=1e-2)


def test_learning_rate_follows_the_schedule_and_the_optimizer_starts_from_its_own() -> None:
    rates: list[float] = []

    class Rates(Listener):
        def on_step(self, history: History) -> None:
            rates.append(trainer.optimizer.lr)

    problem = Problem()
    trainer = problem.trainer(listeners=[Rates()], schedule=lambda p: 1 - p**2, epochs=2)
    problem.fit(trainer)
    steps = 2 * problem.steps
    assert rates == pytest.approx([0.02 * (1 - ((k + 0.5) / steps) ** 2) for k in range(steps)])
    assert [e.lr for e in trainer.history.epochs] == [rates[problem.steps - 1], rates[-1]]


def test_transform_sees_training_batches_only() -> None:
    sizes: list[int] = []

    def transform(batch: Batch, rng: np.random.Generator) -> Batch:
        sizes.append(len(batch.labels))
        return batch

    problem = Problem()
    problem.fit(problem.trainer(transform=transform, epochs=1))
    assert sum(sizes) == len(problem.train)


def test_listeners_are_told_in_order() -> None:
    trainer, recorder = recorded(epochs=2)
    problem = Problem()
    problem.fit(trainer)
    steps = ["step"] * problem.steps
    assert recorder.calls[0] == f"start {problem.steps} 2"
    assert recorder.calls[1 : problem.steps + 1] == steps
    assert recorder.calls[problem.steps + 1] == "epoch 1 True"
    assert recorder.calls[-1] == "stop"


def scores(monkeypatch: pytest.MonkeyPatch, accuracies: list[float]) -> None:
    """Have validation give these accuracies, one an epoch, all with the same loss."""
    each = iter(accuracies)

    def fake(*_: object) -> Running:
        return Running(loss_sum=50.0, correct=round(100 * next(each)), examples=100, words=1)

    monkeypatch.setattr("fastlstm.train.trainer.evaluate", fake)


@pytest.mark.parametrize("averaged", [False, True])
def test_the_best_epochs_weights_are_kept(averaged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, recorder = recorded(epochs=4, **({} if averaged else {"average": None}))
    scores(monkeypatch, [0.5, 0.8, 0.6, 0.8])
    Problem().fit(trainer)
    assert trainer.history.best == 2  # of equal ones the first
    for name, value in trainer.model.state_dict().items():
        assert np.array_equal(value, recorder.weights[1][name])
        assert not np.array_equal(value, recorder.weights[3][name])


def test_of_equal_accuracies_the_smaller_loss_is_better() -> None:
    history = History()
    for loss in (50.0, 40.0, 45.0):
        history.close_epoch(0.1, Running(loss_sum=loss, correct=80, examples=100))
    assert history.best == 2


def test_validation_is_of_the_averaged_weights() -> None:
    problem = Problem()
    trainer = problem.fit(problem.trainer(epochs=1))
    score = evaluate(trainer.model, problem.validation(), bce_with_logits)
    assert trainer.history.epochs[0].validation_loss == score.loss
    without = problem.fit(problem.trainer(epochs=1, average=None))
    assert without.history.epochs[0].validation_loss != score.loss


def test_without_validation_the_last_epoch_is_kept() -> None:
    trainer, recorder = recorded(epochs=3)
    trainer.fit(Problem().batches, Problem().steps)
    assert trainer.history.best == 3
    assert trainer.history.epochs[0].validation_accuracy is None
    for name, value in trainer.model.state_dict().items():
        assert np.array_equal(value, recorder.weights[2][name])


@pytest.mark.parametrize(
    ("patience", "epochs"),
    [(0, 6), (1, 3), (2, 4), (5, 6)],
)
def test_early_stop(patience: int, epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores(monkeypatch, [0.5, 0.8, 0.7, 0.7, 0.7, 0.7])
    trainer = Problem().fit(Problem().trainer(epochs=6, patience=patience))
    assert len(trainer.history.epochs) == epochs
    assert trainer.history.best == 2


def test_seconds_count_the_training_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by one with each reading: at the start, and after each step."""
    now = [0.0]

    def read() -> float:
        now[0] += 1.0
        return now[0]

    def slow(*_: object) -> Running:
        now[0] += 100.0
        return Running(examples=1, seconds=100.0)

    clock = SimpleNamespace(perf_counter=read)
    monkeypatch.setattr("fastlstm.train.trainer.time", clock)
    monkeypatch.setattr("fastlstm.train.trainer.evaluate", slow)
    trainer = Problem().fit(Problem().trainer(epochs=2))
    assert now[0] > 200
    steps = trainer.history.step / 2
    assert [e.seconds for e in trainer.history.epochs] == [steps, steps]
    assert trainer.history.epochs[0].validation_seconds == 100.0


def test_words_are_counted() -> None:
    problem = Problem()
    trainer = problem.fit(problem.trainer(epochs=1))
    assert trainer.history.epochs[0].words == len(problem.train.tokens)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    model = BagOfWords()
    model.head.weight.data[...] = np.inf
    with pytest.raises(FloatingPointError, match="loss is .* after 0 epochs and 0 batches"):
        Problem().fit(Problem().trainer(model=model))


def test_weights_that_a_last_step_makes_infinite_are_not_kept() -> None:
    """No loss follows that step, and without validation nothing else would tell."""
    problem, model = Problem(), BagOfWords()
    optimizer, left = SGD(model, lr=0.01), problem.steps

    def last_is_large(parameters: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            optimizer.lr = 1e308
            model.head.weight.grad[...] = 1e9

    trainer = problem.trainer(
        model=model, optimizer=optimizer, gradients=last_is_large, epochs=1, clip=0, average=None
    )
    with pytest.raises(FloatingPointError, match="weight holds NaN or infinity after 0 epochs"):
        trainer.fit(problem.batches, problem.steps)
    assert not trainer.best_weights
    assert not trainer.history.epochs


def test_a_validation_loss_that_is_not_finite_stops_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = Running(loss_sum=math.nan, examples=1)
    monkeypatch.setattr("fastlstm.train.trainer.evaluate", lambda *_: measured)
    with pytest.raises(FloatingPointError, match="the validation loss is nan after 0 epochs"):
        Problem().fit(Problem().trainer())


def test_weight_decay_that_makes_weights_grow_is_named() -> None:
    """A step takes off lr * weight_decay times a weight: 200 times its size and more."""
    rng = np.random.default_rng(0)
    net = SequenceRegressor(2, 4, rng=rng)
    x = rng.standard_normal((64, 3, 2)).astype("float32")
    task = Regression(mse_loss, batch_size=1)
    trainer = Trainer(net, AdamW(net, 1.0, weight_decay=200.0), task, epochs=1)
    with pytest.raises(FloatingPointError, match="or less weight decay, which is 200") as caught:
        trainer.fit(*task.source(net, (x, x[:, -1, 0])))
    assert "after 0 epochs" in str(caught.value)


def test_a_gradient_that_is_not_finite_names_the_parameter() -> None:
    def loss(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.0, np.full_like(logits, np.nan)

    with pytest.raises(FloatingPointError, match=r"embedding\.weight.*after 0 epochs"):
        Problem().fit(Problem().trainer(task=loss))


def test_gradients_can_be_met_before_they_are_clipped_and_used() -> None:
    """In one place, each step once: what is put there is what the optimizer takes."""
    seen: list[int] = []

    def heads(parameters: Any) -> None:
        seen.append(len(parameters))
        for name, parameter in parameters:
            if not name.startswith("head"):
                parameter.zero_grad()

    problem = Problem()
    model = BagOfWords()
    before = model.state_dict()
    optimizer = SGD(model, lr=0.5)
    problem.fit(problem.trainer(model=model, optimizer=optimizer, average=None, gradients=heads))
    assert seen == [3] * 4 * problem.steps
    after = model.state_dict()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


def test_an_epoch_with_too_few_batches_is_an_error() -> None:
    problem = Problem()
    with pytest.raises(ValueError, match=f"had {problem.steps} batches, expected"):
        problem.trainer().fit(problem.batches, problem.steps + 1)


def test_an_error_in_the_data_path_reaches_the_caller() -> None:
    def broken(batch: Batch, rng: np.random.Generator) -> Batch:
        raise LookupError("no such word")

    with pytest.raises(LookupError, match="no such word"):
        Problem().fit(Problem().trainer(transform=broken))


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"patience": -1}, {"seed": -1}, {"clip": -1.0}, {"clip": math.nan}]
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    (name, value), *_ = options.items()
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        Problem().trainer(**options)


def test_patience_needs_validation() -> None:
    with pytest.raises(ValueError, match="patience is 2 but there is no validation"):
        Problem().trainer(patience=2).fit(Problem().batches, 1)


def test_average_must_not_be_confused_with_the_optimizers_weights() -> None:
    """Averaging changes what is kept, not the course of training."""
    problem = Problem()
    with_average, without = problem.trainer(), problem.trainer(average=None)
    problem.fit(with_average)
    problem.fit(without)
    losses = [[e.train_loss for e in t.history.epochs] for t in (with_average, without)]
    assert losses[0] == losses[1]


def test_a_batch_that_is_no_numbers_is_named_in_place_of_the_learning_rate() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 5, 2)).astype("float32"), np.zeros(4, "float32")
    lengths = np.array([5, 3, 5, 2])
    x[np.arange(5) >= lengths[:, None]] = np.nan
    model = SequenceRegressor(2, 3, rng=0)
    trainer = Trainer(model, SGD(model, 0.1), Regression(), epochs=1)
    trainer.fit(*trainer.task.source(model, (x, y, lengths)))
    x[:, 1, 1] = np.nan
    trainer = Trainer(model, SGD(model, 0.1), Regression(mse_loss), epochs=1)
    told = r"in a batch x\[0, 1, 1\] is nan, expected a finite number: leave it out"
    with pytest.raises(FloatingPointError, match=told) as caught:
        trainer.fit(*trainer.task.source(model, (x, y, lengths)))
    assert "learning rate" not in str(caught.value)
    good = np.zeros_like(x), y, lengths
    trainer = Trainer(model, SGD(model, 0.1), Regression(), epochs=1)
    with pytest.raises(FloatingPointError, match=f"the validation loss is nan .*; {told}"):
        trainer.fit(*trainer.task.source(model, good, (x, y, lengths)))
