"""RecurrentPPO's loop over single steps, made one call: `accelerate` puts it into a policy.

A policy of sb3-contrib takes single steps through every batch in which an episode starts, and that
is each one that it trains on. The library is not imported: its loop is known by where it stands
and by what it makes of a small LSTM.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastlstm.torch.dispatch import outside_kernels, takes_operators
from fastlstm.torch.modules import GRU, LSTM, RNN

LOOP = "_process_sequence"  # a static method of sb3-contrib's recurrent policies
LIBRARY = "sb3_contrib"
ONE_CALL = "it is one call already"
States = tuple[Tensor, Tensor]


def one_call(
    loop: Any, features: Tensor, lstm_states: States, episode_starts: Tensor, lstm: Any
) -> tuple[Tensor, States]:
    """Return what `loop` does of a batch, by one call of the LSTM.

    features [N*T,I] and episode_starts [N*T] are N sequences of T steps, one after the other, and
    the states [L,N,H] those before them. A single step, and what the kernels do not take, is the
    loop's own.
    """
    N = lstm_states[0].shape[1]
    if episode_starts.numel() == N or not _takes_reset(lstm, features):
        answer: tuple[Tensor, States] = loop(features, lstm_states, episode_starts, lstm)
        return answer
    x = features.reshape((N, -1, lstm.input_size)).transpose(0, 1)
    starts = episode_starts.reshape((N, -1)).transpose(0, 1)
    y, states = lstm(x, lstm_states, reset=starts)
    return y.transpose(0, 1).flatten(0, 1), states


def _takes_reset(lstm: Any, features: Tensor) -> bool:
    if not isinstance(lstm, LSTM) or lstm.batch_first:
        return False
    return takes_operators(features) or not outside_kernels(lstm, features, None)


def replace_loop(policy: nn.Module) -> str | None:
    """Replace the loop of a policy; return why it is left as it is, "" if the module has none.

    That of this object alone: neither its class nor the library changes.
    """
    loop = getattr(type(policy), LOOP, None)
    if loop is None or not any(isinstance(m, (LSTM, GRU, RNN)) for m in policy.modules()):
        return ""
    if _is_replaced(policy):
        return ONE_CALL
    if LOOP in vars(policy) or getattr(loop, "__module__", "").partition(".")[0] != LIBRARY:
        return f"it is not that of {LIBRARY}, and might be lost"
    why = _difference(loop)
    if why is None:
        vars(policy)[LOOP] = partial(one_call, loop)
    return why


def restore_loop(policy: nn.Module) -> None:
    """Give a policy its own loop back, if `replace_loop` took it."""
    if _is_replaced(policy):
        del vars(policy)[LOOP]


def _is_replaced(policy: nn.Module) -> bool:
    """Whether a policy has one call in the place of its loop."""
    return getattr(vars(policy).get(LOOP), "func", None) is one_call


def _difference(loop: Any) -> str | None:
    """Return how a loop differs from one call, None if it does not.

    It may, in another version of the library.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        lstm = LSTM(2, 3, dtype=torch.float64)
        features, *states = (
            torch.randn(shape, dtype=torch.float64) for shape in ((8, 2), (1, 2, 3), (1, 2, 3))
        )
    starts = torch.tensor([1.0, 0, 0, 1, 0, 0, 1, 0])
    given = features, (states[0], states[1]), starts, lstm
    try:
        with torch.no_grad():
            y, ends = loop(*given)
            expected, expected_ends = one_call(loop, *given)
        pairs = zip((y, *ends), (expected, *expected_ends), strict=True)
        same = all(a.shape == b.shape and torch.allclose(a, b) for a, b in pairs)
    except Exception as error:  # of code that is not known
        return f"it raised {type(error).__name__}: {error}"
    return None if same else "it does not return what one call with reset= does"
