"""Training in several processes against the same training in one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from threads import together

import fastlstm as fl
from fastlstm.distributed import Processes, ProcessesDiffer
from fastlstm.models import (
    HorizonDecoder,
    LanguageModel,
    Seq2Seq,
    SequenceRegressor,
    SequenceTagger,
    TextClassifier,
)
from fastlstm.nn import cross_entropy
from fastlstm.text import Encoded, batches
from fastlstm.text.pairs import Pairs, pair_batches
from fastlstm.train import Adam, Average, History, Outcome, Supervised, Task, Trainer
from fastlstm.train import trainer as trainer_module
from fastlstm.train.listener import Listener
from fastlstm.train.parallel import rows_of
from fastlstm.train.tasks.language import LanguageModelling
from fastlstm.train.tasks.regression import Regression
from fastlstm.train.tasks.tagging import Tagging
from fastlstm.train.tasks.task import Source, shuffled
from fastlstm.train.tasks.weighted import WeightedClassification
from fastlstm.train.trainer import TrainingInterrupted

# Sums in another order, through some steps of Adam.
CLOSE: dict[str, Any] = {"rtol": 2e-4, "atol": 2e-5}


class Case(NamedTuple):
    """A model, what it learns and from what."""

    model: Any
    task: Any
    source: Source


def ragged(rng: np.random.Generator, count: int, vocab: int, classes: int = 2) -> Encoded:
    lengths = rng.integers(0, 12, count)
    tokens = rng.integers(1, vocab, lengths.sum())
    return Encoded.from_lengths(tokens, lengths, rng.integers(0, classes, count))


def text_case(task: Any = cross_entropy) -> Case:
    """Dropout of all kinds; the last batch has one text, fewer than there are processes."""
    rng = np.random.default_rng(1)
    model = TextClassifier(
        40, 5, 6, 2, True, "mean+max", 0.3, num_outputs=3, embedding_dropout=0.4, rng=rng
    )
    train, held_back = ragged(rng, 49, 40, 3), ragged(rng, 20, 40, 3)
    return Case(model, task, shuffled(batches, train, 8, 0, held_back))


def weighted_case() -> Case:
    case = text_case(WeightedClassification())

    def weighted(make: Callable[..., Any], *place: int) -> Iterator[Any]:
        for batch in make(*place):
            yield replace(batch, weights=1 + batch.index % 3 / 2)

    parts = case.source
    return case._replace(
        source=Source(partial(weighted, parts.batches), parts.steps_per_epoch,
                      partial(weighted, parts.validation))
    )  # fmt: skip


def regression_case() -> Case:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((30, 9, 2)).astype("float32")
    y = x[:, :, 0].mean(axis=1, keepdims=True) * [1, 2]
    y[::4, 1] = np.nan
    lengths = rng.integers(1, 10, 30)
    model = SequenceRegressor(2, 6, num_targets=2, dropout=0.2, rng=rng)
    task = Regression(partial(fl.mse_loss, missing="skip"), batch_size=7)
    y = y.astype("float32")
    parts = [(x[part], y[part], lengths[part]) for part in (slice(0, 22), slice(22, 30))]
    return Case(model, task, task.source(model, *parts))


def horizon_case() -> Case:
    """As many steps ahead as two processes have rows each."""
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((18, 5, 2)), rng.standard_normal((18, 3, 1))
    model = HorizonDecoder(2, 3, 6, dropout=0.4, rng=rng)
    task, data = Regression(batch_size=6), (x.astype("float32"), y.astype("float32"))
    return Case(model, task, task.source(model, data, data))


def language_case() -> Case:
    rng = np.random.default_rng(3)
    model = LanguageModel(
        20, 6, 6, 2, 0.2, embedding_dropout=0.3, weight_drop=0.2, variational=True, rng=rng
    )
    task = LanguageModelling(5, 4, sum_steps=True)
    return Case(model, task, task.source(model, rng.integers(0, 20, 200), rng.integers(0, 20, 50)))


def translation_case() -> Case:
    rng = np.random.default_rng(4)
    source = ragged(rng, 30, 25)
    target = Encoded.from_rows(
        [[2, *rng.integers(4, 25, rng.integers(0, 6)), 3] for _ in range(30)], [0] * 30
    )
    model = Seq2Seq(25, 25, 5, 6, 2, dropout=0.3, embedding_dropout=0.3, rng=rng)
    return Case(model, cross_entropy, shuffled(pair_batches, Pairs(source, target), 8, 0))


def tagging_case() -> Case:
    rng = np.random.default_rng(5)
    x, labels = rng.integers(1, 20, (30, 7)), rng.integers(0, 3, (30, 7))
    lengths = rng.integers(1, 8, 30)
    model = SequenceTagger(
        vocab_size=20, num_labels=3, embedding_dim=5, hidden_size=6, num_layers=2, dropout=0.3,
        crf=True, rng=rng,
    )  # fmt: skip
    task = Tagging(batch_size=7)
    return Case(model, task, task.source(model, (x, labels, lengths), (x, labels, lengths)))


CASES = [
    tagging_case, text_case, weighted_case, regression_case, horizon_case, language_case,
    translation_case,
]  # fmt: skip


def train(
    make: Callable[[], Case], processes: Processes | None = None, **options: Any
) -> tuple[dict[str, Any], History]:
    """Train a case; return the weights and the history."""
    model, task, source = make()
    trainer = Trainer(
        model, Adam(model, 0.01), task, epochs=2, clip=0.5, average=Average(model, 0.9),
        processes=processes, **options,
    )  # fmt: skip
    return weights_of(trainer, source)


def weights_of(trainer: Trainer, source: Source) -> tuple[dict[str, Any], History]:
    history = trainer.fit(*source)
    return trainer.model.state_dict(), history


def figures(history: History) -> list[Any]:
    """What is the same whoever computes it: all but times; -1 for what there is none of."""
    return [
        {k: -1 if v is None else v for k, v in vars(epoch).items() if "seconds" not in k}
        for epoch in history.epochs
    ]


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("size", [2, 3])
def test_results_are_those_of_one_process(make: Callable[[], Case], size: int) -> None:
    expected, alone = train(make)
    found = together(size, partial(train, make))
    again = together(size, partial(train, make))
    for (weights, history), (same, _) in zip(found, again, strict=True):
        for name, value in expected.items():
            np.testing.assert_allclose(weights[name], value, **CLOSE, err_msg=name)
            assert np.array_equal(weights[name], found[0][0][name]), "in all processes"
            assert np.array_equal(weights[name], same[name]), "from run to run"
        assert history.best == alone.best
        for epoch, one in zip(figures(history), figures(alone), strict=True):
            assert epoch == pytest.approx(one, rel=1e-3)


def test_rows_are_dealt_by_their_work() -> None:
    work = np.random.default_rng(0).integers(1, 400, 64)
    for size in (1, 2, 3, 8, 64, 100):
        parts = [rows_of(work, rank, size) for rank in range(size)]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(64))
        counts = [len(part) for part in parts]
        assert max(counts) - min(counts) <= 1
    sums = [work[rows_of(work, rank, 4)].sum() for rank in range(4)]
    assert max(sums) < 1.02 * min(sums)


def test_only_touched_rows_of_a_table_travel() -> None:
    def bytes_sent(vocab: int, processes: Any) -> int:
        model = TextClassifier(vocab, 5, 6, rng=0)
        trainer = Trainer(model, Adam(model), fl.bce_with_logits, epochs=1, processes=processes)
        trainer.fit(*shuffled(batches, ragged(np.random.default_rng(0), 16, 30), 8, 0))
        return int(processes.sent)

    small, large = (together(2, partial(bytes_sent, vocab))[0] for vocab in (30, 30_000))
    assert abs(large - small) < 100  # checksums are of some digits more or less


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("make", [text_case, language_case])
def test_a_run_goes_on_in_another_number_of_processes(
    make: Callable[[], Case], before: int, after: int, tmp_path: Path
) -> None:
    """The state of the recurrent layers, in the middle of a pass, too."""
    path, stop_after = tmp_path / "state.safetensors", 3

    def begin(processes: Processes) -> None:
        model, task, source = make()
        trainer = made(model, task, processes)

        def some(epoch: int, start: int) -> Any:
            for number, batch in enumerate(source.batches(epoch, start), start):
                if number == stop_after:
                    raise KeyboardInterrupt
                yield batch

        with pytest.raises(KeyboardInterrupt):
            trainer.fit(some, source.steps_per_epoch, source.validation)
        trainer.save(path)

    def go_on(processes: Processes) -> Any:
        model, task, source = make()
        trainer = made(model, task, processes)
        trainer.load(path)
        assert trainer.history.step == stop_after
        return weights_of(trainer, source)

    def made(model: Any, task: Any, processes: Processes) -> Trainer:
        average = Average(model, 0.9)
        return Trainer(model, Adam(model, 0.01), task, epochs=2, clip=0.5, average=average,
                       processes=processes)  # fmt: skip

    together(before, begin)
    expected, alone = train(make)
    for weights, history in together(after, go_on):
        for name, value in expected.items():
            np.testing.assert_allclose(weights[name], value, **CLOSE, err_msg=name)
        assert history.best == alone.best


def test_a_stop_in_one_process_stops_all(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"

    def stopped(processes: Processes) -> int:
        model, task, source = text_case()
        trainer = Trainer(model, Adam(model), task, epochs=2, processes=processes, checkpoint=path)
        taken = trainer.task.step

        def step(*given: Any) -> Outcome:
            if processes.rank == 1 and trainer.history.step == 1:
                guards[threading.get_ident()].requested = True
            return taken(*given)

        trainer.task.step = step  # type: ignore[method-assign]
        with pytest.raises(TrainingInterrupted, match="after 0 epochs and 2 batches"):
            trainer.fit(*source)
        return trainer.history.step

    class Known(trainer_module.InterruptGuard):
        def __enter__(self) -> Any:
            guards[threading.get_ident()] = self
            return super().__enter__()

    guards: dict[int, Any] = {}  # by thread
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "InterruptGuard", Known)
        assert together(2, stopped) == [2, 2]
    assert path.exists()


def test_processes_that_differ_do_not_train() -> None:
    def other_seed(processes: Processes) -> Any:
        return train(text_case, processes, seed=processes.rank)

    with pytest.raises(ProcessesDiffer, match="process 1 differs from process 0: seed is 1 there"):
        together(2, other_seed)

    def other_weights(processes: Processes) -> Any:
        def make() -> Case:
            case = text_case()
            case.model.head.bias.data[0] += processes.rank
            return case

        return train(make, processes)

    with pytest.raises(ProcessesDiffer, match="the weights is"):
        together(2, other_weights)


@pytest.mark.parametrize("make", [text_case, regression_case, language_case])
def test_divergence_is_told_alike_in_all(make: Callable[[], Case]) -> None:
    def diverging(processes: Processes) -> str:
        model, task, source = make()
        trainer = Trainer(model, Adam(model), task, epochs=1, processes=processes)
        trainer.task.step = bad(trainer.task.step, processes)  # type: ignore[method-assign]
        with pytest.raises(FloatingPointError) as caught:
            trainer.fit(*source)
        return str(caught.value)

    def bad(step: Any, processes: Processes) -> Any:
        def made(*given: Any) -> Outcome:
            outcome: Outcome = step(*given)
            return outcome._replace(loss=np.inf) if processes.rank == 1 else outcome

        return made

    told = together(2, diverging)
    assert told[0] == told[1]
    assert told[0].startswith("the loss is inf after 0 epochs and 0 ")


class Numbers(NamedTuple):
    """A batch of no known kind."""

    inputs: tuple[Any, ...]
    labels: Any
    words: int


class Slope(fl.Module):
    def __init__(self) -> None:
        self.head = fl.Linear(1, 1, rng=0)

    def __call__(self, x: Any) -> Any:
        return self.head(x)[:, 0]

    def forward(self, x: Any, rng: Any) -> Any:
        y, tape = self.head.forward(x)
        return y[:, 0], tape

    def backward(self, tape: Any, dy: Any) -> None:
        self.head.backward(tape, dy[:, None])


def slope_case() -> Case:
    x = np.linspace(-1, 1, 14, dtype="float32")[:, None]
    rows = [Numbers((x[k : k + 7],), 2 * x[k : k + 7, 0], 7) for k in (0, 7)]
    return Case(Slope(), Supervised(fl.mse_loss), Source(lambda epoch, k: rows[k:], 2))


def test_own_batches_of_arrays_are_shared() -> None:
    expected, _ = train(slope_case)
    for weights, _ in together(2, partial(train, slope_case)):
        for name, value in expected.items():
            np.testing.assert_allclose(weights[name], value, **CLOSE)


def test_batches_that_cannot_be_shared_are_named() -> None:
    class Whole(Task):
        def step(self, *given: Any) -> Outcome:
            raise AssertionError("never called")

    case = slope_case()._replace(task=Whole())
    with pytest.raises(TypeError, match=r"cannot share a Numbers: expected a method select\(rows"):
        together(2, partial(train, lambda: case))


def test_only_the_first_process_has_listeners_and_writes(tmp_path: Path) -> None:
    seen: list[int] = []

    class Seen(Listener):
        def __init__(self, rank: int) -> None:
            self.rank = rank

        def on_epoch(self, epoch: Any, is_best: bool) -> None:
            seen.append(self.rank)

    def run(processes: Processes) -> Any:
        path = tmp_path / f"{processes.rank}.safetensors"
        return train(text_case, processes, listeners=[Seen(processes.rank)], checkpoint=path)

    together(2, run)
    assert seen == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["0.safetensors"]
