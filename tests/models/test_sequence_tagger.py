"""SequenceTagger and CRF: shapes, gradients against differences, rows apart, training, errors."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.models import CRF, SequenceTagger
from fastlstm.train import Adam, CheckpointError, Tagging, Trainer, evaluate
from fastlstm.train.model_file import load_model, save_model
from fastlstm.train.progress import Progress
from fastlstm.train.row_batches import Rows, row_batches

N, T, F, K, V = 6, 7, 3, 4, 11
LENGTHS = np.array([7, 0, 3, 1, 7, 5])
REAL = np.arange(T) < LENGTHS[:, None]
rng = np.random.default_rng(0)
NUMBERS, TOKENS = rng.standard_normal((N, T, F)), rng.integers(0, V, (N, T))
LABELS = rng.integers(0, K, (N, T))
each = pytest.mark.parametrize("crf", [False, True])
of_each_input = pytest.mark.parametrize("tokens", [False, True])


def tagger(tokens: bool = False, crf: bool = False, **options: Any) -> SequenceTagger:
    given = {"vocab_size": V, "embedding_dim": 5} if tokens else {"input_size": F}
    model = SequenceTagger(
        K,
        6,
        **{**given, "crf": crf, "dtype": "float64", "rng": np.random.default_rng(1), **options},
    )  # type: ignore[arg-type]
    if model.crf is not None:  # else of no influence at first
        for parameter in model.crf.parameters():
            parameter.data[...] = rng.standard_normal(parameter.data.shape)
    return model


def inputs(tokens: bool, dtype: str = "float64") -> Any:
    return TOKENS if tokens else NUMBERS.astype(dtype)


@each
@of_each_input
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "cell": "gru", "bidirectional": False}])
def test_shapes_of_a_tagger(tokens: bool, crf: bool, dtype: str, options: Any) -> None:
    model, x = tagger(tokens, crf, dtype=dtype, **options), inputs(tokens, dtype)
    scores, tape = model.forward(x, LENGTHS)
    assert scores.shape == (N, T, K)
    assert scores.dtype == dtype
    assert not scores[~REAL].any()
    np.testing.assert_array_equal(scores, model(x, LENGTHS))
    loss, d = model.loss(scores, LABELS, LENGTHS)
    assert loss > 0
    assert d is not None
    assert d.dtype == dtype
    dx = model.backward(tape, d)
    assert (dx is None) == tokens
    assert dx is None or dx.shape == x.shape
    found = model.predict(x, LENGTHS)
    assert found.dtype == np.int64
    assert not found[~REAL].any()
    p = model.probabilities(x, LENGTHS)
    np.testing.assert_allclose(p.sum(axis=2), REAL, atol=1e-6)
    assert loss == pytest.approx(model.loss(scores, LABELS, LENGTHS, gradient=False)[0])


@each
@of_each_input
def test_gradients_of_a_tagger_against_differences(tokens: bool, crf: bool) -> None:
    model, x = tagger(tokens, crf, num_layers=2), inputs(tokens)

    def loss() -> float:
        return model.loss(model(x, LENGTHS), LABELS, LENGTHS, gradient=False)[0]

    scores, tape = model.forward(x, LENGTHS)
    dx = model.backward(tape, np.asarray(model.loss(scores, LABELS, LENGTHS)[1]))
    if dx is not None:
        kept, along, found = x.copy(), rng.standard_normal(x.shape), []
        for step in (1e-6, -1e-6):
            x[...] = kept + step * along
            found.append(loss())
        x[...] = kept
        assert (found[0] - found[1]) / 2e-6 == pytest.approx(float(np.sum(dx * along)), rel=1e-6)
    for name, parameter in model.named_parameters():
        grad = parameter.grad.copy()
        if parameter.rows is not None:
            grad[parameter.rows.index] += parameter.rows.value
        along = rng.standard_normal(grad.shape)
        if name == "embedding.weight":
            along[0] = 0  # pads
        kept, found = parameter.data.copy(), []
        for step in (1e-6, -1e-6):
            parameter.data[...] = kept + step * along
            found.append(loss())
        parameter.data[...] = kept
        rise = (found[0] - found[1]) / 2e-6
        assert rise == pytest.approx(float(np.sum(grad * along)), rel=1e-6, abs=1e-9), name


@each
@of_each_input
def test_a_row_of_a_tagger_does_not_depend_on_its_neighbours(tokens: bool, crf: bool) -> None:
    model, x = tagger(tokens, crf), inputs(tokens).copy()
    x[~REAL] = V - 1 if tokens else np.nan
    scores, labels = model(x, LENGTHS), model.predict(x, LENGTHS)
    for n, length in enumerate(LENGTHS):
        if length:
            own = x[[n], :length]
            np.testing.assert_array_equal(model(own)[0], scores[n, :length])
            np.testing.assert_array_equal(model.predict(own)[0], labels[n, :length])


@each
def test_labels_past_a_length_are_not_looked_at(crf: bool) -> None:
    model = tagger(crf=crf)
    scores = model(NUMBERS, LENGTHS)
    loss, d = model.loss(scores, LABELS, LENGTHS)
    again, other = model.loss(scores, np.where(REAL, LABELS, -7), LENGTHS)
    assert loss == again
    np.testing.assert_array_equal(d, other)


def test_an_untrained_crf_is_a_softmax() -> None:
    plain, joined = tagger(), tagger(crf=True)
    assert joined.crf is not None
    for parameter in joined.crf.parameters():
        parameter.data[...] = 0
    scores, other = plain(NUMBERS, LENGTHS), joined(NUMBERS, LENGTHS)
    np.testing.assert_array_equal(scores, other)
    one, d = plain.loss(scores, LABELS, LENGTHS)
    two, other_d = joined.loss(other, LABELS, LENGTHS)
    assert one == pytest.approx(two, rel=1e-12)
    np.testing.assert_allclose(d, other_d, atol=1e-12)
    probabilities = [model.probabilities(NUMBERS, LENGTHS) for model in (plain, joined)]
    np.testing.assert_allclose(*probabilities, atol=1e-12)


@of_each_input
def test_dropout_of_a_tagger(tokens: bool) -> None:
    model, x = tagger(tokens, dropout=0.5), inputs(tokens)
    one, _ = model.forward(x, LENGTHS, rng=3)
    two, tape = model.forward(x, LENGTHS, rng=3)
    np.testing.assert_array_equal(one, two)
    assert (one != model(x, LENGTHS)).any()
    model.backward(tape, np.ones_like(two))


def alternating(n: int = 160, seed: int = 0) -> Any:
    """Sequences of two labels in turn; what is seen tells the label of the last step only."""
    own = np.random.default_rng(seed)
    lengths = own.integers(1, 9, n)
    labels = (np.arange(8) + own.integers(0, 2, (n, 1))) % 2
    x = 0.1 * own.standard_normal((n, 8, 1))
    last = lengths - 1
    x[np.arange(n), last, 0] = np.where(labels[np.arange(n), last] > 0, 1.0, -1.0)
    return x.astype("float32"), labels, lengths


def test_a_crf_learns_what_one_direction_cannot_know(tmp_path: Path) -> None:
    accuracy = {}
    for crf in (False, True):
        model = SequenceTagger(2, 8, bidirectional=False, input_size=1, crf=crf, rng=0)
        trainer = Trainer(model, Adam(model, 0.03), model.loss, epochs=8, seed=1)
        assert isinstance(trainer.task, Tagging)
        task = Tagging(batch_size=16)
        history = trainer.fit(*task.source(model, alternating(), alternating(80, 1)))
        best = history.epochs[history.best - 1]
        accuracy[crf] = best.validation_accuracy or 0.0
        assert best.train_accuracy is not None
        rows = Rows.of("rows", alternating(80, 1))
        again = evaluate(model, row_batches(rows, 7), task)
        assert again.accuracy == pytest.approx(accuracy[crf])
        assert again.loss == pytest.approx(best.validation_loss, rel=1e-5)
        assert again.examples == again.words == rows.words
        found = model.predict(rows.x, rows.lengths)
        real = np.arange(8) < np.asarray(rows.lengths)[:, None]
        assert again.accuracy == pytest.approx((found == rows.labels)[real].mean())
    assert accuracy[True] > 0.98
    assert accuracy[False] < 0.85


@each
def test_rows_without_steps_change_nothing(crf: bool) -> None:
    x, labels, lengths = alternating(30)
    empty = np.insert(lengths, [3, 9, 9], 0)
    with_empty = np.insert(x, [3, 9, 9], np.nan, axis=0), np.insert(labels, [3, 9, 9], -1, axis=0)
    task, found = Tagging(batch_size=1), []
    for data in ((x, labels, lengths), (*with_empty, empty)):
        model = SequenceTagger(2, 4, input_size=1, crf=crf, rng=0)
        history = Trainer(model, Adam(model), task, epochs=2).fit(*task.source(model, data, data))
        measured = evaluate(model, row_batches(Rows.of("rows", data), 1), task)
        assert measured.examples == lengths.sum()
        found.append((history.epochs[-1].validation_loss, measured.loss, measured.accuracy))
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="validation: lengths are all 0, expected a row"):
        task.source(model, data, (x, labels, 0 * lengths))
    with pytest.raises(ValueError, match="train: x is a list of unequal lists"):
        task.source(model, ([row[:n] for row, n in zip(x, lengths, strict=True)], labels))


def test_a_resumed_tagger_ends_with_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"

    def trainer(**options: Any) -> Trainer:
        model = SequenceTagger(2, 4, input_size=1, crf=True, dropout=0.2, rng=0)
        return Trainer(model, Adam(model), Tagging(**options), epochs=3)

    def fit(trainer: Trainer) -> Any:
        trainer.fit(*trainer.task.source(trainer.model, alternating(60), alternating(20, 1)))
        return trainer.model.state_dict()

    whole, broken, again = trainer(), trainer(), trainer()

    class Stop(Progress):
        def on_step(self, history: Any) -> None:
            if history.step == 3:
                broken.save(path)
                raise KeyboardInterrupt

    broken.listeners = (Stop(),)
    with pytest.raises(KeyboardInterrupt):
        fit(broken)
    again.load(path)
    expected = fit(whole)
    for name, array in fit(again).items():
        np.testing.assert_array_equal(array, expected[name])
    with pytest.raises(CheckpointError, match="batch_size differ"):
        trainer(batch_size=8).load(path)


def test_a_tagger_comes_back_from_its_file(tmp_path: Path) -> None:
    for tokens in (False, True):
        for crf in (False, True):
            model, x = tagger(tokens, crf), inputs(tokens)
            save_model(tmp_path / "model.safetensors", model)
            again = load_model(tmp_path / "model.safetensors", SequenceTagger)
            assert again.options == model.options
            np.testing.assert_array_equal(again.predict(x, LENGTHS), model.predict(x, LENGTHS))
            np.testing.assert_array_equal(again(x, LENGTHS), model(x, LENGTHS))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_labels": 10**9}, "num_labels is 1000000000, but its tensors are of 4"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, but its tensors are of 6"),
        ({"num_layers": 10**9}, "num_layers is 1000000000, but its tensors are of 1"),
        ({"vocab_size": 10**9}, "vocab_size is 1000000000, but its tensors are of 0"),
        ({"embedding_dim": 10**9}, "embedding_dim is 1000000000, but its tensors are of 0"),
        ({"input_size": 10**9}, "numbers of a step is 1000000000, but its tensors are of 3"),
        ({"crf": False}, "labels before is 0, but its tensors are of 4"),
    ],
)
def test_hostile_files_of_taggers(wrong: Any, message: str, tmp_path: Path) -> None:
    model = tagger(crf=True)
    model.options.update(wrong)
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crf.between", "labels after is 4, but its tensors are of 1"),
        ("head.weight", "features is 12, but its tensors are of 1"),
        ("lstm.weight_ih_l0", "numbers of a step is 3, but its tensors are of 1"),
    ],
)
def test_a_thin_matrix_of_a_tagger_stands_for_no_large_one(
    name: str, message: str, tmp_path: Path
) -> None:
    model = tagger(crf=True)
    weights = {k: v[:, :1] if k == name else v for k, v in model.state_dict().items()}
    save_model(tmp_path / "model.safetensors", model, weights)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_model(tmp_path / "model.safetensors")


def test_a_file_whose_crf_is_larger_than_its_tensor(tmp_path: Path) -> None:
    model = tagger(crf=False)
    model.options["crf"] = True
    save_model(tmp_path / "model.safetensors", model)
    message = re.escape("labels before is 4, but its tensors are of 0")
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "vocab_size is 0 and input_size 0, expected one of them"),
        ({"vocab_size": 3, "input_size": 2}, "vocab_size is 3 and input_size 2"),
        ({"num_labels": 0, "input_size": 1}, "num_labels is 0, expected at least 1"),
        ({"input_size": -1}, "input_size is -1, expected at least 0"),
        ({"input_size": 1, "dropout": 2}, "dropout is 2, expected 0 to 1"),
        ({"input_size": 1, "cell": "tcn"}, "cell is 'tcn', expected one of lstm, gru, rnn"),
    ],
)
def test_wrong_options_of_a_tagger(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SequenceTagger(**{"num_labels": 3, **options})


@each
def test_wrong_calls_of_a_tagger(crf: bool) -> None:
    model = tagger(crf=crf)
    scores, tape = model.forward(NUMBERS, LENGTHS)
    for labels, error, message in (
        (LABELS[:, 1:], ValueError, "labels has shape (6, 6), expected (6, 7)"),
        (LABELS.astype(float), TypeError, "dtype float64, expected integers"),
        (np.full((N, T), K), IndexError, "labels[0, 0] is 4, expected 0 to 3"),
        (np.where(np.arange(T) == 2, -1, LABELS), IndexError, "labels[0, 2] is -1, expected"),
        (LABELS > 0, TypeError, "labels has dtype bool, expected integers"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            model.loss(scores, labels, LENGTHS)
    big = np.full((N, T), 2**64 - 1, np.uint64)
    with pytest.raises(
        IndexError, match=r"labels\[0, 0\] is 18446744073709551615, expected 0 to 3"
    ):
        model.loss(scores, big, LENGTHS)
    for call in (model.labels, lambda given: model.loss(given, LABELS)):
        with pytest.raises(
            ValueError, match=r"scores has shape \(6, 7, 2\), expected \(any, any, 4"
        ):
            call(scores[:, :, :2])
        with pytest.raises(ValueError, match=r"scores has shape \(7, 4\), expected \(any, any, 4"):
            call(scores[0])
    np.testing.assert_array_equal(model.labels(scores.tolist()), model.labels(scores))
    with pytest.raises(ValueError, match="lengths are all 0, expected a step to learn from"):
        model.loss(scores, LABELS, np.zeros(N, int))
    with pytest.raises(ValueError, match=r"lengths\[0\] is 8, expected 0 to 7"):
        model.loss(scores, LABELS, np.full(N, 8))
    with pytest.raises(ValueError, match=re.escape("dscores has shape (6, 7, 3), expected")):
        model.backward(tape, np.zeros((N, T, 3)))
    with pytest.raises(ValueError, match=re.escape("x has shape (6, 7, 2), expected")):
        model(np.zeros((N, T, 2)))
    with pytest.raises(IndexError, match=re.escape("is 11, expected 0 to 10")):
        tagger(True, crf)(np.full((N, T), V))
    assert not model(NUMBERS, np.zeros(N, int)).any()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 800.0])
@pytest.mark.parametrize(("count", "steps"), [(3, 5), (1, 4), (2, 6), (4, 1)])
def test_a_crf_is_a_sum_over_all_sequences(count: int, steps: int, scale: float) -> None:
    own = np.random.default_rng(5)
    crf = CRF(count, dtype="float64")
    for parameter in crf.parameters():
        parameter.data[...] = scale * own.standard_normal(parameter.data.shape)
    x, labels = scale * own.standard_normal((3, steps, count)), own.integers(0, count, (3, steps))
    lengths = np.array([steps, 1, max(1, steps - 1)])
    losses, likeliest, shares = (
        crf.losses(x, labels, lengths), crf(x, lengths), crf.probabilities(x, lengths)
    )  # fmt: skip
    for n, T in enumerate(lengths):
        paths = np.array(list(itertools.product(range(count), repeat=int(T))))
        total = crf.start.data[paths[:, 0]] + crf.end.data[paths[:, -1]]
        total += x[n, np.arange(T), paths].sum(axis=1)
        total += crf.between.data[paths[:, :-1], paths[:, 1:]].sum(axis=1)
        of_all = np.logaddexp.reduce(total)
        mine = total[(paths == labels[n, :T]).all(axis=1)][0]
        assert losses[n] == pytest.approx(of_all - mine, rel=1e-12, abs=1e-12 * scale)
        assert likeliest[n, :T].tolist() == paths[total.argmax()].tolist()
        chance = np.exp(total - of_all)
        expected = [[chance[paths[:, t] == k].sum() for k in range(count)] for t in range(T)]
        np.testing.assert_allclose(shares[n, :T], expected, atol=1e-10)


def test_gradients_of_a_crf_against_differences() -> None:
    crf = tagger(crf=True).crf
    assert crf is not None
    x = np.random.default_rng(6).standard_normal((N, T, K))
    _, tape = crf.forward(x, LABELS, LENGTHS)
    arrays = [(x, crf.backward(tape)), *((p.data, p.grad) for p in crf.parameters())]
    for array, grad in arrays:
        for at in np.ndindex(array.shape):
            kept, found = array[at], []
            for step in (1e-6, -1e-6):
                array[at] = kept + step
                found.append(crf.losses(x, LABELS, LENGTHS).sum() / LENGTHS.sum())
            array[at] = kept
            assert (found[0] - found[1]) / 2e-6 == pytest.approx(grad[at], abs=1e-8)


def test_a_crf_by_itself() -> None:
    crf = CRF(K, dtype="float32")
    x = NUMBERS.astype("float32") @ np.ones((F, K), "float32")
    assert repr(crf) == "CRF(4)"
    loss, tape = crf.forward(x, LABELS, LENGTHS)
    assert loss == pytest.approx(crf.losses(x, LABELS, LENGTHS).sum() / LENGTHS.sum())
    one = crf.backward(tape, 2.0)
    grads = [p.grad.copy() for p in crf.parameters()]
    assert one.dtype == grads[0].dtype == np.float32
    crf.zero_grad()
    _, tape = crf.forward(x, LABELS, LENGTHS)
    np.testing.assert_allclose(2 * crf.backward(tape), one, rtol=1e-5, atol=1e-8)
    for p, grad in zip(crf.parameters(), grads, strict=True):
        np.testing.assert_allclose(2 * p.grad, grad, rtol=1e-5, atol=1e-8)
    with pytest.raises(RuntimeError, match="tape was already used"):
        crf.backward(tape)
    with pytest.raises(ValueError, match="x has shape"):
        crf(x[:, :, :3])
    for lengths in (None, LENGTHS):
        assert crf(x, lengths).shape == (N, T)
        np.testing.assert_allclose(
            crf.probabilities(x, lengths).sum(axis=2), REAL if lengths is not None else 1, atol=1e-6
        )


@each
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_gets_no_label(crf: bool, value: float) -> None:
    model, x = tagger(crf=crf), NUMBERS.copy()
    x[2, 1, 2] = value
    x[~REAL] = np.nan
    told = re.escape(f"x[2, 1, 2] is {value}, expected a finite number: leave the step out")
    for call in (model, model.predict, model.probabilities, model.forward):
        with pytest.raises(ValueError, match=told):
            call(x, LENGTHS)
    task = Tagging()
    with pytest.raises(ValueError, match=f"train: {told}"):
        task.source(model, (x, LABELS, LENGTHS))
    with pytest.raises(ValueError, match=f"validation: {told}"):
        task.source(model, (NUMBERS, LABELS, LENGTHS), (x, LABELS, LENGTHS))


@each
def test_scores_that_are_nan_have_no_likeliest_label(crf: bool) -> None:
    model = tagger(crf=crf)
    scores = model(NUMBERS, LENGTHS)
    scores[~REAL] = np.nan
    expected = model.labels(model(NUMBERS, LENGTHS), LENGTHS)
    np.testing.assert_array_equal(model.labels(scores, LENGTHS), expected)
    scores[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"scores\[2, 1, 0\] is nan, expected numbers"):
        model.labels(scores, LENGTHS)
    if model.crf is not None:
        with pytest.raises(ValueError, match=r"x\[2, 1, 0\] is nan, expected numbers"):
            model.crf(scores, LENGTHS)
        model.crf.between.data[1, 2] = np.nan
        with pytest.raises(ValueError, match=r"between\[1, 2\] is nan, expected numbers"):
            model.predict(NUMBERS, LENGTHS)


@each
def test_a_tagger_whose_weights_diverged_ends_its_training(crf: bool) -> None:
    x, labels, lengths = alternating(30)
    model = SequenceTagger(2, 4, input_size=1, crf=crf, rng=0)
    model.head.weight.data[...] = np.nan
    task = Tagging()
    trainer = Trainer(model, Adam(model), task, epochs=1)
    with pytest.raises(FloatingPointError, match="try a smaller learning rate"):
        trainer.fit(*task.source(model, (x, labels, lengths)))
