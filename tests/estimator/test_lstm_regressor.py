"""LSTMRegressor: what it reads, learns, repeats, and how it fits into scikit-learn."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastlstm as fl
from fastlstm.models import SequenceRegressor
from fastlstm.notices import IdleWarning
from fastlstm.sklearn import LSTMClassifier, LSTMRegressor

LOSSES = ("squared_error", "absolute_error", "huber", "quantile")


def quick(**options: Any) -> LSTMRegressor:
    usual = {"hidden_size": 8, "lr": 0.03, "random_state": 0, "batch_size": 8, "epochs": 2}
    return LSTMRegressor(**{**usual, **options})


def ramps(N: int = 48, F: int = 1, seed: int = 0) -> tuple[list[Any], np.ndarray]:
    """Series of 4 to 9 steps, [T_i] or [T_i, F], and where each would be a step later."""
    rng = np.random.default_rng(seed)
    rows, targets = [], []
    for _ in range(N):
        T, level, slope = int(rng.integers(4, 10)), rng.normal(50, 2), rng.normal(0, 1)
        x = level + slope * np.arange(-T, 0)[:, None] + 0.1 * rng.standard_normal((T, F))
        rows.append(x if F > 1 else x[:, 0])
        targets.append(1000 * level)
    return rows, np.array(targets)


@pytest.mark.parametrize("F", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_regressor_learns_ragged_series(loss: str, F: int) -> None:
    model = quick(epochs=30, loss=loss).fit(*ramps(F=F))
    X, y = ramps(F=F, seed=1)
    assert model.score(X, y) > 0.8
    assert isinstance(model.model_, SequenceRegressor)
    assert model.n_features_in_ == F
    forecast = model.predict(X)
    assert forecast.shape == (48,)
    assert forecast.dtype == np.float64
    assert model.score(X, y) == pytest.approx(r2_score(y, forecast))


def test_several_targets_of_unlike_scales() -> None:
    X, y = ramps()
    both = np.stack([y, 1e-6 * y + 3, -y], axis=1)
    model = quick(epochs=30).fit(X, both)
    forecast = model.predict(X)
    assert forecast.shape == (48, 3)
    assert min(r2_score(both, forecast, multioutput="raw_values")) > 0.8
    np.testing.assert_allclose(model.target_scale_.mean, both.mean(axis=0))
    np.testing.assert_allclose(model.target_scale_.scale, both.std(axis=0))


@pytest.mark.parametrize("targets", [0, 1, 2])
def test_quantiles_of_a_regressor_do_not_cross(targets: int) -> None:
    X, y = ramps()
    given = np.stack([y] * targets, axis=1) if targets else y
    model = quick(loss="quantile", quantiles=[0.05, 0.3, 0.6, 0.95]).fit(X, given)
    quantiles = model.predict_quantiles(X)
    assert quantiles.shape == (*given.shape, 4)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    np.testing.assert_array_equal(model.predict(X), quantiles[..., 2])  # the nearest to 0.5
    assert quick(loss="quantile").fit(X, given).predict_quantiles(X).shape == (*given.shape, 3)


def test_there_are_no_quantiles_without_their_loss() -> None:
    with pytest.raises(ValueError, match="there are no quantiles: fit with loss='quantile'"):
        quick(epochs=1).fit(*ramps(8)).predict_quantiles(ramps(8)[0])


def test_quantiles_cover_what_they_say() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3, 1))
    y = X[:, 0, 0] + rng.standard_normal(400)
    model = quick(loss="quantile", batch_size=32, epochs=15).fit(X[:300], y[:300])
    below = (y[300:, None] < model.predict_quantiles(X[300:])).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.12)


def test_an_outlier_pulls_less_with_absolute_errors() -> None:
    X, y = np.zeros((20, 2, 1)), np.zeros(20)
    y[0] = 100.0
    options: dict[str, Any] = {"epochs": 60, "batch_size": 20, "standardize_targets": False}
    mean, median, between = (
        quick(loss=loss, **options).fit(X, y).predict(X)[0]
        for loss in ("squared_error", "absolute_error", "huber")
    )
    assert mean == pytest.approx(5, abs=1)
    assert abs(median) < 1
    assert abs(between) < 1


def test_the_shape_of_targets_is_kept() -> None:
    X, y = ramps(12)
    flat = quick().fit(X, y).predict(X)
    column = quick().fit(X, y[:, None]).predict(X)
    assert column.shape == (12, 1)
    np.testing.assert_array_equal(column[:, 0], flat)
    for same in (y.tolist(), y.astype("f4"), y.astype(object)):
        np.testing.assert_allclose(quick().fit(X, same).predict(X), flat, rtol=1e-5)


def test_all_forms_of_the_same_numbers_are_the_same() -> None:
    rng = np.random.default_rng(0)
    table, y = rng.standard_normal((12, 5)), rng.standard_normal(12)
    expected = quick().fit(table, y).predict(table)
    for form in (table.tolist(), list(table), table[..., None], list(table[..., None])):
        model = quick().fit(form, y)
        np.testing.assert_array_equal(model.predict(form), expected)
        np.testing.assert_array_equal(model.predict(list(table)), expected)


def test_predictions_are_on_the_scale_of_the_targets() -> None:
    X, y = ramps(24)
    plain = quick().fit(X, y).predict(X)
    scaled = quick().fit(X, y * 8 - 3).predict(X)
    np.testing.assert_allclose(scaled, plain * 8 - 3, rtol=1e-5)
    constant = quick(epochs=40).fit(X, np.full(24, 7.0))
    np.testing.assert_allclose(constant.predict(X), 7.0, atol=0.1)
    model = quick().fit(X, y)
    x = (np.asarray(X[3]) - model.reader_.mean) / model.reader_.scale
    one = model.model_(x.astype("float32")[None, :, None])
    assert model.predict(X)[3] == one[0] * model.target_scale_.scale + model.target_scale_.mean


def test_a_random_state_of_a_regressor_repeats_on_any_threads(threads: None) -> None:
    X, y = ramps(24)
    options: dict[str, Any] = {"dropout": 0.3, "validation_fraction": 0.25}
    expected = quick(**options).fit(X, y).predict(X)
    for n_threads in (None, 1, 2):
        model = quick(**options, n_threads=n_threads).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), expected)
    assert (quick(**options, random_state=1).fit(X, y).predict(X) != expected).any()


def test_the_epoch_of_least_loss_is_kept_and_patience_stops() -> None:
    X, y = ramps(60)
    y = np.random.default_rng(1).permutation(y)  # nothing to be learned
    model = quick(epochs=60, validation_fraction=0.25, patience=3).fit(X, y)
    losses = [epoch.validation_loss or 0.0 for epoch in model.history_.epochs]
    assert model.history_.best == int(np.argmin(losses)) + 1
    assert model.n_iter_ == model.history_.best + 3 < 60
    assert model.history_.epochs[0].validation_accuracy is None
    assert model.history_.epochs[0].validation_mae is not None


def test_a_row_does_not_depend_on_the_others() -> None:
    X, y = ramps(24)
    model = quick().fit(X, y)
    together = model.predict(X)
    np.testing.assert_array_equal([model.predict([row])[0] for row in X], together)
    np.testing.assert_array_equal(model.predict(X[::-1]), together[::-1])


WHOLE: dict[str, Any] = {"batch_size": 1000, "dtype": "float64", "epochs": 5}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("K", [1, 2])
def test_whole_weights_of_a_regressor_are_copies(loss: str, K: int) -> None:
    X, y = ramps(24)
    y = np.stack([y, y**2], axis=1)[:, :K]
    weights = np.random.default_rng(0).integers(0, 4, 24)
    copies = np.repeat(np.arange(24), weights)
    expected = quick(loss=loss, **WHOLE).fit([X[n] for n in copies], y[copies]).predict(X)
    found = quick(loss=loss, **WHOLE).fit(X, y, sample_weight=weights).predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    plain = quick(loss=loss, **WHOLE).fit(X, y).predict(X)
    assert abs(plain / expected - 1).max() > 1e-6


def test_equal_weights_of_a_regressor_are_none() -> None:
    X, y = ramps(24)
    expected = quick(validation_fraction=0.25).fit(X, y).predict(X)
    for weight in (1, 0.1, np.full(24, 1e300), [5e-324] * 24):
        found = quick(validation_fraction=0.25).fit(X, y, sample_weight=weight).predict(X)
        np.testing.assert_array_equal(found, expected)


def test_the_part_held_back_is_weighted_too() -> None:
    X, y = ramps(40)
    weights = np.linspace(0.1, 3, 40)
    weighted = quick(validation_fraction=0.25).fit(X, y, sample_weight=weights)
    plain = quick(validation_fraction=0.25).fit(X, y)
    first = [model.history_.epochs[0].validation_loss for model in (weighted, plain)]
    assert first[0] != first[1]


def test_a_warm_start_of_a_regressor_goes_on() -> None:
    X, y = ramps(48)
    model = quick(epochs=30).fit(X, y)
    before, scale = model.predict(X), model.target_scale_
    model.set_params(warm_start=True, epochs=1, lr=1e-12).fit(X[:6], y[:6] + 500)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-5)
    assert model.target_scale_ is scale
    model.set_params(epochs=20, lr=0.01).fit(X, y + 500)
    assert model.score(X, y + 500) > 0.8


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"cell": "gru"}, np.asarray, "cell is 'gru', but warm_start goes on with the weights"),
        ({"loss": "quantile"}, np.asarray, "distribution of the loss would be 'quantiles', but"),
        ({}, lambda y: y[:, None], r"y has shape \(8, 1\), but warm_start .* which had \(N\)"),
        ({}, lambda y: np.stack([y, y], 1), r"y has shape \(8, 2\), but warm_start"),
    ],
)
def test_what_contradicts_a_warm_start_of_a_regressor(
    options: Any, change: Any, message: str
) -> None:
    X, y = ramps(8)
    model = quick(epochs=1, warm_start=True).fit(X, y).set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, change(y))


def test_a_warm_start_with_other_numbers_of_targets_and_quantiles() -> None:
    X, y = ramps(8)
    model = quick(epochs=1, warm_start=True, loss="quantile").fit(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match=r"y has shape \(8, 3\), .* which had \(N, 2\)"):
        model.fit(X, np.stack([y, y, y], axis=1))
    with pytest.raises(ValueError, match=r"quantiles of the loss would be \[0.5\], but"):
        model.set_params(quantiles=[0.5]).fit(X, np.stack([y, y], axis=1))


def test_a_regressor_survives_pickle_and_its_model_a_file(tmp_path: Any) -> None:
    X, y = ramps(16)
    model = quick(epochs=1, loss="quantile", hidden_size=32).fit(X, y)
    data = pickle.dumps(model)
    weights = sum(p.data.nbytes for p in model.model_.parameters())
    assert len(data) < weights + 20_000, "gradients or optimizer states are pickled"
    np.testing.assert_array_equal(
        pickle.loads(data).predict_quantiles(X), model.predict_quantiles(X)
    )
    fl.save(model.model_, tmp_path / "model.safetensors")
    net = fl.load(tmp_path / "model.safetensors")
    x = (np.asarray(X[0]) - model.reader_.mean) / model.reader_.scale
    outputs = net(x.astype("float32")[None, :, None])
    np.testing.assert_array_equal(
        model.target_scale_.back(outputs.astype(float)), model.predict_quantiles(X[:1])
    )


def test_a_regressor_in_searches_and_pipelines() -> None:
    X, y = ramps(24)
    grid = {"hidden_size": [2, 4], "loss": ["squared_error", "huber"]}
    search = GridSearchCV(quick(n_threads=1), grid, cv=2).fit(X, y)
    assert search.best_params_.keys() == grid.keys()
    assert search.predict(X).shape == (24,)
    table = np.random.default_rng(0).standard_normal((24, 5)) * 1000
    scaled = make_pipeline(StandardScaler(), quick(standardize=False)).fit(table, y)
    by_hand = StandardScaler().fit_transform(table)
    expected = quick(standardize=False).fit(by_hand, y).predict(by_hand)
    np.testing.assert_array_equal(scaled.predict(table), expected)
    predicted = cross_val_predict(quick(epochs=20), *ramps(45), cv=3)
    assert r2_score(ramps(45)[1], predicted) > 0.5


def test_a_clone_of_a_regressor_has_the_parameters_alone() -> None:
    model = quick(quantiles=np.array([0.2, 0.8]), loss="quantile").fit(*ramps(8))
    other = clone(model)
    assert not [name for name in vars(other) if name.endswith("_")]
    assert {**other.get_params(), "quantiles": 0} == {**model.get_params(), "quantiles": 0}
    assert quick().set_params(**model.get_params()).fit(*ramps(8)).predict(ramps(8)[0]).shape == (
        8,
    )


def test_max_length_of_a_regressor_cuts() -> None:
    X, y = ramps(24)
    cut = [row[:3] for row in X]
    model = quick(max_length=3, standardize=False).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), model.predict(cut))
    again = quick(standardize=False).fit(cut, y)
    np.testing.assert_array_equal(again.predict(cut), model.predict(X))


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_regressor_predicts_in_other_precisions(precision: str) -> None:
    X, y = ramps(32)
    model = quick(epochs=20).fit(X, y)
    exact = model.predict(X)
    close = model.set_params(precision=precision).predict(X)
    assert (close != exact).any()
    assert r2_score(y, close) > 0.7
    if precision == "int8":
        with pytest.raises(ValueError, match="'int8', in which a net cannot be trained"):
            model.fit(X, y)


def test_idle_parameters_of_a_regressor_are_told() -> None:
    X, y = ramps(8)
    for options, told in (
        ({"delta": 2.0}, "delta does nothing here: only the loss huber has one"),
        ({"quantiles": [0.5]}, "quantiles does nothing here: only the loss quantile has some"),
        ({"truncate": "ends"}, "truncate does nothing here: no text is cut without a limit"),
    ):
        with pytest.warns(IdleWarning, match=told):
            quick(epochs=1, **options).fit(X, y)


def test_a_regressor_prints_epochs_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    quick(verbose=1).fit(*ramps(8))
    out = capsys.readouterr().out
    assert "epoch 2/2: loss" in out
    assert ", MAE " in out


INPUTS: list[tuple[Any, Any, type[Exception], str]] = [
    (["a", "b"], [1, 2], ValueError, "X holds texts, expected sequences of numbers"),
    ([["a"], ["b"]], [1, 2], ValueError, "X holds texts, expected sequences of numbers"),
    ("text", [1, 2], ValueError, "X is a str"),
    ([], [], ValueError, r"Found array with 0 sample\(s\)"),
    ([[1.0], [2.0]], [1], ValueError, r"inconsistent numbers of samples: \[2, 1\]"),
    ([[1.0], [2.0]], None, ValueError, "requires y to be passed, but the target y is None"),
    ([[1.0], [2.0]], [1, np.nan], ValueError, "Input y contains NaN"),
    ([[1.0], [2.0]], [1, None], ValueError, r"y|NaN"),
    ([[1.0], [2.0]], [1, np.inf], ValueError, "Input y contains infinity"),
    ([[1.0], [2.0]], ["a", "b"], ValueError, "y has 'a' of dtype <U1, expected numbers"),
    ([[1.0], [2.0]], np.array([1, "b"], object), ValueError, r"y\[1\] is 'b', expected a number"),
    ([[1.0], [2.0]], [1j, 2], ValueError, "Complex data not supported"),
    ([[1.0], [2.0]], np.ones((2, 1, 1)), ValueError, "Found array with dim 3"),
    ([[1.0], [2.0]], np.ones((2, 0)), ValueError, r"0 feature\(s\)"),
    ([[1.0], [2.0]], 5, ValueError, "y is 5, expected numbers of shape"),
    ([[1.0], [2.0]], "ab", ValueError, "y is 'ab', expected numbers of shape"),
    ([[1.0], [2.0]], [[1.0, 2.0], [3.0]], ValueError, "inhomogeneous"),
    (
        [[1.0], [2.0]],
        [-1.7e308, 1.7e308],
        ValueError,
        "y spans -1.7e[+]308 to 1.7e[+]308, too wide",
    ),
    ([[1.0], [2.0]], [-1e200, 1e200], ValueError, r"y spans -1e\+200 to 1e\+200, too wide"),
    ([[1.0], [2.0]], [0.0, 1e-200], ValueError, "y spans 0 to 1e-200, too narrow to be scaled"),
    ([[1.0, -1e200], [2.0, 1.0]], [1, 2], ValueError, r"X spans -1e\+200 to 2, too wide"),
    ([np.ones(2), np.array([1e200])], [1, 2], ValueError, r"X spans 1 to 1e\+200, too wide"),
    ([[0.0, 1e-200], [0.0, 0.0]], [1, 2], ValueError, "X spans 0 to 1e-200, too narrow"),
    ([np.ones((2, 3)), np.ones((5, 2))], [0, 1], ValueError, "X\\[1\\] has 2 features a step"),
    ([np.ones(2), np.ones(0)], [0, 1], ValueError, r"X\[1\] has shape \(0,\), expected at least"),
    ([np.ones(2), np.array([np.nan])], [0, 1], ValueError, "Input X contains NaN"),
    (np.full((2, 2, 1), np.inf), [0, 1], ValueError, "Input X contains infinity"),
    (np.ones((2, 0, 3)), [0, 1], ValueError, r"X has shape \(2, 0, 3\), expected at least one"),
    (np.ones(2), [0, 1], ValueError, "Expected 2D array, got 1D array instead"),
]


@pytest.mark.parametrize(("X", "y", "error", "message"), INPUTS, ids=[i[3] for i in INPUTS])
def test_wrong_data_of_a_regressor(X: Any, y: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        quick(epochs=1).fit(X, y)


def test_sparse_targets() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="y is a sparse csr_matrix, expected an array"):
        quick().fit([[1.0], [2.0]], sparse.csr_matrix([[1.0], [2.0]]))


def test_too_large_a_target_for_the_dtype() -> None:
    with pytest.raises(ValueError, match="Input y contains infinity"):
        quick(standardize_targets=False).fit([[1.0], [2.0]], [1e300, 1])


OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"loss": "mse"}, ValueError, "loss is 'mse', expected one of squared_error, absolute_error"),
    ({"loss": "huber", "delta": 0}, ValueError, "delta is 0"),
    ({"loss": "quantile", "quantiles": [0.5, 0.1]}, ValueError, "expected each above the one"),
    ({"loss": "quantile", "quantiles": [0, 1]}, ValueError, r"quantiles\[0\] is 0.0"),
    ({"loss": "quantile", "quantiles": "many"}, TypeError, "quantiles has dtype"),
    ({"cell": "cnn"}, ValueError, "cell is 'cnn'"),
    ({"hidden_size": 0}, ValueError, "hidden_size is 0"),
    ({"pooling": "sum"}, ValueError, "pooling is 'sum'"),
    ({"optimizer": "lbfgs"}, ValueError, "lbfgs"),
    ({"epochs": 0}, ValueError, "epochs is 0"),
    ({"batch_size": 0}, ValueError, "batch_size is 0"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction is 1.0"),
    (
        {"validation_fraction": 0.99},
        ValueError,
        "validation_fraction is 0.99, which cannot .* of 8",
    ),
    ({"patience": 2}, ValueError, "patience is 2 but there is no validation data"),
    ({"max_length": 0}, ValueError, "max_length is 0"),
    ({"dtype": "float16"}, ValueError, "dtype is 'float16'"),
    ({"n_threads": 0}, ValueError, "n_threads is 0, expected at least 1"),
]


@pytest.mark.parametrize(("options", "error", "message"), OPTIONS, ids=[str(o[0]) for o in OPTIONS])
def test_wrong_parameters_of_a_regressor(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        quick(**{"epochs": 1, **options}).fit(*ramps(8))


def test_wrong_data_to_predict() -> None:
    with pytest.raises(NotFittedError, match="This LSTMRegressor instance is not fitted yet"):
        LSTMRegressor().predict([[1.0]])
    model = quick(epochs=1).fit(*ramps(8))
    with pytest.raises(ValueError, match="X holds texts, expected numbers as in fit"):
        model.predict(["a text"])
    with pytest.raises(ValueError, match="X has 2 features a step, expected 1 as in fit"):
        model.predict(np.ones((2, 3, 2)))
    with pytest.raises(ValueError, match=r"X has shape \(2, 3, 1, 1\), expected \(N, steps\) or"):
        model.predict(np.ones((2, 3, 1, 1)))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict([[1.0, np.nan]])


def test_a_regressor_that_diverges_is_told() -> None:
    with pytest.raises(FloatingPointError, match="try a smaller learning rate"):
        quick(epochs=5, lr=1e38, clip=0).fit(*ramps())


@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_column_is_not_divided_by_its_rounding(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 5, 2)), rng.normal(size=30)
    X[:, :, 1] = 0.1
    model = LSTMRegressor(hidden_size=3, epochs=1, random_state=0)
    model.fit(X, y, sample_weight=rng.uniform(0.5, 1, 30) if weighted else None)
    assert model.reader_.scale[1] == 1
    other = X.copy()
    other[:, :, 1] = 0.1001
    assert np.allclose(model.predict(other), model.predict(X), atol=1e-3)
    assert model.fit(X, np.full(30, 0.1)).target_scale_.scale.tolist() == [1]


def test_masked_values_are_refused() -> None:
    X, y = ramps(8)
    table = np.ma.masked_array(np.ones((8, 5)))
    assert quick().fit(table, y).predict(table).shape == (8,)  # which masks nothing
    table[2, 1] = table[3, 0] = np.ma.masked
    fitted = quick().fit(X, y)
    for call, told in (
        (lambda: quick().fit(table, y), "X masks 2"),
        (lambda: quick().fit([*X[:7], table[2]], y), r"X\[7\] masks 1"),
        (lambda: quick().fit(X, np.ma.masked_array(y, y == y[3])), "y masks 1"),
        (lambda: quick().fit(X, y, np.ma.masked_array(np.ones(8), y == y[0])), "sample_weight m"),
        (lambda: fitted.predict([table[3]]), r"X\[0\] masks 1"),
        (lambda: LSTMClassifier(epochs=1).fit(table, [0, 1] * 4), "X masks 2"),
        (lambda: LSTMClassifier(epochs=1).fit(X, table[:, 0].astype(int)), "y masks 1"),
    ):
        with pytest.raises(ValueError, match=told):
            call()


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_a_target_that_is_not_finite_is_told_with_its_place(value: float, what: str) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = np.zeros((4, 3)), np.ones((4, 2))
    y[2, 1] = value
    told = f"Input y contains {what}, first in y"
    for given, place in (
        (y, r"\[2, 1\]: leave"), (y[:, 1], r"\[2\]: leave"), (y[:, 1].tolist(), r"\[2\]: leave"),
        (pandas.DataFrame(y, columns=["a", "b"]), r"\[2, 1\] in the column 'b': leave"),
        (pandas.DataFrame(y.astype(object), columns=["a", "b"]), r"\[2, 1\] in the column 'b'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told + place):
            LSTMRegressor(epochs=1).fit(X, given)


def test_targets_are_real_numbers() -> None:
    with pytest.raises(ValueError, match="Complex data not supported: y has dtype complex128, exp"):
        LSTMRegressor(epochs=1).fit(np.zeros((4, 3)), np.ones(4) + 1j)


def test_a_table_with_an_index_of_several_levels_is_refused() -> None:
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(6, 5, 2))
    index = pandas.MultiIndex.from_product([range(6), range(5)], names=["series", "step"])
    X = pandas.DataFrame(values.reshape(30, 2), index=index, columns=["a", "b"])
    y = np.arange(6.0)
    with pytest.raises(ValueError, match="the index of X has 2 levels: if a row is a step, give a"):
        LSTMRegressor(epochs=1).fit(X, np.repeat(y, 5))
    sequences = [one for _, one in X.groupby(level=0, sort=False)]
    found = LSTMRegressor(epochs=1, random_state=0).fit(sequences, y).predict(sequences)
    assert np.array_equal(
        found, LSTMRegressor(epochs=1, random_state=0).fit(values, y).predict(values)
    )
    table = X.reset_index(drop=True)
    assert len(LSTMRegressor(epochs=1).fit(table, np.repeat(y, 5)).predict(table)) == 30
