"""The minimal gated unit (Zhou et al. 2016), a GRU with one gate: a cell of one's own.

f = sigmoid(W_f x + U_f h)    n = tanh(W_n x + U_n (f * h))    h' = (1 - f) * h + f * n
"""

from fastlstm.custom import custom_cell, sigmoid, tanh
from fastlstm.examples.adding_task import report


def mix(f: float, h: float) -> tuple[float, ...]:
    f = sigmoid(f)
    return f * h, f


def mix_backward(dmixed: float, df: float, f: float, h: float) -> tuple[float, ...]:
    return (df + dmixed * h) * f * (1 - f), dmixed * f


def forward(n: float, f: float, h: float) -> tuple[float, ...]:
    n = tanh(n)
    return (1 - f) * h + f * n, n


def backward(dh: float, n: float, f: float, h: float) -> tuple[float, ...]:
    return dh * f * (1 - n * n), dh * (n - h), dh * (1 - f)


MinimalGatedUnit = custom_cell(
    "MinimalGatedUnit", gates=("f", "n"), keeps=("n",), forward=forward, backward=backward,
    late=("n",),  # U_n is multiplied with what `mix` returns
    mix_keeps=("f",), mix=mix, mix_backward=mix_backward,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(report(MinimalGatedUnit))
