"""Seq2Seq: against torch, against differences, ragged on both sides, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.models import Seq2Seq
from fastlstm.nn import cross_entropy

V, W, N, S, T, E, H = 15, 12, 5, 6, 4, 6, 8
SOURCE_LENGTHS = np.array([6, 0, 3, 1, 5])
TARGET_LENGTHS = np.array([2, 3, 4, 1, 0])
M = int(TARGET_LENGTHS.sum())
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2},
    {"attention": False},
    {"bidirectional": False, "attention": False, "num_layers": 2},
    {"bidirectional": False},
    {"tied": True},
    {"tied": True, "attention": False, "embedding_dim": H},
]


def model(**options: Any) -> Seq2Seq:
    options = {"embedding_dim": E, "hidden_size": H, "dtype": "float64", **options}
    return Seq2Seq(V, W, rng=np.random.default_rng(1), embedding_std=0.5, **options)


def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    source, target = rng.integers(1, V, (N, S)), rng.integers(4, W, (N, T))
    target[:, 0] = 2
    return source, SOURCE_LENGTHS, target, TARGET_LENGTHS


def gradients(ours: Seq2Seq) -> dict[str, np.ndarray]:
    """Dense gradients by name."""
    found = {}
    for name, parameter in ours.named_parameters():
        found[name] = parameter.grad.copy()
        if parameter.rows is not None:
            found[name][parameter.rows.index] += parameter.rows.value
    return found


def run_torch(torch: Any, ours: Seq2Seq, p: dict[str, Any]) -> Any:
    """The same model in torch, a row at a time and without padding."""
    functional, logits = torch.nn.functional, []
    encoder, decoder = ours.encoder.lstm, ours.decoder.lstm

    def lstm(layer: Any, name: str, x: Any, state: Any) -> Any:
        net = torch.nn.LSTM(
            layer.input_size, layer.hidden_size, layer.num_layers,
            bidirectional=layer.bidirectional,
        ).double()  # fmt: skip
        weights = {k[len(name) :]: v for k, v in p.items() if k.startswith(name)}
        return torch.func.functional_call(net, weights, (x, state))

    for source, length, target, words in zip(*batch(), strict=True):
        if not words:
            continue
        L, D = encoder.num_layers, 1 + encoder.bidirectional
        state = tuple(torch.zeros(L * D, encoder.hidden_size).double() for _ in "hc")
        memory = torch.zeros(0, H).double()
        if length:
            x = p["encoder.embedding.weight"][torch.tensor(source[:length])]
            memory, state = lstm(encoder, "encoder.lstm.", x, state)
        if D == 2:
            rows = [
                p[f"encoder.bridge.{s}.weight"] @ part.reshape(-1) + p[f"encoder.bridge.{s}.bias"]
                for s, part in zip("hc", state, strict=True)
            ]
            state = (torch.tanh(rows[0]).reshape(L, H), rows[1].reshape(L, H))
        x = p["decoder.embedding.weight"][torch.tensor(target[:words])]
        y, _ = lstm(decoder, "decoder.lstm.", x, state)
        if ours.decoder.attention is not None:
            context = functional.softmax(y @ memory.T, dim=1) @ memory
            y = torch.tanh(torch.cat([context, y], 1) @ p["decoder.attention.combine.weight"].T)
        weight = p.get("decoder.head.weight", p["decoder.embedding.weight"])
        logits.append(y @ weight.T + p["decoder.head.bias"])
    return torch.cat(logits)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_against_torch(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    ours = model(**options)
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in ours.state_dict().items()}
    expected = run_torch(torch, ours, leaves)
    logits, tape = ours.forward(*batch())
    assert logits.shape == (M, W)
    np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours(*batch()), logits)
    d = np.random.default_rng(2).standard_normal(logits.shape)
    ours.backward(tape, d)
    (expected * torch.tensor(d)).sum().backward()
    for name, gradient in gradients(ours).items():
        theirs = leaves[name].grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=1e-11, err_msg=name)
        assert theirs.any(), name


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_through_dropout_against_differences(options: dict[str, Any]) -> None:
    ours, labels = model(dropout=0.3, embedding_dropout=0.2, **options), np.arange(M) % W

    def loss() -> tuple[float, Any, Any]:
        logits, tape = ours.forward(*batch(), np.random.default_rng(3))
        return *cross_entropy(logits, labels, 0.1), tape

    _, d, tape = loss()
    ours.backward(tape, d)
    rng, start, slope, along = np.random.default_rng(4), ours.state_dict(), 0.0, {}
    for name, gradient in gradients(ours).items():
        along[name] = rng.standard_normal(gradient.shape)
        if name.endswith("embedding.weight") and not ("tied" in options and "decoder" in name):
            along[name][0] = 0  # the padding's vector is not learned
        slope += float((gradient * along[name]).sum())
    losses = []
    for step in (1e-6, -1e-6):
        ours.load_state_dict({k: v + step * along[k] for k, v in start.items()})
        losses.append(loss()[0])
    assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(slope, rel=1e-6)


def test_dropout_is_where_it_is_said_to_be() -> None:
    for option in ("dropout", "embedding_dropout"):
        ours = model(**{"dropout": 0.0, option: 0.5})
        one, two, other = (ours.forward(*batch(), np.random.default_rng(s))[0] for s in (1, 1, 2))
        np.testing.assert_array_equal(one, two)
        assert (one != other).any()
        assert (one != ours(*batch())).any()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_row_does_not_depend_on_its_batch(options: dict[str, Any]) -> None:
    ours, (source, lengths, target, words) = model(**options), batch()
    whole, done = ours(*batch()), 0
    for n in range(N):
        if words[n]:
            alone = ours(
                source[n : n + 1, : max(lengths[n], 1)], lengths[n : n + 1],
                target[n : n + 1, : words[n]],
            )  # fmt: skip
            np.testing.assert_allclose(alone, whole[done : done + words[n]], rtol=0, atol=1e-13)
        done += words[n]


def test_what_stands_behind_a_row_is_not_read() -> None:
    ours, (source, lengths, target, words) = model(), batch()
    source[np.arange(S) < lengths[:, None]] %= V - 1
    target[np.arange(T) < words[:, None]] %= W - 1
    expected = ours(source, lengths, target, words)
    source[np.arange(S) >= lengths[:, None]] = V - 1
    target[np.arange(T) >= words[:, None]] = W - 1
    logits, tape = ours.forward(source, lengths, target, words)
    np.testing.assert_array_equal(logits, expected)
    ours.backward(tape, logits)
    for half, last in ((ours.encoder, V - 1), (ours.decoder, W - 1)):
        assert half.embedding.weight.rows is not None
        assert last not in half.embedding.weight.rows.index


def test_without_lengths_all_tokens_are_real() -> None:
    ours, (source, _, target, _) = model(), batch()
    np.testing.assert_array_equal(
        ours(source, None, target), ours(source, [S] * N, target, [T] * N)
    )


def test_tied_weights_are_one_parameter() -> None:
    names = set(model().state_dict()) - set(model(tied=True).state_dict())
    assert names == {"decoder.head.weight"}
    tied = model(tied=True)
    assert tied.decoder.head.weight is tied.decoder.embedding.weight
    logits, tape = tied.forward(*batch())
    tied.backward(tape, logits)
    assert tied.decoder.embedding.weight.rows is None  # an optimizer takes rows or all, not both
    assert tied.decoder.attention is not None
    assert tied.decoder.attention.combine.weight.data.shape == (E, 2 * H)


def test_alignment() -> None:
    weights = model().align(*batch())
    assert weights.shape == (N, T, S)
    np.testing.assert_allclose(weights.sum(axis=2), np.repeat(SOURCE_LENGTHS[:, None] > 0, T, 1))
    with pytest.raises(ValueError, match="attention is False"):
        model(attention=False).align(*batch())


WRONG = [
    ({"hidden_size": 7}, "hidden_size is 7, expected an even number"),
    ({"hidden_size": 0}, "hidden_size is 0, expected at least 1"),
    ({"tied": True, "attention": False}, "hidden_size is 8, expected that of embedding_dim, 6"),
    ({"dropout": 2}, "dropout is 2, expected 0 to 1"),
    ({"embedding_dropout": -1}, "embedding_dropout is -1, expected 0 to 1"),
    ({"bos": 0}, "bos is 0, expected 1 to 11"),
    ({"eos": 12}, "eos is 12, expected 1 to 11"),
    ({"eos": 2}, "eos is 2, expected another token than bos"),
    ({"num_layers": 0}, "num_layers is 0, expected at least 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        model(**options)


INPUTS: list[tuple[dict[int, Any], type[Exception], str]] = [
    ({0: np.full((N, S), V)}, IndexError, "tokens[0, 0] is 15, expected 0 to 14"),
    ({1: [7] * N}, ValueError, "lengths[0] is 7, expected 0 to 6"),
    ({2: np.full((N - 1, T), 2)}, ValueError, "target has shape (4, 4), expected (5, T)"),
    ({2: np.full((N, T), W)}, IndexError, "tokens[0, 0] is 12, expected 0 to 11"),
    ({3: [5] * N}, ValueError, "lengths[0] is 5, expected 0 to 4"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), INPUTS, ids=[i[2] for i in INPUTS])
@pytest.mark.parametrize("training", [False, True])
def test_wrong_inputs(
    wrong: dict[int, Any], error: type[Exception], message: str, training: bool
) -> None:
    arguments = [wrong.get(i, given) for i, given in enumerate(batch())]
    with pytest.raises(error, match=re.escape(message)):
        model().forward(*arguments) if training else model()(*arguments)


def test_wrong_gradient_and_used_tape() -> None:
    ours = model()
    logits, tape = ours.forward(*batch())
    with pytest.raises(ValueError, match=re.escape(f"dlogits has shape (5, 4), expected ({M}, ")):
        ours.backward(tape, np.zeros((N, T)))
    ours.backward(tape, logits)
    with pytest.raises(RuntimeError, match="tape was already used"):
        ours.backward(tape, logits)


def test_many_threads_share_a_model() -> None:
    from concurrent.futures import ThreadPoolExecutor

    ours = model()
    expected = ours(*batch())
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: ours(*batch()), range(40)):
            np.testing.assert_array_equal(result, expected)
