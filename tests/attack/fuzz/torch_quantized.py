"""`quantize_dynamic`: what it makes of a model, module by module, to the bit."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import numpy as np
import torch

import fastlstm.torch as ft
from attack.fuzz import compare
from attack.fuzz.draw import Rng, chance, pick, size
from attack.fuzz.hostile import anything, attempt
from attack.fuzz.torch_calls import arguments as call_arguments
from attack.fuzz.torch_calls import cell_arguments as step_arguments
from attack.fuzz.torch_calls import flat
from attack.fuzz.torch_draw import cell_pair, sequence_pair, tensor
from attack.fuzz.torch_hostile import NAMES, spoilt
from fastlstm.kernels.reference.precision import int8_product, quantize

KINDS = ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell", "Linear")


def module(rng: Rng) -> tuple[Any, tuple[Any, ...]]:
    """A float module that can be converted, torch's own or ours, and arguments for it."""
    how = int(rng.integers(3))
    if how == 0:
        made = torch.nn.Linear(size(rng), size(rng), bias=chance(rng, 2))
        outer = tuple(int(n) for n in rng.integers(1, 5, int(rng.integers(1, 3))))
        return made, (tensor(rng, (*outer, made.in_features), torch.float32),)
    pair = (cell_pair if how == 1 else sequence_pair)(rng, torch.float32)
    args = (step_arguments if how == 1 else call_arguments)(rng, pair[0])
    return pick(rng, pair), args


def model(rng: Rng) -> tuple[torch.nn.ModuleDict, list[tuple[Any, ...]]]:
    """A model of up to three of them by name: a module stands in it twice at times."""
    made = [module(rng) for _ in range(int(rng.integers(1, 4)))]
    holder = torch.nn.ModuleDict({f"m{k}": m for k, (m, _) in enumerate(made)})
    if chance(rng, 4):
        holder["again"] = holder["m0"]
    return holder, [args for _, args in made]


def converted(rng: Rng) -> None:
    """What is asked for is converted, to the bits of the definition; all else stays."""
    holder, calls = model(rng)
    dtype = pick(rng, (torch.qint8, torch.qint8, torch.float16))
    names = {k for k in holder if chance(rng, 2)}
    types = {getattr(torch.nn, n) for n in KINDS if chance(rng, 3)}
    spec = pick(rng, (None, names, types, names | types))
    before = {k: t.clone() for k, t in holder.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new = ft.quantize_dynamic(holder, spec, dtype)
    for key, t in holder.state_dict().items():
        assert torch.equal(t, before[key]), f"{key} of the float model changed"
    report = new.quantize_report
    for name, part in holder.items():
        kind = next(getattr(torch.nn, n) for n in KINDS if n == type(part).__name__)
        usual = spec is None and kind is not torch.nn.RNN
        shared = [n for n, other in holder.items() if other is part]
        asked = usual or kind in (spec or ()) or any(n in (spec or ()) for n in shared)
        done = type(new[name]).__module__.startswith("fastlstm.torch.quantized")
        assert done == asked, f"{name}: converted {done}, asked for {asked} by {spec}"
        assert (name in report.converted) == done, f"the report says otherwise of {name}"
    if "again" in new:
        assert new["again"] is new["m0"], "a module in two places became two"
    for k, args in enumerate(calls):
        if f"m{k}" in report.converted:
            _as_defined(rng, holder[f"m{k}"], new[f"m{k}"], args, dtype)


def _as_defined(rng: Rng, part: Any, new: Any, args: tuple[Any, ...], dtype: Any) -> None:
    expected = _expected(part, args, dtype)
    others = [new, _loaded(part, new, dtype), copy.deepcopy(new)]
    with torch.no_grad():
        for one in others:
            for k, (y, other) in enumerate(zip(flat(one(*args)), expected, strict=True)):
                name = f"{type(part).__name__} in {dtype}: result {k}"
                if dtype is torch.float16 and isinstance(part, torch.nn.Linear):
                    compare.near(y.numpy(), other, "output", name)  # torch's own product
                else:
                    compare.to_the_bit(y.numpy(), other, name)


def _expected(part: Any, args: tuple[Any, ...], dtype: Any) -> list[Any]:
    """What the definition makes of a float module's weights."""
    if isinstance(part, torch.nn.Linear):
        weight, x = part.weight.detach(), args[0].resolve_neg()
        b = 0 if part.bias is None else part.bias.detach().numpy()
        if dtype is torch.float16:
            return [x.double().numpy() @ weight.half().double().numpy().T + b]
        rows = np.ascontiguousarray(x.numpy().reshape(-1, part.in_features))
        y = int8_product(quantize(weight.numpy()), quantize(rows)) + b
        return [y.reshape(*x.shape[:-1], part.out_features)]
    holder = torch.nn.ModuleList([copy.deepcopy(part)])
    if dtype is torch.float16:
        with torch.no_grad():
            for p in holder.parameters():
                p.copy_(p.half().float() if p.dim() == 2 else p)
    ft.accelerate(holder, "float32" if dtype is torch.float16 else "int8")
    with torch.no_grad():
        return [t.numpy() for t in flat(holder[0](*args))]


def _loaded(part: Any, new: Any, dtype: Any) -> Any:
    """Another module of the same kind with the state of the float one, or of the quantized."""
    other = copy.deepcopy(part)
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    other = ft.quantize_dynamic(other, {""}, dtype)
    file = io.BytesIO()
    torch.save(new.state_dict(), file)
    file.seek(0)
    for given in (part.state_dict(), torch.load(file, weights_only=True)):
        other.load_state_dict(given)
    return other


def hostile(rng: Rng) -> None:
    """Damaged arguments, weights and options: a clear error, and the model as it was."""
    part, args = module(rng)
    how = int(rng.integers(4))
    if how == 0:
        holder = torch.nn.ModuleDict({"good": torch.nn.Linear(2, 2), "part": part})
        name = pick(rng, [n for n, p in part.named_parameters() if p.dim() == 2])
        with torch.no_grad():
            part.get_parameter(name).view(-1)[-1] = pick(rng, (torch.nan, -torch.inf))
        made = attempt(lambda: ft.quantize_dynamic(holder, {"good", "part"}, inplace=True), {name})
        assert made is None, f"{name} is not finite, and taken"
        assert type(holder["good"]) is torch.nn.Linear, "half of a model was converted"
        return
    if how == 1:
        options = {"qconfig_spec": {torch.nn.LSTM}, "dtype": torch.qint8, "mapping": None}
        name = pick(rng, sorted(options))
        options[name] = pick(rng, (anything(rng), torch.float32, {3: 4}, {"part"}))
        names = {name, "QConfig", "dtype", "quantize", "float", "has no", "attribute", "from_float"}
        attempt(lambda: ft.quantize_dynamic(copy.deepcopy(part), **options), names)
        attempt(lambda: ft.quantize_dynamic(anything(rng)), {"model"})
        return
    new = ft.quantize_dynamic(part, {""}, pick(rng, (torch.qint8, torch.float16)))
    with torch.no_grad():
        expected = flat(new(*args))
        attempt(lambda: new(*spoilt(rng, args)), NAMES | {"x", "int8", "mat"})
        if how == 2:
            bad = {k: t for k, t in new.state_dict().items() if chance(rng, 2)}
            attempt(lambda: new.load_state_dict(bad), {"state_dict", "Error"})
            new.load_state_dict(part.state_dict())
        for one, other in zip(flat(new(*args)), expected, strict=True):
            assert torch.equal(one, other), "other results after an error"
