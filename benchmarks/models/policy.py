"""A policy with a memory, learned by proximal policy optimization.

J. Schulman et al.: Proximal Policy Optimization Algorithms, 2017; S. Huang et al.: The 37
Implementation Details of Proximal Policy Optimization, 2022, for its LSTM: one step at a time, the
state zeroed where an episode starts; 256 steps in a batch, here 32 of eight environments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.models.task import Inputs, Task

SENSES, ACTIONS = 24, 4


class Policy(nn.Module):
    """What is observed [T,N,24], where episodes start [T,N] and the state to scores of the
    actions [T,N,4], values [T,N] and the next state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.senses = nn.Sequential(nn.Linear(SENSES, hidden), nn.Tanh())
        self.rnn = nn.LSTM(hidden, hidden)
        self.actor, self.critic = nn.Linear(hidden, ACTIONS), nn.Linear(hidden, 1)

    def forward(self, observed: Tensor, starts: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        found = []
        for x, start in zip(self.senses(observed), starts, strict=True):
            goes_on = (1 - start).view(1, -1, 1)
            y, (h, c) = self.rnn(x.unsqueeze(0), (goes_on * h, goes_on * c))
            found.append(y)
        y = torch.cat(found)
        return self.actor(y), self.critic(y).squeeze(2), h, c


def make(rows: int, steps: int, hidden: int) -> tuple[nn.Module, Inputs]:
    starts = (torch.rand(steps, rows) < 0.05).float()
    state = torch.zeros(2, 1, rows, hidden)
    return Policy(hidden), (torch.randn(steps, rows, SENSES), starts, *state)


def act(model: Any, world: Tensor, starts: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    """Act in all environments at once; what was done moves what is observed next."""
    observed, actions, values = world[0], [], []
    for coming, start in zip(world, starts, strict=True):
        scores, value, h, c = model(observed.unsqueeze(0), start.unsqueeze(0), h, c)
        actions.append(scores.argmax(2))
        values.append(value)
        observed = coming + actions[-1].view(-1, 1)
    return {"actions": torch.cat(actions), "values": torch.cat(values)}


def with_returns(rows: int, steps: int, hidden: int) -> tuple[nn.Module, Inputs]:
    """Return `make`'s, and of each step its action, how likely it was, advantage and return."""
    model, inputs = make(rows, steps, hidden)
    likely = -1.4 + 0.2 * torch.randn(steps, rows)
    done = torch.randint(ACTIONS, (steps, rows)), likely, *torch.randn(2, steps, rows)
    return model, (*inputs, *done)


def train(
    model: Any, observed: Tensor, starts: Tensor, h: Tensor, c: Tensor, actions: Tensor,
    before: Tensor, advantages: Tensor, returns: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    scores, values, *_ = model(observed, starts, h, c)
    likely = scores.log_softmax(2)
    ratio = (likely.gather(2, actions.unsqueeze(2)).squeeze(2) - before).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    entropy = -(likely.exp() * likely).sum(2).mean()
    return {"loss": 0.5 * ((values - returns) ** 2).mean() - gain - 0.01 * entropy}


SMALL = {"rows": 2, "steps": 4, "hidden": 5}
TASKS = (
    Task(
        "{steps} steps of {rows} environments, one by one", make, act,
        {"rows": 8, "steps": 50, "hidden": 128}, SMALL,
    ),
    Task(
        "{steps} steps of {rows} environments", with_returns, train,
        {"rows": 8, "steps": 32, "hidden": 128}, SMALL, trains=True,
    ),
)  # fmt: skip
