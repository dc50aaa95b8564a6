"""LSTMClassifier: what it reads, learns, repeats and refuses."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_data import opinions, slopes, small
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastlstm as fl
from fastlstm.models import SequenceClassifier, TextClassifier
from fastlstm.sklearn import LSTMClassifier
from fastlstm.train import History


class Column:
    """What polars and Arrow have of a column: an array on request, and no dimensions."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        return self.rows[at]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        found = np.empty(len(self.rows), object)
        found[:] = self.rows
        return found.astype(dtype) if dtype else found


@pytest.mark.parametrize("data", [opinions, slopes])
def test_columns_of_other_libraries_are_lists(data: Any) -> None:
    X, y = data(8)
    assert np.array_equal(
        small(epochs=1).fit(Column(X), y).predict_proba(Column(X)),
        small(epochs=1).fit(X, y).predict_proba(X),
    )


def test_learns_texts_with_labels_of_strings() -> None:
    model = small(epochs=30, pooling="last").fit(*opinions(64))
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(*opinions(seed=1)) == 1.0
    assert model.predict(["this is not awful", "this was fine", "not good"]).tolist() == [
        "yes", "yes", "no",
    ]  # fmt: skip
    assert isinstance(model.model_, TextClassifier)
    assert "awful" in model.reader_.vocabulary
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("F", [1, 3])
def test_learns_ragged_series_of_many_classes(F: int) -> None:
    model = small(epochs=15).fit(*slopes(F=F))
    assert model.score(*slopes(F=F, seed=1)) == 1.0
    assert isinstance(model.model_, SequenceClassifier)
    assert model.n_features_in_ == F
    np.testing.assert_allclose(model.reader_.mean, 50, atol=0.2)
    proba = model.predict_proba(slopes(F=F, seed=2)[0])
    assert proba.shape == (48, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_a_number_that_never_changes_is_no_trouble() -> None:
    rows, labels = slopes()
    with_constant = [np.stack([row, np.full(len(row), 7.0)], axis=1) for row in rows]
    model = small(epochs=15).fit(with_constant, labels)
    assert model.score(with_constant, labels) == 1.0
    assert model.reader_.scale[1] == 1


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_cell_is_the_one_asked_for(cell: str) -> None:
    model = small(cell=cell, epochs=1, num_layers=2, pooling="last").fit(*slopes(8))
    assert model.model_.cell == cell
    assert model.model_.recurrent.num_layers == 2


def test_all_forms_of_the_same_series_are_the_same() -> None:
    rng = np.random.default_rng(0)
    table, labels = rng.standard_normal((12, 5)), np.arange(12) % 3
    forms: list[Any] = [
        table,
        table.tolist(),
        list(table),
        table[..., None],
        list(table[..., None]),
    ]
    forms.append(np.array([*table, np.zeros(2)], dtype=object)[:-1])  # rows of an object array
    expected = small(epochs=2).fit(table, labels).predict_proba(table)
    for form in forms:
        model = small(epochs=2).fit(form, labels)
        np.testing.assert_array_equal(model.predict_proba(form), expected)
        np.testing.assert_array_equal(model.predict_proba(list(table)), expected)


def test_a_table_keeps_its_columns_and_series_need_not() -> None:
    rng = np.random.default_rng(0)
    table, labels = rng.standard_normal((12, 5)), np.arange(12) % 2
    by_table = small(epochs=1).fit(table, labels)
    with pytest.raises(ValueError, match="X has 4 features, but LSTMClassifier is expecting 5"):
        by_table.predict(table[:, :4])
    by_series = small(epochs=1).fit(list(table), labels)
    shorter = by_series.predict_proba(table[:, :4])
    np.testing.assert_array_equal(by_table.predict_proba([*table[:, :4]]), shorter)
    assert (by_table.n_features_in_, by_series.n_features_in_) == (5, 1)


def test_empty_lists_of_words_are_read_alone_as_beside_others() -> None:
    texts, labels = opinions(16)
    for parts in ("net", "linear", "joined"):
        model = small(parts=parts).fit([text.split() for text in texts], labels)
        alone = model.predict_proba([[]])
        np.testing.assert_array_equal(model.predict_proba([[], ["a"]])[:1], alone)
        np.testing.assert_array_equal(model.predict_proba([[], []]), np.repeat(alone, 2, axis=0))
        with pytest.raises(ValueError, match="X holds no texts, expected some as in fit"):
            model.predict_proba([])


def test_an_analyzer_gives_strings() -> None:
    texts, labels = opinions(16)
    expected = small().fit(texts, labels).predict_proba(texts)
    model = small(analyzer=lambda text: iter(text.split())).fit(texts, labels)
    np.testing.assert_array_equal(model.predict_proba(texts), expected)
    for wrong, told in (
        (lambda text: None, "analyzer gave None for"),
        (lambda text: [*text.split(), 5], "analyzer gave 5 for"),
        (str.encode, "analyzer gave "),
    ):
        for parts in ("net", "linear"):
            with pytest.raises(TypeError, match=f"{told}.*, expected a list of strings"):
                small(parts=parts, analyzer=wrong).fit(texts, labels)


def test_texts_are_split_as_asked() -> None:
    texts, labels = opinions(16)
    split = [text.split() for text in texts]
    expected = small(epochs=2).fit(texts, labels).predict_proba(texts)
    np.testing.assert_array_equal(
        small(epochs=2, analyzer=str.split).fit(texts, labels).predict_proba(texts), expected
    )
    np.testing.assert_array_equal(
        small(epochs=2).fit(np.array(texts), labels).predict_proba(split), expected
    )
    words = small(epochs=1).fit([*split, []], [*labels, "no"]).reader_.vocabulary
    assert set(words.words[2:]) == {word for row in split for word in row}
    chars = small(epochs=1, analyzer="char").fit(texts, labels).reader_.vocabulary
    assert set(chars.words[2:]) == {letter for text in texts for letter in text}
    small_vocabulary = small(epochs=1, vocab_size=4).fit(texts, labels).reader_.vocabulary
    assert small_vocabulary.words == ["<pad>", "<unk>", "this", "not"]


def test_the_analyzer_suits_the_texts() -> None:
    texts, labels = ["这个好", "那个坏", "GPT好", "很坏"], ["yes", "no", "yes", "no"]
    model = small(epochs=1).fit(texts, labels)
    assert model.get_params()["analyzer"] == "auto"
    assert model.reader_.rule == model.reader_.vocabulary.analyzer == "mixed"
    assert set(model.reader_.vocabulary.words[2:]) == {*"这个好那坏很", "gpt"}
    words = small(epochs=1, analyzer="word").fit(texts, labels).reader_.vocabulary
    assert set(words.words[2:]) == {"这个好", "那个坏", "gpt好", "很坏"}
    split = small(epochs=1).fit([["这个", "好"], ["那个", "坏"]], labels[:2]).reader_
    assert (split.rule, set(split.vocabulary.words[2:])) == ("word", {"这个", "好", "那个", "坏"})


@pytest.mark.parametrize("analyzer", ["word", "char", str.split])
def test_a_pickled_reader_of_before_keeps_its_rule(analyzer: Any) -> None:
    texts, labels = ["कि a", "की b"], ["yes", "no"]
    earlier = {"word": "word-1", "char": list}.get(analyzer, analyzer)
    model = small(epochs=1, analyzer=earlier).fit(texts, labels)
    expected, reader = model.predict_proba(texts), model.reader_
    reader.analyzer = analyzer  # as that version had it
    del reader.rule, reader.vocabulary.analyzer
    again = pickle.loads(pickle.dumps(model))
    assert again.reader_.rule == earlier
    assert again.reader_.vocabulary.analyzer == "word-1"
    np.testing.assert_array_equal(again.predict_proba(texts), expected)


def test_unknown_words_and_empty_texts_have_an_answer() -> None:
    for parts in ("joined", "linear", "net"):
        options = {} if parts == "linear" else {"epochs": 1}
        model = small(parts=parts, **options).fit(*opinions(16))
        proba = model.predict_proba(["", "entirely new words", "<pad> <unk>", []])
        assert np.isfinite(proba).all()
    special = model.predict_proba([["<pad>"], ["<unk>"], ["unheard-of"]])
    np.testing.assert_array_equal(special[0], special[2])
    np.testing.assert_array_equal(special[1], special[2])


def test_max_length_cuts_in_fit_and_in_predict() -> None:
    rows, labels = slopes()
    first = small(epochs=1, max_length=3, standardize=False).fit(rows, labels)
    cut = [row[:3] for row in rows]
    np.testing.assert_array_equal(first.predict_proba(rows), first.predict_proba(cut))
    again = small(epochs=1, standardize=False).fit(cut, labels)
    np.testing.assert_array_equal(again.predict_proba(cut), first.predict_proba(rows))
    ends = clone(first).set_params(truncate="ends").fit(rows, labels)
    cut = [np.concatenate([row[:2], row[-1:]]) for row in rows]
    np.testing.assert_array_equal(ends.predict_proba(rows), ends.predict_proba(cut))


def test_a_random_state_repeats_bit_for_bit_on_any_threads(threads: None) -> None:
    rows, labels = slopes()
    options: dict[str, Any] = {"epochs": 2, "dropout": 0.3, "validation_fraction": 0.2}
    expected = small(**options).fit(rows, labels).predict_proba(rows)
    fl.set_num_threads(2)
    for n_threads in (None, 1, 2):
        model = small(**options, n_threads=n_threads).fit(rows, labels)
        np.testing.assert_array_equal(model.predict_proba(rows), expected)
        assert fl.get_num_threads() == 2
    state = np.random.RandomState(0)  # gives the first fit what 0 gives, the second something else
    for random_state, same in ((state, True), (state, False), (1, False), (None, False)):
        model = small(**{**options, "random_state": random_state}).fit(rows, labels)
        assert np.array_equal(model.predict_proba(rows), expected) == same


def test_probabilities_are_those_of_the_decision_function() -> None:
    texts, labels = opinions(16)
    model = small(epochs=2).fit(texts, labels)
    z = model.decision_function(texts)
    np.testing.assert_allclose(model.predict_proba(texts)[:, 1], 1 / (1 + np.exp(-z)))
    np.testing.assert_array_equal(model.predict(texts), model.classes_[(z > 0).astype(int)])
    rows, slope = slopes()
    many = small(epochs=1).fit(rows, slope)
    z = many.decision_function(rows)
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(many.predict_proba(rows), softmax)
    np.testing.assert_allclose(many.predict_log_proba(rows), np.log(softmax))
    direct = many.model_(((rows[3] - many.reader_.mean) / many.reader_.scale)
                         .astype("float32")[None, :, None])  # fmt: skip
    np.testing.assert_array_equal(z[3], direct[0])


def test_predictions_survive_pickle_and_joblib(tmp_path: Any) -> None:
    joblib = pytest.importorskip("joblib")
    for X, y in (opinions(16), slopes(16)):
        model = small(epochs=1, average=0.9, hidden_size=48).fit(X, y)
        data = pickle.dumps(model)
        weights = sum(p.data.nbytes for p in model.model_.parameters())
        assert len(data) < weights + 20_000, "gradients or optimizer states are pickled"
        joblib.dump(model, tmp_path / "model.joblib")
        mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
        for other in (pickle.loads(data), joblib.load(tmp_path / "model.joblib"), mapped):
            np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


def test_validation_keeps_the_best_epoch_and_patience_stops() -> None:
    rows, labels = slopes(60)
    labels = np.random.default_rng(1).permutation(labels)  # nothing to be learned
    model = small(epochs=40, validation_fraction=0.25, patience=3).fit(rows, labels)
    assert isinstance(model.history_, History)
    assert model.n_iter_ == model.history_.best + 3 < 40
    best = model.history_.epochs[model.history_.best - 1]
    assert best.validation_accuracy == max(e.validation_accuracy for e in model.history_.epochs)
    held_back = sum(map(len, rows)) - best.words
    assert 15 * 4 <= held_back <= 15 * 9  # the steps of 15 series


def test_class_weights_help_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    rows = [*rng.normal(0, 1, (90, 4)), *rng.normal(0.7, 1, (10, 4))]
    labels = np.repeat(["often", "seldom"], [90, 10])
    found = []
    for weight in (None, "balanced", {"often": 1, "seldom": 1000}):
        model = small(epochs=3, class_weight=weight).fit(rows, labels)
        found.append(np.count_nonzero(model.predict(rows) == "seldom"))
    assert found[0] < 10 < found[1] < found[2]


def test_optimizers_and_the_average_are_used() -> None:
    rows, labels = slopes(16)
    results = [
        small(epochs=1, **options).fit(rows, labels).decision_function(rows)
        for options in (
            {}, {"optimizer": "adamw", "weight_decay": 0.1}, {"weight_decay": 0.1},
            {"optimizer": "sgd"}, {"average": 0.9}, {"schedule": "constant"}, {"clip": 0.01},
        )
    ]  # fmt: skip
    assert len({result.tobytes() for result in results}) == len(results)


def test_word_dropout_is_of_texts_only() -> None:
    texts, labels = opinions(16)
    plain, hidden = (
        small(epochs=1, word_dropout=p).fit(texts, labels).predict_proba(texts) for p in (0, 0.5)
    )
    assert (plain != hidden).any()
    with pytest.warns(UserWarning, match="word_dropout does nothing here: X holds numbers, not"):
        small(epochs=1, word_dropout=0.5).fit(*slopes(8))


def test_verbose_prints_the_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    small(epochs=2).fit(*slopes(8))
    assert capsys.readouterr().out == ""
    small(epochs=2, verbose=1).fit(*slopes(8))
    assert "epoch 2/2: loss" in capsys.readouterr().out


def test_another_fit_forgets_the_first() -> None:
    table, labels = np.random.default_rng(0).standard_normal((12, 5)), np.arange(12) % 2
    model = small(epochs=1).fit(table, labels)
    texts, opinion = opinions(16)
    expected = small(epochs=1).fit(texts, opinion).predict_proba(texts)
    np.testing.assert_array_equal(model.fit(texts, opinion).predict_proba(texts), expected)
    assert not hasattr(model, "n_features_in_")


def test_without_scikit_learn_the_extra_is_named() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import fastlstm.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "fastlstm.sklearn needs scikit-learn: pip install 'fastlstm[sklearn]'" in done.stderr


def test_unfitted() -> None:
    with pytest.raises(NotFittedError, match="This LSTMClassifier instance is not fitted yet"):
        LSTMClassifier().predict(["a text"])
