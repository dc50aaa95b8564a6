"""Pairs of modules, torch's and ours, and tensors in any layout that torch knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import fastlstm.torch as ft
from attack.fuzz.draw import Rng, chance, pick, size

torch.set_num_threads(1)
Pair = tuple[Any, Any]
CELLS = ("LSTMCell", "GRUCell", "RNNCell")


def _dtype(rng: Rng, options: dict[str, Any], dtype: Any) -> Any:
    """The one asked for; else float64 near the kink of relu, where rounding decides."""
    if dtype is not None:
        return dtype
    relu = options.get("nonlinearity") == "relu"
    return torch.float64 if relu else pick(rng, (torch.float32, torch.float64))


def _both(name: str, sizes: tuple[int, ...], options: dict[str, Any]) -> Pair:
    ours, theirs = (getattr(m, name)(*sizes, **options) for m in (ft, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def sequence_pair(rng: Rng, dtype: Any = None) -> Pair:
    """Two sequence modules of the same options and weights, of any dtype or of this one."""
    name, H = pick(rng, ("LSTM", "GRU", "RNN")), size(rng)
    options: dict[str, Any] = {
        "num_layers": pick(rng, (1, 1, 2, 3)),
        "bias": not chance(rng, 4),
        "batch_first": chance(rng, 2),
        "bidirectional": chance(rng, 3),
    }
    if name == "RNN":
        options["nonlinearity"] = pick(rng, ("tanh", "relu"))
    if name == "LSTM" and chance(rng, 4):
        H = max(H, 2)
        options["proj_size"] = int(rng.integers(1, H))
    options["dtype"] = _dtype(rng, options, dtype)
    torch.manual_seed(int(rng.integers(1 << 30)))
    return _both(name, (size(rng), H), options)


def cell_pair(rng: Rng, dtype: Any = None) -> Pair:
    """Two cells of the same options and weights, of any dtype or of this one."""
    name = pick(rng, CELLS)
    options: dict[str, Any] = {"bias": not chance(rng, 4)}
    if name == "RNNCell":
        options["nonlinearity"] = pick(rng, ("tanh", "relu"))
    options["dtype"] = _dtype(rng, options, dtype)
    torch.manual_seed(int(rng.integers(1 << 30)))
    return _both(name, (size(rng), size(rng)), options)


def dtype_of(module: Any) -> Any:
    return next(module.parameters()).dtype


def tensor(rng: Rng, shape: tuple[int, ...], dtype: Any) -> Any:
    """Normal numbers in some layout: steps, order, offset, expanded, waiting for a negation."""
    values = torch.from_numpy(np.asarray(rng.standard_normal(shape))).to(dtype)
    how = int(rng.integers(8))
    if how == 0 or values.dim() < 2:
        return values
    if how == 1:
        order = [int(k) for k in rng.permutation(values.dim())]
        back = [order.index(k) for k in range(values.dim())]
        return values.permute(order).contiguous().permute(back)
    if how == 2:
        return torch.stack([values, values], dim=-1)[..., 0]
    if how == 3:
        return torch.cat([values, values])[len(values) :]
    if how == 4:
        return values[:1].expand(values.shape)
    if how == 5:
        kind = torch.complex64 if dtype == torch.float32 else torch.complex128
        return torch.complex(values, values).to(kind).conj().imag
    if how == 6:
        return torch.nn.functional.pad(values, (1, 1))[..., 1:-1]
    return values.clone().requires_grad_(False)


def leaf(value: Any) -> Any:
    """The same tensor, in the same layout, as one that gradients end in."""
    return value.detach().requires_grad_()


def states(rng: Rng, module: Any, N: int | None) -> Any:
    """A first state, or None."""
    if chance(rng, 3):
        return None
    K = module.num_layers * (2 if module.bidirectional else 1)
    widths = [module.proj_size or module.hidden_size, module.hidden_size]
    widths = widths[: 2 if module.mode == "LSTM" else 1]
    parts = [tensor(rng, (K, w) if N is None else (K, N, w), dtype_of(module)) for w in widths]
    return tuple(parts) if len(parts) > 1 else parts[0]
