"""Chains as files: ONNX Runtime, Keras and torch make the same; what none can is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import filled, import_keras

import fastlstm as fl
from fastlstm import nn
from fastlstm.formats.keras.build import BUILDERS
from fastlstm.formats.keras.stored import Stored
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import Masking, Scale

FRAME, N, F = 12, 3, 4


def conv(*sizes: int, **options: Any) -> Any:
    return nn.Conv1d(*sizes, rng=sum(sizes), **options)


# Chains of a frame of 12 positions, or of so many as are told.
CHAINS: dict[str, Any] = {
    "detector": lambda: nn.Chain(
        [
            conv(1, 10, 8, stride=4, padding=(0, 4), bias=False, padding_mode="reflect",
                 context=4),
            nn.Magnitude(),
            conv(5, 6, 3, padding=1),
            nn.ReLU(),
            fl.LSTM(6, 4, 2, learn_state=True, rng=1),
            fl.PeepholeLSTM(4, 4, rng=1),
            nn.Linear(4, 3, rng=1),
            nn.Sigmoid(),
        ],
        FRAME,
    ),
    "causal": lambda: nn.Chain(
        [
            conv(2, 5, 4, context=3), nn.Tanh(), conv(5, 6, 5, stride=3, context=2), nn.ReLU(),
            fl.GRU(6, 4, rng=1), fl.RNN(4, 3, nonlinearity="relu", rng=1), conv(3, 2, 1),
        ],
        FRAME,
    ),
    "means": lambda: nn.Chain(
        [
            conv(2, 4, 3, padding=(2, 0)), nn.Mean(), fl.GRU(4, 3, reset_after=False, rng=1),
            nn.Linear(3, 2, False, rng=1),
        ],
        FRAME,
    ),
    "averages": lambda: nn.Chain(
        [conv(2, 4, 3, context=2), nn.Mean(), nn.Tanh(), fl.GRU(4, 3, rng=1)], FRAME
    ),
    "seams": lambda: nn.Chain(  # frames show, with a past and without; a past that is longer
        [conv(2, 4, 5, stride=2), conv(4, 4, 3, context=9), conv(4, 2, 2, stride=3, context=1)],
        FRAME,
    ),
    "one position": lambda: nn.Chain([fl.LSTM(2, 4, rng=1), nn.Linear(4, 2, rng=1)]),
    "nothing is carried": lambda: nn.Chain([conv(2, 3, 5, stride=2, padding=2), nn.ReLU()], FRAME),
}  # fmt: skip
KERAS = ("causal", "averages", "one position")


def made(name: str) -> Any:
    chain = CHAINS[name]()
    rng = np.random.default_rng(5)
    for key, parameter in chain.named_parameters():
        if key.endswith("_0"):  # a learned state
            parameter.data[...] = rng.standard_normal(parameter.data.shape)
    return chain


def signal(chain: Any, frames: int = F, rows: int = N) -> Any:
    shape = (rows, frames * getattr(chain, "frame", FRAME), chain.in_channels)
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def session(path: Path) -> Any:
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_runs_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    """The whole at once, and frame by frame with the state carried; also as this package reads."""
    pytest.importorskip("onnx")
    chain, path = made(name), tmp_path / "chain.onnx"
    fl.save(chain, path)
    ran, loaded, x = session(path), fl.load(path), signal(made(name))
    want = chain(x)
    state = dict(zip((f"{n}_0" for n in chain.state_names), chain.make_state(N), strict=True))
    state = {n: part for n, part in state.items() if part.size}
    names = ["x", *state]
    assert [i.name for i in ran.get_inputs()] == names == [i.name for i in loaded.inputs]
    for run in (lambda feeds: ran.run(None, feeds), lambda feeds: loaded(*feeds.values())):
        y, *ends = run({"x": x, **state})
        np.testing.assert_allclose(y, want, atol=2e-6)
        stream, carried, found = chain.stream(N), state, []
        for frame in np.split(x, F, axis=1):
            y, *after = run({"x": frame, **carried})
            stream(frame)
            found.append(y)
            carried = dict(zip(state, after, strict=True))
        np.testing.assert_allclose(np.concatenate(found, axis=1), want, atol=2e-6)
        for end, last, own in zip(ends, carried.values(), stream.state, strict=False):
            assert end.shape == own.shape
            np.testing.assert_allclose(end, own, atol=2e-6)
            np.testing.assert_allclose(last, own, atol=2e-6)


def test_chains_and_their_parts_among_other_layers(tmp_path: Path) -> None:
    """In a list: a chain begins at its initial state, parts take the whole as one frame."""
    pytest.importorskip("onnx")
    x = np.random.default_rng(2).standard_normal((N, 24, 6)).astype("float32")
    lists = [
        [nn.Magnitude(), conv(3, 4, 3, context=2), nn.ReLU(), fl.GRU(4, 3, rng=0), nn.Mean()],
        [conv(6, 4, 5, stride=2, padding=3, padding_mode="reflect"), nn.Sigmoid(), nn.Tanh()],
        [filled(Scale(6)), nn.Linear(6, 1, rng=0), made("detector"),
         Recurrence(fl.GRU(3, 2, rng=0), "last")],
    ]  # fmt: skip
    for model in lists:
        fl.save(model, tmp_path / "a.onnx")
        (y,) = session(tmp_path / "a.onnx").run(None, {"x": x})
        np.testing.assert_allclose(y, Sequential(model)(x), atol=2e-6)
        np.testing.assert_allclose(fl.load(tmp_path / "a.onnx")(x)[0], y, atol=2e-6)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: nn.Chain([nn.Conv1d(2, 3, 4, dtype="float64")], 8), "0.weight has dtype float64"),
        (lambda: nn.Chain([fl.LSTM(4, 6, proj_size=2)], 8), "chain/0 is a layer of .*proj_size"),
        (lambda: [Masking(), conv(2, 3, 2)], "1 is a Conv1d, which knows no masks"),
    ],
)
def test_what_onnx_has_not_is_refused(model: Any, told: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match=told):
        fl.save(model(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_no_steps_are_masked_before_a_chain() -> None:
    x = np.ones((N, 6, 2), "float32")
    for model in ([Masking(), nn.Chain([fl.GRU(2, 3)])], [nn.Linear(2, 2), conv(2, 3, 2)]):
        with pytest.raises(ValueError, match="a (Chain|Conv1d) knows no masks"):
            Sequential(model)(x, lengths=[6, 5, 4])


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", KERAS)
def test_chains_whose_frames_do_not_show_are_keras_models(
    name: str, ending: str, tmp_path: Path
) -> None:
    pytest.importorskip("h5py")
    chain, path = made(name), tmp_path / f"chain{ending}"
    x = signal(chain)
    fl.save(chain, path)
    loaded = fl.load(path)
    np.testing.assert_allclose(loaded(x), chain(x), atol=2e-6)
    fl.save(loaded, tmp_path / "again.safetensors")
    np.testing.assert_array_equal(fl.load(tmp_path / "again.safetensors")(x), loaded(x))
    fl.save(loaded, tmp_path / "again.onnx")
    np.testing.assert_allclose(fl.load(tmp_path / "again.onnx")(x)[0], chain(x), atol=2e-6)
    if ending == ".keras":
        keras = import_keras()
        theirs = keras.saving.load_model(path)
        y = theirs(x)
        y = y.detach().numpy() if hasattr(y, "detach") else y
        np.testing.assert_allclose(y, chain(x), atol=2e-6)


def test_parts_alone_are_keras_layers(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    x = np.random.default_rng(3).standard_normal((N, 9, 2)).astype("float32")
    model = [conv(2, 4, 3, stride=2, padding=(2, 1), context=1), nn.Sigmoid(), fl.GRU(4, 2, rng=0)]
    fl.save(model, tmp_path / "a.keras")
    np.testing.assert_allclose(fl.load(tmp_path / "a.keras")(x), Sequential(model)(x), atol=2e-6)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("detector", r"chain.0 cannot .* 4 positions of each frame of 12 .* padding of \(0, 4\)"),
        ("seams", "chain.0 cannot be a layer of Keras: it makes 4 positions"),
        ("means", "chain.0 cannot be a layer"),
        ("learned", "learn_state"),
        ("magnitude", "chain.0 cannot be a layer of Keras: there is none like a Magnitude"),
        ("reflect", "'reflect', expected 'zeros'"),
        ("masked", "1 cannot be a layer of Keras: steps before it are masked.* a Chain does not"),
    ],
)
def test_what_keras_has_not_is_refused(name: str, told: str, tmp_path: Path) -> None:
    others: dict[str, Any] = {
        "learned": lambda: nn.Chain([fl.LSTM(2, 3, learn_state=True)]),
        "magnitude": lambda: nn.Chain([nn.Magnitude(), nn.Linear(1, 1)]),
        "masked": lambda: [Masking(), nn.Chain([fl.GRU(2, 3)])],
        "reflect": lambda: [conv(2, 3, 3, padding=1, padding_mode="reflect")],
    }
    with pytest.raises(ValueError, match=told):
        fl.save({**CHAINS, **others}[name](), tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("AveragePooling1D", {"pool_size": [2], "strides": [3]}, "its pool_size, 2"),
        ("AveragePooling1D", {"pool_size": 2, "padding": "same"}, "expected 'valid'"),
        ("ZeroPadding1D", {"padding": "wide"}, "'wide', expected a whole number or two"),
        ("ZeroPadding1D", {"padding": [1, -1]}, "after is -1"),
    ],
)
def test_layers_of_keras_that_are_not_read(kind: str, options: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        BUILDERS[kind](options, Stored([], []))


def test_a_chain_as_a_state_dict_of_torch(tmp_path: Path) -> None:
    """Under the names of a torch.nn.Sequential; its layers are read, convolutions are told of."""
    torch = pytest.importorskip("torch")
    chain = nn.Chain([conv(2, 5, 3, stride=2), nn.ReLU(), conv(5, 4, 1), nn.Tanh()], FRAME)
    fl.save(chain, tmp_path / "a.pt")
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    parts = [torch.nn.Conv1d(2, 5, 3, 2), torch.nn.ReLU(), torch.nn.Conv1d(5, 4, 1)]
    theirs = torch.nn.Sequential(*parts, torch.nn.Tanh())
    theirs.load_state_dict(state)
    x = signal(chain, 1)
    with torch.no_grad():
        want = theirs(torch.from_numpy(x).mT).mT.numpy()
    np.testing.assert_allclose(chain(x), want, atol=2e-6)
    other, again = made("detector"), CHAINS["detector"]()
    fl.save(other, tmp_path / "b.pt")
    again.load_state_dict(torch.load(tmp_path / "b.pt", weights_only=True))
    np.testing.assert_array_equal(again(signal(again)), other(signal(again)))
    layers = fl.load(tmp_path / "b.pt")
    assert sorted(layers) == ["4", "5", "6"]
    assert "a convolution, whose stride" in layers.left_out["2.weight"]
