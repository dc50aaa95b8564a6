"""LanguageModel: against torch, against differences, carried state, errors."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.models import LanguageModel, softmax_loss
from fastlstm.train import Adam

V, T, N = 30, 7, 4


def draw(seed: int = 0, T: int = T) -> Any:
    return np.random.default_rng(seed).integers(0, V, (T, N))


def model(**options: Any) -> LanguageModel:
    options = {"embedding_dim": 6, "hidden_size": 6, "dtype": "float64", **options}
    return LanguageModel(V, rng=np.random.default_rng(1), **options)


OPTIONS = [
    {},
    {"num_layers": 2, "tied": True},
    {"hidden_size": 9, "bias": False},
    {"hidden_size": 9, "projection": 6, "tied": True},
    {"cell": "gru", "num_layers": 2},
    {"cell": "rnn", "hidden_size": 5, "projection": 3},
]


def gradients(ours: LanguageModel) -> dict[str, Any]:
    """All gradients by name, those of rows as dense ones."""
    found = {}
    for name, parameter in ours.named_parameters():
        found[name] = parameter.grad.copy()
        if parameter.rows is not None:
            found[name][parameter.rows.index] += parameter.rows.value
    return found


def run_torch(torch: Any, ours: LanguageModel) -> tuple[Any, float, dict[str, Any]]:
    """The same model in torch with the same weights: logits, loss, gradients by our names."""
    p = {k: torch.tensor(v, requires_grad=True) for k, v in ours.state_dict().items()}
    layer = ours.recurrent
    cls = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[ours.cell]
    theirs = cls(layer.input_size, layer.hidden_size, layer.num_layers).double()
    start = ours.cell + "."
    weights = {k[len(start) :]: v for k, v in p.items() if k.startswith(start)}
    x = torch.nn.functional.embedding(torch.tensor(draw()), p["embedding.weight"])
    y, _ = torch.func.functional_call(theirs, weights, (x,))
    if ours.projection is not None:
        y = y @ p["projection.weight"].T
    logits = y @ p["embedding.weight" if ours.tied else "decoder.weight"].T
    logits = logits + p.get("decoder.bias", 0)
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, V), torch.tensor(draw(1)).reshape(-1)
    )
    loss.backward()
    return logits.detach().numpy(), loss.item(), {k: v.grad.numpy() for k, v in p.items()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_against_torch(backend_isa: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    ours = model(**options)
    logits, state, tape = ours.forward(draw())
    before = logits.copy()
    loss = softmax_loss(logits, draw(1))
    ours.backward(tape, logits)
    expected, expected_loss, theirs = run_torch(torch, ours)
    np.testing.assert_allclose(before, expected, rtol=0, atol=1e-10)
    assert loss == pytest.approx(expected_loss, abs=1e-10)
    assert gradients(ours).keys() == theirs.keys()
    for name, actual in gradients(ours).items():
        np.testing.assert_allclose(actual, theirs[name], rtol=0, atol=1e-10, err_msg=name)
    again, state_n = ours(draw())
    np.testing.assert_array_equal(again, before)
    np.testing.assert_array_equal(state_n[0], state[0])


REGULARISED = [
    {"num_layers": 2, "weight_drop": 0.3, "embedding_dropout": 0.3, "variational": True},
    {"cutoffs": [6, 15], "tied": True, "embedding_dropout": 0.3, "bias": False},
    {"cutoffs": [6], "div_value": 2.0, "cell": "gru", "variational": True, "num_layers": 2},
]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("options", OPTIONS + REGULARISED, ids=str)
def test_gradients_against_differences(
    backend_isa: str, options: dict[str, Any], dropout: float
) -> None:
    """Through dropout, a state that is given, a row that starts anew, and the softmax."""
    ours = model(dropout=dropout, **options)
    rng = np.random.default_rng(4)
    reset = np.zeros((T, N), bool)
    reset[3, 1] = True
    state = fl.State(rng.standard_normal(s.shape) for s in ours.recurrent.make_state(N))
    d_n = [rng.standard_normal(s.shape) for s in state]

    def loss(start: fl.State, backward: bool = False) -> tuple[float, Any]:
        given = np.random.default_rng(3)
        logits, state_n, tape = ours.forward(draw(), start, given, reset=reset)
        value = softmax_loss(logits, draw(1))
        dstate = ours.backward(tape, logits, fl.State(d_n)) if backward else None
        return value + sum(float(np.sum(a * d)) for a, d in zip(state_n, d_n, strict=True)), dstate

    _, dstate = loss(state, backward=True)
    along = {n: rng.standard_normal(p.data.shape) for n, p in ours.named_parameters()}
    slope = sum(float(np.sum(g * along[n])) for n, g in gradients(ours).items())
    of_state = [rng.standard_normal(s.shape) for s in state]
    slope += sum(float(np.sum(d * a)) for d, a in zip(dstate, of_state, strict=True))
    first, values = ours.state_dict(), []
    for step in (1e-6, -1e-6):
        ours.load_state_dict({k: v + step * along[k] for k, v in first.items()})
        moved = fl.State(s + step * a for s, a in zip(state, of_state, strict=True))
        values.append(loss(moved)[0])
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_windows_with_the_state_carried_are_the_whole(cell: str) -> None:
    ours = model(cell=cell, num_layers=2)
    whole, last = ours(draw())
    state, parts = None, []
    for steps in (slice(0, 3), slice(3, 4), slice(4, T)):
        part, state = ours(draw()[steps], state)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(state[0], last[0])


def test_a_reset_is_a_new_text() -> None:
    ours = model()
    reset = np.zeros((T, N), bool)
    reset[4] = True
    logits, _ = ours(draw(), reset=reset)
    np.testing.assert_allclose(logits[4:], ours(draw()[4:])[0], rtol=0, atol=1e-12)
    assert not np.allclose(logits[4:], ours(draw())[0][4:])


def test_each_place_has_its_own_dropout() -> None:
    """Unlike a classifier's: Zaremba et al. drop elements of each place's vector."""
    ours = model(dropout=0.5)
    ids = np.full((2, 50), 3)
    _, _, tape = ours.features(ids, rng=np.random.default_rng(0))
    dropped = ours._look(tape)[2]
    mask = ours.word_dropout._look(dropped)[0]
    assert mask.shape == (2, 50, 6)
    assert len(np.unique(mask.reshape(100, 6), axis=0)) > 20
    assert set(np.unique(mask)) == {0.0, 2.0}


@pytest.mark.parametrize("options", OPTIONS + REGULARISED, ids=str)
def test_learn_is_forward_loss_and_backward(options: dict[str, Any]) -> None:
    ours, state = model(dropout=0.3, **options), None
    for window in (draw(), draw(2)):
        ours.zero_grad()
        logits, next_state, tape = ours.forward(window, state, np.random.default_rng(3))
        expected = softmax_loss(logits, draw(1))
        ours.backward(tape, logits)
        wanted = gradients(ours)
        ours.zero_grad()
        loss, learned = ours.learn(window, draw(1), state, np.random.default_rng(3))
        assert loss == pytest.approx(expected, abs=1e-12)
        for name, value in gradients(ours).items():
            np.testing.assert_allclose(value, wanted[name], rtol=0, atol=1e-12, err_msg=name)
        np.testing.assert_array_equal(learned[0], next_state[0])
        measured, after = ours.loss(window, draw(1), state)
        assert measured == pytest.approx(softmax_loss(ours(window, state)[0], draw(1)), abs=1e-12)
        np.testing.assert_array_equal(after[0], ours(window, state)[1][0])
        state = learned


def test_embedding_dropout_drops_a_word_wherever_it_stands() -> None:
    ours = model(embedding_dropout=0.5, hidden_size=5)
    ids = draw(T=40)
    _, _, tape = ours.features(ids, rng=np.random.default_rng(0))
    gone = ours._look(tape)[-1]
    assert ours.embedding_dropout is not None
    mask = ours.embedding_dropout._look(gone)[0]
    assert mask.shape == (len(np.unique(ids)), 1)
    assert set(np.unique(mask)) == {0.0, 2.0}
    dense = ours.embedding.weight.data.copy()
    ours.embedding.weight.data[np.unique(ids)] *= mask
    expected, _ = ours.recurrent(ours.embedding(ids))
    ours.embedding.weight.data[...] = dense
    found, _, _ = ours.features(ids, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert model().embedding_dropout is None


def test_variational_dropout_of_texts() -> None:
    """One mask for each text on the word vectors and before the decoder."""
    ours = model(dropout=0.5, variational=True)
    _, _, tape = ours.features(np.full((50, 2), 3), rng=np.random.default_rng(0))
    kept = ours._look(tape)
    for layer, at in ((ours.word_dropout, 2), (ours.feature_dropout, 4)):
        mask = layer._look(kept[at])[0]
        assert mask.shape == (1, 2, 6)
        assert set(np.unique(mask)) <= {0.0, 2.0}


def test_options_that_earlier_versions_lack_are_written_if_used() -> None:
    """Else a training state of such a version could not go on."""
    later = {"cutoffs", "div_value", "weight_drop", "embedding_dropout", "variational"}
    assert not later & model(tied=True).options.keys()
    cutoffs = np.array([6, 15])  # of NumPy's integers, which JSON does not hold
    ours = model(
        cutoffs=cutoffs, tied=True, weight_drop=0.1, embedding_dropout=0.2, variational=True
    )
    found = {name: ours.options[name] for name in later if name in ours.options}
    assert found == {
        "cutoffs": [6, 15], "weight_drop": 0.1, "embedding_dropout": 0.2, "variational": True,
    }  # fmt: skip
    again = LanguageModel(**json.loads(json.dumps(ours.options)))
    again.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(again(draw())[0], ours(draw())[0])
    assert again.recurrent.weight_drop == 0.1


def test_an_adaptive_model_gives_log_probabilities() -> None:
    ours = model(cutoffs=[6, 15], tied=True)
    logits, _ = ours(draw())
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1, rtol=1e-12)
    assert ours.decoder.head.words.weight is ours.embedding.weight


def test_a_padding_vector_stays_zero() -> None:
    for tied, cutoffs in ((False, None), (True, None), (True, [1]), (True, [6])):
        ours = model(padding_idx=0, tied=tied, init_range=0.5, cutoffs=cutoffs)
        assert not ours.embedding.weight.data[0].any()
        assert ours.embedding.weight.data[1].any()
        logits, _, tape = ours.forward(np.zeros((2, 2), int))
        softmax_loss(logits, np.ones((2, 2), int))
        ours.backward(tape, logits)
        ours.learn(np.zeros((2, 2), int), np.ones((2, 2), int))
        assert not gradients(ours)["embedding.weight"][0].any()


def test_first_values() -> None:
    ours = LanguageModel(50, 20, 20, 2, init_range=0.1, rng=np.random.default_rng(0))
    values = np.concatenate([p.data.ravel() for p in ours.parameters()])
    assert 0.099 < np.abs(values).max() <= 0.1
    assert abs(values.mean()) < 2e-3
    assert values.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)
    assert all(p.data.dtype == np.float32 for p in ours.parameters())


def test_names_and_tying() -> None:
    names = [f"lstm.{n}_l0" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    own, tied = model(), model(tied=True)
    assert list(own.state_dict()) == ["embedding.weight", *names, "decoder.weight", "decoder.bias"]
    assert list(tied.state_dict()) == ["embedding.weight", *names, "decoder.bias"]
    assert tied.decoder.weight is tied.embedding.weight
    changed = tied.state_dict()
    changed["embedding.weight"][5] = 7
    tied.load_state_dict(changed)
    assert (tied.decoder.weight.data[5] == 7).all()


def test_options_make_the_same_model_again() -> None:
    ours = model(tied=True, projection=6, hidden_size=8, cell="gru", num_layers=2, dropout=0.1)
    again = LanguageModel(**ours.options)
    again.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(again(draw())[0], ours(draw())[0])
    assert again.options == ours.options


def test_it_learns_a_text_by_heart() -> None:
    """A period of 8 tokens in which two look alike but for what stood before them."""
    ours = LanguageModel(V, 16, 16, rng=np.random.default_rng(0))
    optimizer = Adam(ours, lr=0.05)
    text = np.tile([1, 2, 3, 4, 2, 5, 6, 2], 20)[:, None]
    for _ in range(100):
        ours.zero_grad()
        logits, _, tape = ours.forward(text[:-1])
        loss = softmax_loss(logits, text[1:])
        ours.backward(tape, logits)
        optimizer.step()
    assert loss < 0.1  # 0.41 without a memory: after 2 come 3, 5 and 1


WRONG = [
    ({"vocab_size": 0}, "vocab_size is 0, expected at least 1"),
    ({"cell": "elman"}, "cell is 'elman', expected one of lstm, gru, rnn"),
    ({"dropout": 1.5}, "dropout is 1.5, expected 0 to 1"),
    ({"projection": -1}, "projection is -1, expected at least 0"),
    ({"init_range": -0.1}, "init_range is -0.1, expected 0 or more, or None"),
    ({"tied": True, "hidden_size": 9}, "tied is True with embedding_dim 6 and hidden_size 9"),
    ({"tied": True, "projection": 4}, "embedding_dim 6 and projection 4: expected them equal"),
    ({"tied": True, "hidden_size": 9}, "as with projection=6"),
    ({"dtype": "int8"}, "dtype is 'int8'"),
    ({"cutoffs": [V]}, "cutoffs is [30], expected increasing numbers below vocab_size, 30"),
    ({"div_value": 2.0}, "div_value is 2.0 without cutoffs, expected None"),
    ({"cutoffs": [9], "tied": True, "div_value": 4}, "div_value is 4 with a shared weight"),
    ({"weight_drop": -0.1}, "weight_drop is -0.1, expected 0 to 1"),
    ({"embedding_dropout": 2}, "embedding_dropout is 2, expected 0 to 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LanguageModel(**{"vocab_size": V, "embedding_dim": 6, "hidden_size": 6, **options})


INPUTS = [
    ([[1, V]], IndexError, "tokens[0, 1] is 30, expected 0 to 29"),
    ([[1.5]], TypeError, "tokens has dtype float64, expected integers"),
    ([1, 2], ValueError, "tokens has shape (2,), expected 2 axes"),
    (np.zeros((0, 4), int), ValueError, "(0, 4), expected at least one row"),
]


@pytest.mark.parametrize(("ids", "error", "message"), INPUTS, ids=[i[2] for i in INPUTS])
@pytest.mark.parametrize("training", [False, True])
def test_wrong_inputs(ids: Any, error: type[Exception], message: str, training: bool) -> None:
    ours = model()
    with pytest.raises(error, match=re.escape(message)):
        ours.forward(ids) if training else ours(ids)


def test_wrong_inputs_with_dropout() -> None:
    ours = model(dropout=0.2)
    with pytest.raises(IndexError, match=r"tokens\[0, 1\] is 30"):
        ours.forward([[1, V]])
    with pytest.raises(ValueError, match="tokens has shape"):
        ours.forward([1, 2])


def test_wrong_gradient_and_used_tape() -> None:
    ours = model()
    logits, _, tape = ours.forward(draw())
    with pytest.raises(ValueError, match=r"dlogits has shape \(28, 30\), expected \(7, 4, 30\)"):
        ours.backward(tape, logits.reshape(-1, V))
    with pytest.raises(TypeError, match="dlogits has dtype complex64, expected float64"):
        ours.backward(tape, logits.astype(np.complex64))
    ours.backward(tape, logits)
    with pytest.raises(RuntimeError, match="tape was already used"):
        ours.backward(tape, logits)


def test_many_threads_share_a_model(backend_isa: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    ours = model(num_layers=2)
    expected = ours(draw())[0]
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: ours(draw())[0], range(20)):
            np.testing.assert_array_equal(result, expected)


def test_it_stands_beside_the_classifier() -> None:
    assert fl.LanguageModel is LanguageModel
