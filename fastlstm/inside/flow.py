"""Gradient flow: how much of the last step's loss arrives at the steps before."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.kernels import Tokens
from fastlstm.nn.check import check_array, check_choice
from fastlstm.nn.module import Array
from fastlstm.nn.recurrent import Recurrent
from fastlstm.nn.sequence import read_batch
from fastlstm.plotting import LETTER, QUIET, fitted, new_figure, plain_axes, save_png
from fastlstm.printable import cut, printable

Norms = NDArray[np.float64]
LONGEST = 40  # columns of a curve's name
FLOOR = 1e-16  # the smallest norm that is drawn


def gradient_flow(
    layer: Recurrent,
    x: Array | Tokens,
    state: Any = None,
    lengths: ArrayLike | None = None,
    *,
    dy: Array | None = None,
    of: str = "h",
) -> Norms:
    """Return the norm of the gradient of a loss of the last output, by distance in time.

    It is that of the layer's backward pass, step by step from each row's end (Pascanu, Mikolov &
    Bengio 2013 on why it vanishes or explodes). Nothing is added to the layer's own gradients,
    and there is no dropout.

    Parameters
    ----------
    layer : of one direction. Of several layers the top one is looked at.
    x, state, lengths : as for a call; T steps, N rows.
    dy : [N,R] (of one row without a batch axis [R]), gradient of the loss with respect to each
        row's last output; None for one of norm 1, equal in all units.
    of : the state whose gradient is measured: "h", or of an LSTM "c".

    Returns
    -------
    norms : float64 [T+1,N] ([T+1]): ``norms[k]`` is the norm of d loss / d h_{last-k}, of an
        LSTM with c held fixed. ``norms[length]`` is that of the initial state; NaN beyond it.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or the layer is bidirectional.
    """
    if layer.bidirectional:
        raise ValueError("bidirectional is True: the last output is near to every step")
    which = layer._cell.states.index(check_choice("of", of, layer._cell.states))
    batch = read_batch(x, lengths, layer.input_size, layer.dtype, layer.batch_first)
    rows, shape = batch.rows, (layer._size,) if batch.single else (batch.rows.N, layer._size)
    dy = np.full(shape, layer._size**-0.5, layer.dtype) if dy is None else dy
    dy = check_array("dy", dy, layer.dtype, shape).reshape(rows.N, layer._size)
    states = layer._read("state", state, batch)
    layer = copy.deepcopy(layer)
    layer.dropout, layer.recompute, layer.batch_first = 0.0, 0, False
    norms = np.full((rows.T + 1, rows.N), np.nan)
    norms[0, rows.lengths > 0] = np.linalg.norm(dy, axis=1)[rows.lengths > 0]
    if which:
        norms[0] = np.where(rows.lengths > 0, 0.0, np.nan)  # the loss reads h alone
    given = states if states is None or len(states) > 1 else states[0]
    windows = list(layer.tbptt(batch.x, 1, given, rows.lengths))
    dstate: Any = None
    for t in reversed(range(rows.T)):
        ends = rows.lengths == t + 1
        d_t = np.where(ends[:, None], dy, 0)[None].astype(layer.dtype)
        _, dstate = layer.backward(windows.pop()._tape, d_t, dstate)
        top = (dstate if len(layer._cell.states) > 1 else [dstate])[which][-1]
        n = np.flatnonzero(rows.lengths > t)
        norms[rows.lengths[n] - t, n] = np.linalg.norm(top[n].astype(np.float64), axis=1)
    return norms[:, 0] if batch.single else norms


def mean_of_rows(norms: Norms) -> Norms:
    """Return the mean [K] of norms [K,N] over the rows that reach so far back, NaN if none does."""
    mean: Norms = np.ma.masked_invalid(norms).mean(axis=1).filled(np.nan)
    return mean


def draw_gradient_flow(path: str | Path, panels: Mapping[str, Mapping[str, Norms]]) -> None:
    """Write a PNG: a panel for each entry, a curve of norms by distance for each of its own.

    Parameters
    ----------
    path : of the file.
    panels : title -> (label -> norms [K], or [K,N], of which the mean over the rows is drawn).

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    figure = new_figure(4.2 * len(panels) + 0.6, 4.2, dpi=120)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for place, (title, curves) in zip(axes, panels.items(), strict=True):
        for number, (label, norms) in enumerate(curves.items()):
            mean = norms if norms.ndim == 1 else mean_of_rows(norms)
            style = "--" if label.endswith("of c") else "-"
            shown = np.where(mean > FLOOR, mean, np.nan)
            place.semilogy(np.arange(len(mean)), shown, style, color=f"C{number}", label=label)
        place.axhline(1, color=QUIET, linewidth=0.8, linestyle=":")
        place.set_title(fitted(title, 3.8, 10), loc="left", fontsize=10)
        place.set_xlabel("steps back from the loss")
        plain_axes(place, "both")
    axes[0].set_ylabel("norm of the gradient")
    handles, labels = axes[0].get_legend_handles_labels()
    labels = [cut(printable(label), LONGEST) for label in labels]
    row = max(1, int(4.2 * len(panels) / (0.6 + LETTER * max(map(len, labels)) * 10 / 72)))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(row, len(labels)), frameon=False
    )
    save_png(path, figure)
