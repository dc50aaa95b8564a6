"""Models that torch writes run here as they run there."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fastlstm import kernels  # noqa: E402
from fastlstm import onnx as fonnx  # noqa: E402


def exported(module: Any, inputs: tuple[Any, ...], **options: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, file, dynamo=False, **options)
    return file.getvalue()


def same(module: Any, loaded: Any, inputs: tuple[Any, ...]) -> None:
    with torch.no_grad():
        expected = module(*inputs)
    flat = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    for got, want in zip(loaded(*(i.numpy() for i in inputs)), flat, strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=1e-5, rtol=1e-5)


class Tagger(torch.nn.Module):
    """An embedding, two recurrent layers in both directions, and a dense layer."""

    def __init__(self, kind: str, batch_first: bool) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 6)
        make = getattr(torch.nn, kind)
        self.layer = make(6, 8, 2, bidirectional=True, batch_first=batch_first)
        self.dense = torch.nn.Linear(16, 5)

    def forward(self, ids: Any) -> Any:
        y, _ = self.layer(self.embedding(ids))
        return torch.log_softmax(self.dense(torch.relu(y)), -1)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_tagger(kind: str, batch_first: bool) -> None:
    torch.manual_seed(0)
    module = Tagger(kind, batch_first)
    data = exported(
        module,
        (torch.zeros(3, 4, dtype=torch.long),),
        input_names=["ids"],
        dynamic_axes={"ids": {0: "a", 1: "b"}},
    )
    loaded = fonnx.load(data)
    for shape in ((3, 4), (5, 2), (1, 1)):
        same(module, loaded, (torch.randint(0, 11, shape),))


class Reader(torch.nn.Module):
    """A reader of lines of text: convolutions with normalisation, pools, an LSTM, a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.front = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1),
            torch.nn.BatchNorm2d(4),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2, 2),
            torch.nn.Conv2d(4, 6, 3, padding=1, groups=2),
            torch.nn.LeakyReLU(0.1),
            torch.nn.AvgPool2d((2, 1)),
            torch.nn.ConvTranspose2d(6, 6, (1, 3), stride=(1, 2), padding=(0, 1)),
        )
        self.lstm = torch.nn.LSTM(12, 7, bidirectional=True)
        self.dense = torch.nn.Linear(14, 9)

    def forward(self, image: Any) -> Any:
        x = self.front(image).flatten(1, 2).permute(2, 0, 1)
        return self.dense(self.lstm(x)[0]).argmax(-1), self.dense(self.lstm(x)[0])


def test_a_reader_of_lines() -> None:
    torch.manual_seed(1)
    module = Reader()
    with torch.no_grad():
        for buffer in module.front[1].buffers():
            if buffer.dtype.is_floating_point:
                buffer.uniform_(0.5, 1.5)
    data = exported(
        module, (torch.zeros(1, 1, 8, 20),), input_names=["x"], dynamic_axes={"x": {0: "n", 3: "w"}}
    )
    loaded = fonnx.load(data)
    for n, width in ((1, 20), (3, 32)):
        same(module, loaded, (torch.randn(n, 1, 8, width),))


class Frames(torch.nn.Module):
    """A detector frame by frame, its state in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv1d(8, 6, 3, padding=1, stride=2)
        self.lstm = torch.nn.LSTM(6, 16)
        self.out = torch.nn.Conv1d(16, 1, 1)

    def forward(self, x: Any, h: Any, c: Any) -> Any:
        x = torch.nn.functional.pad(x, (2, 2), mode="reflect")
        x = torch.sqrt(x * x + 0.1).clamp(0, 3)
        y, (h, c) = self.lstm(torch.relu(self.conv(x)).permute(2, 0, 1), (h, c))
        return torch.sigmoid(self.out(torch.relu(y).permute(1, 2, 0))).mean(2), h, c


def test_a_detector_of_frames() -> None:
    torch.manual_seed(2)
    module = Frames()
    state = (torch.randn(1, 1, 16), torch.randn(1, 1, 16))
    loaded = fonnx.load(exported(module, (torch.zeros(1, 8, 10), *state)))
    for _ in range(3):
        same(module, loaded, (torch.randn(1, 8, 10), *state))


@pytest.mark.parametrize("steps", [None, 3])
def test_a_loop_of_cells(steps: int | None) -> None:
    """Cells that torch writes out, with peeled views and sums."""

    class Cells(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.GRUCell(3, 5) if steps is None else torch.nn.LSTMCell(3, 5)

        def forward(self, x: Any, h: Any) -> Any:
            if steps is None:
                return self.cell(x[0], h)
            state = (h, h * 0)
            for t in range(steps):
                state = self.cell(x[t], state)
            return state[0]

    torch.manual_seed(3)
    module = Cells()
    loaded = fonnx.load(exported(module, (torch.zeros(3, 2, 3), torch.zeros(2, 5))))
    same(module, loaded, (torch.randn(3, 2, 3), torch.randn(2, 5)))
    if kernels.default_backend() == "native":
        ops = [s.op for s in loaded._runner.plans[0].steps]
        assert (ops.count("LSTM"), ops.count("GRU")) == ((steps, 0) if steps else (0, 1))
