"""Forecasters on disk: one safetensors file with all arrays, and a JSON note in its header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.forecast.calendar import WAVES, Calendar
from fastlstm.forecast.calibration import Calibration
from fastlstm.forecast.forecaster import Forecaster
from fastlstm.forecast.framing import Framing
from fastlstm.forecast.index import about_index, index_about
from fastlstm.forecast.ridge import Ridge, feature_lags
from fastlstm.forecast.scaling import KINDS
from fastlstm.forecast.series import Series
from fastlstm.forecast.stamps import LAST_DAY, Spacing
from fastlstm.models.sequence_regressor import SequenceRegressor
from fastlstm.nn.regression_losses import check_quantiles
from fastlstm.train import checkpoint

KIND = "forecaster"


def save_forecaster(
    path: str | Path, forecaster: Forecaster, series: Sequence[Series], **note: object
) -> None:
    """Write a forecaster and the series that it goes on from; errors as of `checkpoint.save`.

    `note` is kept with them, as JSON.
    """
    framing = forecaster.framing
    parts: dict[str, dict[str, Any]] = {
        "net": forecaster.net.state_dict(),
        "ridge": {"shared": forecaster.ridge.shared, "own": forecaster.ridge.own},
        "framing": {
            "mean": framing.mean,
            "scale": framing.scale,
            "limits": framing.limits,
        },
        "calibration": {"factors": forecaster.calibration.factors},
    }
    for n, one in enumerate(series):
        parts[f"series{n}"] = {"y": one.y, "X": one.X}
        if one.stamps is not None:
            parts[f"series{n}"]["stamps"] = one.stamps.astype(np.int64)
        if one.index is not None and one.index.numbers is not None:
            parts[f"series{n}"]["numbers"] = one.index.numbers.astype(np.int64)
    about = {
        "net": forecaster.net.options,
        "horizon": framing.horizon,
        "context": framing.context,
        "season": framing.season,
        "scale": framing.kind,
        "steady": framing.steady,
        "has_usual": framing.has_usual,
        "circles": list(framing.calendar.circles),
        "spacing": framing.spacing,
        "quantiles": forecaster.quantiles,
        "series": [
            {
                "flat": one.flat,
                "names": one.names,
                "known": list(one.known),
                "index": about_index(one.index),
            }
            for one in series
        ],
    }
    checkpoint.save(path, checkpoint.joined(parts), KIND, {**note, "forecaster": about})


def load_forecaster(path: str | Path) -> tuple[Forecaster, list[Series], dict[str, Any]]:
    """Return what `save_forecaster` wrote; errors as of `checkpoint.load`.

    Also CheckpointError if this version cannot build it. No code of the file is run.
    """
    tensors, note = checkpoint.load(path, KIND)
    parts: dict[str, dict[str, Any]] = {**checkpoint.parted(tensors)}
    with checkpoint.building(path):
        about = note.pop("forecaster")
        net = _net(about["net"], parts["net"])
        quantiles = check_quantiles(about["quantiles"]).tolist()
        ridge = Ridge(parts["ridge"]["shared"], parts["ridge"]["own"])
        made = Forecaster(
            _framing(about, parts["framing"], net.num_targets), ridge, net,
            Calibration(parts["calibration"]["factors"]), quantiles,
        )  # fmt: skip
        series = [_series(parts[f"series{n}"], one) for n, one in enumerate(about["series"])]
        _check_fit(made, series)
    return made, series, note


def _net(options: Mapping[str, Any], weights: Mapping[str, Any]) -> SequenceRegressor:
    """Return the net; ValueError, before it is built, if its sizes are not those of its weights."""
    first = weights[f"{options['cell']}.weight_ih_l0"]
    layers = sum(name.startswith(f"{options['cell']}.weight_hh_l") for name in weights)
    hidden = weights[f"{options['cell']}.weight_hh_l0"].shape[1]
    outputs = options["horizon"] * options["num_targets"] * len(options["quantiles"])
    said = (options["input_size"], options["hidden_size"], options["num_layers"], outputs)
    found = (first.shape[1], hidden, layers, len(weights["head.weight"]))
    if said != found:
        raise ValueError(f"its sizes are {said}, but its tensors are of {found}")
    net = SequenceRegressor(**options)
    net.load_state_dict(weights)
    return net


def _framing(about: Mapping[str, Any], arrays: Mapping[str, Any], targets: int) -> Framing:
    circles = tuple(about["circles"])
    if not set(circles) <= set(WAVES):
        raise ValueError(f"its calendar has {circles}, expected some of {', '.join(WAVES)}")
    if about["scale"] not in KINDS:
        raise ValueError(f"its scale is {about['scale']!r:.40}, expected one of {KINDS}")
    limits = arrays.get("limits", np.tile([-np.inf, np.inf], (targets, 1)))  # of older files
    numbers = {name: about[name] for name in ("horizon", "context", "season")}
    steady = about.get("steady", 0)  # which older files do not have
    if not all(type(value) is int and value >= 1 for value in numbers.values()):
        raise ValueError(f"it has {numbers}, expected whole numbers of at least 1")
    if type(steady) is not int or not 0 <= steady <= about["context"]:
        raise ValueError(f"its steady is {steady!r:.40}, expected 0 to its context")
    return Framing(
        **numbers, has_usual=bool(about["has_usual"]), calendar=Calendar(circles),
        mean=arrays["mean"], scale=arrays["scale"], limits=limits, kind=about["scale"],
        steady=steady, spacing=_spacing(about.get("spacing")),
    )  # fmt: skip


def _spacing(told: Any) -> Spacing | None:
    """Return the spacing of a file, None where an older one has none."""
    if told is None:
        return None
    step, months, day = told
    if not (type(step) is type(day) is int and step >= 1 and 1 <= day <= LAST_DAY):
        raise ValueError(f"its spacing is {told!r:.40}, expected a step and a day of the month")
    return Spacing(step, bool(months), day)


def _series(arrays: Mapping[str, Any], about: Mapping[str, Any]) -> Series:
    y, X, stamps = arrays["y"], arrays["X"], arrays.get("stamps")
    if y.ndim != 2 or X.ndim != 2 or len(X) != len(y) or not len(y):
        raise ValueError(f"a series has shapes {y.shape} and {X.shape}")
    if stamps is not None:
        stamps = stamps.astype(np.int64).view("datetime64[us]")
        if stamps.shape != y.shape[:1]:
            raise ValueError(f"a series has shape {y.shape}, but its stamps {stamps.shape}")
    names = tuple(map(str, about["names"]))
    known = tuple(map(str, about.get("known", ())))  # which older files do not have
    numbers = arrays.get("numbers")
    if numbers is not None and (numbers.shape != y.shape[:1] or numbers.dtype.kind != "i"):
        raise ValueError(f"a series has shape {y.shape}, but its index {numbers.shape}")
    index = index_about(about.get("index"), numbers)  # which older files do not have
    return Series(y, X, stamps, flat=bool(about["flat"]), labels=names, known=known, index=index)


def _check_fit(made: Forecaster, series: Sequence[Series]) -> None:
    """Raise ValueError unless all parts are of the same sizes."""
    framing, net, ridge = made.framing, made.net, made.ridge
    K, H, Q = net.num_targets, framing.horizon, len(made.quantiles)
    P, F = int(framing.has_usual), len(framing.mean)
    lags = feature_lags(framing.context, F)
    C = framing.calendar.size + F
    shapes = {
        "horizon": (net.horizon, H),
        "quantiles": (net.distribution.size, Q),
        "ridge/shared": (ridge.shared.shape, (K, H, framing.context + lags * F + P + 1)),
        "ridge/own": (ridge.own.shape, (K, H, P + C)),
        "framing": (framing.scale.shape, (F,)),
        "limits": (framing.limits.shape, (K, 2)),
        "calibration": (np.asarray(made.calibration.factors).shape, (K, Q)),
        "inputs": (net.input_size, K + P * K + C + F),
        "median": (0.5 in made.quantiles, True),
    }
    shapes |= {f"series {n}": ((one.y.shape[1], one.X.shape[1]), (K, F))
               for n, one in enumerate(series)}  # fmt: skip
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise ValueError(f"{name} is {found}, expected {expected}")
