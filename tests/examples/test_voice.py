"""The voice detector: read from ONNX files, run by its chain, and what the example tells."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastlstm.examples import voice
from fastlstm.examples.voice_model import BASIS, WEIGHTS, make_detector, read_detector

onnx = pytest.importorskip("onnx")


def weights(seed: int = 0) -> dict[str, Any]:
    """Random weights by the names of the file, so large that probabilities move."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(shape) * (1.5 / np.sqrt(np.prod(shape[1:] or 16)))).astype("f4")
        for name, (_, shape) in WEIGHTS.items()
    }


def write_model(path: Path, values: dict[str, Any]) -> Path:
    """A file that holds these as initializers, and nothing that computes."""
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in values.items()]
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "g", [x], [y], tensors)
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


def write_branches(path: Path, branches: dict[str, dict[str, Any]]) -> Path:
    """A file with an `If`, whose branches hold constants under a prefix each."""

    def graph(prefix: str, values: dict[str, Any]) -> Any:
        nodes = [
            onnx.helper.make_node(
                "Constant", [], [prefix + name], value=onnx.numpy_helper.from_array(value)
            )
            for name, value in values.items()
        ]
        out = onnx.helper.make_tensor_value_info(
            prefix + next(iter(values)), onnx.TensorProto.FLOAT, None
        )
        return onnx.helper.make_graph(nodes, prefix, [], [out])

    (one, first), (two, second) = branches.items()
    node = onnx.helper.make_node(
        "If", ["is_one"], ["y"], then_branch=graph(one, first), else_branch=graph(two, second)
    )
    condition = onnx.helper.make_tensor_value_info("is_one", onnx.TensorProto.BOOL, [])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    whole = onnx.helper.make_graph([node], "g", [condition], [y])
    path.write_bytes(onnx.helper.make_model(whole).SerializeToString())
    return path


