"""Gradients on their way to other processes while the backward pass goes on.

In the first step nothing is sent early, and each process hears which layers are ready, and in what
order. That of process 0 is the order of all from then on: a group of gradients leaves as soon as
its layers are ready and the groups before it have left. What a layer added to later, and what no
layer tells of, is added up at the end of the step as before, with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.background import Background
from fastlstm.distributed.processes import Processes, ProcessLost
from fastlstm.nn.module import Array
from fastlstm.nn.parameter import Parameter
from fastlstm.train.parameters import NamedParameter
from fastlstm.waiting import result_of

LEAST = 1 << 19  # bytes that are worth a message of their own


class Group(NamedTuple):
    """Parameters whose gradients travel together: their numbers, and how often each is told of."""

    numbers: list[int]
    times: list[int]


class Sent(NamedTuple):
    """A group on its way."""

    numbers: list[int]
    own: Array  # its gradients in this process, flat
    total: Future[Array]


class Sending:
    """What one training sends early; without partners in the background nothing.

    Parameters
    ----------
    processes : those that share the batches. All of them make this at the same time.
    parameters : those that are trained.
    """

    def __init__(self, processes: Processes, parameters: Sequence[NamedParameter]) -> None:
        self._processes = processes
        self._parameters = [parameter for _, parameter in parameters]
        self._numbers = {id(parameter): k for k, parameter in enumerate(self._parameters)}
        apart = processes.apart()
        self._background = None if apart is None else Background(apart)
        self._groups: list[Group] | None = None  # until the first step is over
        self._heard: dict[int, int] = {}  # how often each was told of, by the last time
        self._weight: float | None = None
        self._sent: list[Sent] = []

    @property
    def early(self) -> int:
        """How many groups travel during the backward pass."""
        return len(self._groups or [])

    def begin(self, weight: float | None) -> None:
        """Begin a step, in which the gradients of this process count `weight`; None: not known."""
        self._weight, self._heard, self._sent = weight, {}, []

    def tell(self, parameters: Iterable[Parameter]) -> None:
        """Hear that gradients are ready; send those whose turn it is."""
        for parameter in parameters:
            number = self._numbers.get(id(parameter))
            if number is not None:
                self._heard[number] = self._heard.pop(number, 0) + 1
        for group in self._due():
            counts = [self._heard.get(number, 0) for number in group.numbers]
            if any(count < times for count, times in zip(counts, group.times, strict=True)):
                return
            self._send(group)

    def end(self) -> NDArray[np.bool_]:
        """End the backward pass: send the rest; return of which parameters what was sent holds."""
        for group in self._due():
            self._send(group)
        holds = np.zeros(len(self._parameters), np.bool_)
        for sent in self._sent:
            for number, part in self._parted(sent.numbers, sent.own):
                own = self._parameters[number]
                holds[number] = own.rows is None and np.array_equal(own.grad, part)
        return holds

    def take(self, hold: NDArray[np.bool_]) -> None:
        """Wait for the sums, and put those that hold in all processes in the gradients' place.

        The other parameters do not travel early again.
        """
        if self._background is None or not self._sent:
            return
        self._background.hurry()
        try:
            totals = [(sent.numbers, result_of(sent.total)) for sent in self._sent]
        except ProcessLost as error:
            raise self._processes.lost() from error
        for numbers, total in totals:
            for number, part in self._parted(numbers, total):
                if hold[number]:
                    self._parameters[number].grad[...] = part
        self._groups = [kept for group in self._groups or [] if (kept := _without(group, hold))]

    def learn(self, dense: NDArray[np.bool_]) -> None:
        """After the first step, agree with the others on what travels early from now on.

        `dense` says whose gradients were so in all processes that had one.
        """
        if self._background is None or self._weight is None or self._groups is not None:
            return
        told = self._processes.broadcast(list(self._heard.items()))
        self._groups, last = [], 0
        for number, times in told:
            if not dense[number]:
                continue
            data = self._parameters[number].data
            joined = self._groups[-1] if self._groups and last < LEAST else None
            if joined is None or self._parameters[joined.numbers[0]].data.dtype != data.dtype:
                joined, last = Group([], []), 0
                self._groups.append(joined)
            joined.numbers.append(number)
            joined.times.append(times)
            last += data.nbytes

    def close(self) -> None:
        """Send nothing more."""
        if self._background is None:
            return
        ended = False
        try:
            ended = self._background.close()
        finally:  # Ctrl-C may come while it waits
            self._processes.stuck |= not ended

    def _due(self) -> list[Group]:
        """Return the groups that are still here."""
        if self._weight is None:
            return []
        return (self._groups or [])[len(self._sent) :]

    def _send(self, group: Group) -> None:
        assert self._background is not None
        assert self._weight is not None
        own = np.concatenate([self._parameters[k].grad.reshape(-1) for k in group.numbers])
        total = self._background.sum(own * own.dtype.type(self._weight))
        self._sent.append(Sent(group.numbers, own, total))

    def _parted(self, numbers: Sequence[int], flat: Array) -> Iterable[tuple[int, Array]]:
        """Return each parameter's part of a group."""
        start = 0
        for number in numbers:
            data = self._parameters[number].data
            yield number, flat[start : start + data.size].reshape(data.shape)
            start += data.size


def _without(group: Group, hold: NDArray[np.bool_]) -> Group | None:
    """Return a group without those that do not hold; None if nothing is left."""
    kept = [pair for pair in zip(*group, strict=True) if hold[pair[0]]]
    return Group(*map(list, zip(*kept, strict=True))) if kept else None
