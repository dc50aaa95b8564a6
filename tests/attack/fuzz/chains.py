"""Right calls of chains: as defined, and the same bits however rows and frames are divided."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import TOLERANCE, Array
from together import at_once

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.draw import F32, F64, KINDS, SIZES, Rng, array, chance, laid_out, pick
from attack.fuzz.hostile import attempt
from fastlstm import kernels, nn
from fastlstm.kernels.chain import ChainSpec, Convolution, Recurrence

FRAMES = (1, 1, 2, 3, 4, 7, 8, 16, 24)
ROWS = (1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64, 70)
MOST_WORK = 1 << 22  # products of a frame of all rows
# So wide that a kernel of zeros' own takes what stands behind a relu.
WIDE = (64, 65, 130, 300, 530)


def width(rng: Rng) -> int:
    return int(pick(rng, WIDE if chance(rng, 8) else SIZES))


def chain(rng: Rng) -> Any:
    """A chain of any layers that fit each other."""
    dtype, frame, C = pick(rng, (F32, F64)), int(pick(rng, FRAMES)), width(rng)
    made: list[Any] = [nn.Magnitude()] if chance(rng, 12) else []
    first = _spectrum(rng, dtype, frame) if chance(rng, 5) else None
    P = frame
    for which in range(int(rng.integers(1, 7))):
        if which == 0 and first is not None and not made:
            made += [first, nn.Magnitude()]
        else:
            made += _layers(rng, dtype, P, C, bool(which))
        last = nn.Chain(made, frame)
        P, C = last.frame_out, last.out_channels
    return nn.Chain(made, frame)


def _layers(rng: Rng, dtype: Any, P: int, C: int, mapped: bool) -> list[Any]:
    """A layer, mostly with a map behind it; or a map alone, if something stands before it."""
    kind = int(rng.integers(9))
    if kind == 8 and mapped:
        return [_map(rng, C)]
    if kind == 7 and mapped:
        return [nn.Mean()]
    layer: Any
    if kind < 3:
        layer = _convolution(rng, dtype, P, C)
        O = layer.out_channels
    elif kind < 5:
        O = width(rng)
        layer = fl.Linear(C, O, bias=not chance(rng, 4), dtype=dtype)
    else:
        layer = _recurrent(rng, dtype, C)
        O = layer.proj_size or layer.hidden_size
    _draw(rng, layer)
    return [layer] if chance(rng, 3) else [layer, _map(rng, O)]


def _map(rng: Rng, C: int) -> Any:
    kinds = [nn.ReLU, nn.ReLU, nn.Sigmoid, nn.Tanh]
    return pick(rng, kinds if C % 2 else [*kinds, nn.Magnitude])()


def _convolution(rng: Rng, dtype: Any, P: int, C: int) -> Any:
    context = int(rng.integers(5)) if chance(rng, 2) else 0
    mode = pick(rng, ("zeros", "reflect"))
    most = context + P if mode == "reflect" else 5
    padding = (0, 0) if chance(rng, 3) else tuple(int(n) for n in rng.integers(0, most, 2))
    kernel = int(rng.integers(1, min(context + P + sum(padding), 9) + 1))
    stride, bias = int(rng.integers(1, 4)), not chance(rng, 4)
    sizes = C, width(rng), kernel, stride, padding, bias, mode
    return nn.Conv1d(*sizes, context=context, dtype=dtype)


def _spectrum(rng: Rng, dtype: Any, frame: int) -> Any:
    """Of one channel: even and odd kernels to the bit, or with one bit elsewhere."""
    context, bins = int(rng.integers(4, 9)), int(rng.integers(1, 10))
    kernel = 2 * int(rng.integers(2, (context + frame) // 2 + 1))
    made = nn.Conv1d(
        1, 2 * bins, kernel, max(1, kernel // 2), 0, chance(rng, 4), context=context, dtype=dtype
    )
    half = rng.standard_normal((2 * bins, kernel // 2 + 1)) / kernel
    half[bins:, -1] = 0
    if chance(rng, 2):  # as under a window
        half[:bins, 0] = 0
    half[bins:, 0] = 0
    half[bins - 1 :: bins, 1] += 1
    sign = np.where(np.arange(2 * bins) < bins, 1, -1)[:, None]
    whole = np.concatenate([half, sign * half[:, -2:0:-1]], axis=1)
    if chance(rng, 4):
        whole[int(rng.integers(2 * bins)), int(rng.integers(kernel))] += 0.125
    made.weight.data[:, 0] = whole
    return made


def _recurrent(rng: Rng, dtype: Any, C: int) -> Any:
    cls, options = pick(rng, KINDS)
    H = int(pick(rng, SIZES))
    if "proj_size" in options:
        H = max(H, 2)
        options = {"proj_size": int(rng.integers(1, H))}
    more = {"bias": not chance(rng, 4), "learn_state": chance(rng, 4), "dtype": dtype}
    return cls(C, H, pick(rng, (1, 1, 2)), **options, **more)


def _draw(rng: Rng, layer: Any) -> None:
    """Weights that neither grow what goes through them nor let it vanish."""
    low = chance(rng, 3)  # a bias that leaves most to the zeros of a relu
    for name, parameter in layer.named_parameters():
        data = parameter.data
        scale = 0.5 if "weight" not in name else 0.7 / np.sqrt(data[0].size)
        data[...] = rng.standard_normal(data.shape) * scale
        if low and name == "bias":
            data -= 1


def widened(spec: ChainSpec) -> ChainSpec:
    """The chain in float64."""

    def cast(stage: Any) -> Any:
        if isinstance(stage, Convolution):
            bias = None if stage.bias is None else stage.bias.astype(F64)
            return stage._replace(weight=stage.weight.astype(F64), bias=bias)
        if isinstance(stage, Recurrence):
            return stage._replace(weights=stage.weights.map(lambda w: w.astype(F64)))
        return stage

    return spec._replace(stages=tuple(map(cast, spec.stages)), dtype="float64")


def rows(rng: Rng, made: Any, most: int = 70) -> int:
    """A number of rows; of a large chain few, so that a case takes no seconds under sanitizers."""
    work = 1
    for placed in made._placed():
        stage = placed.stage
        if isinstance(stage, Convolution):
            work += placed.Q * stage.weight.size
        if isinstance(stage, Recurrence):
            work += placed.Q * (stage.weights.w_ih.size + stage.weights.w_hh.size)
    most = min(most, max(1, MOST_WORK // work))
    return int(pick(rng, [n for n in ROWS if n <= most]))


def signal(rng: Rng, made: Any, N: int, frames: int) -> Array:
    """A signal of N rows in any layout; of one channel also without its axis."""
    x = array(rng, (N, frames * made.frame, made.in_channels), made.dtype)
    return x[..., 0] if made.in_channels == 1 and chance(rng, 2) else x


def put_state(rng: Rng, made: Any, N: int) -> Any:
    return fl.State(
        np.asarray(rng.standard_normal(part.shape), part.dtype) for part in made.make_state(N)
    )


def _near(found: Array, expected: Array, name: str) -> None:
    """Within what is promised; a sum of many terms that is small was made of larger ones."""
    assert found.shape == expected.shape, f"{name} has shape {found.shape}, not {expected.shape}"
    scale = max(float(np.abs(expected).max(initial=0)), compare.FLOOR["output"])
    error = float(np.abs(found - expected).max(initial=0)) / scale
    allowed = TOLERANCE["output", found.dtype]
    assert error <= allowed, f"{name}: error {error:.1e} of its scale, allowed {allowed:.0e}"


def values(rng: Rng) -> None:
    """Outputs and state of some frames, against the definition in float64."""
    made = chain(rng)
    N, frames = rows(rng, made), int(rng.integers(1, 5))
    x, stream = signal(rng, made, N, frames), made.stream(N)
    if chance(rng, 2):
        stream.state = put_state(rng, made, N)
    exact = kernels.backend("reference").chain(widened(made._spec()), N)
    exact.state = tuple(part.astype(F64) for part in stream.state)
    y = stream(x)
    assert y.dtype == made.dtype, f"y has dtype {y.dtype}"
    _near(y, exact(x.astype(F64)), "y")
    for name, one, other in zip(made.state_names, stream.state, exact.state, strict=True):
        _near(one, other, f"state {name}")


def _pieces(rng: Rng, frames: int) -> list[slice]:
    cuts = np.flatnonzero(rng.random(frames - 1) < 0.5) + 1
    bounds = [0, *cuts.tolist(), frames]
    return [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


def divisions(rng: Rng) -> None:
    """Blocks of frames, rows picked, states put elsewhere and other threads change no bit."""
    made = chain(rng)
    N, frames = rows(rng, made), int(rng.integers(1, 9))
    x, first = signal(rng, made, N, frames), put_state(rng, made, N)
    whole = made.stream(N)
    whole.state = first
    y, end = whole(x), whole.state
    chosen = rng.permutation(N)[: int(rng.integers(1, N + 1))]
    some = made.stream(len(chosen))
    some.state = first.gather(chosen)
    for piece in _pieces(rng, frames):
        fl.set_num_threads(int(rng.integers(1, 4)))
        if chance(rng, 4):  # a stream goes on elsewhere
            kept, some = some.state, made.stream(len(chosen))
            some(laid_out(rng, x[chosen, : made.frame]))
            some.state = kept
        positions = slice(piece.start * made.frame, piece.stop * made.frame)
        found = some(laid_out(rng, np.array(x[chosen, positions])))
        out = slice(piece.start * made.frame_out, piece.stop * made.frame_out)
        compare.to_the_bit(found, y[chosen, out], f"y of frames {piece}")
    compare.to_the_bit(some.state, end.gather(chosen), "state")


def restarted(rng: Rng) -> None:
    """Rows put back to the initial state give what they give in a new stream."""
    made = chain(rng)
    N = rows(rng, made)
    x, stream = signal(rng, made, N, 2), made.stream(N)
    stream(x)
    chosen = None if chance(rng, 3) else np.flatnonzero(rng.random(N) < 0.5)
    before = stream.state
    stream.reset(chosen)
    again = np.arange(N) if chosen is None else chosen
    others = np.setdiff1d(np.arange(N), again)
    compare.to_the_bit(stream.state.gather(again), made.make_state(N).gather(again), "rows reset")
    compare.to_the_bit(stream.state.gather(others), before.gather(others), "rows left alone")
    compare.to_the_bit(stream(x)[again], made(x)[again], "y of rows reset")


def no_number(rng: Rng) -> None:
    """NaN and infinity stay in their row."""
    made = chain(rng)
    N = max(2, rows(rng, made))
    x = np.array(signal(rng, made, N, 3))
    expected, row = made(x), int(rng.integers(N))
    bad = x[row].reshape(-1)  # a view: x is C-contiguous
    bad[int(rng.integers(bad.size))] = pick(rng, (np.nan, np.inf, -np.inf))
    stream = made.stream(N)
    y, others = stream(x), np.arange(N) != row
    compare.to_the_bit(y[others], expected[others], "y of other rows")
    stream.reset([row])
    x[row] = 0
    compare.to_the_bit(stream(x)[row], made(x)[row], "y of the row that starts anew")


def from_threads(rng: Rng) -> None:
    """Threads at one stream: who is refused changes nothing, and each at its own get their bits."""
    made = chain(rng)
    N = rows(rng, made)
    x, shared = signal(rng, made, N, 4), made.stream(N)
    expected, own = made(x), [made.stream(N) for _ in range(2)]
    alone = made.stream(N)
    told = [alone(x) for _ in range(4)]

    def use(number: int) -> tuple[Array, list[Array]]:
        mine = [attempt(lambda: shared(x), {"serves one caller"}) for _ in range(2)]
        return own[number](x), [y for y in mine if y is not None]

    found = at_once(2, use)
    for y, _ in found:
        compare.to_the_bit(y, expected, "y of a thread's own stream")
    made_by = [y for _, mine in found for y in mine]
    for y in made_by:
        known = any(np.array_equal(y, one, equal_nan=True) for one in told)
        assert known, "y of a shared stream is none of the calls one after another"