def write_wav(path: Path, samples: Any, rate: int = 16000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(samples.dtype.itemsize)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert voice.main([str(a) for a in arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_detector_computes_what_the_file_says(backend_isa: str, tmp_path: Path) -> None:
    """By torch, a frame after the other, as the public detector is called."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    w = {name: torch.from_numpy(value) for name, value in weights().items()}
    detector = read_detector(write_model(tmp_path / "m.onnx", weights()))
    frames = 2 if backend_isa in ("reference", "numba") else 6
    x = np.random.default_rng(1).standard_normal((2, frames * 512)).astype("f4")
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({k: w[f"decoder.rnn.{k}"] for k in cell.state_dict()})
    state, past, made = None, torch.zeros(2, 64), []
    with torch.no_grad():
        for frame in torch.from_numpy(x).split(512, dim=1):
            sound = torch.cat([past, frame], dim=1)
            past = sound[:, -64:]
            padded = functional.pad(sound[:, None], (0, 64), "reflect")
            re, im = functional.conv1d(padded, w[BASIS], stride=128).split(129, dim=1)
            z = torch.sqrt(re**2 + im**2)
            for i, stride in enumerate((1, 2, 2, 1)):
                part = f"encoder.{i}.reparam_conv."
                z = functional.conv1d(z, w[part + "weight"], w[part + "bias"], stride, 1).relu()
            state = cell(z[:, :, 0], state)
            head = w["decoder.decoder.2.weight"], w["decoder.decoder.2.bias"]
            made.append(functional.conv1d(state[0].relu()[..., None], *head).sigmoid()[:, 0])
    expected = torch.cat(made, dim=1).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(detector(x)[..., 0], expected, rtol=0, atol=1e-5)


def test_of_several_rates_the_one_of_16_khz_is_read(tmp_path: Path) -> None:
    slow = {**weights(1), BASIS: np.zeros((130, 1, 128), "f4")}
    for order in (("a.", "b."), ("b.", "a.")):
        found = {"a.": slow, "b.": weights()}
        path = write_branches(tmp_path / "m.onnx", {name: found[name] for name in order})
        state = read_detector(path).state_dict()
        for name, value in weights().items():
            np.testing.assert_array_equal(state[WEIGHTS[name][0]], value)


def test_segments() -> None:
    def found(text: str) -> list[tuple[int, int]]:
        speech = np.array([{"-": 0.1, "~": 0.4, "#": 0.9}[letter] for letter in text])
        frames = 512 / 16000
        return [
            (round(s.start / frames), round(s.end / frames)) for s in voice.segments(speech, 0.5)
        ]

    assert found("") == found("-----") == found("~~~~~~~~~~~~") == []
    assert found("---##########---------") == [(3, 13)]
    assert found("############") == [(0, 12)]
    assert found("##########--##########----") == [(0, 22)]  # no pause
    assert found("##########----##########----") == [(0, 10), (14, 24)]
    assert found("##########~~~~~~~##########----") == [(0, 27)]  # not well below
    assert found("--####--------") == []  # no speech


def test_a_file_and_a_sound_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "m.onnx", weights())
    result = run(capsys, model, "--seed", "3")
    assert result["seconds"] == voice.SECONDS
    sound = (voice.make_sound(3) * 32767).astype("<i2")
    of_file = run(capsys, model, write_wav(tmp_path / "s.wav", sound), "--threads", "2")
    assert of_file["seconds"] == voice.SECONDS
    for start, end in result["segments"] + of_file["segments"]:
        assert 0 <= start < end <= voice.SECONDS + 0.032


@pytest.mark.parametrize("kind", ["u1", "<i2", "<i4"])
def test_samples_of_any_width(tmp_path: Path, kind: str) -> None:
    expected = np.array([-1.0, -0.5, 0.0, 0.25, 0.5], "f4")
    bits = 8 * np.dtype(kind).itemsize
    numbers = (expected * 2.0 ** (bits - 1) + (128 if kind == "u1" else 0)).astype(kind)
    path = write_wav(tmp_path / "s.wav", numbers)
    np.testing.assert_allclose(voice.read_wav(path), expected, atol=1e-7)
    both = write_wav(tmp_path / "t.wav", np.repeat(numbers, 2), channels=2)
    np.testing.assert_allclose(voice.read_wav(both), expected, atol=1e-7)


def test_it_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    model, path = write_model(tmp_path / "m.onnx", weights()), tmp_path / "voice.png"
    assert run(capsys, model, "--plot", path)["figure"] == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_a_model_it_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        voice.main([])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("voice: error: no model was given, expected the ONNX file of a 16 kHz")
    assert told.count("\n") == 1


def test_wrong_models_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = weights()
    missing = {name: value for name, value in good.items() if "bias_hh" not in name}
    external = onnx.numpy_helper.from_array(good[BASIS], BASIS)
    onnx.external_data_helper.set_external_data(external, "/etc/passwd")
    external.data_location = onnx.TensorProto.EXTERNAL
    external.ClearField("raw_data")
    graph = onnx.helper.make_graph([], "g", [], [], [external])
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    nothing = tmp_path / "nothing.onnx"
    nothing.write_bytes(b"\xff\xffno model")
    nan = {**good, "encoder.1.reparam_conv.bias": np.full(64, np.nan, "f4")}
    wrong = [
        (tmp_path / "none.onnx", "No such file"),
        (nothing, "no ONNX file"),
        (outside, "is in another file"),
        (write_model(tmp_path / "a.onnx", {"w": np.zeros(3, "f4")}), "no detector of this"),
        (write_model(tmp_path / "b.onnx", missing), "decoder.rnn.bias_hh is nothing, expected"),
        (write_model(tmp_path / "c.onnx", {**good, BASIS: np.zeros((2, 1, 4), "f4")}), "(2, 1, 4)"),
        (write_model(tmp_path / "d.onnx", nan), "4.bias[0] is nan"),
    ]
    for path, message in wrong:
        assert voice.main([str(path)]) == 1
        told = capsys.readouterr().err
        assert told.startswith("voice: error: ")
        assert message in told
        assert str(path) in told
        assert told.count("\n") == 1


def test_wrong_sounds_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "m.onnx", weights())
    good = write_wav(tmp_path / "good.wav", np.zeros(100, "<i2")).read_bytes()
    files = {
        "text.wav": b"hello",
        "long.wav": good.replace((200).to_bytes(4, "little"), (1 << 30).to_bytes(4, "little")),
        "short.wav": good[:30],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    wrong = [
        ("none.wav", "No such file"),
        ("text.wav", "no WAV file"),
        ("long.wav", "more than are in the file"),
        ("short.wav", "no WAV file"),
        (write_wav(tmp_path / "r.wav", np.zeros(9, "<i2"), 44100).name, "44100 samples a second"),
        (write_wav(tmp_path / "e.wav", np.zeros(0, "<i2")).name, "has no samples"),
        (".", "is a folder, expected a file"),
    ]
    if hasattr(os, "mkfifo"):  # whose writer would be waited for
        os.mkfifo(tmp_path / "pipe.wav")
        wrong.append(("pipe.wav", "is a pipe (FIFO), expected a file"))
    for name, message in wrong:
        assert voice.main([str(model), str(tmp_path / name)]) == 1
        told = capsys.readouterr().err
        assert message in told
        assert told.count("\n") == 1


def test_the_detector_in_numbers() -> None:
    detector = make_detector()
    assert (detector.frame, detector.frame_out, detector.out_channels) == (512, 1, 1)
    assert detector.state_names == ["0.past", "10.h", "10.c"]
    shapes = {name: value.shape for name, value in detector.state_dict().items()}
    assert shapes == dict(WEIGHTS.values())


def test_the_sound_may_stand_behind_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(voice, "run", asked.append)
    for words in (["model.onnx", "--threshold", "0.4", "a.wav"], ["model.onnx", "a.wav"]):
        assert voice.main(words) == 0
    assert [one.sound for one in asked] == [Path("a.wav")] * 2
    assert [one.threshold for one in asked] == [0.4, 0.5]
