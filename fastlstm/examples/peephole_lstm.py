"""An LSTM whose gates see the cell state (Gers & Schmidhuber 2000): a cell of one's own."""

from fastlstm.custom import custom_cell, sigmoid, tanh
from fastlstm.examples.adding_task import report


def forward(
    i: float, f: float, g: float, o: float, c: float, p_i: float, p_f: float, p_o: float
) -> tuple[float, ...]:
    i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
    c_next = f * c + i * g
    o = sigmoid(o + p_o * c_next)
    return o * tanh(c_next), c_next, i, f, g, o


def backward(
    dh: float, dc: float, i: float, f: float, g: float, o: float, c: float, c_next: float,
    p_i: float, p_f: float, p_o: float,
) -> tuple[float, ...]:  # fmt: skip
    t = tanh(c_next)
    do = dh * t * o * (1 - o)
    dc = dc + dh * o * (1 - t * t) + do * p_o
    di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g)
    return di, df, dg, do, dc * f + di * p_i + df * p_f, di * c, df * c, do * c_next


PeepholeLSTM = custom_cell(
    "PeepholeLSTM",
    gates=("i", "f", "g", "o"),
    states=("h", "c"),
    keeps=("i", "f", "g", "o"),
    params=("p_i", "p_f", "p_o"),
    forward=forward,
    backward=backward,
)

if __name__ == "__main__":
    raise SystemExit(report(PeepholeLSTM))
