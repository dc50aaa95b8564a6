"""What LSTM, GRU and RNN share: how they are called."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from fastlstm import lazy
from fastlstm.kernels import CellSpec, Rows, Tokens
from fastlstm.nn.check import (
    MOST_NUMBERS,
    MOST_ROWS,
    MOST_SIZE,
    Rng,
    check_flag,
    check_rng,
    check_size,
    refuse_keywords,
)
from fastlstm.nn.module import Array, Tape
from fastlstm.nn.parameter import check_finite
from fastlstm.nn.recurrent.gates import Gated
from fastlstm.nn.recurrent.options import in_signature
from fastlstm.nn.recurrent.reset import Cuts, read_reset
from fastlstm.nn.recurrent.stack import Stack, States
from fastlstm.nn.recurrent.stream import Stream
from fastlstm.nn.recurrent.walk import draw_noise, run_backward, run_forward
from fastlstm.nn.sequence import Sequences, read_batch
from fastlstm.nn.signature import keyword_only, signature_of
from fastlstm.nn.state import State, read_states

if TYPE_CHECKING:  # methods load them: few calls need them, and importing costs as much as all here
    from fastlstm.nn.recurrent.memory import MemoryPlan
    from fastlstm.nn.recurrent.tbptt import Window
    from fastlstm.nn.recurrent.trace import Traces
else:
    MemoryPlan = lazy.hint("fastlstm.nn.recurrent.memory", "MemoryPlan")
    Window = lazy.hint("fastlstm.nn.recurrent.tbptt", "Window")
    Traces = lazy.hint("fastlstm.nn.recurrent.trace", "Traces")


class Given(NamedTuple):
    """Checked arguments of a call; the states are [K,N,...] each, or None for the initial ones."""

    batch: Sequences
    state: States | None
    cuts: Cuts | None


def as_saved(saved: Any, y: Array) -> Any:
    """Keep what a backend saved as it is: it holds y where backward needs that."""
    return saved


class Recurrent(Gated):
    """Base of `LSTM`, `GRU` and `RNN`: see there for the options.

    Letters: T steps, N batch, I input_size, H hidden_size, L num_layers, D directions (1 or 2),
    R the size of an output: proj_size, or H without one.

    A state has torch's form, ``(h, c)`` for an LSTM and the array h for the others, or is a
    `State`. An LSTM always returns a `State`, the others if they were given one.
    """

    def __new__(cls, *sizes: Any, models: int | None = None, **options: Any) -> Any:
        """Make a layer, or with `models` a `Stacked` of so many."""
        if models is None:
            return super().__new__(cls)
        from fastlstm.many.stacked import stack

        return stack(cls, models, sizes, options)

    def __init_subclass__(cls, **given: Any) -> None:
        """Name the options that all layers have in the signature that `help` shows."""
        super().__init_subclass__(**given)
        common = keyword_only(Stack.__init__)
        common += [in_signature(Stack, name) for name in cls.OPTIONS]
        hidden, cell = ["precision"] * bool(cls._engine), getattr(cls, "_cell", None)
        if isinstance(cell, CellSpec) and not cell.projects:
            hidden.append("proj_size")
        cls.__signature__ = signature_of(cls, common, hidden)  # type: ignore[attr-defined]  # inspect reads it

    def __call__(
        self,
        x: Array | Tokens,
        state: Any = None,
        lengths: ArrayLike | None = None,
        *,
        reset: ArrayLike | None = None,
        reset_at: str = "before",
        **unknown: NoReturn,
    ) -> tuple[Array, Any]:
        """Run over a batch and keep nothing.

        Parameters
        ----------
        x : [T,N,I], with batch_first [N,T,I]; or [T,I], one row without its batch axis, which
            all results then lack too. Or `Tokens`, with ids [T,N] or [N,T] and table [U,I]:
            sooner than ``table[ids]``, with the same result.
        state : h_0 [L*D,N,R], of an LSTM (h_0, c_0) with c_0 [L*D,N,H]; None for the initial
            state: zeros, or what was learned.
        lengths : integers [N] in 0..T in any order: how many steps of each row are real. The
            others are never read.
        reset : bool [T,N] (with batch_first [N,T]), where rows start anew from the initial
            state; None for nowhere. Results and gradients are those of sequences cut there, in
            both directions.
        reset_at : "before", rows start anew before the steps marked: the `state` given is not
            used by a row whose first step is. Or "after", they start anew after them: a row
            whose last step is marked returns the initial state.

        Returns
        -------
        y : [T,N,D*R] (with batch_first [N,T,D*R]), zeros past each row's length.
        state : each row's state after its last step, shaped as above.

        Raises
        ------
        TypeError, ValueError
            If an argument's type, dtype, shape or range does not fit, the batch is empty or has
            no steps, or a parameter holds NaN.
        IndexError
            If a token's row is not in the table.
        """
        given = self._given(x, state, lengths, reset, reset_at, unknown)
        y, state_n, _ = run_forward(self, *given)
        batch = given.batch
        return batch.answer(y), self._answer(state_n, batch, isinstance(state, State))

    def forward(
        self,
        x: Array | Tokens,
        state: Any = None,
        lengths: ArrayLike | None = None,
        rng: Rng = None,
        *,
        reset: ArrayLike | None = None,
        reset_at: str = "before",
        **unknown: NoReturn,
    ) -> tuple[Array, Any, Tape]:
        """Run over a batch to train: y and state as above, with dropout, and the tape.

        The tape refers to x (or the table of `Tokens`), y and the parameters: change none of them
        before `backward`. All else is copied. Gradients go to the parameters that this pass used.
        ValueError if `precision` is "int8", which has no backward.
        """
        self._check_trains()
        rng = self._rng if rng is None else check_rng(rng)
        given = self._given(x, state, lengths, reset, reset_at, unknown)
        batch, as_state = given.batch, isinstance(state, State)
        noise = draw_noise(self, batch.rows.N, rng)
        y, state_n, run = run_forward(self, *given, noise, as_saved, self.recompute)
        answer = self._answer(state_n, batch, as_state)
        return batch.answer(y), answer, Tape(self, run, as_state)

    def backward(
        self, tape: Tape, dy: Array | None, dstate: Any = None, *, needs_dx: bool = True
    ) -> tuple[Any, Any]:
        """Add to the gradient of each parameter; return those of the inputs.

        Parameters
        ----------
        dy : gradient of y, shaped like it, or None for zero. Not read past a row's length.
        dstate : gradient of the state returned; it or a part of it None for zero.
        needs_dx : False leaves the gradient of x out, where x is data and nothing is behind it: a
            product less of the bottom layer.

        Returns
        -------
        dx : gradient of x, shaped like it (zeros past each row's length); of the table [U,I]
            for `Tokens`. None without `needs_dx`.
        dstate_0 : gradient of the initial state. Zero for a row that was reset at its start.

        Raises
        ------
        KeyboardInterrupt
            Or what else a signal's handler raises, in the middle of a long call in the main thread.
            The tape is used up then, and the gradients of parameters are incomplete: zero them.
        RuntimeError, TypeError, ValueError
            If the tape was used before, or an argument does not fit.
        """
        batch: Sequences = self._look(tape)[0].batch
        d_out = batch.read_dy(dy, self._width)
        d_n = self._read("dstate", dstate, batch) or self._zeros(batch.rows.N)
        needs_dx = check_flag("needs_dx", needs_dx)
        run, as_state = self._take(tape)
        dx, dstate_0 = run_backward(self, run, d_out, d_n, needs_dx)
        if dx is not None and batch.dense:
            dx = batch.answer(dx)
        return dx, self._answer(dstate_0, batch, as_state)

    def trace(
        self,
        x: Array | Tokens,
        state: Any = None,
        lengths: ArrayLike | None = None,
        *,
        reset: ArrayLike | None = None,
        reset_at: str = "before",
        **unknown: NoReturn,
    ) -> Traces:
        """Run over a batch and return what the gates and the states were at every step.

        Of an LSTM i, f, g, o, c and h; see `nn.recurrent.trace.Trace`. They are the numbers of the
        call itself to the bit: h is its y, and c at a row's last step its c_n, unless a reset
        follows. In bfloat16 all but h are rounded, as `backward` sees them. Arguments and errors as
        of a call; there is none in int8, which keeps nothing.

        Returns
        -------
        traces : ``traces[k]`` of layer k // D in direction k % D; of one layer in one direction
            ``traces.f`` is ``traces[0].f``.
        """
        from fastlstm.nn.recurrent.trace import trace

        self._check_trains()
        return trace(self, *self._given(x, state, lengths, reset, reset_at, unknown))

    def make_state(self, batch_size: int = 1) -> State:
        """Return a copy of the initial state for N rows: zeros, or what was learned.

        Given to a call it is a state like any other: `backward` returns its gradient and adds
        nothing to that of the learned state.
        """
        return State(self._initial(check_size("batch_size", batch_size, most=MOST_SIZE)))

    def stream(self, batch_size: int = 1) -> Stream:
        """Return a runner of single steps with the state inside: a `nn.recurrent.stream.Stream`.

        The weights are copied, and rounded as `precision` says: later changes to this module are
        not seen. ``stream(x)`` returns what a whole run gives at that step, bit for bit.

        Raises
        ------
        ValueError
            If the layer is bidirectional or a parameter holds NaN or infinity.
        """
        if self.bidirectional:
            raise ValueError("bidirectional is True: a stream has no end to run back from")
        state = self.make_state(check_size("batch_size", batch_size, most=MOST_SIZE))
        for name, parameter in self.named_parameters():
            check_finite(name, parameter.data)
        layers = [copy.deepcopy(self._weights(k)) for k in range(self.num_layers)]
        return Stream(self._find_cell(), self._backend, layers, state, self.precision)

    def tbptt(
        self,
        x: Array | Tokens,
        steps: int,
        state: Any = None,
        lengths: ArrayLike | None = None,
        rng: Rng = None,
        *,
        reset: ArrayLike | None = None,
        reset_at: str = "before",
        **unknown: NoReturn,
    ) -> Iterator[Window]:
        """Train on long sequences by truncated backpropagation through time.

        Each window of `steps` steps goes on from the state of the one before it, and gradients
        end where it starts. It is run when it is asked for, with the weights of that moment::

            for window in lstm.tbptt(x, steps=50):
                loss, dy = criterion(window.y, targets[window.steps])
                lstm.zero_grad()
                window.backward(dy)
                optimizer.step()

        Parameters
        ----------
        steps : of a window; the last one may be shorter.
        x, state, lengths, rng, reset, reset_at : as for `forward`.

        Raises
        ------
        TypeError, ValueError, IndexError
            At once, if an argument does not fit, or if the layer is bidirectional.
        """
        if self.bidirectional:
            raise ValueError("bidirectional is True: windows have no end to run back from")
        self._check_trains()
        check_size("steps", steps)
        rng = self._rng if rng is None else check_rng(rng)
        given = self._given(x, state, lengths, reset, reset_at, unknown)
        return self._windows(given, steps, rng, isinstance(state, State))

    def _windows(
        self, given: Given, steps: int, rng: np.random.Generator, as_state: bool
    ) -> Iterator[Window]:
        from fastlstm.nn.recurrent.tbptt import Window

        batch, state, cuts = given
        noise = draw_noise(self, batch.rows.N, rng)
        for start in range(0, batch.rows.T, steps):
            stop = min(start + steps, batch.rows.T)
            part = batch.window(start, stop)
            here = cuts and cuts.window(start, stop)
            y, state, run = run_forward(self, part, state, here, noise, as_saved, self.recompute)
            answer = self._answer([s.copy() for s in state], batch, as_state)
            tape = Tape(self, run, as_state)
            yield Window(slice(start, stop), part.rows.lengths, part.answer(y), answer, self, tape)

    def memory_plan(
        self, T: int, N: int, lengths: ArrayLike | None = None, *, tokens: int = 0
    ) -> MemoryPlan:
        """Return the bytes that a `forward` and its `backward` ask for at most.

        Counted is all that they allocate, y and dx included; not the arrays they are given, nor
        the parameters and their gradients. A `reset` takes another byte for each direction's
        step of each row. The process may take more: the compiled backend keeps freed blocks for
        later calls, and may give a call one of up to eight times the size it asks for. Of a call
        of a few megabytes these can be more than the call itself; all together, in use and kept,
        take 256 MB at most, or a quarter more than the process ever had in use at a time.
        `tokens` are the rows of the table if the input is `Tokens`, 0 for an array. ValueError if
        `precision` is "int8", which has neither of the two.
        """
        from fastlstm.nn.recurrent.memory import plan

        rows = Rows(
            check_size("T", T, most=MOST_NUMBERS), check_size("N", N, most=MOST_SIZE), lengths
        )
        return plan(self, rows, check_size("tokens", tokens, 0, MOST_ROWS))

    def _given(
        self, x: Any, state: Any, lengths: Any, reset: Any, reset_at: str, unknown: dict[str, Any]
    ) -> Given:
        """Check what a call was given."""
        if unknown:
            refuse_keywords(self, unknown, self.__call__)
        batch = read_batch(x, lengths, self.input_size, self.dtype, self.batch_first)
        cuts = read_reset(reset, reset_at, batch, self._directions)
        return Given(batch, self._read("state", state, batch), cuts)

    def _read(self, name: str, given: Any, batch: Sequences) -> States | None:
        """Return a state that a user gave, [K,N,...] each, or None for None."""
        if given is None:
            return None
        K, N = len(self._suffixes), batch.rows.N
        shapes = [(K, size) if batch.single else (K, N, size) for size in self._state_sizes()]
        states = read_states(name, given, self._cell.states, shapes, self.dtype)
        return [s[:, None] for s in states] if batch.single else states

    def _answer(self, states: States, batch: Sequences, as_state: bool) -> Any:
        """Return states [K,N,...] as the caller expects them."""
        parts = [batch.answer(s) for s in states]
        return State(parts) if as_state or len(parts) > 1 else parts[0]
